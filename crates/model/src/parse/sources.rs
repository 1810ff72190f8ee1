use std::sync::OnceLock;

use super::Limits;
use super::document::read_tree;
use super::node::Extent;
use super::outline::Outline;
use super::split::DocumentRange;
use super::text::LineIndex;
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, KeyPath, Location, Origin};

/// Which part of a mapping entry a location should cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The key.
    Key,
    /// The value.
    Value,
}

/// One text that was read.
#[derive(Debug, Default)]
pub(crate) struct SourceFile {
    pub(crate) name: String,
    pub(crate) text: String,
    /// Offsets of bytes that could not be decoded.
    pub(crate) faults: Vec<usize>,
    pub(crate) encoding: &'static str,
    pub(crate) lines: LineIndex,
    pub(crate) documents: Vec<SourceDocument>,
    /// Why it was not read, or not to the end, if so.
    pub(crate) refusal: Option<Diagnostic>,
}

/// One document of a file.
#[derive(Debug)]
pub(crate) struct SourceDocument {
    pub(crate) range: DocumentRange,
    /// The keys and their places, made when somebody first asks for one; `None` if the
    /// document cannot be read.
    outline: OnceLock<Option<Box<Outline>>>,
}

impl SourceDocument {
    pub(crate) fn new(range: DocumentRange) -> Self {
        Self {
            range,
            outline: OnceLock::new(),
        }
    }
}

impl SourceFile {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn location(&self, extent: Extent) -> Location {
        self.lines.location(&self.name, &self.text, extent)
    }

    /// The text of one of its documents.
    pub(crate) fn document_text(&self, document: &DocumentRange) -> &str {
        self.text.get(document.bytes.clone()).unwrap_or_default()
    }
}

/// The texts that were read.
#[derive(Debug, Default)]
pub struct Sources {
    pub(crate) files: Vec<SourceFile>,
    pub(crate) limits: Limits,
}

impl Sources {
    fn file(&self, file: FileId) -> Option<&SourceFile> {
        self.files.get(file.0 as usize)
    }

    /// The name of a file; empty for an index that is not from these sources.
    #[must_use]
    pub fn name(&self, file: FileId) -> &str {
        self.file(file).map_or("", |file| &file.name)
    }

    /// The text of a file, decoded and without byte order mark. Offsets of locations
    /// count its bytes.
    #[must_use]
    pub fn text(&self, file: FileId) -> &str {
        self.file(file).map_or("", |file| &file.text)
    }

    /// The text of the file with this name, as locations name it.
    #[must_use]
    pub fn text_of(&self, name: &str) -> Option<&str> {
        let file = self.files.iter().find(|file| file.name == name)?;
        Some(&file.text)
    }

    /// The span of `path` below `origin`, or of its nearest ancestor that is written
    /// down. `None` when the origin is not in these sources.
    ///
    /// What an alias or a merge key brings in is located where it is written. A path
    /// that does not exist gives the key of the nearest ancestor (for a list item, its
    /// first line).
    ///
    /// The first call for a document reads it again; later ones look it up.
    #[must_use]
    pub fn locate(&self, origin: &Origin, path: &KeyPath, part: Part) -> Option<Location> {
        let file = self.file(origin.file)?;
        let document = file.documents.get(origin.document as usize)?;
        let outline = document.outline.get_or_init(|| {
            let tree = read_tree(file, &document.range, &self.limits).ok()?;
            Some(Box::new(Outline::of(&tree.root)))
        });
        let extent = outline.as_ref()?.find(&origin.path, path, part)?;
        Some(file.location(extent))
    }
}
