//! Objects that were not read from a text, such as those of a live cluster.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::Object;
use super::document::read_objects;
use super::node::{Entry, Extent, Node, Scalar, Value};
use super::scalar::Resolved;
use super::tree::Tree;
use crate::diagnostic::Diagnostic;

/// Reads a value that is already in memory as [`load`](super::load) reads a document:
/// an object, or a `List` of them. Objects have no origin and diagnostics no location.
#[must_use]
pub fn read_value(value: &Json) -> (Vec<Object>, Vec<Diagnostic>) {
    let tree = Tree {
        root: node(value),
        remarks: Vec::new(),
        nodes: 0,
    };
    let outcome = read_objects(None, None, &tree, usize::MAX);
    (outcome.objects, outcome.diagnostics.into_vec())
}

fn node(value: &Json) -> Node<'_> {
    let value = match value {
        Json::Null => plain(Cow::Borrowed("null")),
        Json::Bool(true) => plain(Cow::Borrowed("true")),
        Json::Bool(false) => plain(Cow::Borrowed("false")),
        Json::Number(number) => plain(Cow::Owned(number.to_string())),
        Json::String(text) => Value::Scalar(Scalar {
            text: Cow::Borrowed(text),
            is_text: true,
        }),
        Json::Array(items) => Value::Sequence(items.iter().map(node).collect()),
        Json::Object(fields) => Value::Mapping(
            fields
                .iter()
                .map(|(key, value)| Entry {
                    key: Cow::Borrowed(key),
                    key_extent: Extent::default(),
                    value: node(value),
                })
                .collect(),
        ),
    };
    Node {
        value,
        extent: Extent::default(),
    }
}

fn plain(text: Cow<'_, str>) -> Value<'_> {
    Value::Scalar(Scalar {
        text,
        is_text: false,
    })
}

/// What a node means, as a value in memory. Numbers that JSON has not are null.
pub(super) fn meaning(node: &Node<'_>) -> Json {
    match &node.value {
        Value::Scalar(scalar) => match scalar.resolve() {
            Resolved::Null => Json::Null,
            Resolved::Bool(is_true) => Json::Bool(is_true),
            Resolved::Whole(number) => Json::from(number),
            Resolved::Float(number) => Json::from(number),
            Resolved::Text(text) => Json::from(text),
        },
        Value::Sequence(items) => Json::Array(items.iter().map(meaning).collect()),
        Value::Mapping(entries) => Json::Object(
            entries
                .iter()
                .map(|entry| (entry.key.clone().into_owned(), meaning(&entry.value)))
                .collect(),
        ),
    }
}
