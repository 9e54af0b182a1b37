//! A domain's title, description and metadata: text and elements that belong to tools, not to the hypervisor.

use super::settings::{CONFIG, LIVE};
use super::{Definition, DomainRef, Which};
use crate::error::{Result, bad_argument, check_exclusive, check_flags, error};
use crate::node::{Node, parse_metadata};
use crate::numbers::{AFFECT_CONFIG, AFFECT_LIVE};
use crate::xml::{self, Attribute, Element, Namespaces, Style, is_ncname, write_element};
use std::collections::BTreeSet;
use std::sync::Arc;
use virtwire_proto::enums::{DomainMetadataType, ErrorDomain, ErrorNumber};

/// What the calls are about; C: `virDomainMetadataType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Description,
    Title,
    Element,
}

/// A domain's metadata.
impl Node {
    /// Its description (`kind` 0), its title (1), or the metadata element of a namespace (2), without that
    /// namespace; of the running guest (LIVE) or of the configuration that stays (CONFIG).
    /// C: `virDomainGetMetadata`, `virDomainMetadataType`, `virDomainModificationImpact`.
    ///
    /// # Errors
    /// There is none; an unknown kind or flag, both LIVE and CONFIG, LIVE where it is not active, CONFIG where
    /// it is transient; a namespace for a text, or none for an element.
    pub fn domain_metadata(
        &self,
        domain: &DomainRef,
        kind: i32,
        uri: Option<&str>,
        flags: u32,
    ) -> Result<String> {
        const FUNCTION: &str = "virDomainGetMetadata";
        check_exclusive(FUNCTION, flags, LIVE, CONFIG)?;
        let kept = kept(kind);
        check_argument(FUNCTION, "uri", kept, uri)?;
        check_flags(FUNCTION, flags, AFFECT_LIVE | AFFECT_CONFIG)?;
        // Looked through without the lock: the definition is shared, not copied.
        let (kept, definition) = self.read_domain(domain, |found| {
            let kept = kept.ok_or_else(|| unknown_kind(kind))?;
            Ok((kept, Arc::clone(found.get(found.which(flags)?))))
        })??;
        let value = match kept {
            Kept::Description => definition.description.clone(),
            Kept::Title => definition.title.clone(),
            Kept::Element => uri.and_then(|uri| extract(&definition, uri)),
        };
        value.ok_or_else(|| {
            error(
                ErrorDomain::DOMAIN,
                ErrorNumber::NO_DOMAIN_METADATA,
                "the domain has no such metadata element",
            )
        })
    }

    /// Sets or removes what [`Node::domain_metadata`] gets. An element gets the namespace `uri` with the prefix
    /// `key`, as do all elements in it that have none. Tells [`crate::DomainEvent::MetadataChange`].
    /// C: `virDomainSetMetadata`.
    ///
    /// # Errors
    /// A title of several lines; a document that is not well-formed; a key that is no prefix or is taken;
    /// otherwise as [`Node::domain_metadata`], but for LIVE and CONFIG together, which change both.
    pub fn domain_set_metadata(
        &self,
        domain: &DomainRef,
        kind: i32,
        metadata: Option<&str>,
        key: Option<&str>,
        uri: Option<&str>,
        flags: u32,
    ) -> Result<()> {
        const FUNCTION: &str = "virDomainSetMetadata";
        let kept = kept(kind);
        if kept == Some(Kept::Title) && metadata.is_some_and(|title| title.contains('\n')) {
            let message = "a title in the metadata cannot have several lines";
            return Err(bad_argument(ErrorDomain::DOMAIN, FUNCTION, "metadata", message));
        }
        check_argument(FUNCTION, "uri", kept, uri)?;
        if kept != Some(Kept::Element) || metadata.is_some() {
            check_argument(FUNCTION, "key", kept, key)?;
        }
        check_flags(FUNCTION, flags, AFFECT_LIVE | AFFECT_CONFIG)?;
        self.change(|state| {
            let reference = state.change_domain(domain, |found| {
                let (live, config) = found.impact(flags)?;
                let kept = kept.ok_or_else(|| unknown_kind(kind))?;
                let element = match (kept, metadata, key, uri) {
                    (Kept::Element, Some(document), Some(key), Some(uri)) => {
                        Some(inject(document, key, uri)?)
                    }
                    _ => None,
                };
                for (is_affected, which) in [(live, Which::Live), (config, Which::Config)] {
                    if is_affected {
                        set(found.get_mut(which), kept, metadata, uri, element.as_ref());
                    }
                }
                Ok(found.reference())
            })?;
            state.tell_metadata(reference, DomainMetadataType(kind), uri);
            Ok(())
        })
    }
}

fn kept(kind: i32) -> Option<Kept> {
    match DomainMetadataType(kind) {
        DomainMetadataType::DESCRIPTION => Some(Kept::Description),
        DomainMetadataType::TITLE => Some(Kept::Title),
        DomainMetadataType::ELEMENT => Some(Kept::Element),
        _ => None,
    }
}

