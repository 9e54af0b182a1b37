//! How far a migration is, and what becomes of one that nobody waits for any more.

use super::Domain;
use crate::error::MigrationError;
use crate::{Connection, Error, Result};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};
use virtwire_proto::flags::DomainAbortJobFlags;

/// How long to wait before the source is asked anew to give up a job that it had not begun yet, and how long at most
/// where it goes on refusing: the domain may run at the destination already.
const AGAIN: Duration = Duration::from_millis(100);
const AGAIN_AT_MOST: Duration = Duration::from_secs(10);

/// How far a migration is.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// Nobody waits for it.
    given_up: AtomicBool,
    /// The source is asked to send the domain's memory: the only step that takes long.
    performing: AtomicBool,
}

impl Course {
    /// Fails where nobody waits for the migration: what was begun is to be ended.
    pub(super) fn check(&self) -> Result<(), MigrationError> {
        if self.given_up.load(Ordering::SeqCst) { Err(MigrationError::GivenUp) } else { Ok(()) }
    }

    /// The step that sends the domain's memory, which can be given up. It is where the destination's daemon is lost: that
    /// cannot take over any more, though its hypervisor may go on to receive.
    pub(super) async fn perform<T>(
        &self,
        source: &Domain,
        destination: &Connection,
        step: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.performing.store(true, Ordering::SeqCst);
        let result = match self.check() {
            Ok(()) => perform(source, destination, step).await,
            Err(error) => Err(error.into()),
        };
        self.performing.store(false, Ordering::SeqCst);
        result
    }
}

/// The migration's task. Dropped before it is done, it gives the migration up; the task brings that to its end.
#[derive(Debug)]
pub(super) struct Guard {
    source: Domain,
    course: Arc<Course>,
    task: JoinHandle<Result<Domain>>,
}

impl Guard {
    pub(super) fn new(source: Domain, course: Arc<Course>, task: JoinHandle<Result<Domain>>) -> Self {
        Self { source, course, task }
    }

    /// What has become of it.
    pub(super) async fn done(&mut self) -> Result<Result<Domain>, JoinError> {
        (&mut self.task).await
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.course.given_up.store(true, Ordering::SeqCst);
        // Outside of the runtime nobody can be asked any more: the task sees that it is given up.
        let Ok(runtime) = Handle::try_current() else { return };
        if self.task.is_finished() {
            return;
        }
        let (source, course, task) =
            (self.source.clone(), Arc::clone(&self.course), self.task.abort_handle());
        runtime.spawn(async move {
            while !task.is_finished() {
                give_up(&source, || course.performing.load(Ordering::SeqCst)).await;
                tokio::time::sleep(AGAIN).await;
            }
        });
    }
}

/// Takes the step; where the destination is lost, asks the source to give it up.
async fn perform<T>(
    source: &Domain,
    destination: &Connection,
    step: impl Future<Output = Result<T>>,
) -> Result<T> {
    let lost = AtomicBool::new(false);
    let mut step = pin!(step);
    let mut give_up = pin!(async {
        destination.closed().await;
        lost.store(true, Ordering::SeqCst);
        give_up(source, || true).await;
    });
    let result = poll_fn(|cx| {
        // Goes on until the step ends.
        let _: Poll<()> = give_up.as_mut().poll(cx);
        step.as_mut().poll(cx)
    });
    match (result.await, destination.close_reason()) {
        (Err(_), Some(reason)) if lost.load(Ordering::SeqCst) => {
            Err(Error::Closed { procedure: None, reason })
        }
        (result, _) => result,
    }
}

/// Asks the source to give up the job that it is `performing`, until it does.
async fn give_up(source: &Domain, performing: impl Fn() -> bool) {
    let mut again = AGAIN;
    while performing() {
        // It fails where the job has not begun, or is over.
        source.abort_job(DomainAbortJobFlags::empty()).await.ok();
        tokio::time::sleep(again).await;
        again = AGAIN_AT_MOST.min(again * 2);
    }
}
