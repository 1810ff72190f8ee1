//! serde over a tree: typed objects from the fields that matter.
//!
//! A [`Mask`] says which fields are looked at; the rest of an object may be anything,
//! except for what is nearly one of those fields: see [`Misspelt`]. Null is read as Go
//! reads it: as the zero value of whatever stands there.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::node::{Entry, Extent, Node, Value};
use super::place::At;
use super::scalar::Resolved;
use super::suggest::one_slip;
use crate::source::{KeyPath, PathSegment};

/// Which fields of an object are read. A mask for a sequence holds for each element.
#[derive(Debug)]
pub(crate) enum Mask {
    /// Everything.
    All,
    /// A mapping of texts in which other scalars count as the text they are written as.
    Texts,
    /// These fields, each by its own mask.
    Fields(&'static [(&'static str, Mask)]),
}

impl Mask {
    fn of(&self, key: &str) -> Option<&Self> {
        match self {
            Self::All | Self::Texts => Some(self),
            Self::Fields(fields) => fields
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, mask)| mask),
        }
    }
}

/// A field that its type does not have, one slip away from one that is looked at.
#[derive(Debug)]
pub(crate) struct Misspelt {
    /// The way to it, from the node that was read.
    pub(crate) path: String,
    /// Its key.
    pub(crate) key: Extent,
    /// What was probably meant.
    pub(crate) right: &'static str,
}

/// Reads a value of type `T` from the masked fields of `node`.
pub(crate) fn read<'de, T: de::Deserialize<'de>>(
    node: &Node<'_>,
    mask: &Mask,
) -> Result<T, ReadError> {
    T::deserialize(Reader {
        node,
        mask,
        at: At::Root,
        misspelt: None,
    })
}

/// Reads like [`read`], and adds to `misspelt` what is not read because of a slip. The
/// fields that a type has are those it tells serde.
pub(crate) fn read_noting_slips<'de, T: de::Deserialize<'de>>(
    node: &Node<'_>,
    mask: &Mask,
    misspelt: &RefCell<Vec<Misspelt>>,
) -> Result<T, ReadError> {
    T::deserialize(Reader {
        node,
        mask,
        at: At::Root,
        misspelt: Some(misspelt),
    })
}

/// A value of the wrong type.
#[derive(Debug)]
pub(crate) struct ReadError {
    /// What was expected and found.
    pub(crate) message: String,
    /// What was expected is text and this would be, if it were quoted.
    pub(crate) needs_quotes: bool,
    /// Where, once known.
    pub(crate) extent: Option<Extent>,
    /// The way to it, from the last step to the first.
    steps: Vec<PathSegment>,
}

impl ReadError {
    pub(crate) fn path(&self) -> KeyPath {
        KeyPath(self.steps.iter().rev().cloned().collect())
    }

    /// The same error, seen from where `path` leads to `node`.
    pub(crate) fn below(mut self, path: &KeyPath, node: &Node<'_>) -> Self {
        self.extent.get_or_insert(node.head());
        self.steps.extend(path.0.iter().rev().cloned());
        self
    }

    fn within(mut self, step: PathSegment, node: &Node<'_>) -> Self {
        self.extent.get_or_insert(node.head());
        self.steps.push(step);
        self
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            message: message.to_string(),
            needs_quotes: false,
            extent: None,
            steps: Vec::new(),
        }
    }
}

#[derive(Clone, Copy)]
struct Reader<'n, 't> {
    node: &'n Node<'t>,
    mask: &'n Mask,
    at: At<'n>,
    misspelt: Option<&'n RefCell<Vec<Misspelt>>>,
}

impl<'n, 't> Reader<'n, 't> {
    fn expected(self, what: &str) -> ReadError {
        ReadError {
            message: format!("expected {what}, found {}", self.node.describe()),
            needs_quotes: what == "a string" && matches!(self.node.value, Value::Scalar(_)),
            extent: Some(self.node.head()),
            steps: Vec::new(),
        }
    }

