//! What a domain's document may say, and what comes back.

use super::*;
use crate::domain::DomainState;
use proptest::prelude::*;

const UUID: &str = "11111111-2222-3333-4444-555555555555";

/// A document with its parts: what each test leaves alone is sound.
#[derive(Clone, Copy)]
struct Doc<'a> {
    attributes: &'a str,
    name: &'a str,
    memory: &'a str,
    os: &'a str,
    more: &'a str,
}

const DOC: Doc<'_> = Doc {
    attributes: "type='test'",
    name: "<name>a</name>",
    memory: "<memory>65536</memory>",
    os: "<os><type>hvm</type></os>",
    more: "",
};

impl Doc<'_> {
    fn xml(self) -> String {
        let Doc { attributes, name, memory, os, more } = self;
        format!("<domain {attributes}>{name}{memory}{os}{more}</domain>")
    }

    fn read(self) -> Definition {
        read(&self.xml())
    }

    fn refused(self) -> (i32, i32) {
        let error = Definition::from_xml(self.xml().as_bytes()).expect_err(&self.xml());
        (error.code.0, error.domain.0)
    }
}

fn read(xml: &str) -> Definition {
    Definition::from_xml(xml.as_bytes()).unwrap_or_else(|error| panic!("{xml}: {error}"))
}

fn more(more: &str) -> Doc<'_> {
    Doc { more, ..DOC }
}

/// The parts of a document's text that lie between two marks.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text.find(from).unwrap_or_else(|| panic!("{from} in {text}"));
    let end = text[start..].find(to).unwrap_or_else(|| panic!("{to} in {text}"));
    &text[start..start + end]
}

#[test]
fn refusals_have_the_code_and_the_origin_of_libvirt() {
    for (xml, expected) in [
        ("", (35, 20)),
        ("garbage", (35, 20)),
        ("<domain>", (35, 20)),
        ("<domain/><domain/>", (35, 20)),
        ("<network/>", (27, 5)),
        ("<domain/>", (21, 20)),
    ] {
        let error = Definition::from_xml(xml.as_bytes()).unwrap_err();
        assert_eq!((error.code.0, error.domain.0), expected, "{xml}");
    }
    for (doc, expected) in [
        (Doc { name: "", ..DOC }, (21, 20)),
        (Doc { name: "<name/>", ..DOC }, (21, 20)),
        (Doc { name: "<name>a/b</name>", ..DOC }, (27, 20)),
        (Doc { attributes: "", ..DOC }, (1, 20)),
        (Doc { attributes: "type=''", ..DOC }, (1, 20)),
        (Doc { attributes: "type='foo'", ..DOC }, (67, 20)),
        (Doc { memory: "", ..DOC }, (27, 20)),
        (Doc { memory: "<memory/>", ..DOC }, (27, 20)),
        (Doc { memory: "<memory>0</memory>", ..DOC }, (27, 20)),
        (Doc { memory: "<memory>abc</memory>", ..DOC }, (27, 5)),
        (Doc { memory: "<memory unit='foo'>5</memory>", ..DOC }, (8, 0)),
        (Doc { memory: "<memory unit='EiB'>99999</memory>", ..DOC }, (82, 0)),
        (Doc { os: "", ..DOC }, (27, 20)),
        (Doc { os: "<os/>", ..DOC }, (27, 20)),
        (Doc { os: "<os><type>foo</type></os>", ..DOC }, (67, 20)),
        (Doc { os: "<os><type arch='foo'>hvm</type></os>", ..DOC }, (67, 20)),
        (more("<uuid>zzz</uuid>"), (1, 20)),
        (more("<uuid>{EF861801-45B9-11CB-88E3-AFBFE5370495}</uuid>"), (1, 20)),
        (more("<genid>x</genid>"), (1, 20)),
        (more("<title>x\ny</title>"), (27, 20)),
        (more("<vcpu>0</vcpu>"), (1, 20)),
        (more("<vcpu>x</vcpu>"), (27, 20)),
        (more("<vcpu>2 </vcpu>"), (27, 20)),
        (more("<vcpu/>"), (27, 20)),
        (more("<vcpu>-1</vcpu>"), (27, 20)),
        (more("<vcpu>4294967296</vcpu>"), (27, 20)),
        (more("<vcpu current='5'>2</vcpu>"), (67, 20)),
        (more("<vcpu current='x'>2</vcpu>"), (27, 5)),
        (more("<vcpu placement='x'>2</vcpu>"), (27, 5)),
        (more("<on_reboot>x</on_reboot>"), (67, 20)),
        (more("<clock offset='x'/>"), (67, 20)),
        (more("<maxMemory slots='2'>5</maxMemory>"), (27, 20)),
        (more("<maxMemory slots='2'/>"), (27, 20)),
    ] {
        assert_eq!(doc.refused(), expected, "{}", doc.xml());
    }
}

