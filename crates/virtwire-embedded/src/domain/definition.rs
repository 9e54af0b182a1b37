//! A domain's definition: what its XML says, with libvirt's defaults filled in.
//!
//! The parts that calls read and change are fields; everything else stays a tree and comes back as it was
//! given, in the order in which libvirt writes the parts of a domain. Nothing that the user gave is lost but
//! comments between the main parts, second copies of parts that a domain has once, and the instructions of a
//! node file.

use super::cpu_set::CpuSet;
use super::defaults;
use super::instructions::Instructions;
use super::units::{MAX_KIB, c_number, kib, parse_kib};
use crate::error::{Result, error, malformed, unexpected_root};
use crate::xml::{self, Attribute, Element, Limits, Namespaces, Node, Style, escape, write_element};
use uuid::Uuid;
use virtwire_proto::enums::{ErrorDomain, ErrorNumber};
use virtwire_proto::xdr::Text;

/// What a domain is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Definition {
    /// The kind of virtualization: "test", or any other that libvirt knows.
    virt_type: String,
    /// The root's other attributes: namespace declarations, mostly.
    attributes: Vec<Attribute>,
    pub(crate) name: Text,
    pub(crate) uuid: Uuid,
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) metadata: Option<Element>,
    /// In KiB.
    pub(crate) memory: u64,
    /// In KiB.
    pub(crate) current_memory: u64,
    /// What memory can be plugged in up to, in KiB; 0 where none can.
    pub(crate) max_memory: u64,
    pub(crate) vcpus: u32,
    pub(crate) max_vcpus: u32,
    pub(crate) on_poweroff: Action,
    pub(crate) on_reboot: Action,
    on_crash: Action,
    /// `memory` and `vcpu` without their text, for the attributes that have no field.
    memory_element: Element,
    vcpu_element: Element,
    /// All other parts, in the order of [`ORDER`].
    parts: Vec<Element>,
}

/// What follows when a guest ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Destroy,
    Restart,
    RenameRestart,
    Preserve,
    CoredumpDestroy,
    CoredumpRestart,
}

/// The parts of a domain in the order in which libvirt writes them; others follow.
const ORDER: &[&str] = &[
    "name",
    "uuid",
    "genid",
    "title",
    "description",
    "metadata",
    "maxMemory",
    "memory",
    "currentMemory",
    "blkiotune",
    "memtune",
    "memoryBacking",
    "vcpu",
    "vcpus",
    "iothreads",
    "iothreadids",
    "defaultiothread",
    "throttlegroups",
    "cputune",
    "numatune",
    "resource",
    "sysinfo",
    "bootloader",
    "bootloader_args",
    "os",
    "idmap",
    "features",
    "cpu",
    "clock",
    "on_poweroff",
    "on_reboot",
    "on_crash",
    "on_lockfailure",
    "pm",
    "perf",
    "devices",
    "seclabel",
    "keywrap",
    "launchSecurity",
];

/// The parts that have a field of their own.
const FIELDS: &[&str] = &[
    "name",
    "uuid",
    "title",
    "description",
    "metadata",
    "memory",
    "currentMemory",
    "vcpu",
    "on_poweroff",
    "on_reboot",
    "on_crash",
];

const VIRT_TYPES: &[&str] = &[
    "none",
    "qemu",
    "kqemu",
    "kvm",
    "xen",
    "lxc",
    "uml",
    "openvz",
    "test",
    "vmware",
    "hyperv",
    "vbox",
    "phyp",
    "parallels",
    "bhyve",
    "vz",
    "hvf",
];

fn rank(name: &str) -> usize {
    ORDER.iter().position(|&known| known == name).unwrap_or(ORDER.len())
}

impl Definition {
    /// Reads a domain's document.
    ///
    /// # Errors
    /// What libvirt refuses in the parts that have a field here, and in the operating system, the clock and the
    /// actions; devices are not looked into.
    pub(crate) fn from_xml(document: &[u8]) -> Result<Self> {
        let root = xml::parse(document, Limits::PEER)
            .map_err(|error| malformed(ErrorDomain::DOMAIN, "(domain_definition)", &error))?;
        if root.name != "domain" {
            return Err(unexpected_root("domain", &root.name));
        }
        Ok(Self::from_element(root)?.0)
    }

