//! Nodes that a file describes.

mod common;

use common::code;
use std::path::{Path, PathBuf};
use virtwire_embedded::{DomainState, Node};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn domain(name: &str, more: &str) -> String {
    format!(
        "<domain type='test'><name>{name}</name><memory>1024</memory><os><type>hvm</type></os>{more}</domain>"
    )
}

#[test]
fn size_and_domains_come_from_it() {
    let folder = Folder::new("size-and-domains");
    folder.write("beside.xml", &format!("<!-- a file of its own -->\n{}", domain("beside", "")));
    let file = folder.write(
        "node.xml",
        &format!(
            "<node xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>
               <domain file='beside.xml'/>
               <network><name>ignored</name></network>
               {}{}{}
               <cpu><mhz>6000</mhz><model>i986</model><active>50</active>
                 <nodes>4</nodes><sockets>4</sockets><cores>4</cores><threads>2</threads></cpu>
               <memory>8192000</memory>
             </node>",
            domain("paused", "<test:runstate>3</test:runstate><test:transient/>"),
            domain("saved", "<test:runstate>5</test:runstate><test:hasmanagedsave/>"),
            domain("inline", ""),
        ),
    );
    let node = Node::builder().open(file.to_str().unwrap()).unwrap();
    let info = node.info();
    assert_eq!((&*info.model, info.memory, info.cpus, info.mhz), ("i986", 8_192_000, 50, 6000));
    assert_eq!((info.nodes, info.sockets, info.cores, info.threads), (4, 4, 4, 2));
    assert!(node.capabilities().contains("      <cells num='0'>\n      </cells>\n"));
    assert_eq!(code(node.cells_free_memory(0, 1)), (8, 12));

    let found: Vec<_> = node
        .list_all_domains(0)
        .unwrap()
        .into_iter()
        .map(|domain| {
            let (state, reason) = node.domain_state(&domain, 0).unwrap();
            let persistent = node.domain_is_persistent(&domain).unwrap();
            let saved = node.domain_has_managed_save_image(&domain, 0).unwrap();
            (domain.name.to_string(), domain.id, state, reason, persistent, saved)
        })
        .collect();
    assert_eq!(
        found,
        [
            ("beside".to_owned(), 1, DomainState::RUNNING, 0, true, false),
            ("paused".to_owned(), 2, DomainState::PAUSED, 0, false, false),
            ("saved".to_owned(), -1, DomainState::SHUTOFF, 0, true, true),
            ("inline".to_owned(), 3, DomainState::RUNNING, 0, true, false),
        ]
    );
}

#[test]
fn what_it_does_not_say_is_as_on_the_default_node() {
    let folder = Folder::new("defaults");
    let node = Node::builder().file(&folder.write("node.xml", "<node/>")).unwrap();
    assert_eq!(node.info(), Node::default().info());
    assert_eq!(node.list_all_domains(0), Ok(vec![]));
}

#[test]
fn cpus_are_counted_from_what_there_is_and_what_is_active() {
    let folder = Folder::new("cpus");
    for (cpu, expected) in [
        ("<nodes>2</nodes><sockets>3</sockets><cores>5</cores><threads>7</threads>", 210),
        ("<nodes>1</nodes><sockets>1</sockets><cores>1</cores><threads>1</threads><active>9</active>", 1),
        ("<nodes>4294967295</nodes><sockets>4294967295</sockets>", u32::MAX),
    ] {
        let file = folder.write("node.xml", &format!("<node><cpu>{cpu}</cpu></node>"));
        assert_eq!(Node::builder().file(&file).unwrap().info().cpus, expected, "{cpu}");
    }
}

#[test]
fn refusals_have_the_code_and_the_origin_of_libvirt() {
    let folder = Folder::new("refusals");
    folder.write("other.xml", "<network/>");
    let long = format!("<node><cpu><model>{}</model></cpu></node>", "m".repeat(32));
    let twice = format!("<node>{}{}</node>", domain("a", ""), domain("a", ""));
    for (text, expected) in [
        ("<node", (35, 12)),
        ("<nod/>", (27, 5)),
        ("<node><cpu><nodes>x</nodes></cpu></node>", (27, 12)),
        ("<node><memory>x</memory></node>", (27, 12)),
        (&long, (1, 12)),
        ("<node><domain file='missing.xml'/></node>", (27, 12)),
        ("<node><domain file='other.xml'/></node>", (27, 5)),
        ("<node><domain/></node>", (21, 20)),
        (&twice, (9, 20)),
    ] {
        let file = folder.write("node.xml", text);
        assert_eq!(code(Node::builder().file(&file)), expected, "{text}");
    }
    assert_eq!(code(Node::builder().file(&folder.0.join("none.xml"))), (27, 12));
}
