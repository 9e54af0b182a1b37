//! Titles, descriptions and metadata elements, as watched on libvirt's test driver.

mod common;

use common::{ONE, Recorder, TWO, code, document};
use virtwire_embedded::{DomainEvent, DomainRef, Node};
use virtwire_proto::enums::DomainMetadataType;

const DESCRIPTION: i32 = 0;
const TITLE: i32 = DomainMetadataType::TITLE.0;
const ELEMENT: i32 = DomainMetadataType::ELEMENT.0;

const LIVE: u32 = 1;
const CONFIG: u32 = 2;

fn running() -> (Node, DomainRef) {
    let node = Node::default();
    let test = node.domain_lookup_by_name("test").unwrap();
    (node, test)
}

#[test]
fn texts_are_set_and_removed() {
    let (node, test) = running();
    for kind in [DESCRIPTION, TITLE] {
        assert_eq!(code(node.domain_metadata(&test, kind, None, 0)), (80, 20));
        node.domain_set_metadata(&test, kind, Some("hello <&> \"x\""), None, None, 0).unwrap();
        assert_eq!(node.domain_metadata(&test, kind, None, LIVE).unwrap(), "hello <&> \"x\"");
        assert_eq!(code(node.domain_metadata(&test, kind, None, CONFIG)), (80, 20));
        node.domain_set_metadata(&test, kind, Some("next"), None, None, LIVE | CONFIG).unwrap();
        assert_eq!(node.domain_metadata(&test, kind, None, CONFIG).unwrap(), "next");
    }
    assert!(
        node.domain_xml_desc(&test, 0)
            .unwrap()
            .contains("  <title>next</title>\n  <description>next</description>\n  <memory")
    );
    node.domain_set_metadata(&test, DESCRIPTION, None, None, None, LIVE | CONFIG).unwrap();
    node.domain_set_metadata(&test, TITLE, Some(""), None, None, LIVE | CONFIG).unwrap();
    let xml = node.domain_xml_desc(&test, 0).unwrap();
    assert!(!xml.contains("<title") && !xml.contains("<description"), "{xml}");
}

#[test]
fn an_element_gets_its_namespace_and_gives_it_back() {
    let (node, test) = running();
    let set = |xml: &str, key: &str, uri: &str| {
        node.domain_set_metadata(&test, ELEMENT, Some(xml), Some(key), Some(uri), LIVE | CONFIG)
    };
    let get = |uri: &str| node.domain_metadata(&test, ELEMENT, Some(uri), 0);
    set("<foo a=\"1\"><bar/>x</foo>", "k", "urn:x").unwrap();
    set("<derp xmlns:z=\"urn:z\"> <z:f/> <g xmlns='urn:g'><h/></g> </derp>", "k2", "urn:y").unwrap();
    let xml = node.domain_xml_desc(&test, 0).unwrap();
    assert!(
        xml.contains(
            "  <metadata>
    <k:foo xmlns:k=\"urn:x\" a=\"1\"><k:bar/>x</k:foo>
    <k2:derp xmlns:z=\"urn:z\" xmlns:k2=\"urn:y\">
      <z:f/>
      <g xmlns=\"urn:g\">
        <h/>
      </g>
    </k2:derp>
  </metadata>\n"
        ),
        "{xml}"
    );
    assert_eq!(get("urn:x").unwrap(), "<foo a=\"1\"><bar/>x</foo>");
    assert_eq!(
        get("urn:y").unwrap(),
        "<derp xmlns:z=\"urn:z\">\n  <z:f/>\n  <g xmlns=\"urn:g\">\n    <h/>\n  </g>\n</derp>"
    );
    assert_eq!(code(get("urn:z")), (80, 20));

    set("<new/>", "other", "urn:x").unwrap();
    assert_eq!(get("urn:x").unwrap(), "<new/>");
    for uri in ["urn:x", "urn:y", "urn:none"] {
        node.domain_set_metadata(&test, ELEMENT, None, None, Some(uri), LIVE | CONFIG).unwrap();
    }
    assert!(!node.domain_xml_desc(&test, 0).unwrap().contains("metadata"));
    assert_eq!(code(get("urn:x")), (80, 20));
}

#[test]
fn an_element_of_another_namespace_keeps_it() {
    let (node, test) = running();
    node.domain_set_metadata(
        &test,
        ELEMENT,
        Some("<p:a xmlns:p='urn:p'><b/></p:a>"),
        Some("k"),
        Some("urn:k"),
        0,
    )
    .unwrap();
    assert_eq!(code(node.domain_metadata(&test, ELEMENT, Some("urn:k"), 0)), (80, 20));
    assert_eq!(
        node.domain_metadata(&test, ELEMENT, Some("urn:p"), 0).unwrap(),
        "<a xmlns:k=\"urn:k\">\n  <k:b/>\n</a>"
    );
}