#[test]
fn what_libvirt_takes_is_taken() {
    for doc in [
        more("<vcpu>99999</vcpu>"),
        more("<vcpu current='0'>2</vcpu>"),
        more("<vcpu> +2</vcpu>"),
        more("<uuid>00000000-0000-0000-0000-000000000000</uuid>"),
        more("<on_poweroff>rename-restart</on_poweroff><on_crash>coredump-destroy</on_crash>"),
        Doc { attributes: "type='kvm'", ..DOC },
        Doc { name: "<name> </name>", ..DOC },
        Doc { name: "<name>.</name>", ..DOC },
        Doc { name: "<name>\u{fc}\u{65e5}\u{672c}</name>", ..DOC },
        Doc { os: "<bootloader>/pygrub</bootloader>", ..DOC },
    ] {
        doc.read();
    }
}

#[test]
fn a_uuid_is_read_in_every_form_that_libvirt_reads() {
    for text in [
        "EF86180145B911CB88E3AFBFE5370493",
        " ef861801-45b9-11cb-88e3-afbfe5370493\n",
        "EF-86180145B911CB88E3AFBFE53704--93",
    ] {
        let uuid = more(&format!("<uuid>{text}</uuid>")).read().uuid;
        assert_eq!(uuid.to_string(), "ef861801-45b9-11cb-88e3-afbfe5370493");
    }
}

#[test]
fn a_missing_uuid_is_made_up() {
    let (one, other) = (more("<uuid/>").read(), DOC.read());
    assert_ne!(one.uuid, other.uuid);
    assert_eq!(one.uuid.get_version_num(), 4);
    assert_eq!(more("<genid/>").read().to_xml(None, true).matches("genid>").count(), 2);
}

#[test]
fn the_least_document_comes_back_with_all_defaults() {
    let definition = more(&format!("<uuid>{UUID}</uuid>")).read();
    let expected = format!(
        "<domain type='test' id='7'>
  <name>a</name>
  <uuid>{UUID}</uuid>
  <memory unit='KiB'>65536</memory>
  <currentMemory unit='KiB'>65536</currentMemory>
  <vcpu placement='static'>1</vcpu>
  <os>
    <type arch='i686'>hvm</type>
    <boot dev='hd'/>
  </os>
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
  </devices>
</domain>
"
    );
    assert_eq!(definition.to_xml(Some(7), false), expected);
    assert_eq!(definition.to_xml(None, false), expected.replace(" id='7'", ""));
}

