//! A daemon that does not answer stops its callers, and nothing else of the thread that they are on.

use crate::support::{builder, connect_with};
use std::sync::mpsc;
use std::time::Duration;
use tokio::net::UnixListener;
use virtwire::Connection;

/// Runs on one thread, where whoever blocks it is found out by another.
fn on_one_thread(test: impl Future<Output = ()> + Send + 'static) {
    let (done, waiting) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test);
        done.send(()).ok();
    });
    waiting.recv_timeout(Duration::from_secs(60)).expect("the thread goes on, and the test on it is well");
}

/// Something else that the thread has to do.
async fn tick() {
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn calls_that_hang_leave_the_event_loop_running() {
    on_one_thread(async {
        let (connection, peer) = connect_with(builder().max_calls_in_flight(usize::MAX)).await;
        peer.freeze().await;
        let calls: Vec<_> = (0..1000)
            .map(|_| {
                let connection = connection.clone();
                tokio::spawn(async move { connection.hostname().await })
            })
            .collect();
        tick().await;
        assert!(calls.iter().all(|call| !call.is_finished()));
    });
}

#[test]
fn a_connection_that_does_not_open_leaves_the_event_loop_running() {
    on_one_thread(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _listener = UnixListener::bind(&path).unwrap();
        let uri = format!("test+unix:///default?socket={}", path.display());
        let opening = tokio::spawn(async move { Connection::open(&uri).await.map(drop) });
        tick().await;
        assert!(!opening.is_finished());
    });
}
