//! One connection: its state, which calls, streams and handles share, and the task that drives it.

mod backlog;
mod driver;
mod output;
mod shared;

pub(crate) use driver::Driver;
pub(crate) use shared::{Opened, Shared, State};
