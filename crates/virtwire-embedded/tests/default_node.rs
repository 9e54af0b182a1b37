//! The node of `test:///default`, as libvirt's test driver shows it.

mod common;

use common::code;
use std::time::Duration;
use virtwire_embedded::{DomainState, Node, NodeInfo, SecurityModel};

const TEST: &str = "<domain type='test' id='1'>
  <name>test</name>
  <uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>
  <memory unit='KiB'>8388608</memory>
  <currentMemory unit='KiB'>2097152</currentMemory>
  <vcpu placement='static'>2</vcpu>
  <os>
    <type arch='i686'>hvm</type>
    <boot dev='hd'/>
  </os>
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <disk type='file' device='disk'>
      <source file='/guest/diskimage1'/>
      <target dev='vda' bus='virtio'/>
      <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>
    </disk>
    <interface type='network'>
      <mac address='aa:bb:cc:dd:ee:ff'/>
      <source network='default'/>
      <target dev='testnet0'/>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x01' function='0x0'/>
    </interface>
    <memballoon model='virtio'>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x0'/>
    </memballoon>
  </devices>
</domain>
";

#[test]
fn has_one_running_domain() {
    let node = Node::builder().clock(|| Duration::from_nanos(1_234_567_890_123)).default_node();
    let all = node.list_all_domains(0).unwrap();
    assert_eq!(all.len(), 1);
    let test = &all[0];
    assert_eq!((test.name.to_string(), test.id), ("test".to_owned(), 1));
    assert_eq!(test.uuid.to_string(), "6695eb01-f6a4-8304-79aa-97f2502e193f");
    assert_eq!(node.domain_state(test, 0), Ok((DomainState::RUNNING, 0)));
    let info = node.domain_info(test).unwrap();
    assert_eq!((info.max_mem, info.memory, info.nr_virt_cpu), (8_388_608, 2_097_152, 2));
    assert_eq!((info.state, info.cpu_time), (DomainState::RUNNING, 1_234_567_890_123));
    assert_eq!(node.domain_xml_desc(test, 0).unwrap(), TEST);
    assert_eq!(node.domain_is_persistent(test), Ok(true));
    assert_eq!(node.domain_autostart(test), Ok(false));
    assert_eq!(node.domain_os_type(test), "linux");
    assert_eq!(node.domain_hostname(test, 0).unwrap(), "testhost");
    let label = node.domain_security_label(test).unwrap();
    assert_eq!((&*label.label, label.enforcing), ("libvirt-test", true));
}

#[test]
fn tells_its_size() {
    let node = Node::builder().hostname("here").default_node();
    let info = node.info();
    let expected = NodeInfo {
        model: "i686".to_owned(),
        memory: 3_145_728,
        cpus: 16,
        mhz: 1400,
        nodes: 2,
        sockets: 2,
        cores: 2,
        threads: 2,
    };
    assert_eq!(info, expected);
    assert_eq!((node.kind(), node.version(), node.hostname(), node.max_vcpus()), ("TEST", 2, "here", 32));
    assert_eq!((node.is_encrypted(), node.is_secure()), (false, true));
    assert_eq!(node.security_model(), SecurityModel { model: "testSecurity", doi: "" });
    assert_eq!(node.free_memory(), 3_145_728);
    assert_eq!(node.cells_free_memory(0, 10), Ok(vec![2_097_152, 4_194_304]));
    assert_eq!(node.cells_free_memory(1, 1), Ok(vec![4_194_304]));
    assert_eq!(code(node.cells_free_memory(2, 10)), (8, 12));
    assert_eq!(code(node.cells_free_memory(-1, 10)), (8, 12));
    assert_eq!(node.cpu_map(0), Ok((vec![0x15], 3, 8)));
    assert_eq!(code(node.cpu_map(1)), (8, 12));
    assert_eq!(code(node.sysinfo(1)), (8, 12));
    assert!(node.sysinfo(0).unwrap().contains("<entry name='version'>G4ETA1WW (2.61 )</entry>"));
}

#[test]
fn describes_its_two_cells() {
    let document = Node::default().capabilities();
    assert!(document.starts_with("<capabilities>\n\n  <host>\n    <cpu>\n      <arch>i686</arch>\n"));
    assert!(document.ends_with("  </guest>\n\n</capabilities>\n"));
    for line in [
        "      <cells num='2'>",
        "          <memory unit='KiB'>2097152</memory>",
        "          <pages unit='KiB' size='4'>524288</pages>",
        "            <cpu id='7' socket_id='0' die_id='0' cluster_id='0' core_id='7' siblings='7'/>",
        "          <memory unit='KiB'>4194304</memory>",
        "          <pages unit='KiB' size='8'>524288</pages>",
        "            <cpu id='8' socket_id='1' die_id='0' cluster_id='0' core_id='0' siblings='8'/>",
        "      <model>testSecurity</model>",
        "    <os_type>hvm</os_type>",
        "    <os_type>xen</os_type>",
    ] {
        assert_eq!(document.lines().filter(|found| *found == line).count(), 1, "{line}");
    }
}

#[test]
fn every_node_is_a_world_of_its_own() {
    let (one, other) = (Node::default(), Node::builder().open("/default").unwrap());
    let test = one.domain_lookup_by_name("test").unwrap();
    one.domain_destroy(&test, 0).unwrap();
    assert_eq!((one.num_of_domains(), one.num_of_defined_domains()), (0, 1));
    assert_eq!((other.num_of_domains(), other.num_of_defined_domains()), (1, 0));
}

#[test]
fn a_path_is_needed_to_open_one() {
    for path in ["", "/"] {
        assert_eq!(code(Node::builder().open(path)), (8, 12), "{path:?}");
    }
    assert_eq!(code(Node::builder().open("/default/x")), (27, 12));
}
