//! What a change opens and closes: the report of `diff`.

mod causes;
mod github;
mod groups;
mod human;
mod json;
mod markdown;

#[cfg(test)]
pub(crate) use json::DiffOut;

use std::io;

use clap::ValueEnum;
use ringfence_engine::Engine;
use ringfence_engine::diff::Diff;

use super::{Printer, incomplete, structured};
use crate::cluster::Cluster;
use crate::output::printer::unless_reader_left;
use ringfence_model::diagnostic::Diagnostic;

/// The formats of `diff`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Human,
    Json,
    Yaml,
    Markdown,
    /// Annotations of GitHub Actions
    Github,
}

/// Everything that is printed.
#[derive(Clone, Copy)]
pub(crate) struct Report<'a> {
    pub(crate) old: (&'a Cluster, &'a Engine),
    pub(crate) new: (&'a Cluster, &'a Engine),
    pub(crate) diff: &'a Diff,
}

impl Report<'_> {
    /// What was wrong with the input before and after the change.
    fn diagnostics(&self) -> Vec<Diagnostic> {
        let mut all = self.old.0.diagnostics.clone();
        for diagnostic in &self.new.0.diagnostics {
            if !all.contains(diagnostic) {
                all.push(diagnostic.clone());
            }
        }
        all
    }
}

/// Prints the report.
pub(crate) fn print(report: &Report<'_>, format: Format, printer: &mut Printer) -> io::Result<()> {
    let (theme, width) = (printer.theme(), printer.width());
    let out = printer.out();
    unless_reader_left(match format {
        Format::Human => human::write(report, theme, width, out)
            .and_then(|()| incomplete::human(&report.diagnostics(), theme, out)),
        Format::Json => structured::json(out, &json::document(report)),
        Format::Yaml => structured::yaml(out, &json::document(report)),
        Format::Markdown => markdown::write(report, out),
        Format::Github => github::write(report, out),
    })
}
