//! The target `xml`: documents that a client gives to the embedded hypervisor.

use crate::memory::Bound;
use std::time::Duration;
use virtwire_embedded::{DomainRef, Node};

/// What defining a domain may allocate: an element of four bytes becomes a name, and lists of attributes and of
/// content.
const MEMORY: Bound = Bound { per_byte: 128, constant: 64 * 1024 };

/// The flags with which a document is dumped: the running domain's, with passwords (VIR_DOMAIN_XML_SECURE), and the
/// one that stays (with VIR_DOMAIN_XML_INACTIVE too).
const SECURE: u32 = 1;
const SECURE_INACTIVE: u32 = 3;

/// VIR_DOMAIN_AFFECT_LIVE and VIR_DOMAIN_AFFECT_CONFIG.
const LIVE_AND_CONFIG: u32 = 3;

/// Defines and starts the input as a domain, and as a domain's metadata. What is dumped of it is a document that can be
/// defined again, and is then dumped the same.
///
/// # Panics
/// Where it is not.
pub fn xml(data: &[u8]) {
    let node = node();
    if let Ok(domain) = MEMORY.check("defining", data.len(), || node.domain_define_xml(data, 0)) {
        let dumped = dump(&node, &domain, SECURE_INACTIVE);
        stable(&dumped, |node, document| node.domain_define_xml(document, 0), SECURE_INACTIVE);
        let is_off = domain.id < 0;
        assert_eq!(node.domain_create(&domain, 0).is_ok(), is_off, "what is defined can be started");
        assert_eq!(dump(&node, &domain, SECURE_INACTIVE), dumped, "to run changes nothing of what stays");
        dump(&node, &domain, SECURE);
        assert_eq!(node.domain_info(&domain).map(|info| info.nr_virt_cpu > 0), Ok(true));
    }
    let node = self::node();
    if let Ok(domain) = node.domain_create_xml(data, 0) {
        let dumped = dump(&node, &domain, SECURE);
        stable(&dumped, |node, document| node.domain_create_xml(document, 0), SECURE);
    }

    let Ok(document) = str::from_utf8(data) else { return };
    let domain = node.domain_lookup_by_name("test").expect("the default node has it");
    let set = |node: &Node, document: &str| {
        node.domain_set_metadata(&domain, 2, Some(document), Some("p"), Some("urn:fuzz"), LIVE_AND_CONFIG)
    };
    if set(&node, document).is_ok() {
        let got = |node: &Node| node.domain_metadata(&domain, 2, Some("urn:fuzz"), 0);
        // What declares a namespace of its own stays in that one, and is not found in the other, as in libvirt.
        if let Ok(metadata) = got(&node) {
            assert_eq!(set(&node, &metadata), Ok(()), "what is got can be set: {metadata}");
            assert_eq!(got(&node).as_ref(), Ok(&metadata), "and is then got the same");
        }
        let dumped = dump(&node, &domain, SECURE_INACTIVE);
        stable(&dumped, |node, document| node.domain_define_xml(document, 0), SECURE_INACTIVE);
    }
}

/// A node whose answers depend on nothing outside.
fn node() -> Node {
    Node::builder().hostname("fuzz").clock(|| Duration::ZERO).default_node()
}

fn dump(node: &Node, domain: &DomainRef, flags: u32) -> String {
    node.domain_xml_desc(domain, flags).expect("a domain that is there has a document")
}

fn stable(
    dumped: &str,
    define: impl FnOnce(&Node, &[u8]) -> virtwire_embedded::Result<DomainRef>,
    flags: u32,
) {
    let node = node();
    let domain =
        define(&node, dumped.as_bytes()).unwrap_or_else(|error| panic!("{error:?}, defining\n{dumped}"));
    assert_eq!(dump(&node, &domain, flags), dumped);
}