    /// Reads a domain's root element.
    ///
    /// # Errors
    /// As [`Self::from_xml`].
    pub(crate) fn from_element(mut root: Element) -> Result<(Self, Instructions)> {
        let instructions = Instructions::take(&mut root)?;
        let name =
            root.child_text("name").ok_or_else(|| error(ErrorDomain::DOMAIN, ErrorNumber::NO_NAME, ""))?;
        let uuid = id_part(&root, "uuid")?.unwrap_or_else(Uuid::new_v4);
        let genid = match root.child("genid") {
            Some(_) => Some(id_part(&root, "genid")?.unwrap_or_else(Uuid::new_v4)),
            None => None,
        };
        let virt_type = virt_type(&root)?;
        let os = defaults::os(&root)?;
        let title = root.child_text("title");
        if title.as_ref().is_some_and(|title| title.contains('\n')) {
            return Err(error(
                ErrorDomain::DOMAIN,
                ErrorNumber::XML_ERROR,
                "a domain's title cannot have several lines",
            ));
        }
        let mut memory = kib(&root, "memory")?;
        let mut current_memory = kib(&root, "currentMemory")?;
        let max_memory = kib(&root, "maxMemory")?;
        let (vcpus, max_vcpus) = vcpus(&root)?;
        let on_reboot = action(&root, "on_reboot", Action::Restart)?;
        let on_poweroff = action(&root, "on_poweroff", Action::Destroy)?;
        let on_crash = action(&root, "on_crash", Action::Destroy)?;
        let clock = defaults::clock(&root)?;

        if memory == 0 {
            memory = numa_memory(&root)?;
        }
        if memory == 0 {
            let message = "the memory's size must be given by <memory> or by the cells of <numa>";
            return Err(error(ErrorDomain::DOMAIN, ErrorNumber::XML_ERROR, message));
        }
        if current_memory == 0 || current_memory > memory {
            current_memory = memory;
        }
        check_max_memory(&root, memory, max_memory)?;
        if vcpus > max_vcpus {
            let message = "there cannot be more current vCPUs than the maximum vCPU count";
            return Err(error(ErrorDomain::DOMAIN, ErrorNumber::CONFIG_UNSUPPORTED, message));
        }
        if name.contains('/') {
            return Err(error(
                ErrorDomain::DOMAIN,
                ErrorNumber::XML_ERROR,
                format!("name {name} cannot contain '/'"),
            ));
        }

        let mut parts = vec![os, clock, defaults::devices(&root, uuid)];
        if let Some(genid) = genid {
            parts.push(Element::new("genid").with_text(&genid.to_string()));
        }
        if max_memory > 0 {
            let mut part = root.child("maxMemory").cloned().unwrap_or_default();
            part.set_attribute("unit", "KiB");
            part.children = vec![Node::Text(max_memory.to_string())];
            parts.push(part);
        }
        let memory_element = template(&root, "memory", "unit", "KiB");
        let mut vcpu_element = template(&root, "vcpu", "placement", "static");
        vcpu_element.attributes.retain(|attribute| attribute.name != "current");
        vcpu_element.order_attributes(&["placement", "cpuset"]);

        let definition = Self {
            virt_type,
            attributes: root
                .attributes
                .iter()
                .filter(|it| it.name != "type" && it.name != "id")
                .cloned()
                .collect(),
            name: Text::from(name),
            uuid,
            title,
            description: root.child_text("description"),
            metadata: root.child("metadata").cloned(),
            memory,
            current_memory,
            max_memory,
            vcpus,
            max_vcpus,
            on_poweroff,
            on_reboot,
            on_crash,
            memory_element,
            vcpu_element,
            parts,
        };
        Ok((definition.with_rest_of(root), instructions))
    }

    /// Takes over the parts that nothing here has looked at.
    fn with_rest_of(mut self, root: Element) -> Self {
        let is_seen = |name: &str| {
            FIELDS.contains(&name) || matches!(name, "genid" | "maxMemory" | "os" | "clock" | "devices")
        };
        for child in root.children {
            match child {
                Node::Element(element) if !is_seen(&element.name) => self.parts.push(element),
                _ => {}
            }
        }
        self.parts.sort_by_cached_key(|part| rank(&part.name));
        self
    }

