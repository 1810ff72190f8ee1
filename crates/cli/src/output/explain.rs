//! Why a connection is allowed or denied: the report of `explain`.

mod alike;
mod human;
mod json;
mod markdown;
pub(crate) mod words;

#[cfg(test)]
pub(crate) use json::ExplanationOut;
pub(crate) use json::{OutcomeOut, PolicyOut, document, outcome_out};

use std::io;

use clap::ValueEnum;
use ringfence_engine::Profile;
use ringfence_model::diagnostic::Diagnostic;
use ringfence_model::parse::Sources;
use ringfence_model::snapshot::Snapshot;

use super::{Printer, structured};
use crate::output::printer::unless_reader_left;
use crate::packets::Answer;

/// The formats of `explain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Human,
    Json,
    Yaml,
    Markdown,
}

/// Everything that is printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) sources: &'a Sources,
    pub(crate) profile: &'a Profile,
    pub(crate) diagnostics: &'a [Diagnostic],
    /// The ends as they were typed.
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) answer: &'a Answer,
}

/// Prints the report.
pub(crate) fn print(report: &Report<'_>, format: Format, printer: &mut Printer) -> io::Result<()> {
    let (theme, width) = (printer.theme(), printer.width());
    let out = printer.out();
    unless_reader_left(match format {
        Format::Human => human::write(report, theme, width, out),
        Format::Json => structured::json(out, &document(report)),
        Format::Yaml => structured::yaml(out, &document(report)),
        Format::Markdown => markdown::write(report, out),
    })
}

/// Prints one packet's two sides with source lines, as below an outcome. Used where
/// another report explains a connection.
pub(crate) use human::{write_missing, write_sides};
