//! Parses the part of the XDR language that libvirt's definitions use, with their annotations.

use crate::protocol::{Fields, Union};
use anyhow::{Context, Result, bail};
use indexmap::IndexMap;

/// What a definition file says.
#[derive(Debug, Default)]
pub(super) struct File {
    /// Constants: a number, or the name of another constant.
    pub(super) constants: IndexMap<String, String>,
    pub(super) types: Fields,
    pub(super) enums: IndexMap<String, Vec<Enumerator>>,
    pub(super) unions: IndexMap<String, Union>,
    pub(super) structs: IndexMap<String, Fields>,
}

/// An enumerator, with the annotations that stand before it.
#[derive(Debug)]
pub(super) struct Enumerator {
    pub(super) name: String,
    pub(super) value: i64,
    /// `@key: value` pairs.
    pub(super) annotations: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// A name, keyword or number.
    Word(String),
    Sign(char),
    Annotation(String, String),
}

/// Parses a definition file.
pub(super) fn parse(text: &str) -> Result<File> {
    let mut parser = Parser { tokens: tokens(text)?, position: 0 };
    let mut file = File::default();
    while let Some(token) = parser.next() {
        let Token::Word(keyword) = token else { continue };
        parser.definition(&keyword, &mut file).with_context(|| {
            let end = parser.tokens.len().min(parser.position + 3);
            let start = parser.position.saturating_sub(6).min(end);
            format!("in a {keyword}, near {:?}", &parser.tokens[start..end])
        })?;
    }
    Ok(file)
}

fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return Ok(tokens) };
        if first == '%' {
            // A line that goes into the C header as it is.
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            let (comment, behind) = comment.split_once("*/").context("a comment does not end")?;
            // Annotations stand in comments that begin with two stars; one with a single star explains them.
            if comment.starts_with('*') {
                tokens.extend(comment.lines().filter_map(annotation));
            }
            rest = behind;
        } else if is_word(first) {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        } else {
            tokens.push(Token::Sign(first));
            rest = &rest[first.len_utf8()..];
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// ` * @acl: domain:read` as key and value.
fn annotation(line: &str) -> Option<Token> {
    let line = line.trim().trim_start_matches('*').trim().strip_prefix('@')?;
    let (key, value) = line.split_once(':')?;
    Some(Token::Annotation(key.to_owned(), value.trim().to_owned()))
}

/// A number in decimal or hexadecimal.
pub(super) fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

struct Parser {
    tokens: Vec<Token>,
    position: usize,
}

impl Parser {
    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.position).cloned();
        self.position += 1;
        token
    }

    fn word(&mut self) -> Result<String> {
        match self.next() {
            Some(Token::Word(word)) => Ok(word),
            other => bail!("expected a word, found {other:?}"),
        }
    }

    fn sign(&mut self, sign: char) -> Result<()> {
        match self.next() {
            Some(Token::Sign(found)) if found == sign => Ok(()),
            other => bail!("expected {sign:?}, found {other:?}"),
        }
    }

    fn at(&mut self, sign: char) -> bool {
        let at = self.tokens.get(self.position) == Some(&Token::Sign(sign));
        self.position += usize::from(at);
        at
    }

    fn definition(&mut self, keyword: &str, file: &mut File) -> Result<()> {
        match keyword {
            "const" => {
                let name = self.word()?;
                self.sign('=')?;
                let value = self.word()?;
                file.constants.insert(name, value);
            }
            "typedef" => {
                let (name, ty) = self.declaration()?;
                file.types.insert(name, ty);
                return Ok(());
            }
            "struct" => {
                let name = self.word()?;
                self.sign('{')?;
                let mut fields = Fields::new();
                while !self.at('}') {
                    let (name, ty) = self.declaration()?;
                    fields.insert(name, ty);
                }
                file.structs.insert(name, fields);
            }
            "enum" => {
                let name = self.word()?;
                self.sign('{')?;
                let enumerators = self.enumerators()?;
                file.enums.insert(name, enumerators);
            }
            "union" => {
                let name = self.word()?;
                let union = self.union()?;
                file.unions.insert(name, union);
            }
            other => bail!("{other:?} begins no definition"),
        }
        self.sign(';')
    }

    fn enumerators(&mut self) -> Result<Vec<Enumerator>> {
        let mut enumerators = Vec::new();
        let mut annotations = Vec::new();
        loop {
            match self.next() {
                Some(Token::Annotation(key, value)) => annotations.push((key, value)),
                Some(Token::Word(name)) => {
                    self.sign('=')?;
                    let negative = self.at('-');
                    let value = self.word()?;
                    let value = number(&value).with_context(|| format!("{value:?} is no number"))?;
                    let value = if negative { -value } else { value };
                    let annotations = std::mem::take(&mut annotations);
                    enumerators.push(Enumerator { name, value, annotations });
                    self.at(',');
                }
                Some(Token::Sign('}')) => return Ok(enumerators),
                other => bail!("expected an enumerator, found {other:?}"),
            }
        }
    }

    fn union(&mut self) -> Result<Union> {
        if self.word()? != "switch" {
            bail!("expected `switch`");
        }
        self.sign('(')?;
        let discriminant = self.word()?;
        self.word()?;
        self.sign(')')?;
        self.sign('{')?;
        let mut cases = Fields::new();
        while !self.at('}') {
            if self.word()? != "case" {
                bail!("expected `case`");
            }
            let case = self.word()?;
            self.sign(':')?;
            let (_, ty) = self.declaration()?;
            cases.insert(case, ty);
        }
        Ok(Union { discriminant, cases })
    }

    /// `TYPE NAME;` in all its forms, as the name and the type with what follows the name in the type.
    fn declaration(&mut self) -> Result<(String, String)> {
        let mut words = vec![self.word()?];
        let mut pointer = false;
        loop {
            match self.tokens.get(self.position) {
                Some(Token::Word(_)) => words.push(self.word()?),
                Some(Token::Sign('*')) => pointer = self.at('*'),
                _ => break,
            }
        }
        let name = words.pop().filter(|_| !words.is_empty()).context("a declaration has no name")?;
        let mut ty = match words.join(" ").as_str() {
            "unsigned" => "unsigned int".to_owned(),
            ty => ty.to_owned(),
        };
        if pointer {
            ty += " *";
        } else if self.at('<') {
            let max = self.word()?;
            self.sign('>')?;
            ty += &format!("<{max}>");
        } else if self.at('[') {
            let length = self.word()?;
            self.sign(']')?;
            ty += &format!("[{length}]");
        }
        self.sign(';')?;
        Ok((name, ty))
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn every_construct() {
        let file = parse(
            "%#include <x>\n\
             const MAX = 0x10; const OTHER=MAX;\n\
             typedef opaque uuid[LEN]; typedef string text<MAX>; typedef text *maybe;\n\
             struct pair { unsigned a; unsigned hyper b<MAX>; char c[4]; /* why */ maybe d; };\n\
             union value switch (int type) { case INT: int i; case TEXT: text s; };\n\
             enum procedure {\n/* @generate: explained */\n/**\n * @generate: both\n * @acl: a:b\n * @acl: a:c:FLAG\n */\n\
             PROC_ONE = 1, PROC_MINUS = -2 };",
        )
        .unwrap();
        assert_eq!(file.constants["MAX"], "0x10");
        assert_eq!(file.constants["OTHER"], "MAX");
        let types: Vec<_> = file.types.values().map(String::as_str).collect();
        assert_eq!(types, ["opaque[LEN]", "string<MAX>", "text *"]);
        let fields: Vec<_> = file.structs["pair"].values().map(String::as_str).collect();
        assert_eq!(fields, ["unsigned int", "unsigned hyper<MAX>", "char[4]", "maybe"]);
        assert_eq!(file.unions["value"].cases["TEXT"], "text");
        let procedures = &file.enums["procedure"];
        assert_eq!(procedures[0].annotations.len(), 3);
        assert_eq!(procedures[0].annotations[2], ("acl".to_owned(), "a:c:FLAG".to_owned()));
        assert_eq!(procedures[1].value, -2);
    }

    #[test]
    fn what_is_no_definition_is_refused() {
        for text in ["const = 3;", "struct x { int; };", "enum e { A };", "nonsense x;", "/* open"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
