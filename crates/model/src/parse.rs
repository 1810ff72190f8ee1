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
mod kustomize;
mod list;
mod masks;
mod metadata;
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
mod templates;
mod text;
mod tree;
mod typed;
mod value;
mod written;
mod yaml;

pub use scalar::is_text;
pub use sources::{Part, Sources};
pub use typed::{Object, TypedObject};
pub use value::read_value;
pub use written::Written;

use std::ops::Range;

use rayon::prelude::*;

use crate::diagnostic::{Annotation, Bounded, Diagnostic, Severity};
use crate::source::{FileId, Location, Position, Span};
use document::{Outcome, read_document};
use sources::{SourceDocument, SourceFile};
use split::DocumentRange;

/// One text to read.
#[derive(Clone, Debug)]
pub struct Input {
    /// The name to show in messages: a path, or `<stdin>`.
    pub name: String,
    /// Its bytes as they were read.
    pub bytes: Vec<u8>,
}

/// How much is read before an input is refused. The defaults are such that no file takes
/// much more than 2 GiB of memory, whatever is in it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes in one input.
    pub input_bytes: usize,
    /// Bytes in one document.
    pub document_bytes: usize,
    /// Bytes of YAML that have to be read in one piece, that is, of a document that is no
    /// long `List`, or of one item of one. The YAML parser may need two hundred times as
    /// much memory.
    pub piece_bytes: usize,
    /// Nesting of mappings and sequences. More than 256 counts as 256.
    pub depth: usize,
    /// Nodes in one input after aliases are expanded.
    pub nodes: usize,
    /// Nodes in one document that come from expanding aliases, so that a few lines
    /// cannot stand for gigabytes. Ten more for each node that is written out.
    pub alias_nodes: usize,
    /// Documents in one input.
    pub documents: usize,
    /// Objects in one input. Each takes two kilobytes or more, however short it is.
    pub objects: usize,
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
            input_bytes: 512 << 20,
            document_bytes: 512 << 20,
            piece_bytes: 8 << 20,
            // Schemas in resource definitions are nested some fifty levels deep.
            depth: 128,
            nodes: 20_000_000,
            alias_nodes: 100_000,
            documents: 1_000_000,
            objects: 500_000,
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
    let mut diagnostics = Bounded::default();
    diagnostics.extend(files.iter().filter_map(|file| file.refusal.clone()));
    let mut objects = Vec::new();
    let mut totals = vec![Total::default(); files.len()];
    for group in groups(batches(&files)) {
        let wanted: Vec<Batch> = group
            .into_iter()
            .filter(|batch| totals.get(batch.file).is_none_or(|total| !total.is_full))
            .collect();
        let outcomes: Vec<Outcome> = wanted
            .par_iter()
            .map(|batch| read_batch(&files, batch, limits))
            .collect();
        for (batch, mut outcome) in wanted.iter().zip(outcomes) {
            let (Some(total), Some(file)) = (totals.get_mut(batch.file), files.get(batch.file))
            else {
                continue;
            };
            // It may have become so by an earlier batch of this group.
            if total.is_full {
                continue;
            }
            diagnostics.append(std::mem::take(&mut outcome.diagnostics));
            diagnostics.extend(total.add(&outcome, file, batch, limits));
            objects.append(&mut outcome.objects);
        }
    }
    let origins = objects
        .iter()
        .filter_map(|object: &Object| object.origin.as_ref());
    let has_objects = origins.map(|origin| origin.file).collect();
    diagnostics.extend(kustomize::beside(&files, &has_objects, limits));
    Loaded {
        objects,
        sources: Sources {
            files,
            limits: *limits,
        },
        diagnostics: diagnostics.into_vec(),
    }
}

/// What was read of one input so far.
#[derive(Clone, Default)]
struct Total {
    nodes: usize,
    objects: usize,
    /// No more of it is read.
    is_full: bool,
}

