//! Aliases and merge keys: what copying costs, and what `<<` brings in.

use super::node::{Entry, Node, Value};
use super::tree::SyntaxError;

/// What copying a node costs, in nodes; long texts count as several.
pub(super) fn cost(node: &Node<'_>) -> usize {
    const TEXT_PER_NODE: usize = 64;
    match &node.value {
        Value::Scalar(scalar) => 1 + scalar.text.len() / TEXT_PER_NODE,
        Value::Sequence(items) => 1 + items.iter().map(cost).sum::<usize>(),
        Value::Mapping(entries) => {
            let entry =
                |entry: &Entry<'_>| 1 + entry.key.len() / TEXT_PER_NODE + cost(&entry.value);
            1 + entries.iter().map(entry).sum::<usize>()
        }
    }
}

/// Adds what `<<` brings in; keys that are there already win.
pub(super) fn merge_into<'t>(
    entries: &mut Vec<Entry<'t>>,
    merge: Node<'t>,
) -> Result<(), SyntaxError> {
    let extent = merge.head();
    let refused = || {
        SyntaxError::new(
            "invalid-yaml",
            "`<<` merges a mapping or a list of mappings, and this is neither",
            extent,
        )
    };
    match merge.value {
        Value::Mapping(from) => {
            for entry in from {
                if !entries.iter().any(|present| present.key == entry.key) {
                    entries.push(entry);
                }
            }
            Ok(())
        }
        Value::Sequence(items) => items.into_iter().try_for_each(|item| {
            if item.is_mapping() {
                merge_into(entries, item)
            } else {
                Err(refused())
            }
        }),
        Value::Scalar(_) => Err(refused()),
    }
}
