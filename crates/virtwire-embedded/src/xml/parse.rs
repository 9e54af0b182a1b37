//! Reads a document into a tree, strictly: whatever is not well-formed is refused with its line.
//!
//! Tags, attributes and sections are cut out by `quick-xml`; this module adds what that leaves to its caller:
//! one root, legal names and characters, references, the normalisation of line ends and attribute values, and
//! bounds. Entities of a document's own are not expanded: a reference to one is an error, so that no document
//! can grow while it is read.

use super::{Attribute, Element, Node, is_space};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::borrow::Cow;

/// What a document may have at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How deep elements may lie in each other. Trees are walked by recursion, so this bounds the stack too.
    pub(crate) depth: usize,
    /// How many elements, attributes, texts, comments and instructions there may be.
    pub(crate) parts: usize,
}

/// How many attributes an element may have: looking for a second one of the same name takes the square of this.
const MAX_ATTRIBUTES: usize = 1024;

impl Limits {
    /// For documents that a peer sends: a memory bound of a few MiB, far above what a domain needs.
    pub(crate) const PEER: Self = Self { depth: 256, parts: 65_536 };
    /// For files of the user's own: as many elements as the file has.
    pub(crate) const FILE: Self = Self { depth: 256, parts: usize::MAX };
}

/// Why a document cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// The line, counted from 1.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) reason: String,
}