fn unknown_kind(kind: i32) -> crate::Error {
    error(ErrorDomain::DOMAIN, ErrorNumber::INVALID_ARG, format!("unknown metadata type '{kind}'"))
}

/// A namespace and its prefix belong to an element, and to nothing else.
fn check_argument(function: &str, name: &str, kept: Option<Kept>, value: Option<&str>) -> Result<()> {
    let complaint = match (kept, value) {
        (Some(Kept::Element), None) => "must not be NULL",
        (Some(Kept::Title | Kept::Description), Some(_)) => "must be NULL",
        _ => return Ok(()),
    };
    Err(bad_argument(ErrorDomain::DOMAIN, function, name, format!("{name} in {function} {complaint}")))
}

fn set(
    definition: &mut Definition,
    kept: Kept,
    text: Option<&str>,
    uri: Option<&str>,
    element: Option<&Element>,
) {
    let text = text.filter(|text| !text.is_empty()).map(str::to_owned);
    match kept {
        Kept::Description => definition.description = text,
        Kept::Title => definition.title = text,
        Kept::Element => {
            let scope = definition.metadata_scope();
            let metadata = definition.metadata.get_or_insert_with(|| Element::new("metadata"));
            let is_replaced =
                |child: &xml::Node| child.as_element().is_some_and(|child| scope.of(child) == uri);
            metadata.children.retain(|child| !is_replaced(child));
            metadata.children.extend(element.cloned().map(xml::Node::Element));
            if metadata.elements().next().is_none() {
                definition.metadata = None;
            }
        }
    }
}

/// A caller's element in the namespace `uri`, declared with the prefix `key`.
fn inject(document: &str, key: &str, uri: &str) -> Result<Element> {
    fn add_prefix(element: &mut Element, key: &str, has_default: bool) {
        let has_default = element.declared("").map_or(has_default, |uri| !uri.is_empty());
        if element.prefix().is_empty() && !has_default {
            element.name = format!("{key}:{}", element.name);
        }
        for child in &mut element.children {
            if let xml::Node::Element(child) = child {
                add_prefix(child, key, has_default);
            }
        }
    }

    let mut element = parse_metadata(document)?;
    let refuse = |message: String| Err(error(ErrorDomain::XML, ErrorNumber::INTERNAL_ERROR, message));
    if !is_ncname(key) {
        return refuse(format!("'{key}' cannot be the prefix of an XML namespace"));
    }
    if element.declared(key).is_some() || matches!(key, "xml" | "xmlns") {
        return refuse(format!("the prefix '{key}' is taken by another XML namespace"));
    }
    add_prefix(&mut element, key, false);
    element.attributes.push(Attribute { name: format!("xmlns:{key}"), value: uri.to_owned() });
    element.declarations_first();
    Ok(element)
}

/// The metadata element of a namespace as a document of its own, without that namespace.
fn extract(definition: &Definition, uri: &str) -> Option<String> {
    fn strip(element: &mut Element, scope: &mut Namespaces, uri: &str) {
        scope.enter(element);
        if scope.of(element) == Some(uri) {
            element.name = element.local_name().to_owned();
        }
        for child in &mut element.children {
            if let xml::Node::Element(child) = child {
                strip(child, scope, uri);
            }
        }
        scope.leave(element);
    }

    let mut scope = definition.metadata_scope();
    let metadata = definition.metadata.as_ref()?;
    let mut element = metadata.elements().find(|child| scope.of(child) == Some(uri))?.clone();
    strip(&mut element, &mut scope, uri);
    // Only the first: what another prefix stands for is still needed.
    let declares_it = |it: &Attribute| it.declares().is_some() && it.value == uri;
    if let Some(at) = element.attributes.iter().position(declares_it) {
        element.attributes.remove(at);
    }
    // What is declared further out must come along.
    let mut used = BTreeSet::new();
    collect_prefixes(&element, &mut used);
    let missing: Vec<Attribute> = used
        .into_iter()
        .filter(|prefix| element.declared(prefix).is_none())
        .filter_map(|prefix| {
            Some(Attribute { name: format!("xmlns:{prefix}"), value: scope.get(prefix)?.to_owned() })
        })
        .collect();
    element.attributes.extend(missing);
    element.declarations_first();
    let mut out = String::new();
    write_element(&mut out, &element, 0, Style::Metadata);
    Some(out)
}

/// The prefixes of the names in an element.
fn collect_prefixes<'a>(element: &'a Element, prefixes: &mut BTreeSet<&'a str>) {
    let names = element.attributes.iter().map(|attribute| &*attribute.name).chain([&*element.name]);
    prefixes.extend(names.filter_map(|name| name.split_once(':')).map(|(prefix, _)| prefix));
    for child in element.elements() {
        collect_prefixes(child, prefixes);
    }
}

impl Definition {
    /// What is declared for the elements in this domain's metadata.
    fn metadata_scope(&self) -> Namespaces {
        let mut scope = self.root_namespaces();
        if let Some(metadata) = &self.metadata {
            scope.enter(metadata);
        }
        scope
    }
}
