//! One thing that is wrong, where it is written, and what to write instead.

use ringfence_engine::{Packet, Verdict};
use ringfence_model::diagnostic::Severity;
use ringfence_model::object::ObjectRef;
use ringfence_model::parse::Part;
use ringfence_model::snapshot::WorkloadId;
use ringfence_model::source::{KeyPath, Location, Origin};
use serde_json::Value;

use crate::rule::Rule;

/// Something that is wrong.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The rule that found it.
    pub rule: &'static Rule,
    /// How bad it is: the rule's severity, unless this case differs or configuration says
    /// otherwise.
    pub severity: Severity,
    /// One sentence: what is true. No full stop at the end.
    pub message: String,
    /// One sentence: what follows from it.
    pub consequence: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// The object that is at fault, or concerned where none is.
    pub object: ObjectRef,
    /// Where: the key or value at fault. `None` when the object is not written anywhere.
    pub primary: Option<Place>,
    /// Other places that explain it, such as the policy that undoes an exception.
    pub related: Vec<Place>,
    /// A packet that shows it.
    pub witness: Option<Witness>,
    /// The workloads that it is about, ascending; empty where it is about none.
    pub affected: Vec<WorkloadId>,
    /// What to write instead, where that can be told mechanically.
    pub fix: Option<Fix>,
}

/// A place in a manifest, resolved to a span late.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The object.
    pub at: At,
    /// What to say at it; may be empty.
    pub label: String,
}

/// How a place is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    /// By the way to it inside an object.
    Path {
        /// The object.
        origin: Origin,
        /// The way from the object to the key.
        path: KeyPath,
        /// Whether the key is meant, and not its value.
        key: bool,
    },
    /// It was resolved already, by the reader of the input.
    Location(Location),
}

impl Place {
    /// The value at `path` in the object that begins at `origin`.
    #[must_use]
    pub fn value(origin: &Origin, path: KeyPath, label: impl Into<String>) -> Self {
        Self::new(origin, path, false, label)
    }

    /// The key at `path` in the object that begins at `origin`.
    #[must_use]
    pub fn key(origin: &Origin, path: KeyPath, label: impl Into<String>) -> Self {
        Self::new(origin, path, true, label)
    }

    fn new(origin: &Origin, path: KeyPath, key: bool, label: impl Into<String>) -> Self {
        Self {
            at: At::Path {
                origin: origin.clone(),
                path,
                key,
            },
            label: label.into(),
        }
    }

    /// Where it is, if it is in these sources.
    #[must_use]
    pub fn locate(&self, sources: &ringfence_model::parse::Sources) -> Option<Location> {
        match &self.at {
            At::Path { origin, path, key } => {
                let part = if *key { Part::Key } else { Part::Value };
                sources.locate(origin, path, part)
            }
            At::Location(location) => Some(location.clone()),
        }
    }
}

/// A packet with the verdict that `explain` gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Witness {
    /// The packet.
    pub packet: Packet,
    /// Its verdict, as far as policies count.
    pub verdict: Verdict,
    /// Whether no policy that does not count could make it another one.
    pub is_certain: bool,
}

impl Witness {
    /// The verdict that `explain` gives.
    #[must_use]
    pub fn says(&self) -> Verdict {
        match self.is_certain {
            true => self.verdict,
            false => Verdict::Unknown,
        }
    }
}

/// How far a fix can be trusted to be what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Safety {
    /// It does what the manifest evidently means: `--fix` applies it.
    Safe,
    /// It is a good guess that somebody should look at: `--fix --unsafe-fixes` applies it.
    Unsafe,
}

/// What to write instead.
#[derive(Clone, Debug, PartialEq)]
pub struct Fix {
    /// What it does, in one line: `add Egress to policyTypes`.
    pub title: String,
    /// How far it can be trusted.
    pub safety: Safety,
    /// The changes, to be made together.
    pub edits: Vec<Edit>,
}

/// One change of a manifest. Paths are those of the object as it is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Gives the key or list item at `path` another value; adds the last key of the path
    /// if the mapping has none of that name.
    Set {
        /// The object.
        origin: Origin,
        /// The way to the value.
        path: KeyPath,
        /// The new value.
        value: Value,
    },
    /// Gives the key at `path` another name and leaves its value alone.
    Rename {
        /// The object.
        origin: Origin,
        /// The way to the key.
        path: KeyPath,
        /// The new name.
        name: String,
    },
    /// Adds an item at the end of the list at `path`.
    Append {
        /// The object.
        origin: Origin,
        /// The way to the list.
        path: KeyPath,
        /// The new item.
        value: Value,
    },
    /// Removes the key or list item at `path`.
    Remove {
        /// The object.
        origin: Origin,
        /// The way to it.
        path: KeyPath,
    },
    /// Writes another word where one is misspelt, be it a key or a value.
    Respell {
        /// Where the word is.
        location: Location,
        /// The right one.
        word: String,
    },
    /// Removes the whole object.
    RemoveObject {
        /// The object.
        origin: Origin,
    },
    /// Adds an object as a document of its own behind the one that `beside` is in, or at
    /// the end of the list that `beside` is in.
    AddObject {
        /// An object of the file it is added to.
        beside: Origin,
        /// The object.
        manifest: Value,
    },
}

impl Edit {
    /// The root of the document that it is made in; `None` if that is not in these
    /// sources.
    #[must_use]
    pub fn document(&self, sources: &ringfence_model::parse::Sources) -> Option<Origin> {
        let (file, document) = match self {
            Self::Set { origin, .. }
            | Self::Rename { origin, .. }
            | Self::Append { origin, .. }
            | Self::Remove { origin, .. }
            | Self::RemoveObject { origin }
            | Self::AddObject { beside: origin, .. } => (origin.file, origin.document),
            Self::Respell { location, .. } => {
                let file = sources.file_named(&location.file)?;
                let document = sources.document_at(file, location.span.start.offset)?;
                (file, document)
            }
        };
        Some(Origin {
            file,
            document,
            path: KeyPath::root(),
        })
    }
}

/// A question that manifests cannot answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotVerified {
    /// The code of the rule that would find it.
    pub code: crate::rule::Code,
    /// What is not known.
    pub what: String,
    /// Why, with the evidence there is.
    pub why: String,
    /// How to find out.
    pub how: String,
}
