//! Node files: documents that say what a node has, for tests that want more than the default node.
//!
//! A `<domain>` stands in the file itself or in one of its own, named by `file`, next to the node's. Networks,
//! storage pools, interfaces and devices may stand there too; nothing is made of them.

use crate::capabilities::NodeInfo;
use crate::domain::{Definition, Instructions, c_number};
use crate::error::{Result, error, malformed, unexpected_root};
use crate::xml::{self, Element, Limits, Node};
use std::path::Path;
use virtwire_proto::enums::{ErrorDomain, ErrorNumber};

/// The longest model's name in bytes: the wire has 32 characters with one for the end.
const MAX_MODEL: usize = 31;

/// The domain that the default node has.
pub(crate) fn default_domain() -> Result<Definition> {
    Definition::from_xml(
        b"<domain type='test'>
            <name>test</name>
            <uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>
            <memory>8388608</memory>
            <currentMemory>2097152</currentMemory>
            <vcpu>2</vcpu>
            <os><type>hvm</type></os>
            <devices>
              <disk>
                <source file='/guest/diskimage1'/>
                <target dev='vda' bus='virtio'/>
                <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>
              </disk>
              <interface type='network'>
                <mac address='aa:bb:cc:dd:ee:ff'/>
                <source network='default'/>
                <address type='pci' domain='0x0000' bus='0x00' slot='0x01' function='0x0'/>
              </interface>
              <memballoon model='virtio'>
                <address type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x0'/>
              </memballoon>
            </devices>
          </domain>",
    )
}

/// Reads a file whose root has this name.
///
/// # Errors
/// It cannot be read, is not well-formed, or has another root.
pub(crate) fn read(path: &Path, root: &str) -> Result<Element> {
    let bytes = std::fs::read(path).map_err(|cause| {
        error(
            ErrorDomain::TEST,
            ErrorNumber::XML_ERROR,
            format!("failed to parse xml document '{}': {cause}", path.display()),
        )
    })?;
    let found = xml::parse(&bytes, Limits::FILE)
        .map_err(|error| malformed(ErrorDomain::TEST, &path.display().to_string(), &error))?;
    if found.name == root { Ok(found) } else { Err(unexpected_root(root, &found.name)) }
}

/// Takes the node's size from its file; what the file does not say stays.
///
/// # Errors
/// A number that is none, or a model's name that is too long.
pub(crate) fn read_info(node: &Element, info: &mut NodeInfo) -> Result<()> {
    let cpu = node.child("cpu");
    let number = |name: &str| {
        let Some(text) = cpu.and_then(|cpu| cpu.child_text(name)) else { return Ok(None) };
        let value = c_number(&text).and_then(|value| u32::try_from(value).ok());
        match value {
            Some(value) => Ok(Some(value)),
            None => Err(error(
                ErrorDomain::TEST,
                ErrorNumber::XML_ERROR,
                format!("invalid node cpu {name} value '{text}'"),
            )),
        }
    };
    info.nodes = number("nodes")?.unwrap_or(info.nodes);
    info.sockets = number("sockets")?.unwrap_or(info.sockets);
    info.cores = number("cores")?.unwrap_or(info.cores);
    info.threads = number("threads")?.unwrap_or(info.threads);
    info.cpus = [info.cores, info.threads, info.sockets].into_iter().fold(info.nodes, u32::saturating_mul);
    info.cpus = number("active")?.map_or(info.cpus, |active| active.min(info.cpus));
    info.mhz = number("mhz")?.unwrap_or(info.mhz);
    if let Some(model) = cpu.and_then(|cpu| cpu.child_text("model")) {
        if model.len() > MAX_MODEL {
            let message = format!("the node's model '{model}' is longer than {MAX_MODEL} bytes");
            return Err(error(ErrorDomain::TEST, ErrorNumber::INTERNAL_ERROR, message));
        }
        info.model = model;
    }
    if let Some(text) = node.child_text("memory") {
        info.memory = c_number(&text).ok_or_else(|| {
            error(ErrorDomain::TEST, ErrorNumber::XML_ERROR, format!("invalid node memory value '{text}'"))
        })?;
    }
    Ok(())
}

/// The domains of a node's file, in order.
///
/// # Errors
/// A file that is named cannot be read, or a domain says what libvirt refuses.
pub(crate) fn domains(node: Element, path: &Path) -> Result<Vec<(Definition, Instructions)>> {
    let declarations: Vec<_> = node.attributes.iter().filter(|it| it.declares().is_some()).cloned().collect();
    let domains = node.children.into_iter().filter_map(|child| match child {
        Node::Element(element) if element.name == "domain" => Some(element),
        _ => None,
    });
    domains
        .map(|mut domain| match domain.attribute("file") {
            Some(file) => {
                let beside = path.parent().unwrap_or(Path::new("")).join(file);
                Definition::from_element(read(&beside, "domain")?)
            }
            None => {
                // What the node's root declares counts inside it too.
                for declaration in &declarations {
                    if domain.attribute(&declaration.name).is_none() {
                        domain.attributes.push(declaration.clone());
                    }
                }
                Definition::from_element(domain)
            }
        })
        .collect()
}
