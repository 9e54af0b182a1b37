//! What is wrong with a value, and where it stands.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

/// What is wrong with a value, and where it stands: `args.dom.uuid: expected a UUID, got 5`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// From the inside out, as it is found on the way back.
    path: Vec<Step>,
    problem: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(Cow<'static, str>),
    Index(usize),
}

impl JsonError {
    /// An error about the value at hand.
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self { path: Vec::new(), problem: problem.into() }
    }

    /// "expected `what`, got …".
    pub(super) fn expected(what: impl fmt::Display, got: &Value) -> Self {
        Self::new(format!("expected {what}, got {}", shortened(got)))
    }

    /// The same error, about the field `name` of the value at hand.
    #[must_use]
    pub fn within(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.path.push(Step::Field(name.into()));
        self
    }

    /// The same error, about the element `index` of the value at hand.
    pub(super) fn at(mut self, index: usize) -> Self {
        self.path.push(Step::Index(index));
        self
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.path.iter().rev().enumerate() {
            match step {
                Step::Field(name) if place == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        if !self.path.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for JsonError {}

/// A value's JSON, cut where it is long.
fn shortened(value: &Value) -> String {
    const MOST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
