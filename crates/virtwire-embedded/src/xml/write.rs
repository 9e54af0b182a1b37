//! Writes a tree as text, laid out as libvirt lays its documents out.

use super::{Element, Node};

/// How libvirt writes a part of a document: most of it by its own formatter, metadata as its XML library does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Single quotes around attributes; quotes in text are escaped.
    Libvirt,
    /// Double quotes around attributes; quotes in text are not escaped.
    Metadata,
}

/// Appends the element, `indent` levels of two spaces deep; no line end follows it.
///
/// The first line is indented too. Elements go on lines of their own unless there is text beside them.
pub(crate) fn write_element(out: &mut String, element: &Element, indent: usize, style: Style) {
    push_indent(out, indent);
    write_inline(out, element, Some(indent), style);
}

/// Text with what XML demands escaped, and quotes too where the style does so.
pub(crate) fn escape(text: &str, style: Style) -> String {
    let mut out = String::with_capacity(text.len());
    push_text(&mut out, text, style);
    out
}

/// `layout` is the depth while elements are laid out, and none below mixed content, where every space counts.
fn write_inline(out: &mut String, element: &Element, layout: Option<usize>, style: Style) {
    out.push('<');
    out.push_str(&element.name);
    let quote = if style == Style::Libvirt { '\'' } else { '"' };
    for attribute in &element.attributes {
        out.push(' ');
        out.push_str(&attribute.name);
        out.push('=');
        out.push(quote);
        push_value(out, &attribute.value, quote);
        out.push(quote);
    }
    if element.children.is_empty() {
        out.push_str("/>");
        return;
    }
    out.push('>');
    let mixed = element.children.iter().any(|child| matches!(child, Node::Text(_)));
    let inner = if mixed { None } else { layout.map(|indent| indent + 1) };
    for child in &element.children {
        if let Some(indent) = inner {
            out.push('\n');
            push_indent(out, indent);
        }
        match child {
            Node::Element(element) => write_inline(out, element, inner, style),
            Node::Text(text) => push_text(out, text, style),
            Node::Comment(comment) => {
                out.push_str("<!--");
                out.push_str(comment);
                out.push_str("-->");
            }
            Node::Instruction(instruction) => {
                out.push_str("<?");
                out.push_str(instruction);
                out.push_str("?>");
            }
        }
    }
    if let (Some(_), Some(indent)) = (inner, layout) {
        out.push('\n');
        push_indent(out, indent);
    }
    out.push_str("</");
    out.push_str(&element.name);
    out.push('>');
}

fn push_indent(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n("  ", indent));
}

fn push_text(out: &mut String, text: &str, style: Style) {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // A reader makes a line feed of a bare one.
            '\r' => out.push_str("&#13;"),
            '"' if style == Style::Libvirt => out.push_str("&quot;"),
            '\'' if style == Style::Libvirt => out.push_str("&apos;"),
            _ => out.push(c),
        }
    }
}

fn push_value(out: &mut String, value: &str, quote: char) {
    for c in value.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' if quote == '"' => out.push_str("&quot;"),
            '\'' if quote == '\'' => out.push_str("&apos;"),
            // A reader makes spaces of bare ones.
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\r' => out.push_str("&#13;"),
            _ => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Limits, parse};

    fn rewrite(document: &str, style: Style) -> String {
        let mut out = String::new();
        write_element(&mut out, &parse(document.as_bytes(), Limits::PEER).unwrap(), 0, style);
        out
    }

    #[test]
    fn elements_are_laid_out_and_mixed_content_is_not() {
        assert_eq!(
            rewrite("<a><b x=\"1\"><c/></b><d>t <e><f/></e></d></a>", Style::Libvirt),
            "<a>\n  <b x='1'>\n    <c/>\n  </b>\n  <d>t <e><f/></e></d>\n</a>"
        );
    }

    #[test]
    fn quotes_follow_the_style() {
        assert_eq!(rewrite("<a b=\"'&quot;\">'\"</a>", Style::Libvirt), "<a b='&apos;\"'>&apos;&quot;</a>");
        assert_eq!(rewrite("<a b=\"'&quot;\">'\"</a>", Style::Metadata), "<a b=\"'&quot;\">'\"</a>");
    }
}
