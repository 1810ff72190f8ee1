use std::ops::Range;
use std::sync::OnceLock;

use super::Limits;
use super::document::read_tree;
use super::node::Extent;
use super::outline::Outline;
use super::split::DocumentRange;
use super::text::LineIndex;
use super::value::meaning;
use super::written::Written;
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
    /// Whether `text` is the bytes as they were read.
    pub(crate) is_verbatim: bool,
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
        let (file, outline) = self.outline(origin)?;
        let extent = outline.find(&origin.path, path, part)?;
        Some(file.location(extent))
    }

    /// Where the value of `path` below `origin` is written, to the byte, for edits that
    /// keep comments and formatting. `None` when it is not there, or is an alias or
    /// brought in by one: an edit would then change other places as well.
    #[must_use]
    pub fn written(&self, origin: &Origin, path: &KeyPath) -> Option<Written> {
        let (file, outline) = self.outline(origin)?;
        let entry = outline.written(&origin.path, path)?;
        let offsets = |extent: Extent| {
            let span = file.location(extent).span;
            span.start.offset..span.end.offset
        };
        let key = entry.key.map(&offsets);
        Written::of(&file.text, key, offsets(entry.value), offsets(entry.last))
    }

    /// The bytes of the document that an object is in, in the text of its file: with its
    /// `---` line, without that of the next one.
    #[must_use]
    pub fn document(&self, origin: &Origin) -> Option<Range<usize>> {
        let document = self
            .file(origin.file)?
            .documents
            .get(origin.document as usize)?;
        Some(document.range.bytes.clone())
    }

    /// How many documents a file has.
    #[must_use]
    pub fn documents(&self, file: FileId) -> usize {
        self.file(file).map_or(0, |file| file.documents.len())
    }

    /// What a whole document means, with aliases and merges followed; `None` if it cannot
    /// be read. Reads it again.
    #[must_use]
    pub fn meaning(&self, file: FileId, document: u32) -> Option<serde_json::Value> {
        let file = self.file(file)?;
        let document = file.documents.get(document as usize)?;
        let tree = read_tree(file, &document.range, &self.limits).ok()?;
        Some(meaning(&tree.root))
    }

    /// The file with this name, as locations name it.
    #[must_use]
    pub fn file_named(&self, name: &str) -> Option<FileId> {
        let index = self.files.iter().position(|file| file.name == name)?;
        Some(FileId(u32::try_from(index).ok()?))
    }

    /// The document that a byte of a file is in.
    #[must_use]
    pub fn document_at(&self, file: FileId, offset: usize) -> Option<u32> {
        let documents = &self.file(file)?.documents;
        let index = documents
            .iter()
            .position(|document| document.range.bytes.contains(&offset))?;
        u32::try_from(index).ok()
    }

    /// A stretch of a file by lines and columns.
    #[must_use]
    pub fn location(&self, file: FileId, bytes: &Range<usize>) -> Option<Location> {
        let file = self.file(file)?;
        file.text.get(bytes.clone())?;
        let mark = |offset| file.lines.mark(&file.text, offset);
        Some(file.location(Extent {
            start: mark(bytes.start),
            end: mark(bytes.end),
        }))
    }

    /// Whether the text of a file is what its bytes are. It is not if they are UTF-16,
    /// begin with a byte order mark, or could not be decoded: then the text must not be
    /// written back in their place.
    #[must_use]
    pub fn is_verbatim(&self, file: FileId) -> bool {
        self.file(file).is_some_and(|file| file.is_verbatim)
    }

    fn outline(&self, origin: &Origin) -> Option<(&SourceFile, &Outline)> {
        let file = self.file(origin.file)?;
        let document = file.documents.get(origin.document as usize)?;
        let outline = document.outline.get_or_init(|| {
            let tree = read_tree(file, &document.range, &self.limits).ok()?;
            Some(Box::new(Outline::of(&tree.root)))
        });
        Some((file, outline.as_ref()?))
    }
}
