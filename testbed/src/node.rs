//! XML to feed a daemon with: nodes for the test driver, and a guest for QEMU.

use std::fmt::Write as _;

/// A node file for libvirt's test driver with `domains` running domains: `vm-00001`, `vm-00002`, …, each with
/// 1 GiB, two processors, a disk and a network interface. Give it to `test:///path/to/node.xml`.
///
/// A node is private to each connection that opens it. The protocol lists at most 16 384 domains.
pub fn node_xml(domains: u32) -> String {
    let mut xml = String::from("<node>\n");
    for number in 1..=domains {
        let [_, high, middle, low] = number.to_be_bytes();
        let _ = writeln!(
            xml,
            "<domain type='test'><name>vm-{number:05}</name><uuid>5f0e6a1c-0000-4000-8000-{number:012x}</uuid>\
             <memory>1048576</memory><currentMemory>1048576</currentMemory><vcpu>2</vcpu>\
             <os><type arch='x86_64'>hvm</type></os>\
             <on_reboot>restart</on_reboot><on_poweroff>destroy</on_poweroff><on_crash>restart</on_crash>\
             <devices>\
             <disk type='file' device='disk'><source file='/guest/vm-{number}.img'/><target dev='vda' bus='virtio'/></disk>\
             <interface type='network'><mac address='52:54:00:{high:02x}:{middle:02x}:{low:02x}'/>\
             <source network='default'/><target dev='testnet{number}'/></interface>\
             </devices></domain>"
        );
    }
    xml.push_str(
        "<network><name>default</name><uuid>5f0e6a1c-0000-4000-8001-000000000001</uuid><bridge name='virbr0'/><forward/>\
         <ip address='192.168.122.1' netmask='255.255.255.0'/></network>\n\
         <cpu><mhz>2000</mhz><model>i986</model><active>16</active><nodes>2</nodes><sockets>2</sockets>\
         <cores>2</cores><threads>2</threads></cpu>\n\
         <memory>8192000</memory>\n\
         </node>\n",
    );
    xml
}

/// A guest named `name` for QEMU without KVM: 32 MiB, no disk, its firmware talking on the serial console. It
/// starts in half a second and has a screen, a console and an (unanswered) guest agent channel.
pub fn tiny_guest_xml(name: &str) -> String {
    format!(
        "<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>\
         <os><type arch='x86_64' machine='pc'>hvm</type><bios useserial='yes'/></os><features><acpi/></features>\
         <devices>\
         <serial type='pty'><target port='0'/></serial><console type='pty'><target type='serial' port='0'/></console>\
         <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>\
         <graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'/><video><model type='vga'/></video>\
         <memballoon model='none'/>\
         </devices></domain>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_domain_has_a_name_an_id_and_an_address_of_its_own() {
        let xml = node_xml(300);
        assert_eq!(xml.matches("<domain ").count(), 300);
        for unique in ["<name>vm-00300<", "8000-00000000012c<", "52:54:00:00:01:2c"] {
            assert_eq!(xml.matches(unique).count(), 1, "{unique}");
        }
    }
}