    fn scalar(self, what: &str) -> Result<Resolved<'n>, ReadError> {
        self.node.resolved().ok_or_else(|| self.expected(what))
    }

    fn map<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let entries = match &self.node.value {
            Value::Mapping(entries) => entries.as_slice(),
            Value::Scalar(_) if self.node.is_null() => &[],
            Value::Scalar(_) | Value::Sequence(_) => return Err(self.expected("a mapping")),
        };
        visitor.visit_map(Fields {
            entries: entries.iter(),
            reader: self,
            value: None,
        })
    }

    /// Notes the entries that are nearly one of `fields`, if it is looked at.
    fn note_slips(self, fields: &'static [&'static str]) {
        let Some(misspelt) = self.misspelt else {
            return;
        };
        for entry in self.node.entries() {
            let name = &*entry.key;
            if fields.contains(&name) || entry.value.is_null() {
                continue;
            }
            if let Some(right) = one_slip(name, fields.iter().copied())
                && self.mask.of(right).is_some()
            {
                misspelt.borrow_mut().push(Misspelt {
                    path: At::Key(&self.at, name).to_string(),
                    key: entry.key_extent,
                    right,
                });
            }
        }
    }

    fn seq<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let items = match &self.node.value {
            Value::Sequence(items) => items.as_slice(),
            Value::Scalar(_) if self.node.is_null() => &[],
            Value::Scalar(_) | Value::Mapping(_) => return Err(self.expected("a list")),
        };
        visitor.visit_seq(Items {
            items: items.iter().enumerate(),
            reader: self,
        })
    }

    fn text<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.scalar("a string")? {
            Resolved::Text(text) => visitor.visit_str(text),
            Resolved::Null => visitor.visit_str(""),
            _ if matches!(self.mask, Mask::Texts) => visitor.visit_str(self.node.written()),
            Resolved::Bool(_) | Resolved::Whole(_) | Resolved::Float(_) => {
                Err(self.expected("a string"))
            }
        }
    }

    fn whole<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        const WHAT: &str = "a whole number";
        match self.scalar(WHAT)? {
            Resolved::Whole(number) => visitor
                .visit_i64(number)
                .map_err(|_: ReadError| self.expected("a number that fits")),
            Resolved::Null => visitor.visit_i64(0),
            Resolved::Bool(_) | Resolved::Float(_) | Resolved::Text(_) => Err(self.expected(WHAT)),
        }
    }
}

impl<'de> Deserializer<'de> for Reader<'_, '_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.node.resolved() {
            Some(Resolved::Null) => visitor.visit_unit(),
            Some(Resolved::Bool(value)) => visitor.visit_bool(value),
            Some(Resolved::Whole(value)) => visitor.visit_i64(value),
            Some(Resolved::Float(value)) => visitor.visit_f64(value),
            Some(Resolved::Text(value)) => visitor.visit_str(value),
            None if self.node.is_mapping() => self.map(visitor),
            None => self.seq(visitor),
        }
        .map_err(|error: ReadError| match error.extent {
            Some(_) => error,
            // The visitor's words (`invalid type: ...`) name Rust types.
            None => self.expected("another type of value"),
        })
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.scalar("true or false")? {
            Resolved::Bool(value) => visitor.visit_bool(value),
            Resolved::Null => visitor.visit_bool(false),
            Resolved::Whole(_) | Resolved::Float(_) | Resolved::Text(_) => {
                Err(self.expected("true or false"))
            }
        }
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.whole(visitor)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.whole(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.whole(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.whole(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.text(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.node.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.map(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.note_slips(fields);
        self.map(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple
        tuple_struct enum identifier
    }
}

struct Fields<'n, 't> {
    entries: std::slice::Iter<'n, Entry<'t>>,
    /// Of the mapping.
    reader: Reader<'n, 't>,
    value: Option<(&'n Entry<'t>, &'n Mask)>,
}

impl<'de> MapAccess<'de> for Fields<'_, '_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ReadError> {
        let mask = self.reader.mask;
        let next = self
            .entries
            .find_map(|entry| mask.of(&entry.key).map(|mask| (entry, mask)));
        self.value = next;
        let Some((entry, _)) = next else {
            return Ok(None);
        };
        let key: StrDeserializer<'_, ReadError> = entry.key.as_ref().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let Some((entry, mask)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        let node = &entry.value;
        let value = Reader {
            node,
            mask,
            at: At::Key(&self.reader.at, &entry.key),
            ..self.reader
        };
        seed.deserialize(value)
            .map_err(|error| error.within(PathSegment::Key(entry.key.as_ref().into()), node))
    }
}

struct Items<'n, 't> {
    items: std::iter::Enumerate<std::slice::Iter<'n, Node<'t>>>,
    /// Of the sequence.
    reader: Reader<'n, 't>,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ReadError> {
        let Some((index, node)) = self.items.next() else {
            return Ok(None);
        };
        let item = Reader {
            node,
            at: At::Item(&self.reader.at, index),
            ..self.reader
        };
        seed.deserialize(item)
            .map(Some)
            .map_err(|error| error.within(PathSegment::Index(index), node))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}
