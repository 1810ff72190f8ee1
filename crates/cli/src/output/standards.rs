//! How a cluster stands to benchmarks and standards: `check --standard`.

mod human;
mod json;
mod markdown;
mod words;

#[cfg(test)]
pub(crate) use json::ComplianceReportOut;

use std::io::{self, Write};

use ringfence_advisor::standards::StandardResult;
use ringfence_engine::Profile;
use ringfence_model::diagnostic::Diagnostic;
use ringfence_model::parse::Sources;
use ringfence_model::snapshot::Snapshot;
use serde::Serialize;

use super::formats::{InFormats, Reader};

/// Everything that is printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printed<'a> {
    pub(crate) results: &'a [StandardResult],
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) sources: &'a Sources,
    pub(crate) diagnostics: &'a [Diagnostic],
    pub(crate) profile: &'a Profile,
}

impl InFormats for Printed<'_> {
    fn human(&self, reader: Reader, out: &mut dyn Write) -> io::Result<()> {
        human::write(self, reader.theme, reader.width, reader.quiet, out)
    }

    fn document(&self) -> impl Serialize {
        json::document(self)
    }

    fn markdown(&self, out: &mut dyn Write) -> io::Result<()> {
        markdown::write(self, out)
    }
}
