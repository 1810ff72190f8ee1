//! What the two grammars share: the result of reading a document, and its errors.

use std::borrow::Cow;

use super::Limits;
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
    /// So many keys more are there a second time, the last of them here.
    MoreDuplicateKeys { count: usize },
    /// `apiVersion` and `kind` are there so many times, and first here: several objects
    /// in one, of which only the last stays.
    SeveralObjects { count: usize, first: Extent },
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

/// What is said of more values than are read.
pub(crate) fn too_many_values(limits: &Limits, extent: Extent) -> SyntaxError {
    SyntaxError::new(
        "limit-exceeded",
        format!(
            "this document has more than {} values: it is not read",
            limits.nodes
        ),
        extent,
    )
}

/// So many duplicate keys of one mapping are noted one by one: a file with millions of
/// them must not take more memory for what is wrong with it than for itself.
const MOST_NOTED: usize = 100;

/// Takes out entries whose key comes again later, as `kubectl` does, and notes them.
pub(crate) fn drop_duplicates<'t>(entries: &mut Vec<Entry<'t>>, remarks: &mut Vec<Remark>) {
    let superseded = superseded(entries);
    if superseded.is_empty() {
        return;
    }
    let several = several_objects(entries, &superseded);
    let noted = match several {
        // The other keys that they share are no news.
        Some(_) => &[][..],
        None => &superseded[..],
    };
    remarks.extend(several);
    let (noted, others) = noted.split_at(noted.len().min(MOST_NOTED));
    let last = others.iter().map(|(_, later)| *later).max();
    remarks.extend(last.and_then(|last| entries.get(last)).map(|last| Remark {
        extent: last.key_extent,
        kind: RemarkKind::MoreDuplicateKeys {
            count: others.len(),
        },
    }));
    for (earlier, later) in noted {
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

/// Whether these are the entries of several objects, one after the other.
fn several_objects(entries: &[Entry<'_>], superseded: &[(usize, usize)]) -> Option<Remark> {
    let repeated = |key: &'static str| {
        let pairs = superseded.iter();
        pairs.filter_map(move |(earlier, later)| {
            let (earlier, later) = (entries.get(*earlier)?, entries.get(*later)?);
            (earlier.key == key).then_some((earlier.key_extent, later.key_extent))
        })
    };
    repeated("kind").next()?;
    let (first, _) = repeated("apiVersion").next()?;
    let (_, last) = repeated("apiVersion").next_back()?;
    Some(Remark {
        extent: last,
        kind: RemarkKind::SeveralObjects {
            count: repeated("apiVersion").count() + 1,
            first,
        },
    })
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
