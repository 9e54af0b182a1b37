//! A small XML tree: what a document says, in an order and a form that can be written again.
//!
//! Names keep their prefixes and namespace declarations stay ordinary attributes, so that a part that nobody
//! here understands comes back as it was given. [`parse`] checks what it reads; [`write`] gives text.

mod namespaces;
mod parse;
mod write;

pub(crate) use namespaces::Namespaces;
pub(crate) use parse::{Limits, Malformed, is_ncname, parse};
pub(crate) use write::{Style, escape, write_element};

/// An element with its attributes and what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Element {
    /// Its name, with the prefix if it has one.
    pub(crate) name: String,
    /// Its attributes in the order of the document, namespace declarations among them.
    pub(crate) attributes: Vec<Attribute>,
    /// Its content, in order.
    pub(crate) children: Vec<Node>,
}

/// One attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attribute {
    /// Its name, with the prefix if it has one.
    pub(crate) name: String,
    /// Its value, without escapes.
    pub(crate) value: String,
}

/// Something in an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// An element.
    Element(Element),
    /// Text without escapes; a CDATA section is text too.
    Text(String),
    /// What stands between `<!--` and `-->`.
    Comment(String),
    /// What stands between `<?` and `?>`.
    Instruction(String),
}

impl Element {
    /// An element without content.
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The same with one more attribute.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.set_attribute(name, value);
        self
    }

    /// The same with text added to its content.
    pub(crate) fn with_text(mut self, text: &str) -> Self {
        if !text.is_empty() {
            self.children.push(Node::Text(text.to_owned()));
        }
        self
    }

    /// The value of an attribute.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|attribute| attribute.name == name).map(|attribute| &*attribute.value)
    }

    /// Sets an attribute; a new one becomes the last.
    pub(crate) fn set_attribute(&mut self, name: &str, value: &str) {
        match self.attributes.iter_mut().find(|attribute| attribute.name == name) {
            Some(attribute) => value.clone_into(&mut attribute.value),
            None => self.attributes.push(Attribute { name: name.to_owned(), value: value.to_owned() }),
        }
    }

    /// Moves these attributes to the front, in this order.
    pub(crate) fn order_attributes(&mut self, first: &[&str]) {
        let rank = |attribute: &Attribute| first.iter().position(|&name| attribute.name == name);
        self.attributes.sort_by_key(|attribute| rank(attribute).unwrap_or(first.len()));
    }

    /// Moves the namespace declarations to the front, where XML libraries write them.
    pub(crate) fn declarations_first(&mut self) {
        self.attributes.sort_by_key(|attribute| attribute.declares().is_none());
    }

    /// The elements in it.
    pub(crate) fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(Node::as_element)
    }

    /// The first element in it with this name.
    pub(crate) fn child(&self, name: &str) -> Option<&Element> {
        self.elements().find(|element| element.name == name)
    }

    /// All text in it and below it.
    pub(crate) fn text(&self) -> String {
        fn collect(element: &Element, out: &mut String) {
            for child in &element.children {
                match child {
                    Node::Text(text) => out.push_str(text),
                    Node::Element(element) => collect(element, out),
                    Node::Comment(_) | Node::Instruction(_) => {}
                }
            }
        }
        let mut out = String::new();
        collect(self, &mut out);
        out
    }

    /// The text of the first element with this name; none if there is no such element or no text in it.
    pub(crate) fn child_text(&self, name: &str) -> Option<String> {
        self.child(name).map(Element::text).filter(|text| !text.is_empty())
    }

    /// The prefix of its name; empty if it has none.
    pub(crate) fn prefix(&self) -> &str {
        self.name.split_once(':').map_or("", |(prefix, _)| prefix)
    }

    /// Its name without the prefix.
    pub(crate) fn local_name(&self) -> &str {
        self.name.split_once(':').map_or(&*self.name, |(_, local)| local)
    }

    /// The namespaces that this element itself declares, as (prefix, namespace); "" is the default's prefix.
    pub(crate) fn declarations(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().filter_map(|it| Some((it.declares()?, &*it.value)))
    }

    /// The namespace that this element itself declares for a prefix.
    pub(crate) fn declared(&self, prefix: &str) -> Option<&str> {
        self.declarations().find(|(declared, _)| *declared == prefix).map(|(_, namespace)| namespace)
    }

    /// Removes white space that only lays the document out: between others where there is no other text.
    pub(crate) fn strip_layout(&mut self) {
        let has_others = self.children.iter().any(|child| !matches!(child, Node::Text(_)));
        let is_blank = |node: &Node| matches!(node, Node::Text(text) if text.chars().all(is_space));
        let has_text = self.children.iter().any(|child| matches!(child, Node::Text(_)) && !is_blank(child));
        if has_others && !has_text {
            self.children.retain(|child| !is_blank(child));
        }
        for child in &mut self.children {
            if let Node::Element(element) = child {
                element.strip_layout();
            }
        }
    }
}

impl Attribute {
    /// The prefix that this attribute declares a namespace for; "" is the default namespace.
    pub(crate) fn declares(&self) -> Option<&str> {
        match self.name.strip_prefix("xmlns") {
            Some("") => Some(""),
            Some(rest) => rest.strip_prefix(':'),
            None => None,
        }
    }
}

impl Node {
    /// The element that it is, if it is one.
    pub(crate) fn as_element(&self) -> Option<&Element> {
        match self {
            Self::Element(element) => Some(element),
            _ => None,
        }
    }
}

impl From<Element> for Node {
    fn from(element: Element) -> Self {
        Self::Element(element)
    }
}

/// Whether XML calls this character white space.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}
