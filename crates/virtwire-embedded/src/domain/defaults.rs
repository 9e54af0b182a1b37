//! What libvirt adds to a domain's operating system, clock and devices, so that tools find what they look for.

use crate::error::{Result, error};
use crate::xml::{Element, Node};
use std::collections::HashSet;
use uuid::Uuid;
use virtwire_proto::enums::{ErrorDomain, ErrorNumber};

/// The architecture of a guest that names none: that of libvirt's test driver.
const ARCH: &str = "i686";

const OS_TYPES: &[&str] = &["hvm", "xen", "linux", "exe", "uml", "xenpvh"];

const ARCHES: &[&str] = &[
    "alpha",
    "armv6l",
    "armv7l",
    "armv7b",
    "aarch64",
    "cris",
    "i686",
    "ia64",
    "lm32",
    "loongarch64",
    "m68k",
    "microblaze",
    "microblazeel",
    "mips",
    "mipsel",
    "mips64",
    "mips64el",
    "openrisc",
    "parisc",
    "parisc64",
    "ppc",
    "ppcle",
    "ppc64",
    "ppc64le",
    "ppcemb",
    "riscv32",
    "riscv64",
    "s390",
    "s390x",
    "sh4",
    "sh4eb",
    "sparc",
    "sparc64",
    "unicore32",
    "x86_64",
    "xtensa",
    "xtensaeb",
];

const CLOCK_OFFSETS: &[&str] = &["utc", "localtime", "variable", "timezone", "absolute"];

/// The parts of `os` in the order in which libvirt writes them; others follow.
const OS_ORDER: &[&str] = &[
    "type",
    "firmware",
    "init",
    "initarg",
    "initenv",
    "initdir",
    "inituser",
    "initgroup",
    "loader",
    "nvram",
    "kernel",
    "initrd",
    "cmdline",
    "shim",
    "dtb",
    "root",
    "acpi",
    "boot",
    "bootmenu",
    "bios",
    "smbios",
];

/// The devices in the order in which libvirt writes them; others follow.
const DEVICE_ORDER: &[&str] = &[
    "emulator",
    "disk",
    "controller",
    "lease",
    "filesystem",
    "interface",
    "smartcard",
    "serial",
    "parallel",
    "console",
    "channel",
    "input",
    "tpm",
    "graphics",
    "sound",
    "audio",
    "video",
    "hostdev",
    "redirdev",
    "redirfilter",
    "hub",
    "watchdog",
    "memballoon",
    "rng",
    "nvram",
    "panic",
    "shmem",
    "memory",
    "crypto",
    "iommu",
    "vsock",
    "pstore",
];

/// The parts of an interface that libvirt writes after its `target`.
const AFTER_TARGET: &[&str] = &[
    "guest",
    "model",
    "driver",
    "backend",
    "filterref",
    "boot",
    "tune",
    "link",
    "mtu",
    "coalesce",
    "ip",
    "route",
    "rom",
    "acpi",
    "alias",
    "address",
];

/// A domain's `os` with its architecture and boot device.
///
/// # Errors
/// No operating system's type, or one, or an architecture, that libvirt does not know.
pub(super) fn os(root: &Element) -> Result<Element> {
    let mut os = root.child("os").cloned().unwrap_or_else(|| Element::new("os"));
    let has_bootloader = root.child_text("bootloader").is_some();
    let unsupported =
        |message: String| Err(error(ErrorDomain::DOMAIN, ErrorNumber::CONFIG_UNSUPPORTED, message));

    let kind = match os.child_text("type") {
        Some(kind) => kind,
        None if has_bootloader => "xen".to_owned(),
        None => {
            return Err(error(
                ErrorDomain::DOMAIN,
                ErrorNumber::XML_ERROR,
                "an operating system <type> must be given",
            ));
        }
    };
    if !OS_TYPES.contains(&&*kind) {
        return unsupported(format!("unknown OS type '{kind}'"));
    }
    let mut type_element = Element::new("type");
    if let Some(given) = os.child("type") {
        type_element.attributes.clone_from(&given.attributes);
    }
    match type_element.attribute("arch").filter(|arch| !arch.is_empty()) {
        None => type_element.set_attribute("arch", ARCH),
        Some(arch) if ARCHES.contains(&arch) => {}
        Some(arch) => return unsupported(format!("Unknown architecture {arch}")),
    }
    type_element.order_attributes(&["arch", "machine"]);

    drop_text(&mut os);
    os.children.retain(|child| child.as_element().is_none_or(|element| element.name != "type"));
    os.children.insert(0, type_element.with_text(&kind).into());
    if kind == "hvm" && !has_bootloader && os.child("boot").is_none() && !has_device_boot(root) {
        os.children.push(Element::new("boot").with("dev", "hd").into());
    }
    for child in &mut os.children {
        if let Node::Element(loader) = child
            && loader.name == "loader"
            && loader.attribute("type").is_none()
            && !loader.text().is_empty()
        {
            loader.set_attribute("type", "rom");
        }
    }
    sort(&mut os, OS_ORDER);
    Ok(os)
}

