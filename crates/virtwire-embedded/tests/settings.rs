//! Memory, vCPUs and autostart, for the running guest and for the configuration that stays.

mod common;

use common::{ONE, TWO, code, document};
use virtwire_embedded::{DomainRef, Node};

const CURRENT: u32 = 0;
const LIVE: u32 = 1;
const CONFIG: u32 = 2;
const MAXIMUM: u32 = 4;

fn running() -> (Node, DomainRef) {
    let node = Node::default();
    let test = node.domain_lookup_by_name("test").unwrap();
    (node, test)
}

fn off() -> (Node, DomainRef) {
    let node = Node::default();
    let a = node.domain_define_xml(document("a", ONE, "<vcpu>2</vcpu>"), 0).unwrap();
    (node, a)
}

fn transient() -> (Node, DomainRef) {
    let node = Node::default();
    let t = node.domain_create_xml(document("t", TWO, "<vcpu>2</vcpu>"), 0).unwrap();
    (node, t)
}

#[test]
fn memory_of_a_running_domain() {
    let (node, test) = running();
    node.domain_set_memory(&test, 1024).unwrap();
    assert_eq!(node.domain_info(&test).unwrap().memory, 1024);
    assert!(node.domain_xml_desc(&test, 2).unwrap().contains(">2097152</currentMemory>"));
    node.domain_set_memory_flags(&test, 2048, CONFIG).unwrap();
    assert_eq!(node.domain_info(&test).unwrap().memory, 1024);
    node.domain_set_memory_flags(&test, 1536, CONFIG | MAXIMUM).unwrap();
    assert_eq!(node.domain_max_memory(&test), Ok(8_388_608));
    let next = node.domain_xml_desc(&test, 2).unwrap();
    assert!(next.contains(">1536</memory>") && next.contains(">1536</currentMemory>"), "{next}");

    assert_eq!(code(node.domain_set_memory(&test, 0)), (8, 20));
    assert_eq!(code(node.domain_set_memory(&test, 8_388_609)), (8, 12));
    assert_eq!(code(node.domain_set_memory_flags(&test, 1, LIVE | CONFIG)), (8, 20));
    assert_eq!(code(node.domain_set_memory_flags(&test, 1, 0x80)), (8, 12));
    assert_eq!(code(node.domain_set_memory_flags(&test, 1, LIVE | MAXIMUM)), (55, 12));
    assert_eq!(code(node.domain_set_max_memory(&test, 1)), (55, 12));
    assert_eq!(code(node.domain_set_max_memory(&test, 0)), (8, 20));
}

#[test]
fn memory_of_a_domain_that_is_off() {
    let (node, a) = off();
    node.domain_set_memory_flags(&a, 4096, CONFIG).unwrap();
    node.domain_set_max_memory(&a, 2048).unwrap();
    let info = node.domain_info(&a).unwrap();
    assert_eq!((info.max_mem, info.memory), (2048, 2048));
    node.domain_set_memory_flags(&a, 1024, CURRENT).unwrap();
    assert_eq!(node.domain_info(&a).unwrap().memory, 1024);
    assert_eq!(code(node.domain_set_memory(&a, 1024)), (55, 20));
    assert_eq!(code(node.domain_set_memory_flags(&a, 1024, LIVE)), (55, 20));
}

#[test]
fn memory_that_cells_or_slots_bound() {
    let node = Node::default();
    let cells = "<cpu><numa><cell id='0' cpus='0' memory='65536'/></numa></cpu>";
    let a = node.domain_define_xml(document("a", ONE, cells), 0).unwrap();
    assert_eq!(code(node.domain_set_max_memory(&a, 1024)), (55, 12));
    let slots = "<maxMemory slots='1'>70000</maxMemory>";
    let b = node.domain_define_xml(document("b", TWO, slots), 0).unwrap();
    assert_eq!(code(node.domain_set_max_memory(&b, 70_001)), (55, 12));
    node.domain_set_max_memory(&b, 70_000).unwrap();
}

