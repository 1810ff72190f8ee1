//! A document as a tree, with the place where each part is written.

use std::borrow::Cow;

use super::scalar::{Resolved, resolve};

/// A place in a file: line from 1, column in characters from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// From one mark to another, end exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) start: Mark,
    pub(crate) end: Mark,
}

impl Extent {
    /// Whether `other` begins within this extent.
    pub(crate) fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.start <= self.end
    }
}

/// A value and where it is written. What an alias stands for is written where its
/// anchor is.
#[derive(Clone, Debug)]
pub(crate) struct Node<'t> {
    pub(crate) value: Value<'t>,
    pub(crate) extent: Extent,
}

#[derive(Clone, Debug)]
pub(crate) enum Value<'t> {
    Scalar(Scalar<'t>),
    Mapping(Vec<Entry<'t>>),
    Sequence(Vec<Node<'t>>),
}

/// One entry of a mapping. Keys of a mapping are distinct.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'t> {
    pub(crate) key: Cow<'t, str>,
    pub(crate) key_extent: Extent,
    pub(crate) value: Node<'t>,
}

/// A scalar as it is written.
#[derive(Clone, Debug)]
pub(crate) struct Scalar<'t> {
    pub(crate) text: Cow<'t, str>,
    /// Whether it is text whatever it looks like: quoted, a block, or tagged so.
    pub(crate) is_text: bool,
}

impl Scalar<'_> {
    /// What it means.
    pub(crate) fn resolve(&self) -> Resolved<'_> {
        if self.is_text {
            Resolved::Text(&self.text)
        } else {
            resolve(&self.text)
        }
    }
}

impl<'t> Node<'t> {
    /// The entries of a mapping; none for anything else.
    pub(crate) fn entries(&self) -> &[Entry<'t>] {
        match &self.value {
            Value::Mapping(entries) => entries,
            Value::Scalar(_) | Value::Sequence(_) => &[],
        }
    }

    /// The elements of a sequence; none for anything else.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Value::Sequence(items) => items,
            Value::Scalar(_) | Value::Mapping(_) => &[],
        }
    }

    /// The entry with this key.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry<'t>> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The value of this key. Null counts as absent, as it does for the API server.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key)
            .map(|entry| &entry.value)
            .filter(|value| !value.is_null())
    }

    /// The value at the end of a way of keys.
    pub(crate) fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.resolved(), Some(Resolved::Null))
    }

    pub(crate) fn is_mapping(&self) -> bool {
        matches!(self.value, Value::Mapping(_))
    }

    pub(crate) fn is_sequence(&self) -> bool {
        matches!(self.value, Value::Sequence(_))
    }

    /// What a scalar means; `None` for a mapping or a sequence.
    pub(crate) fn resolved(&self) -> Option<Resolved<'_>> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar.resolve()),
            Value::Mapping(_) | Value::Sequence(_) => None,
        }
    }

    /// The text, if it is text.
    pub(crate) fn text(&self) -> Option<&str> {
        match self.resolved() {
            Some(Resolved::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A scalar as it is written, whatever it means.
    pub(crate) fn written(&self) -> &str {
        match &self.value {
            Value::Scalar(scalar) => &scalar.text,
            Value::Mapping(_) | Value::Sequence(_) => "",
        }
    }

    /// The number, if it is a whole one.
    pub(crate) fn whole(&self) -> Option<i64> {
        match self.resolved() {
            Some(Resolved::Whole(number)) => Some(number),
            _ => None,
        }
    }

    /// The beginning of the value, short enough to be pointed at: the first key of a
    /// mapping, a sequence in brackets or the beginning of its first line, the beginning
    /// of the first element of any other sequence, a whole scalar.
    pub(crate) fn head(&self) -> Extent {
        match &self.value {
            Value::Scalar(_) => self.extent,
            Value::Mapping(entries) => entries
                .first()
                .map_or(self.extent, |entry| entry.key_extent),
            Value::Sequence(items) => match items.first() {
                Some(first) if first.extent.start == self.extent.start => first.head(),
                _ if self.extent.start.line == self.extent.end.line => self.extent,
                _ => Extent {
                    start: self.extent.start,
                    end: Mark {
                        column: self.extent.start.column + 1,
                        ..self.extent.start
                    },
                },
            },
        }
    }

    /// What it is, in the words of a message.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::Mapping(_) => "a mapping".to_owned(),
            Value::Sequence(_) => "a list".to_owned(),
            Value::Scalar(scalar) => {
                let shown = abbreviated(&scalar.text);
                match scalar.resolve() {
                    Resolved::Null => "nothing".to_owned(),
                    Resolved::Bool(_) => format!("the boolean `{shown}`"),
                    Resolved::Whole(_) | Resolved::Float(_) => format!("the number `{shown}`"),
                    Resolved::Text("") => "an empty string".to_owned(),
                    Resolved::Text(_) => format!("the string \"{shown}\""),
                }
            }
        }
    }
}

/// The first line of a text, cut to what fits into a message.
pub(crate) fn abbreviated(text: &str) -> String {
    const LONGEST: usize = 60;
    let line = text.lines().next().unwrap_or_default();
    if line.len() == text.len() && line.chars().count() <= LONGEST {
        return line.to_owned();
    }
    line.chars().take(LONGEST).chain(['…']).collect()
}
