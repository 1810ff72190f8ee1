//! A node together with the way to it, for messages that name both.

use std::fmt;

use super::node::{Entry, Extent, Node};

/// The way from the root of an object to a node.
#[derive(Clone, Copy)]
pub(crate) enum At<'p> {
    Root,
    Key(&'p At<'p>, &'p str),
    Item(&'p At<'p>, usize),
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Root => Ok(()),
            At::Key(At::Root, key) => write!(f, "{key}"),
            At::Key(parent, key) if key.contains(['.', '/']) => write!(f, "{parent}[\"{key}\"]"),
            At::Key(parent, key) => write!(f, "{parent}.{key}"),
            At::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A node, the way to it, and its key.
#[derive(Clone, Copy)]
pub(crate) struct Place<'p, 'n, 't> {
    pub(crate) node: &'n Node<'t>,
    pub(crate) at: At<'p>,
    /// Where its key is written, if it is the value of one.
    pub(crate) key: Option<Extent>,
}

impl<'n, 't> Place<'_, 'n, 't> {
    pub(crate) fn root(node: &'n Node<'t>) -> Self {
        Place {
            node,
            at: At::Root,
            key: None,
        }
    }

    /// The value of a key; null counts as absent.
    pub(crate) fn get<'s>(&'s self, key: &'s str) -> Option<Place<'s, 'n, 't>> {
        self.node
            .entry(key)
            .map(|entry| self.value_of(entry, key))
            .filter(|place| !place.node.is_null())
    }

    /// All entries, null values included.
    pub(crate) fn entries<'s>(&'s self) -> impl Iterator<Item = Place<'s, 'n, 't>>
    where
        'n: 's,
    {
        self.node
            .entries()
            .iter()
            .map(|entry| self.value_of(entry, &entry.key))
    }

    fn value_of<'s>(&'s self, entry: &'n Entry<'t>, key: &'s str) -> Place<'s, 'n, 't> {
        Place {
            node: &entry.value,
            at: At::Key(&self.at, key),
            key: Some(entry.key_extent),
        }
    }

    /// The elements of a sequence.
    pub(crate) fn items<'s>(&'s self) -> impl Iterator<Item = Place<'s, 'n, 't>>
    where
        'n: 's,
    {
        self.node
            .items()
            .iter()
            .enumerate()
            .map(|(index, node)| Place {
                node,
                at: At::Item(&self.at, index),
                key: None,
            })
    }

    /// The last step of the way: the key, or the nearest one above a list item.
    pub(crate) fn name(&self) -> &str {
        let mut at = &self.at;
        loop {
            match at {
                At::Root => return "",
                At::Key(_, key) => return key,
                At::Item(parent, _) => at = parent,
            }
        }
    }

    /// Where to point when it is the value that is wrong.
    pub(crate) fn value_extent(&self) -> Extent {
        self.node.head()
    }

    /// Where to point when something is missing in it: its key, or its beginning.
    pub(crate) fn key_or_head(&self) -> Extent {
        self.key.unwrap_or_else(|| self.node.head())
    }
}
