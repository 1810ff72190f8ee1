//! Writing what a fix says into the text of a manifest, and nothing else.
//!
//! An edit becomes a few bytes that are put in the place of others: where they are is what
//! the reader knows of the text, how they look is taken from the surroundings. Then the
//! document is read again and must mean exactly what the edit says. So that whatever YAML
//! somebody writes, a fix is made as it was meant, or it is refused with a reason.

mod emit;
mod intent;
mod place;
mod repair;
mod splice;
mod write;

pub use repair::{Checked, Refused, Repair, repair};

use std::collections::BTreeMap;
use std::ops::Range;

use ringfence_model::parse::{Input, Limits, Sources, load};
use ringfence_model::source::{FileId, KeyPath, Origin};
use serde_json::Value;

use crate::finding::{Edit, Fix};
use intent::Intent;
use splice::Splice;

/// Bytes of a file, and the text to put in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// The file.
    pub file: FileId,
    /// The bytes; none where text is only added.
    pub bytes: Range<usize>,
    /// The text.
    pub text: String,
}

/// Why a fix is not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The text is not the bytes of the file.
    #[error("the file is not plain UTF-8 (it is UTF-16, or begins with a byte order mark)")]
    NotVerbatim,
    /// It is brought in by an alias or a merge key, or is not there at all.
    #[error("`{0}` is not written there: an alias, a merge key or a generator brings it in")]
    NotWrittenThere(KeyPath),
    /// It is written in a way that is not edited.
    #[error("`{0}` is written in a way that is not edited automatically")]
    Unusual(KeyPath),
    /// The place is not one word.
    #[error("what is there is not one word")]
    NotAWord,
    /// Nothing else would be left.
    #[error("it is all that the file has: delete the file, and what names it")]
    OnlyObject,
    /// JSON has no place for another object.
    #[error("a JSON text holds one object: put the new one into a file of its own")]
    OneObjectInJson,
    /// The result would not mean what it should.
    #[error("in this text it would change something else as well")]
    OtherMeaning,
    /// Two changes of the same bytes.
    #[error("its changes are of the same place")]
    Overlapping,
    /// It was made, and the finding was still there.
    #[error("with it the finding would still be there")]
    NoEffect,
}

/// What has to be written for a fix, by file and place.
///
/// # Errors
/// If it cannot be written so that its documents mean what it says and nothing else
/// changes.
pub fn plan(sources: &Sources, fix: &Fix) -> Result<Vec<Replacement>, Refusal> {
    let mut by_document: BTreeMap<(FileId, u32), Vec<&Edit>> = BTreeMap::new();
    for edit in &fix.edits {
        let root = edit.document(sources).ok_or(Refusal::NotAWord)?;
        let document = (root.file, root.document);
        by_document.entry(document).or_default().push(edit);
    }
    let mut planned = Vec::new();
    for ((file, document), edits) in by_document {
        if !sources.is_verbatim(file) {
            return Err(Refusal::NotVerbatim);
        }
        let splices = plan_document(sources, file, document, &edits)?;
        planned.extend(splices.into_iter().map(|splice| Replacement {
            file,
            bytes: splice.bytes,
            text: splice.text,
        }));
    }
    Ok(planned)
}

/// What has to be written in one document, which then means what the edits say.
fn plan_document(
    sources: &Sources,
    file: FileId,
    document: u32,
    edits: &[&Edit],
) -> Result<Vec<Splice>, Refusal> {
    let root = Origin {
        file,
        document,
        path: KeyPath::root(),
    };
    let unusual = || Refusal::Unusual(KeyPath::root());
    let bytes = sources.document(&root).ok_or_else(unusual)?;
    let meaning = sources.meaning(file, document).ok_or_else(unusual)?;
    let mut writer = write::Writer::new(sources, &root, bytes.clone(), &meaning);
    let mut intent = Intent::new(meaning.clone());
    for edit in edits {
        intent.add(edit);
        writer.edit(edit)?;
    }
    let splices = splice::merged(writer.into_splices()).ok_or(Refusal::Overlapping)?;
    let text = sources.text(file);
    let after = splice::apply(text, bytes, &splices).ok_or(Refusal::Overlapping)?;
    match intent.is_met(&meanings(sources.name(file), after)) {
        true => Ok(splices),
        false => Err(Refusal::OtherMeaning),
    }
}

/// What the documents of a text mean; `None` for one that cannot be read.
fn meanings(name: &str, text: String) -> Vec<Option<Value>> {
    let input = Input {
        name: name.to_owned(),
        bytes: text.into_bytes(),
    };
    let loaded = load(vec![input], &Limits::default());
    let file = FileId(0);
    (0..loaded.sources.documents(file))
        .map(|index| loaded.sources.meaning(file, u32::try_from(index).ok()?))
        .collect()
}

/// A text with replacements made in it, which must be those of one file; `None` if they
/// overlap or are not of this text.
#[must_use]
pub fn apply(text: &str, replacements: &[Replacement]) -> Option<String> {
    let splices = replacements.iter().map(|replacement| Splice {
        bytes: replacement.bytes.clone(),
        text: replacement.text.clone(),
    });
    let splices = splice::merged(splices.collect())?;
    splice::apply(text, 0..text.len(), &splices)
}