#[test]
fn a_transient_domain_has_nothing_that_stays() {
    let (node, t) = transient();
    assert_eq!(code(node.domain_set_memory_flags(&t, 1, CONFIG)), (55, 20));
    assert_eq!(code(node.domain_vcpus(&t, CONFIG)), (55, 20));
    assert_eq!(code(node.domain_set_vcpus_flags(&t, 1, CONFIG)), (55, 20));
    assert_eq!(
        node.domain_xml_desc(&t, 2).unwrap(),
        node.domain_xml_desc(&t, 0).unwrap().replace(" id='2'", "")
    );
}

#[test]
fn vcpus_of_a_running_domain() {
    let (node, test) = running();
    assert_eq!(node.domain_max_vcpus(&test), Ok(2));
    node.domain_set_vcpus(&test, 1).unwrap();
    let counts = |node: &Node| [0, 1, 2, 4, 5, 6].map(|flags| node.domain_vcpus(&test, flags).unwrap());
    assert_eq!(counts(&node), [1, 1, 2, 2, 2, 2]);
    assert!(
        node.domain_xml_desc(&test, 0).unwrap().contains("<vcpu placement='static' current='1'>2</vcpu>")
    );
    node.domain_set_vcpus_flags(&test, 8, CONFIG | MAXIMUM).unwrap();
    node.domain_set_vcpus_flags(&test, 4, CONFIG).unwrap();
    assert_eq!(counts(&node), [1, 1, 4, 2, 2, 8]);
    node.domain_set_vcpus_flags(&test, 2, LIVE | CONFIG).unwrap();
    assert_eq!(counts(&node), [2, 2, 2, 2, 2, 8]);
    assert!(
        node.domain_xml_desc(&test, 2).unwrap().contains("<vcpu placement='static' current='2'>8</vcpu>")
    );

    assert_eq!(code(node.domain_set_vcpus(&test, 0)), (8, 20));
    assert_eq!(code(node.domain_set_vcpus(&test, 3)), (8, 12));
    assert_eq!(code(node.domain_set_vcpus(&test, 33)), (8, 12));
    assert_eq!(code(node.domain_set_vcpus_flags(&test, 3, LIVE | CONFIG)), (8, 12));
    assert_eq!(code(node.domain_set_vcpus_flags(&test, 2, MAXIMUM)), (8, 20));
    assert_eq!(code(node.domain_set_vcpus_flags(&test, 2, LIVE | MAXIMUM)), (8, 20));
    assert_eq!(code(node.domain_set_vcpus_flags(&test, 2, 8)), (8, 12));
    assert_eq!(code(node.domain_vcpus(&test, LIVE | CONFIG)), (8, 20));
    assert_eq!(code(node.domain_vcpus(&test, 8)), (8, 12));
    assert_eq!(counts(&node), [2, 2, 2, 2, 2, 8], "what was refused has changed nothing");
}

#[test]
fn vcpus_of_a_domain_that_is_off() {
    let (node, a) = off();
    node.domain_set_vcpus_flags(&a, 1, CURRENT).unwrap();
    node.domain_set_vcpus_flags(&a, 4, CONFIG | MAXIMUM).unwrap();
    node.domain_set_vcpus_flags(&a, 4, CONFIG).unwrap();
    node.domain_set_vcpus_flags(&a, 2, CONFIG | MAXIMUM).unwrap();
    assert_eq!((node.domain_vcpus(&a, CURRENT), node.domain_vcpus(&a, MAXIMUM)), (Ok(2), Ok(2)));
    assert_eq!(code(node.domain_set_vcpus_flags(&a, 0, CONFIG | MAXIMUM)), (8, 20));
    assert_eq!(code(node.domain_vcpus(&a, LIVE)), (55, 20));
    assert_eq!(code(node.domain_max_vcpus(&a)), (55, 20));
}

#[test]
fn autostart_is_kept_through_redefinition() {
    let (node, a) = off();
    assert_eq!(node.domain_autostart(&a), Ok(false));
    node.domain_set_autostart(&a, true).unwrap();
    node.domain_define_xml(document("a", ONE, ""), 0).unwrap();
    assert_eq!(node.domain_autostart(&a), Ok(true));
    assert!(!node.domain_is_updated(&a));
}