#[test]
fn parts_come_in_the_order_of_libvirt_and_unknown_ones_last() {
    let xml = format!(
        "<domain xmlns:q='urn:q' type='test' id='44'>
           <q:own x='1'><deep/></q:own><unknown>kept</unknown>
           <seclabel type='none'/>
           <devices><rng/><disk/><emulator>/e</emulator><new/></devices>
           <on_reboot>destroy</on_reboot><cpu mode='host-model'/><features><acpi/></features>
           <os><boot dev='cdrom'/><kernel>/k</kernel><type machine='pc' arch='x86_64'>hvm</type></os>
           <vcpu current='1' cpuset='0-1'>2</vcpu>
           <currentMemory unit='MiB'>1</currentMemory>
           <memory dumpCore='off' unit='MiB'>2</memory>
           <maxMemory slots='4' unit='MiB'>3</maxMemory>
           <description>\"d\"</description><title>t</title>
           <uuid>{UUID}</uuid><name>a&amp;b</name>
         </domain>"
    );
    assert_eq!(
        read(&xml).to_xml(None, false),
        format!(
            "<domain type='test' xmlns:q='urn:q'>
  <name>a&amp;b</name>
  <uuid>{UUID}</uuid>
  <title>t</title>
  <description>&quot;d&quot;</description>
  <maxMemory slots='4' unit='KiB'>3072</maxMemory>
  <memory dumpCore='off' unit='KiB'>2048</memory>
  <currentMemory unit='KiB'>1024</currentMemory>
  <vcpu placement='static' cpuset='0-1' current='1'>2</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>/k</kernel>
    <boot dev='cdrom'/>
  </os>
  <features>
    <acpi/>
  </features>
  <cpu mode='host-model'/>
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/e</emulator>
    <disk type='file' device='disk'/>
    <rng/>
    <new/>
  </devices>
  <seclabel type='none'/>
  <q:own x='1'>
    <deep/>
  </q:own>
  <unknown>kept</unknown>
</domain>
"
        )
    );
}

#[test]
fn of_a_part_that_a_domain_has_once_the_first_counts() {
    let definition = more("<name>b</name><vcpu>2</vcpu><vcpu>3</vcpu><memory>7</memory><title/>").read();
    assert_eq!((&*definition.name.to_string(), definition.max_vcpus, definition.memory), ("a", 2, 65536));
    let xml = definition.to_xml(None, false);
    for part in ["<name>", "<vcpu ", "<memory "] {
        assert_eq!(xml.matches(part).count(), 1, "{part} in {xml}");
    }
    assert!(!xml.contains("<title"), "{xml}");
}

#[test]
fn current_sizes_lie_within_the_maximum() {
    let doc = Doc { memory: "<memory>10</memory><currentMemory>20</currentMemory>", ..DOC };
    assert_eq!(doc.read().current_memory, 10);
    let numa = "<cpu><numa><cell id='0' cpus='0' memory='1' unit='GiB'/><cell memory='1024'/></numa></cpu>";
    let doc = Doc { memory: "", more: numa, ..DOC };
    assert_eq!((doc.read().memory, doc.read().has_numa_cells()), (1_049_600, true));

    let mut definition = more("<vcpu>4</vcpu>").read();
    definition.set_max_vcpus(2);
    assert_eq!((definition.vcpus, definition.max_vcpus), (2, 2));
    definition.set_memory(1024);
    assert_eq!((definition.memory, definition.current_memory), (1024, 1024));
}

#[test]
fn listed_vcpus_are_counted_until_the_count_changes() {
    let list = "<vcpu>3</vcpu><vcpus><vcpu id='0' enabled='yes' hotpluggable='no'/>\
                <vcpu id='1' enabled='no'/><vcpu id='2' enabled='yes'/></vcpus>";
    let mut definition = more(list).read();
    assert_eq!((definition.vcpus, definition.max_vcpus), (2, 3));
    assert!(definition.to_xml(None, false).contains("<vcpus>"));
    definition.set_vcpus(3);
    assert!(!definition.to_xml(None, false).contains("<vcpus>"));
}

