//! Why a pod is open: the walk of `check --why-open`.

mod human;
mod json;
mod markdown;
mod words;

#[cfg(test)]
pub(crate) use json::WhyOpenOut;

use std::io;

use ringfence_advisor::why_open::WhyOpen;
use ringfence_engine::Profile;
use ringfence_model::diagnostic::Diagnostic;
use ringfence_model::parse::Sources;
use ringfence_model::snapshot::Snapshot;

use super::printer::unless_reader_left;
use super::{Printer, structured};

/// The formats of the walk and of standards, among those of `check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Human,
    Json,
    Yaml,
    Markdown,
}

/// Everything that is printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printed<'a> {
    pub(crate) walk: &'a WhyOpen,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) sources: &'a Sources,
    pub(crate) diagnostics: &'a [Diagnostic],
    pub(crate) profile: &'a Profile,
}

/// Prints the walk.
pub(crate) fn print(
    printed: &Printed<'_>,
    format: Format,
    printer: &mut Printer,
) -> io::Result<()> {
    let (theme, width) = (printer.theme(), printer.width());
    let out = printer.out();
    unless_reader_left(match format {
        Format::Human => human::write(printed, theme, width, out),
        Format::Json => structured::json(out, &json::document(printed)),
        Format::Yaml => structured::yaml(out, &json::document(printed)),
        Format::Markdown => markdown::write(printed, out),
    })
}