/// A domain's `clock` with its offset.
///
/// # Errors
/// An offset that libvirt does not know.
pub(super) fn clock(root: &Element) -> Result<Element> {
    let mut clock = root.child("clock").cloned().unwrap_or_else(|| Element::new("clock"));
    match clock.attribute("offset").filter(|offset| !offset.is_empty()) {
        None => clock.set_attribute("offset", "utc"),
        Some(offset) if CLOCK_OFFSETS.contains(&offset) => {}
        Some(offset) => {
            return Err(error(
                ErrorDomain::DOMAIN,
                ErrorNumber::CONFIG_UNSUPPORTED,
                format!("unknown clock offset '{offset}'"),
            ));
        }
    }
    clock.order_attributes(&["offset"]);
    Ok(clock)
}

/// A domain's devices in libvirt's order, the disks with their kind and bus and the interfaces with what tools look up
/// statistics by: a MAC address and a host device.
pub(super) fn devices(root: &Element, uuid: Uuid) -> Element {
    let mut devices = Element::new("devices");
    for given in root.elements().filter(|part| part.name == "devices") {
        devices.children.extend(given.children.iter().cloned());
    }
    drop_text(&mut devices);
    sort(&mut devices, DEVICE_ORDER);

    let names: HashSet<String> =
        devices.elements().filter_map(|it| target_device(it).map(str::to_owned)).collect();
    let mut free_names = (0_u64..).map(|n| format!("testnet{n}")).filter(|name| !names.contains(name));
    let mut interfaces = 0;
    for child in &mut devices.children {
        let Node::Element(device) = child else { continue };
        match &*device.name {
            "disk" => {
                if device.attribute("type").is_none() {
                    device.set_attribute("type", "file");
                }
                if device.attribute("device").is_none() {
                    device.set_attribute("device", "disk");
                }
                device.order_attributes(&["type", "device"]);
                set_bus(device);
            }
            "interface" => {
                if device.child("mac").is_none() {
                    let mac = Element::new("mac").with("address", &mac_address(uuid, interfaces));
                    device.children.insert(0, mac.into());
                }
                if target_device(device).is_none()
                    && let Some(name) = free_names.next()
                {
                    set_target(device, &name);
                }
                interfaces += 1;
            }
            _ => {}
        }
    }
    devices
}

/// Says which bus a disk is on, where the document does not: its name tells.
fn set_bus(disk: &mut Element) {
    let is_floppy = disk.attribute("device") == Some("floppy");
    let is_target = |child: &&mut Node| matches!(child, Node::Element(element) if element.name == "target");
    let Some(Node::Element(target)) = disk.children.iter_mut().find(is_target) else { return };
    if target.attribute("bus").is_some() {
        return;
    }
    let name = target.attribute("dev").unwrap_or_default();
    let known = [("sd", "scsi"), ("vd", "virtio"), ("xvd", "xen"), ("ubd", "uml")];
    let bus = match known.iter().find(|(prefix, _)| name.starts_with(prefix)) {
        _ if is_floppy => "fdc",
        Some((_, bus)) => bus,
        None => "ide",
    };
    target.set_attribute("bus", bus);
    target.order_attributes(&["dev", "bus"]);
}

/// The host device that an interface has.
fn target_device(device: &Element) -> Option<&str> {
    let target = device.child("target").filter(|_| device.name == "interface")?;
    target.attribute("dev").filter(|name| !name.is_empty())
}

fn set_target(interface: &mut Element, name: &str) {
    let is_target = |child: &&mut Node| matches!(child, Node::Element(element) if element.name == "target");
    if let Some(Node::Element(target)) = interface.children.iter_mut().find(is_target) {
        target.set_attribute("dev", name);
        target.order_attributes(&["dev"]);
        return;
    }
    let follows = |child: &Node| child.as_element().is_some_and(|it| AFTER_TARGET.contains(&&*it.name));
    let at = interface.children.iter().position(follows).unwrap_or(interface.children.len());
    interface.children.insert(at, Element::new("target").with("dev", name).into());
}

/// An address in libvirt's own range, always the same for the same domain and interface.
fn mac_address(uuid: Uuid, interface: u32) -> String {
    // FNV-1a: short, and it spreads neighbours.
    let bytes = uuid.as_bytes().iter().copied().chain(interface.to_be_bytes());
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let [_, a, b, c] = hash.to_be_bytes();
    format!("52:54:00:{a:02x}:{b:02x}:{c:02x}")
}

fn has_device_boot(root: &Element) -> bool {
    let devices = root.elements().filter(|part| part.name == "devices").flat_map(Element::elements);
    devices.filter_map(|device| device.child("boot")).any(|boot| boot.attribute("order").is_some())
}

/// Drops text between elements where it means nothing.
fn drop_text(element: &mut Element) {
    element.children.retain(|child| !matches!(child, Node::Text(_)));
}

/// Puts the elements into an order without changing that of equals; what is no element goes first.
fn sort(element: &mut Element, order: &[&str]) {
    element.children.sort_by_cached_key(|child| {
        let name = child.as_element().map(|it| &*it.name);
        name.map(|name| order.iter().position(|&known| known == name).unwrap_or(order.len()))
    });
}