#[test]
fn a_boot_device_is_added_only_where_nothing_says_where_to_boot_from() {
    let boots = |doc: Doc<'_>| doc.read().to_xml(None, false).contains("<boot dev='hd'/>");
    assert!(boots(DOC));
    assert!(boots(Doc { os: "<os><type>hvm</type><kernel>/k</kernel></os>", ..DOC }));
    assert!(!boots(Doc { os: "<os><type>xen</type></os>", ..DOC }));
    assert!(!boots(Doc { os: "<os><type>hvm</type><boot dev='network'/></os>", ..DOC }));
    assert!(!boots(more("<devices><disk><boot order='1'/></disk></devices>")));
    let xml = Doc { os: "<bootloader>/pygrub</bootloader>", ..DOC }.read().to_xml(None, false);
    assert_eq!(
        between(&xml, "  <bootloader>", "  <clock"),
        "  <bootloader>/pygrub</bootloader>\n  <os>\n    <type arch='i686'>xen</type>\n  </os>\n"
    );
}

#[test]
fn an_interface_gets_an_address_and_a_device_of_the_host() {
    let doc = more(
        "<uuid>11111111-2222-3333-4444-555555555555</uuid>\
         <devices><interface type='user'/>\
         <interface type='network'><mac address='aa:bb:cc:dd:ee:ff'/><source network='n'/><model type='e1000'/></interface>\
         <interface type='bridge'><target dev='testnet0'/></interface>\
         <interface type='user'><target managed='no'/></interface></devices>",
    );
    let xml = doc.read().to_xml(None, false);
    assert_eq!(xml.matches("<mac address='52:54:00:").count(), 3, "{xml}");
    for target in
        ["dev='testnet0'/>", "dev='testnet1'/>", "dev='testnet2'/>", "dev='testnet3' managed='no'/>"]
    {
        assert_eq!(xml.matches(target).count(), 1, "{target} in {xml}");
    }
    assert_eq!(
        between(&xml, "      <mac address='aa", "    </interface>"),
        "      <mac address='aa:bb:cc:dd:ee:ff'/>
      <source network='n'/>
      <target dev='testnet2'/>
      <model type='e1000'/>\n"
    );
    assert_eq!(doc.read(), doc.read(), "the same domain always gets the same addresses");
}

#[test]
fn passwords_stand_only_in_a_secure_document() {
    let definition = more("<devices><graphics type='vnc' passwd='s3cret'/></devices>").read();
    assert!(definition.to_xml(None, true).contains("<graphics type='vnc' passwd='s3cret'/>"));
    assert!(definition.to_xml(None, false).contains("<graphics type='vnc'/>"));
}

#[test]
fn metadata_is_kept_whole_and_written_with_double_quotes() {
    let metadata = "<metadata><q:b xmlns:q='urn:q2' x=\"it's\"><q:c>t \"q\"<i/></q:c></q:b><!-- c --><m xmlns='urn:m'><n/></m></metadata>";
    let xml = more(metadata).read().to_xml(None, false);
    assert_eq!(
        between(&xml, "  <metadata>", "  <memory"),
        "  <metadata>
    <q:b xmlns:q=\"urn:q2\" x=\"it's\">
      <q:c>t \"q\"<i/></q:c>
    </q:b>
    <!-- c -->
    <m xmlns=\"urn:m\">
      <n/>
    </m>
  </metadata>\n"
    );
}

#[test]
fn instructions_of_a_node_file_are_taken_out() {
    let take = |more: &str| {
        let xml = Doc {
            attributes: "type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'",
            more,
            ..DOC
        };
        let root = xml::parse(xml.xml().as_bytes(), Limits::PEER).unwrap();
        Definition::from_element(root)
    };
    let plain = Instructions { run_state: DomainState::RUNNING, transient: false, has_managed_save: false };
    for (more, expected) in [
        ("", plain),
        ("<test:runstate>3</test:runstate>", Instructions { run_state: DomainState::PAUSED, ..plain }),
        ("<test:transient/>", Instructions { transient: true, ..plain }),
        (
            "<test:runstate>5</test:runstate><test:hasmanagedsave/>",
            Instructions { run_state: DomainState::SHUTOFF, has_managed_save: true, ..plain },
        ),
        ("<runstate>3</runstate>", plain),
    ] {
        let (definition, instructions) = take(more).unwrap();
        assert_eq!(instructions, expected, "{more}");
        assert!(!definition.to_xml(None, false).contains("<test:"), "{more}");
    }
    for more in [
        "<test:runstate>8</test:runstate>",
        "<test:runstate>x</test:runstate>",
        "<test:transient/><test:runstate>5</test:runstate>",
        "<test:hasmanagedsave/>",
    ] {
        let error = take(more).unwrap_err();
        assert_eq!((error.code.0, error.domain.0), (27, 12), "{more}");
    }
}

