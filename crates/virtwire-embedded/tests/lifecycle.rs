//! From definition to removal: states, reasons, ids, events and refusals, as watched on libvirt's test driver.

mod common;

use common::{ONE, Recorder, TWO, code, document};
use virtwire_embedded::{DomainRef, DomainState, Node};
use virtwire_proto::xdr::Text;

const DEFINED: i32 = 0;
const UNDEFINED: i32 = 1;
const STARTED: i32 = 2;
const SUSPENDED: i32 = 3;
const RESUMED: i32 = 4;
const STOPPED: i32 = 5;

/// A node with one more domain, "a", which is defined and off; ids go on from 2.
fn defined(more: &str) -> (Node, DomainRef, Recorder) {
    let node = Node::default();
    let domain = node.domain_define_xml(document("a", ONE, more), 0).unwrap();
    let events = Recorder::new(&node);
    (node, domain, events)
}

/// The same with a transient domain, "t", which runs under the id 2.
fn transient(more: &str) -> (Node, DomainRef, Recorder) {
    let node = Node::default();
    let domain = node.domain_create_xml(document("t", TWO, more), 0).unwrap();
    let events = Recorder::new(&node);
    (node, domain, events)
}

fn state(node: &Node, domain: &DomainRef) -> (i32, i32) {
    let (state, reason) = node.domain_state(domain, 0).unwrap();
    (state.0, reason)
}

#[test]
fn definition_and_redefinition() {
    let node = Node::default();
    let events = Recorder::new(&node);
    let a = node.domain_define_xml(document("a", ONE, ""), 0).unwrap();
    assert_eq!((a.name.to_string(), a.uuid.to_string(), a.id), ("a".to_owned(), ONE.to_owned(), -1));
    assert_eq!(state(&node, &a), (5, 0));
    assert_eq!(node.domain_is_persistent(&a), Ok(true));
    node.domain_define_xml(document("a", ONE, "<vcpu>3</vcpu>"), 1).unwrap();
    assert_eq!(node.domain_info(&a).unwrap().nr_virt_cpu, 3);
    events.expect(&[("a", -1, DEFINED, 0), ("a", -1, DEFINED, 1)]);

    for (xml, what) in [
        (document("a", TWO, ""), "another UUID"),
        (document("b", ONE, ""), "another name"),
        (document("a", "", ""), "no UUID"),
    ] {
        assert_eq!(code(node.domain_define_xml(&xml, 0)), (9, 20), "{what}");
        assert_eq!(code(node.domain_create_xml(&xml, 0)), (9, 20), "{what}");
    }
    assert_eq!(code(node.domain_define_xml(document("a\nb", TWO, ""), 0)), (35, 5));
    assert_eq!(code(node.domain_define_xml(document("b", TWO, ""), 0x80)), (8, 12));
    events.expect(&[]);
}

#[test]
fn start_pause_and_end() {
    let (node, a, events) = defined("");
    let started = node.domain_create(&a, 0).unwrap();
    assert_eq!(started.id, 2);
    assert_eq!(state(&node, &a), (1, 1));
    node.domain_suspend(&a).unwrap();
    assert_eq!(state(&node, &a), (3, 1));
    node.domain_resume(&a).unwrap();
    assert_eq!(state(&node, &a), (1, 5));
    node.domain_shutdown(&a, 0).unwrap();
    assert_eq!(state(&node, &a), (5, 1));
    assert_eq!(node.domain_create(&a, 0).unwrap().id, 3);
    node.domain_destroy(&a, 1).unwrap();
    assert_eq!(state(&node, &a), (5, 2));
    node.domain_undefine(&a, 3).unwrap();
    assert_eq!(code(node.domain_state(&a, 0)), (42, 12));
    events.expect(&[
        ("a", 2, STARTED, 0),
        ("a", 2, SUSPENDED, 0),
        ("a", 2, RESUMED, 0),
        ("a", -1, STOPPED, 0),
        ("a", 3, STARTED, 0),
        ("a", -1, STOPPED, 1),
        ("a", -1, UNDEFINED, 0),
    ]);
}