    /// Sets how many vCPUs there are now.
    pub(crate) fn set_vcpus(&mut self, vcpus: u32) {
        self.vcpus = vcpus;
        // A list of single vCPUs would contradict the new count.
        self.parts.retain(|part| part.name != "vcpus");
    }

    /// Sets how many vCPUs there can be, and lowers the current count to that.
    pub(crate) fn set_max_vcpus(&mut self, max_vcpus: u32) {
        self.max_vcpus = max_vcpus;
        self.set_vcpus(self.vcpus.min(max_vcpus));
    }

    /// The CPUs that all vCPUs may run on, where the document says it.
    pub(super) fn cpus(&self) -> Option<CpuSet> {
        CpuSet::parse(self.vcpu_element.attribute("cpuset")?)
    }

    /// The part with this name, of those without a field.
    pub(super) fn part(&self, name: &str) -> Option<&Element> {
        self.parts.iter().find(|part| part.name == name)
    }

    /// The same to change it; it is made where there is none.
    pub(super) fn part_mut(&mut self, name: &str) -> &mut Element {
        let at = self.parts.iter().position(|part| part.name == name).unwrap_or_else(|| {
            let at = self.parts.partition_point(|part| rank(&part.name) <= rank(name));
            self.parts.insert(at, Element::new(name));
            at
        });
        &mut self.parts[at]
    }

    /// Sets the memory's size in KiB, and lowers the current size to that.
    pub(crate) fn set_memory(&mut self, memory: u64) {
        self.memory = memory;
        self.current_memory = self.current_memory.min(memory);
    }

    /// Whether the guest has NUMA cells, whose sizes the memory's size then is the sum of.
    pub(crate) fn has_numa_cells(&self) -> bool {
        self.parts.iter().any(|part| part.name == "cpu" && numa_cells(part).next().is_some())
    }

    /// What is declared for the parts.
    pub(super) fn root_namespaces(&self) -> Namespaces {
        let mut scope = Namespaces::default();
        scope.enter(&Element { attributes: self.attributes.clone(), ..Element::default() });
        scope
    }

    /// The document, with the id of an active domain, and with the passwords of its graphics if it is for one
    /// who may know them.
    pub(crate) fn to_xml(&self, id: Option<i32>, secure: bool) -> String {
        let mut out = String::with_capacity(2048);
        let mut root = Element::new("domain").with("type", &self.virt_type);
        if let Some(id) = id {
            root.set_attribute("id", &id.to_string());
        }
        root.attributes.extend(self.attributes.iter().cloned());
        write_element(&mut out, &root, 0, Style::Libvirt);
        // The root is never empty: it was written only for its attributes.
        out.truncate(out.len() - "/>".len());
        out.push_str(">\n");

        let mut parts = self.parts.iter().peekable();
        for (at, name) in ORDER.iter().enumerate() {
            self.write_field(&mut out, name);
            while let Some(part) = parts.next_if(|part| rank(&part.name) == at) {
                match secure || part.name != "devices" {
                    true => write_part(&mut out, part),
                    false => write_part(&mut out, &without_passwords(part)),
                }
            }
        }
        for part in parts {
            write_part(&mut out, part);
        }
        out.push_str("</domain>\n");
        out
    }

    fn write_field(&self, out: &mut String, name: &str) {
        let sized = |element: &Element, value: &dyn ToString| element.clone().with_text(&value.to_string());
        let part = match name {
            "name" => return write_text(out, name, &self.name.to_string_lossy()),
            "uuid" => return write_text(out, name, &self.uuid.to_string()),
            "title" => return self.title.iter().for_each(|title| write_text(out, name, title)),
            "description" => return self.description.iter().for_each(|text| write_text(out, name, text)),
            "on_poweroff" => return write_text(out, name, self.on_poweroff.name()),
            "on_reboot" => return write_text(out, name, self.on_reboot.name()),
            "on_crash" => return write_text(out, name, self.on_crash.name()),
            "metadata" => {
                if let Some(metadata) = &self.metadata {
                    write_element(out, metadata, 1, Style::Metadata);
                    out.push('\n');
                }
                return;
            }
            "memory" => sized(&self.memory_element, &self.memory),
            "currentMemory" => sized(&Element::new(name).with("unit", "KiB"), &self.current_memory),
            "vcpu" => {
                let mut vcpu = sized(&self.vcpu_element, &self.max_vcpus);
                if self.vcpus != self.max_vcpus {
                    vcpu.set_attribute("current", &self.vcpus.to_string());
                }
                vcpu
            }
            _ => return,
        };
        write_part(out, &part);
    }
}

