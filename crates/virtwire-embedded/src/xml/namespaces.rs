//! Which namespace a prefix stands for where one is in a tree.

use super::Element;
use std::collections::HashMap;

/// The declarations around a place in a tree: entered with every element on the way down, left on the way up.
///
/// Looking up takes the same time however much is declared, so that no document makes walking it slow.
#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    declared: HashMap<String, Vec<String>>,
}

impl Namespaces {
    /// Adds what an element declares.
    pub(crate) fn enter(&mut self, element: &Element) {
        for (prefix, namespace) in element.declarations() {
            self.declared.entry(prefix.to_owned()).or_default().push(namespace.to_owned());
        }
    }

    /// Forgets what the element that was entered last declares.
    pub(crate) fn leave(&mut self, element: &Element) {
        for (prefix, _) in element.declarations() {
            self.declared.entry(prefix.to_owned()).or_default().pop();
        }
    }

    /// The namespace of an element in this place, entered or not, if it has one.
    pub(crate) fn of<'a>(&'a self, element: &'a Element) -> Option<&'a str> {
        match element.declared(element.prefix()) {
            Some(namespace) => Some(namespace).filter(|namespace| !namespace.is_empty()),
            None => self.get(element.prefix()),
        }
    }

    /// The namespace of a prefix, if it stands for one.
    pub(crate) fn get(&self, prefix: &str) -> Option<&str> {
        self.declared.get(prefix)?.last().map(|uri| &**uri).filter(|uri| !uri.is_empty())
    }
}
