//! Finding and listing domains, and that what they are found by always follows what they are.

mod common;

use common::{code, document};
use proptest::prelude::*;
use std::collections::BTreeMap;
use uuid::Uuid;
use virtwire_embedded::{DomainRef, Node};
use virtwire_proto::xdr::Text;

fn uuid(n: u8) -> Uuid {
    Uuid::from_bytes([n; 16])
}

fn xml(name: &str, n: u8) -> String {
    document(name, &uuid(n).to_string(), "")
}

#[test]
fn lookups() {
    let node = Node::default();
    let test = node.domain_lookup_by_name("test").unwrap();
    assert_eq!(node.domain_lookup_by_id(1).unwrap(), test);
    assert_eq!(node.domain_lookup_by_uuid(test.uuid).unwrap(), test);
    for (result, message) in [
        (node.domain_lookup_by_name("x"), "Domain not found: no domain with matching name 'x'"),
        (node.domain_lookup_by_id(99), "Domain not found: no domain with matching id '99'"),
        (
            node.domain_lookup_by_uuid(uuid(0)),
            "Domain not found: no domain with matching uuid '00000000-0000-0000-0000-000000000000'",
        ),
    ] {
        let error = result.unwrap_err();
        assert_eq!((error.code.0, error.domain.0, &*error.message), (42, 12, message));
    }
    assert_eq!(code(node.domain_lookup_by_name("")), (42, 12));
    assert_eq!(code(node.domain_lookup_by_name([0xff])), (42, 12));
    assert_eq!(code(node.domain_lookup_by_id(-1)), (8, 20));
}

/// Domains of every kind: "test" runs, "off" is off, "paused" is paused and transient, "saved" has a managed
/// save image, "auto" starts with the node.
fn every_kind() -> Node {
    let node = Node::default();
    node.domain_define_xml(xml("off", 1), 0).unwrap();
    let paused = node.domain_create_xml(xml("paused", 2), 0).unwrap();
    node.domain_suspend(&paused).unwrap();
    let saved = node.domain_define_xml(xml("saved", 3), 0).unwrap();
    node.domain_create(&saved, 0).unwrap();
    node.domain_managed_save(&saved, 0).unwrap();
    let auto = node.domain_define_xml(xml("auto", 4), 0).unwrap();
    node.domain_set_autostart(&auto, true).unwrap();
    node
}

#[test]
fn filters_of_a_group_widen_and_groups_narrow() {
    const ACTIVE: u32 = 1;
    const INACTIVE: u32 = 2;
    const PERSISTENT: u32 = 4;
    const TRANSIENT: u32 = 8;
    const RUNNING: u32 = 16;
    const PAUSED: u32 = 32;
    const SHUTOFF: u32 = 64;
    const OTHER: u32 = 128;
    const MANAGEDSAVE: u32 = 256;
    const NO_MANAGEDSAVE: u32 = 512;
    const AUTOSTART: u32 = 1024;
    const NO_AUTOSTART: u32 = 2048;
    const HAS_SNAPSHOT: u32 = 4096;
    const NO_SNAPSHOT: u32 = 8192;
    const HAS_CHECKPOINT: u32 = 16384;
    const NO_CHECKPOINT: u32 = 32768;

    let node = every_kind();
    let all = "test off paused saved auto";
    for (flags, expected) in [
        (0, all),
        (ACTIVE, "test paused"),
        (INACTIVE, "off saved auto"),
        (ACTIVE | INACTIVE, all),
        (PERSISTENT, "test off saved auto"),
        (TRANSIENT, "paused"),
        (INACTIVE | TRANSIENT, ""),
        (RUNNING, "test"),
        (PAUSED, "paused"),
        (SHUTOFF, "off saved auto"),
        (OTHER, ""),
        (RUNNING | PAUSED, "test paused"),
        (ACTIVE | PAUSED | SHUTOFF, "paused"),
        (MANAGEDSAVE, "saved"),
        (NO_MANAGEDSAVE | INACTIVE, "off auto"),
        (AUTOSTART, "auto"),
        (NO_AUTOSTART, "test off paused saved"),
        (HAS_SNAPSHOT, ""),
        (NO_SNAPSHOT, all),
        (HAS_SNAPSHOT | NO_SNAPSHOT, all),
        (HAS_CHECKPOINT, ""),
        (NO_CHECKPOINT, all),
        (0xffff, all),
    ] {
        let found = node.list_all_domains(flags).unwrap();
        let found: Vec<String> = found.iter().map(|domain| domain.name.to_string()).collect();
        assert_eq!(found.join(" "), expected, "{flags:#x}");
    }
    assert_eq!(code(node.list_all_domains(1 << 16)), (8, 12));
}

