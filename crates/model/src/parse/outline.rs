//! What remains of a tree to find places in it: keys and extents, no values.

use rustc_hash::FxHashMap;

use super::Part;
use super::node::{Extent, Node, Value};
use crate::source::{KeyPath, PathSegment};

/// A sequence with more elements than this gets an index.
const LONG: usize = 16;

/// A tree as a flat list, parents before children.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    entries: Vec<OutlineEntry>,
    /// Every distinct key once; its number stands for it.
    keys: FxHashMap<Box<str>, u32>,
    /// The elements of long sequences, so that `items[70000]` is found at once.
    long_sequences: FxHashMap<usize, Vec<u32>>,
}

#[derive(Debug)]
struct OutlineEntry {
    /// The value.
    extent: Extent,
    /// A short stretch at the beginning of the value.
    head: Extent,
    step: Step,
    /// The index after the last descendant.
    next: u32,
}

#[derive(Debug)]
enum Step {
    Root,
    /// In a mapping.
    Key {
        key: u32,
        extent: Extent,
    },
    /// In a sequence.
    Item,
}

impl Step {
    fn key(&self) -> Option<Extent> {
        match self {
            Self::Key { extent, .. } => Some(*extent),
            Self::Root | Self::Item => None,
        }
    }
}

/// A value that is written where its path says.
pub(crate) struct WrittenEntry {
    /// Its key, unless it is an element of a sequence or the root.
    pub(crate) key: Option<Extent>,
    pub(crate) value: Extent,
    /// What is written last in the value: itself if it is a scalar.
    pub(crate) last: Extent,
}

impl Outline {
    pub(crate) fn of(root: &Node<'_>) -> Self {
        let mut outline = Self::default();
        outline.add(root, Step::Root);
        outline
    }

    fn add(&mut self, node: &Node<'_>, step: Step) {
        let index = self.entries.len();
        self.entries.push(OutlineEntry {
            extent: node.extent,
            head: node.head(),
            step,
            next: 0,
        });
        match &node.value {
            Value::Scalar(_) => {}
            Value::Mapping(entries) => {
                for entry in entries {
                    let key = self.intern(&entry.key);
                    let extent = entry.key_extent;
                    self.add(&entry.value, Step::Key { key, extent });
                }
            }
            Value::Sequence(items) => {
                let mut elements = Vec::new();
                for item in items {
                    elements.extend(u32::try_from(self.entries.len()));
                    self.add(item, Step::Item);
                }
                if elements.len() > LONG {
                    self.long_sequences.insert(index, elements);
                }
            }
        }
        let next = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        if let Some(entry) = self.entries.get_mut(index) {
            entry.next = next;
        }
    }

    fn intern(&mut self, key: &str) -> u32 {
        if let Some(number) = self.keys.get(key) {
            return *number;
        }
        let number = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        self.keys.insert(key.into(), number);
        number
    }

    /// The indices of the children of an entry.
    fn children(&self, parent: usize) -> impl Iterator<Item = usize> {
        let end = self
            .entries
            .get(parent)
            .map_or(0, |entry| entry.next as usize);
        std::iter::successors(Some(parent + 1), |child| {
            self.entries.get(*child).map(|entry| entry.next as usize)
        })
        .take_while(move |child| *child < end)
    }

    fn child(&self, parent: usize, segment: &PathSegment) -> Option<usize> {
        match segment {
            PathSegment::Key(name) => {
                let wanted = *self.keys.get(&**name)?;
                self.children(parent).find(|child| {
                    let step = self.entries.get(*child).map(|entry| &entry.step);
                    matches!(step, Some(Step::Key { key, .. }) if *key == wanted)
                })
            }
            PathSegment::Index(index) => {
                let child = match self.long_sequences.get(&parent) {
                    Some(elements) => *elements.get(*index)? as usize,
                    None => self.children(parent).nth(*index)?,
                };
                let step = &self.entries.get(child)?.step;
                matches!(step, Step::Item).then_some(child)
            }
        }
    }

    /// Where the value of `path` below `origin` is written, if it is written there.
    pub(crate) fn written(&self, origin: &KeyPath, path: &KeyPath) -> Option<WrittenEntry> {
        let mut at = 0;
        for segment in origin.0.iter().chain(&path.0) {
            let child = self.child(at, segment)?;
            if !self.is_written_in(child, at)? {
                return None;
            }
            at = child;
        }
        let entry = self.entries.get(at)?;
        Some(WrittenEntry {
            key: entry.step.key(),
            value: entry.extent,
            // Descendants are listed up to the next entry that is none.
            last: self
                .entries
                .get(entry.next.checked_sub(1)? as usize)?
                .extent,
        })
    }

    /// Whether a child is written in its parent, and not elsewhere, at an anchor. What
    /// stands at an anchor is before what follows the child before it.
    fn is_written_in(&self, child: usize, parent: usize) -> Option<bool> {
        let mut from = self.entries.get(parent)?.extent.start;
        let earlier = self.children(parent).take_while(|other| *other < child);
        if let Some(before) = earlier.last() {
            let before = self.entries.get(before)?;
            let key = before.step.key().map(|key| key.end);
            from = from.max(key.unwrap_or(from)).max(before.extent.end);
        }
        let entry = self.entries.get(child)?;
        Some(match entry.step.key() {
            Some(key) => from <= key.start && key.end <= entry.extent.start,
            None => from <= entry.extent.start,
        })
    }

    /// The place of `path` below `origin`; see [`Sources::locate`](super::Sources::locate).
    pub(crate) fn find(&self, origin: &KeyPath, path: &KeyPath, part: Part) -> Option<Extent> {
        let mut at = 0;
        for segment in &origin.0 {
            at = self.child(at, segment)?;
        }
        let object = at;
        let mut is_exact = true;
        for segment in &path.0 {
            match self.child(at, segment) {
                Some(child) => at = child,
                None => {
                    is_exact = false;
                    break;
                }
            }
        }
        let entry = self.entries.get(at)?;
        Some(match (&entry.step, part) {
            _ if is_exact && part == Part::Value => entry.extent,
            // An ancestor above the object has nothing to do with it.
            (Step::Key { extent, .. }, _) if at != object => *extent,
            _ => entry.head,
        })
    }
}