impl Total {
    /// Adds what a batch gave. If that is too much, a message about what comes after it.
    fn add(
        &mut self,
        outcome: &Outcome,
        file: &SourceFile,
        batch: &Batch,
        limits: &Limits,
    ) -> Option<Diagnostic> {
        self.nodes += outcome.nodes;
        self.objects += outcome.objects.len();
        let message = if self.nodes > limits.nodes {
            format!(
                "this input has more than {} values: the rest is not read",
                limits.nodes
            )
        } else if self.objects > limits.objects {
            document::too_many_objects(limits.objects)
        } else {
            return None;
        };
        self.is_full = true;
        let next = file.documents.get(batch.documents.end)?;
        let at = file.location(next.range.start());
        Some(too_much(message, at, REST))
    }
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
    let mut ranges = split::documents(&decoded.text, limits.documents);
    let surplus = ranges.get(limits.documents).map(DocumentRange::start);
    ranges.truncate(limits.documents);
    let mut file = SourceFile {
        name,
        text: decoded.text,
        faults: decoded.faults,
        encoding: decoded.encoding,
        is_verbatim: decoded.is_verbatim,
        documents: ranges.into_iter().map(SourceDocument::new).collect(),
        ..SourceFile::default()
    };
    file.refusal = surplus.map(|start| {
        let message = format!(
            "this input has more than {} documents: the rest is not read",
            limits.documents
        );
        too_much(message, file.location(start), REST)
    });
    file
}

/// What is left out at a limit that is met on the way.
const REST: &str = "the rest of this input was left out";

fn too_long(name: &str, limits: &Limits) -> Diagnostic {
    let start = Position {
        offset: 0,
        line: 1,
        column: 1,
    };
    let at = Location {
        file: name.to_owned(),
        span: Span { start, end: start },
    };
    let message = format!("this input is longer than {} bytes", limits.input_bytes);
    let mut diagnostic = too_much(message, at, "this input was left out");
    diagnostic.help = Some("make several files of it".to_owned());
    diagnostic
}

fn too_much(message: String, location: Location, left_out: &str) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        code: "limit-exceeded",
        message,
        object: None,
        primary: Some(Annotation {
            location,
            label: String::new(),
        }),
        related: Vec::new(),
        help: None,
        replacement: None,
        left_out: Some(left_out.to_owned()),
    }
}

/// Some documents of one file, worth handing to another core.
struct Batch {
    file: usize,
    documents: Range<usize>,
    bytes: usize,
}

/// All documents in order.
fn batches(files: &[SourceFile]) -> Vec<Batch> {
    const ENOUGH_BYTES: usize = 64 << 10;
    let mut batches = Vec::new();
    for (file, source) in files.iter().enumerate() {
        let mut first = 0;
        let mut bytes = 0;
        for (index, document) in source.documents.iter().enumerate() {
            bytes += document.range.bytes.len();
            if bytes >= ENOUGH_BYTES || index + 1 == source.documents.len() {
                let documents = first..index + 1;
                batches.push(Batch {
                    file,
                    documents,
                    bytes,
                });
                first = index + 1;
                bytes = 0;
            }
        }
    }
    batches
}

/// The same batches, in groups of which each is read on all cores before the next one.
/// So only so much is in memory as trees at any time, on whatever number of cores.
fn groups(batches: Vec<Batch>) -> Vec<Vec<Batch>> {
    const ENOUGH_BYTES: usize = 8 << 20;
    let mut groups = Vec::new();
    let mut group = Vec::new();
    let mut bytes = 0;
    for batch in batches {
        if bytes + batch.bytes > ENOUGH_BYTES && !group.is_empty() {
            groups.push(std::mem::take(&mut group));
            bytes = 0;
        }
        bytes += batch.bytes;
        group.push(batch);
    }
    groups.push(group);
    groups
}

fn read_batch(files: &[SourceFile], batch: &Batch, limits: &Limits) -> Outcome {
    let mut outcome = Outcome::default();
    if let Some(file) = files.get(batch.file) {
        let id = FileId(u32::try_from(batch.file).unwrap_or(u32::MAX));
        for index in batch.documents.clone() {
            outcome.append(read_document(file, id, index, limits));
        }
    }
    outcome
}