fn without_passwords(devices: &Element) -> Element {
    let mut devices = devices.clone();
    for device in &mut devices.children {
        if let Node::Element(device) = device
            && device.name == "graphics"
        {
            device.attributes.retain(|attribute| attribute.name != "passwd");
        }
    }
    devices
}

fn write_text(out: &mut String, name: &str, text: &str) {
    out.push_str(&format!("  <{name}>{}</{name}>\n", escape(text, Style::Libvirt)));
}

fn write_part(out: &mut String, part: &Element) {
    if part.name == "devices" && part.children.is_empty() {
        out.push_str("  <devices>\n  </devices>\n");
        return;
    }
    write_element(out, part, 1, Style::Libvirt);
    out.push('\n');
}

/// A part without its text, with an attribute set or, for another than "unit", defaulted.
fn template(root: &Element, name: &str, attribute: &str, value: &str) -> Element {
    let mut part = Element::new(name);
    if let Some(given) = root.child(name) {
        part.attributes.clone_from(&given.attributes);
    }
    if attribute == "unit" || part.attribute(attribute).is_none_or(str::is_empty) {
        part.set_attribute(attribute, value);
    }
    part
}

fn virt_type(root: &Element) -> Result<String> {
    let virt_type = root.attribute("type").filter(|value| !value.is_empty()).ok_or_else(|| {
        error(ErrorDomain::DOMAIN, ErrorNumber::INTERNAL_ERROR, "the domain has no type attribute")
    })?;
    if !VIRT_TYPES.contains(&virt_type) {
        return Err(error(
            ErrorDomain::DOMAIN,
            ErrorNumber::CONFIG_UNSUPPORTED,
            format!("invalid domain type {virt_type}"),
        ));
    }
    Ok(virt_type.to_owned())
}

/// A part that is a UUID; none if there is no text in it.
fn id_part(root: &Element, name: &str) -> Result<Option<Uuid>> {
    root.child_text(name)
        .map(|text| {
            parse_uuid(&text).ok_or_else(|| {
                error(
                    ErrorDomain::DOMAIN,
                    ErrorNumber::INTERNAL_ERROR,
                    format!("malformed {name} element '{text}'"),
                )
            })
        })
        .transpose()
}

/// A UUID as libvirt reads it: white space around it and any number of dashes between its bytes do not count.
fn parse_uuid(text: &str) -> Option<Uuid> {
    let mut bytes = [0; 16];
    let mut digits = text.trim_matches(|c: char| c.is_ascii_whitespace()).as_bytes();
    for byte in &mut bytes {
        while let Some(rest) = digits.strip_prefix(b"-") {
            digits = rest;
        }
        let (&[high, low], rest) = digits.split_first_chunk()?;
        let digit = |c: u8| char::from(c).to_digit(16);
        *byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
        digits = rest;
    }
    digits.is_empty().then(|| Uuid::from_bytes(bytes))
}