#[test]
fn a_namespace_declared_further_out_counts() {
    let node = Node::default();
    let more = "<metadata xmlns:m='urn:m'><r:one><m:in r:x='1'/></r:one><m:two/></metadata>";
    let xml = document("a", ONE, more).replace("type='test'", "type='test' xmlns:r='urn:r'");
    let a = node.domain_define_xml(xml, 0).unwrap();
    let get = |uri: &str| node.domain_metadata(&a, ELEMENT, Some(uri), 0).unwrap();
    assert_eq!(get("urn:m"), "<two/>");
    assert_eq!(get("urn:r"), "<one xmlns:m=\"urn:m\" xmlns:r=\"urn:r\">\n  <m:in r:x=\"1\"/>\n</one>");
    node.domain_set_metadata(&a, ELEMENT, None, None, Some("urn:r"), 0).unwrap();
    assert_eq!(code(node.domain_metadata(&a, ELEMENT, Some("urn:r"), 0)), (80, 20));
}

#[test]
fn refusals() {
    let (node, test) = running();
    let t = node.domain_create_xml(document("t", TWO, ""), 0).unwrap();
    let get = |domain, kind, uri, flags| code(node.domain_metadata(domain, kind, uri, flags));
    assert_eq!(get(&test, 7, Some("urn:x"), 0), (8, 20));
    assert_eq!(get(&test, -1, None, 0), (8, 20));
    assert_eq!(get(&test, TITLE, Some("urn:x"), 0), (8, 20));
    assert_eq!(get(&test, ELEMENT, None, 0), (8, 20));
    assert_eq!(get(&test, TITLE, None, LIVE | CONFIG), (8, 20));
    assert_eq!(get(&test, TITLE, None, 8), (8, 12));
    assert_eq!(get(&t, TITLE, None, CONFIG), (55, 20));

    let events = Recorder::new(&node);
    let set =
        |kind, text, key, uri, flags| code(node.domain_set_metadata(&test, kind, text, key, uri, flags));
    assert_eq!(set(7, Some("x"), None, None, 0), (8, 20));
    assert_eq!(set(TITLE, Some("a\nb"), None, None, 0), (8, 20));
    assert_eq!(set(TITLE, Some("a"), Some("k"), None, 0), (8, 20));
    assert_eq!(set(DESCRIPTION, Some("a"), None, Some("urn:x"), 0), (8, 20));
    assert_eq!(set(TITLE, Some("a"), None, None, 8), (8, 12));
    assert_eq!(set(ELEMENT, Some("<a/>"), None, Some("urn:x"), 0), (8, 20));
    assert_eq!(set(ELEMENT, Some("<a/>"), Some("k"), None, 0), (8, 20));
    assert_eq!(set(ELEMENT, Some("<a"), Some("k"), Some("urn:x"), 0), (35, 20));
    assert_eq!(set(ELEMENT, Some("<a/>"), Some("1k"), Some("urn:x"), 0), (1, 5));
    assert_eq!(set(ELEMENT, Some("<a xmlns:k='urn:other'/>"), Some("k"), Some("urn:x"), 0), (1, 5));
    events.expect(&[]);
    assert_eq!(code(node.domain_set_metadata(&t, TITLE, Some("x"), None, None, CONFIG)), (55, 20));
    node.domain_destroy(&test, 0).unwrap();
    assert_eq!(set(TITLE, Some("x"), None, None, LIVE), (55, 20));
}

#[test]
fn changes_are_told() {
    let (node, test) = running();
    let (sender, receiver) = std::sync::mpsc::channel();
    let subscription = node.subscribe(move |event| sender.send(event.clone()).unwrap());
    node.domain_set_metadata(&test, TITLE, Some("t"), None, None, 0).unwrap();
    node.domain_set_metadata(&test, ELEMENT, None, None, Some("urn:x"), 0).unwrap();
    drop(subscription);
    let told: Vec<DomainEvent> = receiver.iter().collect();
    let change = |kind, uri: Option<&str>| DomainEvent::MetadataChange {
        domain: test.clone(),
        kind: DomainMetadataType(kind),
        uri: uri.map(str::to_owned),
    };
    assert_eq!(told, [change(TITLE, None), change(ELEMENT, Some("urn:x"))]);
}
