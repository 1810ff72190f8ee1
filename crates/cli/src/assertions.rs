//! Assertion files: what must be possible, and what must not.
//!
//! Here the file is read; [`check`] says which assertions hold.

pub(crate) mod check;
mod file;

use std::path::Path;

use ringfence_model::diagnostic::{Annotation, Diagnostic, Severity};
use ringfence_model::source::Location;

use crate::endpoint::{EndpointArg, PortWord};

/// What an assertion demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Demand {
    /// Every connection must be allowed.
    Permits,
    /// Every connection must be denied.
    Forbids,
}

impl Demand {
    /// The key in the file.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Permits => "permits",
            Self::Forbids => "forbids",
        }
    }
}

/// One assertion.
#[derive(Clone, Debug)]
pub(crate) struct Assertion {
    pub(crate) demand: Demand,
    /// Sources; never empty.
    pub(crate) from: Vec<End>,
    /// Destinations; never empty.
    pub(crate) to: Vec<End>,
    /// Empty: what the destination implies or declares for `permits`, all ports for
    /// `forbids`.
    pub(crate) ports: Vec<PortWord>,
    /// Why it is wanted.
    pub(crate) why: Option<String>,
    /// Whether a verdict that is not known is good enough.
    pub(crate) allow_unknown: bool,
    /// Where it is written.
    pub(crate) location: Location,
}

/// One end of an assertion, and where it is written.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) arg: EndpointArg,
    pub(crate) location: Location,
}

impl Assertion {
    /// `shop/cart, shop/web → metadata 80/TCP`.
    pub(crate) fn text(&self) -> String {
        let ends = |ends: &[End]| {
            let texts: Vec<&str> = ends.iter().map(|end| end.arg.text.as_str()).collect();
            texts.join(", ")
        };
        let ports: Vec<String> = self.ports.iter().map(ToString::to_string).collect();
        let ports = if ports.is_empty() {
            String::new()
        } else {
            format!(" {}", ports.join(", "))
        };
        format!("{} → {}{ports}", ends(&self.from), ends(&self.to))
    }
}

/// The assertions of a file, or what is wrong with it.
pub(crate) fn read(path: &Path, text: &str) -> Result<Vec<Assertion>, Vec<Diagnostic>> {
    let name = path.display().to_string();
    file::read(&name, text)
}

/// A problem of an assertion file.
pub(crate) fn problem(
    code: &'static str,
    message: String,
    location: Location,
    help: Option<String>,
) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        code,
        message,
        object: None,
        primary: Some(Annotation {
            location,
            label: String::new(),
        }),
        related: Vec::new(),
        help,
        replacement: None,
        left_out: None,
    }
}
