//! What the two grammars share: the result of reading a document, and its errors.

use std::borrow::Cow;

use super::node::{Entry, Extent, Node};

/// A document that was read.
#[derive(Debug)]
pub(crate) struct Tree<'t> {
    pub(crate) root: Node<'t>,
    /// What is well formed and yet unlikely to be meant, in no particular order.
    pub(crate) remarks: Vec<Remark>,
    /// How many values there are.
    pub(crate) nodes: usize,
}

/// Something about a tree that can no longer be seen from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remark {
    /// Where.
    pub(crate) extent: Extent,
    pub(crate) kind: RemarkKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RemarkKind {
    /// The key is there a second time; the last value stays.
    DuplicateKey { key: String, first: Extent },
    /// An unquoted key that is read as a boolean.
    BooleanKey { written: String, read: &'static str },
    /// A tag nobody knows, such as `!Ref`.
    UnknownTag { tag: String },
}

/// Why a document could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) extent: Extent,
    pub(crate) help: Option<&'static str>,
}

impl SyntaxError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>, extent: Extent) -> Self {
        Self {
            code,
            message: message.into(),
            extent,
            help: None,
        }
    }
}

/// Takes out entries whose key comes again later, as `kubectl` does, and notes them.
pub(crate) fn drop_duplicates<'t>(entries: &mut Vec<Entry<'t>>, remarks: &mut Vec<Remark>) {
    let superseded = superseded(entries);
    if superseded.is_empty() {
        return;
    }
    for (earlier, later) in &superseded {
        if let (Some(earlier), Some(later)) = (entries.get(*earlier), entries.get(*later)) {
            remarks.push(Remark {
                extent: later.key_extent,
                kind: RemarkKind::DuplicateKey {
                    key: Cow::into_owned(later.key.clone()),
                    first: earlier.key_extent,
                },
            });
        }
    }
    // Both lists ascend, so one look at the next superseded position is enough.
    let mut gone = superseded.iter().map(|(earlier, _)| *earlier).peekable();
    let mut position = 0..;
    entries.retain(|_| {
        let here = position.next();
        gone.next_if(|earlier| Some(*earlier) == here).is_none()
    });
}

/// Pairs of positions with equal keys, each with its next.
fn superseded(entries: &[Entry<'_>]) -> Vec<(usize, usize)> {
    /// Up to this many entries, comparing all pairs is faster than sorting.
    const FEW: usize = 12;
    let mut pairs = Vec::new();
    if entries.len() <= FEW {
        for (later, entry) in entries.iter().enumerate() {
            let earlier = entries.iter().take(later).rposition(|e| e.key == entry.key);
            pairs.extend(earlier.map(|earlier| (earlier, later)));
        }
        pairs.sort_unstable();
        return pairs;
    }
    let mut order: Vec<(&str, usize)> = entries
        .iter()
        .enumerate()
        .map(|(position, entry)| (&*entry.key, position))
        .collect();
    order.sort_unstable();
    for (before, after) in order.iter().zip(order.iter().skip(1)) {
        if before.0 == after.0 {
            pairs.push((before.1, after.1));
        }
    }
    pairs.sort_unstable();
    pairs
}