/// Pieces of documents, sound and not, from which any mixture can be made.
const PIECES: &[&str] = &[
    "<name>a</name>",
    "<name/>",
    "<uuid>11111111-2222-3333-4444-555555555555</uuid>",
    "<uuid>1</uuid>",
    "<genid/>",
    "<memory>1</memory>",
    "<memory unit='EiB'>7</memory>",
    "<memory unit='x'/>",
    "<currentMemory>99</currentMemory>",
    "<maxMemory slots='1'>9</maxMemory>",
    "<os><type>hvm</type></os>",
    "<os><type>hvm</type></os>",
    "<os>x<type/><loader/></os>",
    "<bootloader>b</bootloader>",
    "<vcpu>1</vcpu>",
    "<vcpu current='9'>4294967295</vcpu>",
    "<vcpus><vcpu enabled='yes'/></vcpus>",
    "<cpu><numa><cell memory='18446744073709551615'/></numa></cpu>",
    "<cpu><numa><cell memory='8000000000000000'/><cell memory='8000000000000000'/></numa></cpu>",
    "<devices>",
    "</devices>",
    "<interface type='user'>",
    "<target dev='testnet0'/>",
    "</interface>",
    "<disk/>",
    "<metadata>",
    "</metadata>",
    "<a:b xmlns:a='http://libvirt.org/schemas/domain/test/1.0'/>",
    "<x:runstate>",
    "text",
    "&amp;",
    "<!-- c -->",
    "<?p i?>",
    "<![CDATA[<]]>",
    "<on_reboot>destroy</on_reboot>",
    "<clock/>",
    "<",
    ">",
];

proptest! {
    #[test]
    fn no_document_panics_and_what_is_taken_comes_back(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..14)
    ) {
        let sound = "<name>z</name><memory>5</memory><os><type>hvm</type></os>";
        let xml = format!("<domain type='test'>{}{sound}</domain>", pieces.concat());
        if let Ok(definition) = Definition::from_xml(xml.as_bytes()) {
            prop_assert_eq!(&read(&definition.to_xml(None, true)), &definition);
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same(
        name in "[^/\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\u{fffe}\\u{ffff}]{1,8}",
        description in "[ -~\\u{e9}\\n\\t]{0,12}",
        memory in 1_u64..1 << 40,
        current in 0_u64..1 << 40,
        max in 1_u32..64,
        vcpus in 0_u32..64,
        metadata in proptest::bool::ANY,
    ) {
        let escaped = escape(&name, Style::Libvirt);
        let described = escape(&description, Style::Libvirt);
        let vcpus = vcpus.min(max);
        let metadata = if metadata { "<metadata><a:b xmlns:a='urn:a'>x &amp; <c/> y</a:b></metadata>" } else { "" };
        let xml = format!(
            "<domain type='test'><name>{escaped}</name><memory>{memory}</memory><os><type>hvm</type></os>\
             <currentMemory>{current}</currentMemory><vcpu current='{vcpus}'>{max}</vcpu>\
             <description>{described}</description>{metadata}<devices><interface type='user'/><disk/></devices></domain>"
        );
        let definition = read(&xml);
        prop_assert_eq!(definition.name.to_string(), name);
        prop_assert_eq!(&read(&definition.to_xml(Some(3), true)), &definition);
    }
}
