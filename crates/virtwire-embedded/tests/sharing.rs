//! One node for many threads, as a daemon's connections share it.

mod common;

use common::{Recorder, document};
use std::collections::HashMap;
use uuid::Uuid;
use virtwire_embedded::Node;

#[test]
fn events_come_in_the_order_of_the_changes_whichever_thread_made_them() {
    const THREADS: u128 = 4;
    const ROUNDS: usize = 200;
    const STARTED: i32 = 2;
    const STOPPED: i32 = 5;

    let node = Node::default();
    let domains: Vec<_> = (0..THREADS)
        .map(|n| {
            let xml = document(&format!("vm-{n}"), &Uuid::from_u128(n).to_string(), "");
            node.domain_define_xml(xml, 0).unwrap()
        })
        .collect();
    let events = Recorder::new(&node);
    std::thread::scope(|scope| {
        for own in &domains {
            let (node, domains) = (&node, &domains);
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    // All threads work on all domains: most calls lose a race and are refused.
                    for domain in domains {
                        let _ = node.domain_create(domain, 0);
                        let _ = node.domain_destroy(domain, 0);
                    }
                    assert!(node.domain_lookup_by_uuid(own.uuid).is_ok());
                }
            });
        }
    });

    let mut last = HashMap::new();
    let mut last_id = 1;
    for (name, id, event, _) in events.take() {
        let before = last.insert(name.clone(), event).unwrap_or(STOPPED);
        match event {
            STARTED => {
                assert_eq!((before, id), (STOPPED, last_id + 1), "{name}");
                last_id = id;
            }
            STOPPED => assert_eq!((before, id), (STARTED, -1), "{name}"),
            other => panic!("event {other} of {name}"),
        }
    }
    assert!(last_id > 1 + i32::try_from(ROUNDS).unwrap(), "every round starts some domain");
    for domain in &domains {
        let is_active = node.domain_is_active(domain).unwrap();
        assert_eq!(is_active, last[&domain.name.to_string()] == STARTED);
    }
}

#[test]
fn a_subscriber_may_call_the_node() {
    let node = std::sync::Arc::new(Node::default());
    let test = node.domain_lookup_by_name("test").unwrap();
    let events = Recorder::new(&node);
    let weak = std::sync::Arc::downgrade(&node);
    // Starts again whatever stops.
    let restarter = node.subscribe(move |event| {
        if let virtwire_embedded::DomainEvent::Lifecycle { domain, event } = event
            && event.event() == virtwire_proto::enums::DomainEventType::STOPPED
        {
            let node = weak.upgrade().unwrap();
            assert!(!node.domain_is_active(domain).unwrap());
            node.domain_create(domain, 0).unwrap();
        }
    });
    node.domain_destroy(&test, 0).unwrap();
    assert_eq!(node.domain_is_active(&test), Ok(true));
    drop(restarter);
    node.domain_destroy(&test, 0).unwrap();
    assert_eq!(node.domain_is_active(&test), Ok(false));
    events.expect(&[("test", -1, 5, 1), ("test", 2, 2, 0), ("test", -1, 5, 1)]);
}
