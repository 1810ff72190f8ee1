//! Where things were written: files, documents, key paths and spans.
//!
//! A location is kept as a key path and resolved to a span late, by reading the
//! document again: live objects without source work the same, and a large input
//! pays nothing for locations that nobody asks for.

mod path;
mod span;

pub use path::{KeyPath, PathSegment};
pub use span::{Location, Position, Span};

/// The index of a file in [`Sources`](crate::parse::Sources).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// Where an object begins.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// The file.
    pub file: FileId,
    /// The index of the YAML document in the file, from 0.
    pub document: u32,
    /// The path from the document's root to the object: empty, or `items[3]` in a
    /// `List`.
    pub path: KeyPath,
}
