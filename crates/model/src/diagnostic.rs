//! What is wrong with an input, where, and what to do about it.

use crate::object::ObjectRef;
use crate::source::Location;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Something worth knowing.
    Note,
    /// Read, but probably not what was meant.
    Warning,
    /// Not read.
    Error,
}

/// A span with a text of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// The span.
    pub location: Location,
    /// What to say at it; may be empty.
    pub label: String,
}

/// One thing that is wrong with an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A stable name in kebab case, such as `unknown-field`.
    pub code: &'static str,
    /// One sentence: what is wrong.
    pub message: String,
    /// The object concerned, as far as it could be told.
    pub object: Option<ObjectRef>,
    /// Where; `None` for an object that has no source.
    pub primary: Option<Annotation>,
    /// Other places that explain it.
    pub related: Vec<Annotation>,
    /// What to do, if there is something to say.
    pub help: Option<String>,
    /// What was left out of the snapshot because of it, in words
    /// (`this policy was left out`); `None` when nothing was.
    pub left_out: Option<String>,
}
