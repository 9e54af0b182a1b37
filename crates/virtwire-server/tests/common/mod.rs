//! What the tests share: a client that is nothing but the state machine on a socket, and a small service.
#![allow(dead_code, unreachable_pub, reason = "every test program uses its part")]

pub mod raw;
pub mod tiny;

use std::future::Future;
use std::time::Duration;

/// Waits for something that must come soon.
pub async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it did not come within 20 seconds")
}

/// How many descriptors this process has open.
pub fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("the system is Linux").count()
}
