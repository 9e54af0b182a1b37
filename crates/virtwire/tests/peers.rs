//! What users of other clients of libvirt suffer, and what they ask for: nothing of it happens here. `table` says
//! which test sees to what.
#![cfg(unix)]

#[path = "peers/cancel.rs"]
mod cancel;
#[path = "peers/event_loop.rs"]
mod event_loop;
#[path = "peers/fake_daemon.rs"]
mod fake_daemon;
#[path = "peers/hangs.rs"]
mod hangs;
mod support;
#[path = "peers/table.rs"]
mod table;
#[path = "peers/typed_params.rs"]
mod typed_params;
#[path = "peers/without_c.rs"]
mod without_c;