/// Reads a whole document and gives its root.
///
/// # Errors
/// [`Malformed`] where the bytes are not a well-formed document in UTF-8 or one of the limits is exceeded.
pub(crate) fn parse(bytes: &[u8], limits: Limits) -> Result<Element, Malformed> {
    let text = std::str::from_utf8(bytes).map_err(|error| Malformed {
        line: line_at(bytes, error.valid_up_to()),
        reason: "the document is not UTF-8".to_owned(),
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = normalize_line_ends(text);
    if let Some((at, c)) = text.char_indices().find(|&(_, c)| !is_char(c)) {
        let reason = format!("character U+{:04X} is not allowed", u32::from(c));
        return Err(Malformed { line: line_at(text.as_bytes(), at), reason });
    }

    let mut reader = Reader::from_str(&text);
    reader.config_mut().check_comments = true;
    let mut builder = Builder { open: Vec::new(), root: None, parts: 0, limits };
    loop {
        let start = position(&reader);
        let step = match reader.read_event() {
            Ok(Event::Eof) => break,
            Ok(event) => builder.take(event, start),
            Err(error) => Err(error.to_string()),
        };
        step.map_err(|reason| Malformed { line: line_at(text.as_bytes(), start), reason })?;
    }
    let end = line_at(text.as_bytes(), text.len());
    match (builder.open.last(), builder.root) {
        (Some(element), _) => {
            Err(Malformed { line: end, reason: format!("the element '{}' is not closed", element.name) })
        }
        (None, Some(mut root)) => {
            root.strip_layout();
            Ok(root)
        }
        (None, None) => Err(Malformed { line: end, reason: "the document has no element".to_owned() }),
    }
}

/// Whether this is a name without a colon, as a namespace's prefix must be.
pub(crate) fn is_ncname(name: &str) -> bool {
    !name.contains(':') && is_name(name)
}

/// A tree that grows, with the elements that are still open.
struct Builder {
    open: Vec<Element>,
    root: Option<Element>,
    parts: usize,
    limits: Limits,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, at: usize) -> Result<(), String> {
        match event {
            Event::Start(start) => {
                let element = self.element(&start)?;
                self.open.push(element);
            }
            Event::Empty(start) => {
                let element = self.element(&start)?;
                self.close(element);
            }
            // The reader has compared the names.
            Event::End(_) => {
                let element = self.open.pop().ok_or("an end tag without its start")?;
                self.close(element);
            }
            Event::Text(text) => {
                let text = &*text;
                if text.contains("]]>") {
                    return Err("']]>' in text".to_owned());
                }
                self.text(text)?;
            }
            Event::CData(data) => {
                if self.open.is_empty() {
                    return Err("a CDATA section outside the root element".to_owned());
                }
                self.text(&data)?;
            }
            Event::GeneralRef(reference) => {
                let mut expanded = String::new();
                push_reference(&reference, &mut expanded)?;
                if self.open.is_empty() {
                    return Err("a reference outside the root element".to_owned());
                }
                self.text(&expanded)?;
            }
            Event::Comment(comment) => {
                let comment = comment.to_string();
                self.node(Node::Comment(comment))?;
            }
            Event::PI(instruction) => {
                let instruction = &*instruction;
                let target = instruction.split(is_space).next().unwrap_or_default();
                if !is_name(target) || target.eq_ignore_ascii_case("xml") {
                    return Err(format!("'{target}' cannot be the target of an instruction"));
                }
                self.node(Node::Instruction(instruction.to_owned()))?;
            }
            Event::Decl(_) if at > 0 => return Err("an XML declaration after the start".to_owned()),
            Event::Decl(_) | Event::Eof => {}
            Event::DocType(_) if self.root.is_some() || !self.open.is_empty() => {
                return Err("a document type after the root element".to_owned());
            }
            Event::DocType(_) => {}
        }
        Ok(())
    }

    fn element(&mut self, start: &BytesStart<'_>) -> Result<Element, String> {
        if self.root.is_some() {
            return Err("a second root element".to_owned());
        }
        if self.open.len() >= self.limits.depth {
            return Err(format!("elements lie deeper than {} in each other", self.limits.depth));
        }
        self.count()?;
        let name = start.name().as_ref().to_owned();
        if !is_name(&name) {
            return Err(format!("'{name}' is not a name"));
        }
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| format!("in element '{name}': {error}"))?;
            self.count()?;
            if attributes.len() >= MAX_ATTRIBUTES {
                return Err(format!("the element '{name}' has more than {MAX_ATTRIBUTES} attributes"));
            }
            let key = attribute.key.as_ref();
            if !is_name(key) {
                return Err(format!("'{key}' is not a name"));
            }
            let value = attribute_value(&attribute.value)?;
            attributes.push(Attribute { name: key.to_owned(), value });
        }
        Ok(Element { name, attributes, children: Vec::new() })
    }

    fn close(&mut self, element: Element) {
        match self.open.last_mut() {
            Some(parent) => parent.children.push(Node::Element(element)),
            None => self.root = Some(element),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        match self.open.last_mut() {
            // An empty CDATA section leaves nothing behind, so that what is written is read as the same.
            Some(_) if text.is_empty() => {}
            Some(parent) => match parent.children.last_mut() {
                // A reference or a CDATA section does not part a text.
                Some(Node::Text(before)) => before.push_str(text),
                _ => self.node(Node::Text(text.to_owned()))?,
            },
            None if text.chars().all(is_space) => {}
            None => return Err("text outside the root element".to_owned()),
        }
        Ok(())
    }

    fn node(&mut self, node: Node) -> Result<(), String> {
        self.count()?;
        // Outside the root there is nothing to attach it to, and nothing that a tool would miss.
        if let Some(parent) = self.open.last_mut() {
            parent.children.push(node);
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), String> {
        self.parts += 1;
        if self.parts > self.limits.parts {
            return Err(format!("the document has more than {} parts", self.limits.parts));
        }
        Ok(())
    }
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

fn line_at(bytes: &[u8], at: usize) -> usize {
    bytes.iter().take(at).filter(|&&byte| byte == b'\n').count() + 1
}

fn normalize_line_ends(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Expands references, and makes a space of every white-space character that is not written as one.
fn attribute_value(raw: &str) -> Result<String, String> {
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(['&', '<', '\n', '\t']) {
        let (before, from) = rest.split_at(at);
        value.push_str(before);
        rest = match from.as_bytes().first() {
            Some(b'&') => {
                let end = from.find(';').ok_or("a reference without ';'")?;
                push_reference(&from[1..end], &mut value)?;
                &from[end + 1..]
            }
            Some(b'<') => return Err("'<' in the value of an attribute".to_owned()),
            _ => {
                value.push(' ');
                &from[1..]
            }
        };
    }
    value.push_str(rest);
    Ok(value)
}

/// Appends what `&name;` stands for, given what stands between `&` and `;`.
fn push_reference(name: &str, out: &mut String) -> Result<(), String> {
    let c = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let code = match name.strip_prefix('#') {
                Some(digits) => match digits.strip_prefix('x') {
                    Some(digits) => number(digits, 16),
                    None => number(digits, 10),
                },
                None => return Err(format!("entity '{name}' is not defined")),
            };
            code.and_then(char::from_u32)
                .filter(|&c| is_char(c))
                .ok_or_else(|| format!("'&{name};' stands for no character"))?
        }
    };
    out.push(c);
    Ok(())
}

/// As `from_str_radix`, without the sign that it would allow.
fn number(digits: &str, radix: u32) -> Option<u32> {
    if digits.starts_with('+') { None } else { u32::from_str_radix(digits, radix).ok() }
}

/// The characters that XML 1.0 allows.
fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(is_name_start) && chars.all(is_name_char)
}

fn is_name_start(c: char) -> bool {
    matches!(c,
        ':' | '_' | 'A'..='Z' | 'a'..='z'
        | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}' | '\u{370}'..='\u{37d}'
        | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}'
        | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}')
}