#[test]
fn a_paused_guest_can_reboot_and_shut_down() {
    let (node, a, events) = defined("");
    node.domain_create(&a, 0).unwrap();
    node.domain_suspend(&a).unwrap();
    node.domain_reboot(&a, 0).unwrap();
    assert_eq!(state(&node, &a), (1, 1));
    node.domain_suspend(&a).unwrap();
    node.domain_shutdown(&a, 0).unwrap();
    assert_eq!(state(&node, &a), (5, 1));
    events.expect(&[
        ("a", 2, STARTED, 0),
        ("a", 2, SUSPENDED, 0),
        ("a", 2, SUSPENDED, 0),
        ("a", -1, STOPPED, 0),
    ]);
}

#[test]
fn what_follows_the_end_of_a_guest_is_what_its_document_says() {
    for (action, stops) in [
        ("destroy", true),
        ("preserve", true),
        ("coredump-destroy", true),
        ("coredump-restart", true),
        ("restart", false),
        ("rename-restart", false),
    ] {
        let more = format!("<on_poweroff>{action}</on_poweroff><on_reboot>{action}</on_reboot>");
        for reboot in [false, true] {
            let (node, a, events) = defined(&more);
            node.domain_create(&a, 0).unwrap();
            events.take();
            if reboot { node.domain_reboot(&a, 0) } else { node.domain_shutdown(&a, 0) }.unwrap();
            if stops {
                assert_eq!(state(&node, &a), (5, 1), "{action}");
                events.expect(&[("a", -1, STOPPED, 0)]);
            } else {
                assert_eq!(state(&node, &a), (1, 1), "{action}");
                assert_eq!(node.domain_lookup_by_id(2).unwrap().uuid, a.uuid);
                events.expect(&[]);
            }
        }
    }
}

#[test]
fn calls_for_a_running_domain_refuse_one_that_is_off() {
    let (node, a, events) = defined("");
    assert_eq!(code(node.domain_suspend(&a)), (1, 12));
    assert_eq!(code(node.domain_resume(&a)), (1, 12));
    assert_eq!(code(node.domain_shutdown(&a, 0)), (1, 12));
    assert_eq!(code(node.domain_destroy(&a, 0)), (55, 20));
    assert_eq!(code(node.domain_reboot(&a, 0)), (55, 20));
    assert_eq!(code(node.domain_reset(&a, 0)), (55, 20));
    assert_eq!(code(node.domain_hostname(&a, 0)), (55, 20));
    assert_eq!(code(node.domain_managed_save(&a, 0)), (55, 20));
    assert_eq!(node.domain_security_label(&a).unwrap().label, "");
    events.expect(&[]);
}

#[test]
fn calls_for_a_domain_that_is_off_refuse_a_running_one() {
    let (node, a, events) = defined("");
    node.domain_create(&a, 0).unwrap();
    assert_eq!(code(node.domain_create(&a, 0)), (1, 12));
    assert_eq!(code(node.domain_resume(&a)), (1, 12));
    assert_eq!(code(node.domain_create_xml(document("a", ONE, ""), 0)), (55, 20));
    node.domain_suspend(&a).unwrap();
    assert_eq!(code(node.domain_suspend(&a)), (1, 12));
    assert_eq!(code(node.domain_create(&a, 0)), (1, 12));
    node.domain_reset(&a, 0).unwrap();
    assert_eq!(state(&node, &a), (3, 1));
    events.expect(&[("a", 2, STARTED, 0), ("a", 2, SUSPENDED, 0)]);
}