#[test]
fn the_older_lists_are_cut_at_the_caller_s_maximum() {
    let node = every_kind();
    assert_eq!((node.num_of_domains(), node.num_of_defined_domains()), (2, 3));
    assert_eq!(node.list_domains(10), [1, 2]);
    assert_eq!(node.list_domains(1), [1]);
    assert_eq!(node.list_defined_domains(10), ["off", "saved", "auto"]);
    assert_eq!(node.list_defined_domains(0), [""; 0]);
}

#[test]
fn many_domains_are_found_by_everything_that_they_have() {
    let node = Node::default();
    let domains: Vec<DomainRef> = (0..2_000_u128)
        .map(|n| {
            let xml = document(&format!("vm-{n}"), &Uuid::from_u128(n).to_string(), "");
            let domain = node.domain_define_xml(xml, 0).unwrap();
            node.domain_create(&domain, 0).unwrap()
        })
        .collect();
    for domain in &domains {
        assert_eq!(node.domain_lookup_by_name(&domain.name), Ok(domain.clone()));
        assert_eq!(node.domain_lookup_by_id(domain.id), Ok(domain.clone()));
        assert_eq!(node.domain_lookup_by_uuid(domain.uuid), Ok(domain.clone()));
    }
    assert_eq!(node.list_all_domains(0).unwrap()[1..], domains);
}

/// Something that is done to the domain with a number.
#[derive(Debug, Clone, Copy)]
enum Step {
    Define,
    CreateXml,
    Create,
    Suspend,
    Shutdown,
    Destroy,
    Undefine,
    ManagedSave,
    Rename(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Define),
        Just(Step::CreateXml),
        Just(Step::Create),
        Just(Step::Suspend),
        Just(Step::Shutdown),
        Just(Step::Destroy),
        Just(Step::Undefine),
        Just(Step::ManagedSave),
        (0..6_u8).prop_map(Step::Rename),
    ]
}

proptest! {
    #[test]
    fn after_any_steps_all_ways_to_a_domain_agree(
        steps in proptest::collection::vec((0..6_u8, 0..6_u8, step()), 0..60)
    ) {
        let node = Node::default();
        let name = |n: u8| format!("name-{n}");
        let mut ids = BTreeMap::new();
        for (n, called, step) in steps {
            let domain = DomainRef { name: Text::from(name(n)), uuid: uuid(n), id: -1 };
            // Most of these are refused; what matters is what is true afterwards.
            let _ = match step {
                Step::Define => node.domain_define_xml(xml(&name(called), n), 0).map(drop),
                Step::CreateXml => node.domain_create_xml(xml(&name(called), n), 0).map(drop),
                Step::Create => node.domain_create(&domain, 0).map(drop),
                Step::Suspend => node.domain_suspend(&domain),
                Step::Shutdown => node.domain_shutdown(&domain, 0),
                Step::Destroy => node.domain_destroy(&domain, 0),
                Step::Undefine => node.domain_undefine(&domain, 1),
                Step::ManagedSave => node.domain_managed_save(&domain, 0),
                Step::Rename(to) => node.domain_rename(&domain, &Text::from(name(to)), 0),
            };

            let all = node.list_all_domains(0).unwrap();
            let active: Vec<i32> = all.iter().map(|domain| domain.id).filter(|&id| id != -1).collect();
            prop_assert_eq!(node.num_of_domains(), active.len());
            prop_assert_eq!(node.num_of_defined_domains(), all.len() - active.len());
            let mut listed = node.list_domains(100);
            listed.sort_unstable();
            let mut sorted = active.clone();
            sorted.sort_unstable();
            prop_assert_eq!(listed, sorted);
            for domain in &all {
                prop_assert_eq!(node.domain_lookup_by_name(&domain.name), Ok(domain.clone()));
                prop_assert_eq!(node.domain_lookup_by_uuid(domain.uuid), Ok(domain.clone()));
                prop_assert_eq!(node.domain_is_active(domain), Ok(domain.id != -1));
                if domain.id == -1 {
                    prop_assert_eq!(node.domain_is_persistent(domain), Ok(true));
                } else {
                    prop_assert_eq!(node.domain_lookup_by_id(domain.id), Ok(domain.clone()));
                    // An id belongs to one domain for ever.
                    prop_assert_eq!(*ids.entry(domain.id).or_insert(domain.uuid), domain.uuid);
                }
            }
            for n in 0..6 {
                if let Ok(found) = node.domain_lookup_by_name(name(n)) {
                    prop_assert!(all.contains(&found));
                }
                if let Ok(found) = node.domain_lookup_by_uuid(uuid(n)) {
                    prop_assert!(all.contains(&found));
                }
            }
        }
    }
}
