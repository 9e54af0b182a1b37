//! Every procedure that clients call is a method of the object that it belongs to, or has a reason not to be.

#[path = "support/source.rs"]
mod source;

use source::{OBJECTS, methods, procedures};
use std::collections::{BTreeMap, BTreeSet};

/// What no method of an object reaches, and why. A pattern that ends with `*` stands for all that begin so.
const UNREACHED: &[(&str, &str)] = &[
    ("remote.auth_*", "opening a connection authenticates"),
    ("remote.connect_open", "Connection::open"),
    ("remote.connect_close", "Connection::close"),
    ("remote.connect_get_uri", "opening a connection asks for it; Connection::uri says it"),
    ("remote.connect_register_close_callback", "opening a connection; Connection::hypervisor_events says it"),
    ("remote.connect_unregister_close_callback", "Connection::close"),
    ("remote.connect_domain_event_register", "the oldest generation of events, before callback identifiers"),
    (
        "remote.connect_domain_event_deregister",
        "the oldest generation of events, before callback identifiers",
    ),
    (
        "remote.connect_domain_event_register_any",
        "the older generation of events, before callback identifiers",
    ),
    (
        "remote.connect_domain_event_deregister_any",
        "the older generation of events, before callback identifiers",
    ),
    ("remote.connect_domain_event_callback_deregister_any", "dropping a Subscription"),
    ("remote.connect_network_event_deregister_any", "dropping a Subscription"),
    ("remote.connect_storage_pool_event_deregister_any", "dropping a Subscription"),
    ("remote.connect_node_device_event_deregister_any", "dropping a Subscription"),
    ("remote.connect_secret_event_deregister_any", "dropping a Subscription"),
    ("qemu.connect_domain_monitor_event_deregister", "dropping a Subscription"),
    (
        "remote.domain_create",
        "domain_create_with_flags does the same and says the domain's new number, since libvirt 0.8.2",
    ),
    ("remote.domain_migrate_prepare_tunnel", "only daemons call it, of each other: tunnelled migration"),
    ("remote.domain_migrate_prepare_tunnel3", "only daemons call it, of each other: tunnelled migration"),
    (
        "remote.domain_migrate_prepare_tunnel3_params",
        "only daemons call it, of each other: tunnelled migration",
    ),
    ("admin.connect_open", "AdminConnection::open"),
    ("admin.connect_close", "AdminConnection::close"),
];

#[test]
fn every_procedure_is_a_method_or_has_a_reason() {
    let reached: BTreeSet<_> =
        methods().iter().flat_map(|method| &method.procedures).map(ToString::to_string).collect();
    let mut used = BTreeSet::new();
    let mut unexplained = Vec::new();
    let (mut all, mut count) = (0, 0);
    for procedure in procedures() {
        all += 1;
        let name = procedure.to_string();
        let reason = UNREACHED.iter().find(|(pattern, _)| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == *pattern,
        });
        match (reached.contains(&name), reason) {
            (true, None) => count += 1,
            (false, Some((pattern, why))) => {
                used.insert(*pattern);
                println!("{name}: no method: {why}");
            }
            (true, Some(_)) => panic!("{name} is reached now: it needs no reason"),
            (false, None) => unexplained.push(name),
        }
    }
    assert!(unexplained.is_empty(), "no method reaches {unexplained:?}, and no reason is given");
    let unused: Vec<_> =
        UNREACHED.iter().map(|(name, _)| *name).filter(|name| !used.contains(name)).collect();
    assert!(unused.is_empty(), "there are no such procedures: {unused:?}");
    println!("{count} of {all} procedures are reached by methods");
    // The scan of the source has not gone blind: what it is to find is there in about the number that is known.
    assert!(all >= 428 && count >= 390, "{count} of {all}");
}

#[test]
fn every_object_has_methods() {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for method in methods() {
        *counts.entry(method.object).or_default() += 1;
    }
    for object in OBJECTS {
        let count = counts.get(object).copied().unwrap_or(0);
        println!("{object}: {count} methods");
        assert!(count > 0, "{object}");
    }
}