#[test]
fn flags_that_no_call_knows_are_refused() {
    let (node, a, events) = defined("");
    for flag in [1, 2, 4, 8, 0x4000] {
        assert_eq!(code(node.domain_create(&a, flag)), (8, 12), "{flag}");
    }
    for flag in [1, 2, 4, 8, 32] {
        assert_eq!(code(node.domain_create_xml(document("b", TWO, ""), flag)), (8, 12), "{flag}");
    }
    assert_eq!(code(node.domain_destroy(&a, 2)), (8, 12));
    assert_eq!(code(node.domain_shutdown(&a, 1)), (8, 12));
    assert_eq!(code(node.domain_reboot(&a, 0x20)), (8, 12));
    assert_eq!(code(node.domain_reset(&a, 1)), (8, 12));
    assert_eq!(code(node.domain_undefine(&a, 4)), (8, 12));
    assert_eq!(code(node.domain_rename(&a, &Text::from("b"), 1)), (8, 12));
    assert_eq!(code(node.domain_state(&a, 1)), (8, 12));
    assert_eq!(code(node.domain_hostname(&a, 5)), (8, 12));
    assert_eq!(code(node.domain_managed_save(&a, 8)), (8, 12));
    assert_eq!(code(node.domain_has_managed_save_image(&a, 1)), (8, 12));
    assert_eq!(code(node.domain_managed_save_remove(&a, 1)), (8, 12));
    assert_eq!(code(node.domain_xml_desc(&a, 0x100)), (8, 12));
    assert_eq!(code(node.domain_xml_desc(&a, 4)), (8, 12));
    node.domain_create_xml(document("b", TWO, ""), 16).unwrap();
    events.expect(&[("b", 2, STARTED, 0)]);
}

#[test]
fn a_transient_domain_ends_when_it_stops_and_keeps_its_id_in_the_last_event() {
    let (node, t, events) = transient("");
    assert_eq!((t.id, node.domain_is_persistent(&t)), (2, Ok(false)));
    node.domain_destroy(&t, 0).unwrap();
    assert_eq!(code(node.domain_state(&t, 0)), (42, 12));
    let t = node.domain_create_xml(document("t", TWO, ""), 0).unwrap();
    node.domain_shutdown(&t, 0).unwrap();
    assert_eq!(code(node.domain_lookup_by_name("t")), (42, 12));
    assert_eq!(code(node.domain_lookup_by_id(3)), (42, 12));
    events.expect(&[("t", 2, STOPPED, 1), ("t", 3, STARTED, 0), ("t", 3, STOPPED, 0)]);
}

#[test]
fn a_transient_domain_becomes_persistent_by_definition() {
    let (node, t, events) = transient("<title>live</title>");
    let again = node.domain_define_xml(document("t", TWO, "<title>next</title>"), 0).unwrap();
    assert_eq!(again.id, 2);
    assert_eq!(node.domain_is_persistent(&t), Ok(true));
    node.domain_define_xml(document("t", TWO, "<title>next</title>"), 0).unwrap();
    assert!(node.domain_xml_desc(&t, 0).unwrap().contains("<title>live</title>"));
    assert!(node.domain_xml_desc(&t, 2).unwrap().contains("<title>next</title>"));
    node.domain_destroy(&t, 0).unwrap();
    assert!(node.domain_xml_desc(&t, 0).unwrap().contains("<title>next</title>"));
    assert_eq!(state(&node, &t), (5, 2));
    events.expect(&[("t", 2, DEFINED, 0), ("t", 2, DEFINED, 1), ("t", -1, STOPPED, 1)]);
}

#[test]
fn an_active_domain_becomes_transient_when_it_is_undefined() {
    let (node, a, events) = defined("");
    node.domain_create(&a, 0).unwrap();
    node.domain_undefine(&a, 0).unwrap();
    assert_eq!(node.domain_is_persistent(&a), Ok(false));
    node.domain_undefine(&a, 0).unwrap();
    assert_eq!(code(node.domain_managed_save(&a, 0)), (55, 12));
    node.domain_destroy(&a, 0).unwrap();
    assert_eq!(code(node.domain_undefine(&a, 0)), (42, 12));
    events.expect(&[
        ("a", 2, STARTED, 0),
        ("a", 2, UNDEFINED, 0),
        ("a", 2, UNDEFINED, 0),
        ("a", -1, STOPPED, 1),
    ]);
}

