//! How a cluster stands to benchmarks and standards: `check --standard`.

mod human;
mod json;
mod markdown;
mod words;

#[cfg(test)]
pub(crate) use json::ComplianceReportOut;

use std::io;

use ringfence_advisor::standards::StandardResult;
use ringfence_engine::Profile;
use ringfence_model::diagnostic::Diagnostic;
use ringfence_model::parse::Sources;
use ringfence_model::snapshot::Snapshot;

use super::printer::unless_reader_left;
use super::why_open::Format;
use super::{Printer, structured};

/// Everything that is printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printed<'a> {
    pub(crate) results: &'a [StandardResult],
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) sources: &'a Sources,
    pub(crate) diagnostics: &'a [Diagnostic],
    pub(crate) profile: &'a Profile,
}

/// Prints the results.
pub(crate) fn print(
    printed: &Printed<'_>,
    format: Format,
    printer: &mut Printer,
) -> io::Result<()> {
    let (theme, width, quiet) = (printer.theme(), printer.width(), printer.is_quiet());
    let out = printer.out();
    unless_reader_left(match format {
        Format::Human => human::write(printed, theme, width, quiet, out),
        Format::Json => structured::json(out, &json::document(printed)),
        Format::Yaml => structured::yaml(out, &json::document(printed)),
        Format::Markdown => markdown::write(printed, out),
    })
}