/// The current and the maximum count.
fn vcpus(root: &Element) -> Result<(u32, u32)> {
    let Some(vcpu) = root.child("vcpu") else { return Ok((1, 1)) };
    let max = c_number(&vcpu.text()).and_then(|count| u32::try_from(count).ok()).ok_or_else(|| {
        error(ErrorDomain::DOMAIN, ErrorNumber::XML_ERROR, "the maximum vcpus count must be an integer")
    })?;
    let invalid = |name: &str, value: &str, hint: &str| {
        let message = format!("Invalid value for attribute '{name}' in element 'vcpu': '{value}'.{hint}");
        error(ErrorDomain::XML, ErrorNumber::XML_ERROR, message)
    };
    let current = match vcpu.attribute("current") {
        None => max,
        Some(value) => c_number(value)
            .and_then(|count| u32::try_from(count).ok())
            .ok_or_else(|| invalid("current", value, " A count is expected."))?,
    };
    if let Some(placement) =
        vcpu.attribute("placement").filter(|value| !matches!(*value, "static" | "auto" | ""))
    {
        return Err(invalid("placement", placement, ""));
    }
    if max == 0 {
        return Err(error(
            ErrorDomain::DOMAIN,
            ErrorNumber::INTERNAL_ERROR,
            "the <vcpu> count must be at least 1",
        ));
    }
    // Where single vCPUs are listed, the list says which are there.
    let enabled =
        |list: &Element| list.elements().filter(|it| it.attribute("enabled") == Some("yes")).count();
    let listed = root.child("vcpus").filter(|list| list.child("vcpu").is_some()).map(enabled);
    match listed {
        Some(count) => Ok((u32::try_from(count).unwrap_or(u32::MAX), max)),
        None => Ok((current, max)),
    }
}

fn action(root: &Element, name: &str, default: Action) -> Result<Action> {
    let Some(text) = root.child_text(name) else { return Ok(default) };
    Action::ALL.into_iter().find(|action| action.name() == text).ok_or_else(|| {
        error(ErrorDomain::DOMAIN, ErrorNumber::CONFIG_UNSUPPORTED, format!("unknown {name} action: {text}"))
    })
}

fn numa_cells(cpu: &Element) -> impl Iterator<Item = &Element> {
    cpu.child("numa").into_iter().flat_map(Element::elements).filter(|cell| cell.name == "cell")
}

/// The sum of the guest's NUMA cells in KiB.
fn numa_memory(root: &Element) -> Result<u64> {
    let mut sum = 0_u64;
    for cell in root.child("cpu").into_iter().flat_map(numa_cells) {
        let value = cell.attribute("memory").unwrap_or_default();
        let size = parse_kib(value, cell.attribute("unit"), "./cpu/numa/cell/@memory")?;
        sum = sum.checked_add(size).filter(|&sum| sum <= MAX_KIB).ok_or_else(|| {
            error(ErrorDomain::DOMAIN, ErrorNumber::OVERFLOW, "the sum of the cells' memory is too large")
        })?;
    }
    Ok(sum)
}

fn check_max_memory(root: &Element, memory: u64, max_memory: u64) -> Result<()> {
    let slots = match root
        .child("maxMemory")
        .and_then(|part| part.attribute("slots"))
        .filter(|it| !it.is_empty())
    {
        None => 0,
        Some(slots) => c_number(slots).ok_or_else(|| {
            error(ErrorDomain::DOMAIN, ErrorNumber::XML_ERROR, "the count of memory slots must be a number")
        })?,
    };
    let refuse = |message: &str| Err(error(ErrorDomain::DOMAIN, ErrorNumber::XML_ERROR, message));
    if max_memory == 0 && slots > 0 {
        return refuse("a maximum memory size must be given where memory slots are");
    }
    if max_memory > 0 && max_memory < memory {
        return refuse("the maximum memory size must not be below the actual memory size");
    }
    Ok(())
}

impl Action {
    const ALL: [Self; 6] = [
        Self::Destroy,
        Self::Restart,
        Self::RenameRestart,
        Self::Preserve,
        Self::CoredumpDestroy,
        Self::CoredumpRestart,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Destroy => "destroy",
            Self::Restart => "restart",
            Self::RenameRestart => "rename-restart",
            Self::Preserve => "preserve",
            Self::CoredumpDestroy => "coredump-destroy",
            Self::CoredumpRestart => "coredump-restart",
        }
    }

    /// Whether the guest runs on. Only a plain restart does here, as in libvirt's test driver.
    pub(crate) fn restarts(self) -> bool {
        matches!(self, Self::Restart | Self::RenameRestart)
    }
}

#[cfg(test)]
#[path = "definition_tests.rs"]
mod tests;