#[test]
fn a_document_can_be_started_over_a_defined_domain_that_is_off() {
    let (node, a, events) = defined("<title>stays</title>");
    let live = node.domain_create_xml(document("a", ONE, "<title>once</title>"), 0).unwrap();
    assert_eq!((live.id, node.domain_is_persistent(&a)), (2, Ok(true)));
    assert!(node.domain_xml_desc(&a, 0).unwrap().contains("<title>once</title>"));
    assert!(node.domain_xml_desc(&a, 2).unwrap().contains("<title>stays</title>"));
    node.domain_destroy(&a, 0).unwrap();
    assert!(node.domain_xml_desc(&a, 0).unwrap().contains("<title>stays</title>"));
    events.expect(&[("a", 2, STARTED, 0), ("a", -1, STOPPED, 1)]);
}

#[test]
fn renaming() {
    let (node, a, events) = defined("");
    for (name, expected) in [("", (8, 20)), ("a", (55, 20)), ("test", (55, 20)), ("x/y", (27, 12))] {
        assert_eq!(code(node.domain_rename(&a, &Text::from(name), 0)), expected, "{name:?}");
    }
    assert_eq!(code(node.domain_rename(&a, &Text::from(vec![0xff]), 0)), (27, 12));
    node.domain_rename(&a, &Text::from("b"), 0).unwrap();
    assert_eq!(code(node.domain_lookup_by_name("a")), (42, 12));
    assert_eq!(node.domain_lookup_by_name("b").unwrap().uuid, a.uuid);
    assert!(node.domain_xml_desc(&a, 0).unwrap().contains("<name>b</name>"));
    node.domain_create(&a, 0).unwrap();
    assert_eq!(code(node.domain_rename(&a, &Text::from("c"), 0)), (55, 12));
    events.expect(&[("a", -1, UNDEFINED, 1), ("b", -1, DEFINED, 2), ("b", 2, STARTED, 0)]);
}

#[test]
fn managed_save() {
    let (node, a, events) = defined("");
    assert_eq!(node.domain_has_managed_save_image(&a, 0), Ok(false));
    node.domain_managed_save_remove(&a, 0).unwrap();
    node.domain_create(&a, 0).unwrap();
    assert_eq!(code(node.domain_managed_save(&a, 2 | 4)), (8, 20));
    node.domain_managed_save(&a, 1 | 4).unwrap();
    assert_eq!((state(&node, &a), node.domain_has_managed_save_image(&a, 0)), ((5, 5), Ok(true)));
    assert_eq!(code(node.domain_undefine(&a, 0)), (55, 12));
    node.domain_create(&a, 0).unwrap();
    assert_eq!((state(&node, &a), node.domain_has_managed_save_image(&a, 0)), ((1, 1), Ok(false)));
    node.domain_managed_save(&a, 0).unwrap();
    node.domain_undefine(&a, 1).unwrap();
    events.expect(&[
        ("a", 2, STARTED, 0),
        ("a", -1, STOPPED, 4),
        ("a", 3, STARTED, 0),
        ("a", -1, STOPPED, 4),
        ("a", -1, UNDEFINED, 0),
    ]);
}

#[test]
fn a_domain_that_is_gone_is_named_by_uuid_and_name() {
    let (node, a, _events) = defined("");
    node.domain_undefine(&a, 0).unwrap();
    let error = node.domain_info(&a).unwrap_err();
    assert_eq!(error.message, format!("Domain not found: no domain with matching uuid '{ONE}' (a)"));
    let calls: [(&str, Result<(), virtwire_embedded::Error>); 8] = [
        ("create", node.domain_create(&a, 0).map(drop)),
        ("suspend", node.domain_suspend(&a)),
        ("resume", node.domain_resume(&a)),
        ("shutdown", node.domain_shutdown(&a, 0)),
        ("reboot", node.domain_reboot(&a, 0)),
        ("destroy", node.domain_destroy(&a, 0)),
        ("rename", node.domain_rename(&a, &Text::from("b"), 0)),
        ("xml_desc", node.domain_xml_desc(&a, 0).map(drop)),
    ];
    for (call, result) in calls {
        assert_eq!(code(result), (42, 12), "{call}");
    }
    // The reference of another domain with the same name does not reach the new one.
    let b = node.domain_define_xml(document("a", TWO, ""), 0).unwrap();
    assert_eq!(code(node.domain_info(&a)), (42, 12));
    assert_eq!(node.domain_info(&b).unwrap().state, DomainState::SHUTOFF);
}
