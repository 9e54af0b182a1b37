//! How far a migration is, and what becomes of one that nobody waits for any more.

use super::Domain;
use crate::Result;
use crate::error::MigrationError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

    /// The step that sends the domain's memory, which can be given up.
    pub(super) async fn perform<T>(&self, step: impl Future<Output = Result<T>>) -> Result<T> {
        self.performing.store(true, Ordering::SeqCst);
        let result = match self.check() {
            Ok(()) => step.await,
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
            let mut again = AGAIN;
            while !task.is_finished() {
                if course.performing.load(Ordering::SeqCst) {
                    // It fails where the job has not begun, or is over.
                    source.abort_job(DomainAbortJobFlags::empty()).await.ok();
                }
                tokio::time::sleep(again).await;
                again = AGAIN_AT_MOST.min(again * 2);
            }
        });
    }
}
