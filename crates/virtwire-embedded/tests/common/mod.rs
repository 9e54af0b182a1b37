//! What the tests share: documents, and a recorder of events.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::sync::{Arc, Mutex};
use virtwire_embedded::{DomainEvent, Error, Node, Subscription};

/// The UUID of the first domain of a test.
pub(crate) const ONE: &str = "11111111-2222-3333-4444-555555555551";
/// The UUID of another.
pub(crate) const TWO: &str = "11111111-2222-3333-4444-555555555552";

/// A sound document with something added.
pub(crate) fn document(name: &str, uuid: &str, more: &str) -> String {
    format!(
        "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>65536</memory>\
         <os><type>hvm</type></os>{more}</domain>"
    )
}

/// The number and the origin of an error.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> (i32, i32) {
    let error = result.expect_err("this is refused");
    assert_eq!(Error::LEVEL, 2);
    assert!(!error.message.is_empty());
    (error.code.0, error.domain.0)
}

/// An event as (name, id, event, detail).
type Entry = (String, i32, i32, i32);

/// The events since the last look.
pub(crate) struct Recorder {
    seen: Arc<Mutex<Vec<Entry>>>,
    _subscription: Subscription,
}

impl Recorder {
    /// Records what comes from now on; a change of metadata has the event 23 and its kind as the detail.
    pub(crate) fn new(node: &Node) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let subscription = node.subscribe(move |event| {
            let entry = match event {
                DomainEvent::Lifecycle { domain, event } => {
                    (domain.name.to_string(), domain.id, event.event().0, event.detail())
                }
                DomainEvent::MetadataChange { domain, kind, .. } => {
                    (domain.name.to_string(), domain.id, 23, kind.0)
                }
                other => panic!("an event that no test knows: {other:?}"),
            };
            sink.lock().unwrap().push(entry);
        });
        Self { seen, _subscription: subscription }
    }

    /// What has come since the last call.
    pub(crate) fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// Checks that exactly these have come since the last call.
    #[track_caller]
    pub(crate) fn expect(&self, expected: &[(&str, i32, i32, i32)]) {
        let seen = self.take();
        let seen: Vec<_> =
            seen.iter().map(|(name, id, event, detail)| (&**name, *id, *event, *detail)).collect();
        assert_eq!(seen, expected);
    }
}
