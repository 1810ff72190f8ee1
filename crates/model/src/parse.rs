//! Manifests as text, read into typed objects and diagnostics.
//!
//! The stages, each in a file of its own: bytes become [`text`], a text is [`split`]
//! into documents, a document is read as [`yaml`] or [`json`] into a tree of [`node`]s
//! with places, and a tree into [`objects`]. A policy is read strictly ([`policy`]),
//! anything else tolerantly. Here may be no word about what a policy means.

mod deserialize;
mod document;
mod expand;
mod json;
mod kinds;
mod list;
mod masks;
pub mod names;
mod node;
mod objects;
mod outline;
mod place;
mod policy;
mod report;
mod scalar;
mod sources;
mod split;
mod suggest;
mod syntax_help;
mod text;
mod tree;
mod typed;
mod value;
mod yaml;

pub use sources::{Part, Sources};
pub use typed::{Object, TypedObject};
pub use value::read_value;

use rayon::prelude::*;

use crate::diagnostic::{Annotation, Diagnostic, Severity};
use crate::source::{FileId, Location, Position, Span};
use document::{Outcome, read_document};
use sources::{SourceDocument, SourceFile};

/// One text to read.
#[derive(Clone, Debug)]
pub struct Input {
    /// The name to show in messages: a path, or `<stdin>`.
    pub name: String,
    /// Its bytes as they were read.
    pub bytes: Vec<u8>,
}

/// How much is read before an input is refused.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes in one input.
    pub input_bytes: usize,
    /// Bytes in one document.
    pub document_bytes: usize,
    /// Nesting of mappings and sequences. More than 256 counts as 256.
    pub depth: usize,
    /// Nodes in one document after aliases are expanded.
    pub nodes: usize,
    /// Nodes in one document that come from expanding aliases, so that a few lines
    /// cannot stand for gigabytes. Ten more for each node that is written out.
    pub alias_nodes: usize,
}

impl Limits {
    /// The nesting that is read. Trees are walked recursively, so it has a bound that
    /// no option can lift.
    fn nesting(&self) -> usize {
        const MOST: usize = 256;
        self.depth.min(MOST)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            input_bytes: 1 << 30,
            document_bytes: 512 << 20,
            // Schemas in resource definitions are nested some fifty levels deep.
            depth: 128,
            nodes: 50_000_000,
            alias_nodes: 100_000,
        }
    }
}

/// What reading gave.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The objects that could be read, in input order.
    pub objects: Vec<Object>,
    /// The texts, for locations and for showing source lines.
    pub sources: Sources,
    /// Everything that was wrong, in input order.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads every document of every input.
///
/// A document that cannot be read does not keep the others from being read; the
/// diagnostics say what was left out. Documents are read on all cores.
#[must_use]
pub fn load(inputs: Vec<Input>, limits: &Limits) -> Loaded {
    let files: Vec<SourceFile> = inputs
        .into_par_iter()
        .map(|input| open(input, limits))
        .collect();
    let outcomes: Vec<Outcome> = batches(&files)
        .into_par_iter()
        .map(|batch| read_batch(&files, &batch, limits))
        .collect();
    let mut loaded = Loaded::default();
    for file in &files {
        loaded.diagnostics.extend(file.refusal.clone());
    }
    for mut outcome in outcomes {
        loaded.objects.append(&mut outcome.objects);
        loaded.diagnostics.append(&mut outcome.diagnostics);
    }
    loaded.sources = Sources {
        files,
        limits: *limits,
    };
    loaded
}

/// Decodes an input and finds its documents.
fn open(input: Input, limits: &Limits) -> SourceFile {
    let Input { name, bytes } = input;
    if bytes.len() > limits.input_bytes {
        let refusal = too_long(&name, limits);
        return SourceFile {
            name,
            refusal: Some(refusal),
            ..SourceFile::default()
        };
    }
    let decoded = text::decode(bytes);
    let documents = split::documents(&decoded.text)
        .into_iter()
        .map(SourceDocument::new)
        .collect();
    SourceFile {
        name,
        text: decoded.text,
        faults: decoded.faults,
        encoding: decoded.encoding,
        documents,
        ..SourceFile::default()
    }
}

fn too_long(name: &str, limits: &Limits) -> Diagnostic {
    let start = Position {
        offset: 0,
        line: 1,
        column: 1,
    };
    Diagnostic {
        severity: Severity::Error,
        code: "limit-exceeded",
        message: format!("this input is longer than {} bytes", limits.input_bytes),
        object: None,
        primary: Some(Annotation {
            location: Location {
                file: name.to_owned(),
                span: Span { start, end: start },
            },
            label: String::new(),
        }),
        related: Vec::new(),
        help: None,
        left_out: Some("this input was left out".to_owned()),
    }
}

/// One document: the index of its file and its index in it.
type DocumentId = (usize, usize);

/// All documents in order, in batches that are worth handing to another core.
fn batches(files: &[SourceFile]) -> Vec<Vec<DocumentId>> {
    const ENOUGH_BYTES: usize = 64 << 10;
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    let mut bytes = 0;
    for (file_index, file) in files.iter().enumerate() {
        for (index, document) in file.documents.iter().enumerate() {
            batch.push((file_index, index));
            bytes += document.range.bytes.len();
            if bytes >= ENOUGH_BYTES {
                batches.push(std::mem::take(&mut batch));
                bytes = 0;
            }
        }
    }
    batches.push(batch);
    batches
}

fn read_batch(files: &[SourceFile], batch: &[DocumentId], limits: &Limits) -> Outcome {
    let mut outcome = Outcome::default();
    for (file_index, index) in batch {
        if let Some(file) = files.get(*file_index) {
            let id = FileId(u32::try_from(*file_index).unwrap_or(u32::MAX));
            outcome.append(read_document(file, id, *index, limits));
        }
    }
    outcome
}