fn is_name_char(c: char) -> bool {
    is_name_start(c)
        || matches!(c, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Style, write_element};
    use proptest::prelude::*;

    fn reason(document: &str) -> String {
        match parse(document.as_bytes(), Limits::PEER) {
            Ok(root) => panic!("{document:?} was read as {root:?}"),
            Err(malformed) => malformed.reason,
        }
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for document in [
            "",
            " ",
            "text",
            "<a",
            "<a>",
            "<a></b>",
            "</a>",
            "<a/><b/>",
            "<a/>text",
            "text<a/>",
            "<1/>",
            "<a b/>",
            "<a b=c/>",
            "<a b='1' b='2'/>",
            "<a b='<'/>",
            "<a b='&'/>",
            "<a b='&foo;'/>",
            "<a>&foo;</a>",
            "<a>& </a>",
            "<a>&#0;</a>",
            "<a>&#xd800;</a>",
            "<a>&#+65;</a>",
            "<a>]]></a>",
            "<a>\u{1}</a>",
            "<a>&#1;</a>",
            "<a><!-- -- --></a>",
            "<a/>&amp;",
            "<![CDATA[x]]><a/>",
            " <?xml version='1.0'?><a/>",
            "<a/><!DOCTYPE a>",
            "<a><?xml x?></a>",
            "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
        ] {
            assert!(parse(document.as_bytes(), Limits::PEER).is_err(), "{document:?}");
        }
        assert!(parse(b"<a>\xff</a>", Limits::PEER).is_err());
    }

    #[test]
    fn an_error_names_its_line() {
        let malformed = parse(b"<a>\n<b>\n</c></b></a>", Limits::PEER).unwrap_err();
        assert_eq!(malformed.line, 3);
        let malformed = parse(b"<a>\r\n\r\n\xff", Limits::PEER).unwrap_err();
        assert_eq!(malformed.line, 3);
    }

    #[test]
    fn bounds_hold() {
        let deep = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
        assert!(parse(deep(256).as_bytes(), Limits::PEER).is_ok());
        assert!(reason(&deep(257)).contains("deeper than 256"));
        let wide = |n: usize| format!("<a>{}</a>", "<b/>".repeat(n));
        assert!(parse(wide(65_535).as_bytes(), Limits::PEER).is_ok());
        assert!(reason(&wide(65_536)).contains("more than 65536"));
        let attributes = |n: usize| (0..n).map(|n| format!(" a{n}=''")).collect::<String>();
        assert!(parse(format!("<a{}/>", attributes(1024)).as_bytes(), Limits::PEER).is_ok());
        assert!(reason(&format!("<a{}/>", attributes(1025))).contains("more than 1024 attributes"));
        let many = format!("<a{}/>", attributes(1023)).repeat(65);
        assert!(reason(&format!("<b>{many}</b>")).contains("more than 65536"));
    }

    #[test]
    fn references_sections_and_line_ends_become_text() {
        let root = parse(
            "<?xml version='1.0'?>\r\n<a x='1&#10;2\n3&amp;\"'>&lt;\u{fc}&#x65e5;<![CDATA[<&]]>\r\n</a>\n<!-- end -->"
                .as_bytes(),
            Limits::PEER,
        )
        .unwrap();
        assert_eq!(root.attribute("x"), Some("1\n2 3&\""));
        assert_eq!(root.text(), "<\u{fc}\u{65e5}<&\n");
    }

    #[test]
    fn an_empty_section_is_no_content() {
        let root = parse(b"<a><![CDATA[]]></a>", Limits::PEER).unwrap();
        assert_eq!(root.children, []);
    }

    #[test]
    fn layout_goes_and_mixed_text_stays() {
        let root = parse(b"<a> <b/> <c> x <d/> </c> <e> </e> <!-- k --></a>", Limits::PEER).unwrap();
        let names: Vec<&str> = root.elements().map(|element| &*element.name).collect();
        assert_eq!(names, ["b", "c", "e"]);
        assert_eq!(root.children.len(), 4);
        assert_eq!(root.child("c").unwrap().text(), " x  ");
        assert_eq!(root.child("e").unwrap().text(), " ");
    }

    fn tree() -> impl Strategy<Value = Element> {
        let name = "[a-z\u{e9}][a-z0-9.-]{0,4}";
        let text = "[ -~\u{a0}-\u{d7ff}\u{10000}-\u{10010}\t\n\r]{0,8}";
        let leaf = (name, proptest::collection::vec((name, text), 0..3), text).prop_map(
            |(name, attributes, text)| {
                let mut element = Element::new(&name).with_text(&text);
                for (name, value) in attributes {
                    element.set_attribute(&name, &value);
                }
                element
            },
        );
        leaf.prop_recursive(4, 24, 4, move |inner| {
            (name, proptest::collection::vec(inner, 1..4)).prop_map(|(name, children)| {
                let mut element = Element::new(&name);
                element.children = children.into_iter().map(Node::Element).collect();
                element
            })
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(tree in tree(), style in prop_oneof![Just(Style::Libvirt), Just(Style::Metadata)]) {
            let mut out = String::new();
            write_element(&mut out, &tree, 3, style);
            prop_assert_eq!(parse(out.as_bytes(), Limits::PEER), Ok(tree));
        }

        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&bytes, Limits::PEER);
        }

        #[test]
        fn no_markup_panics(text in "[<>&;/!?\\[\\]a='\"# x-]{0,40}") {
            let _ = parse(text.as_bytes(), Limits::PEER);
        }
    }
}
