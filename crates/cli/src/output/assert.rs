//! Which assertions hold: the report of `assert`.

mod github;
mod human;
mod json;
mod junit;
mod markdown;

#[cfg(test)]
pub(crate) use json::AssertReportOut;

use std::io;

use clap::ValueEnum;
use ringfence_engine::Profile;
use ringfence_model::diagnostic::Diagnostic;
use ringfence_model::parse::Sources;
use ringfence_model::snapshot::Snapshot;

use super::explain::words::{Speaker, verdict};
use super::{Printer, structured};
use crate::assertions::check::{Checked, Finding};
use crate::output::printer::unless_reader_left;
use crate::packets::Outcome;
use crate::unread::remark;

/// The formats of `assert`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Human,
    Json,
    Yaml,
    Junit,
    /// Annotations of GitHub Actions
    Github,
    Markdown,
}

/// Everything that is printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report<'a> {
    /// The file of the assertions.
    pub(crate) file: &'a str,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) sources: &'a Sources,
    pub(crate) profile: &'a Profile,
    pub(crate) diagnostics: &'a [Diagnostic],
    pub(crate) checked: &'a [Checked<'a>],
}

impl Report<'_> {
    fn failed(&self) -> usize {
        self.checked.iter().filter(|c| !c.finding.holds()).count()
    }
}

/// Prints the report.
pub(crate) fn print(report: &Report<'_>, format: Format, printer: &mut Printer) -> io::Result<()> {
    let (theme, width) = (printer.theme(), printer.width());
    let out = printer.out();
    unless_reader_left(match format {
        Format::Human => human::write(report, theme, width, out),
        Format::Json => structured::json(out, &json::document(report)),
        Format::Yaml => structured::yaml(out, &json::document(report)),
        Format::Junit => junit::write(report, out),
        Format::Github => github::write(report, out),
        Format::Markdown => markdown::write(report, out),
    })
}

/// The summary when none of `total` assertions fails.
fn all_hold(total: usize) -> String {
    match total {
        1 => "the assertion holds".to_owned(),
        total => format!("all {total} assertions hold"),
    }
}

/// Why an assertion fails, in a sentence; `None` when it holds.
fn message(speaker: &Speaker<'_>, checked: &Checked<'_>) -> Option<String> {
    match &checked.finding {
        Finding::Holds => None,
        Finding::FailsBecause(reason) => Some(reason.clone()),
        Finding::Fails(outcomes) => {
            let first = outcomes.first()?;
            let more = match outcomes.len() - 1 {
                0 => String::new(),
                1 => " (and 1 connection more)".to_owned(),
                more => format!(" (and {more} connections more)"),
            };
            let why = remark(first).map_or_else(String::new, |remark| format!(": {remark}"));
            Some(format!(
                "{} is {}{more}{why}",
                speaker.connection(first),
                verdict(first.verdict)
            ))
        }
    }
}

/// The connections that are not as demanded.
fn violations<'a>(checked: &'a Checked<'_>) -> &'a [Outcome] {
    match &checked.finding {
        Finding::Fails(outcomes) => outcomes,
        Finding::Holds | Finding::FailsBecause(_) => &[],
    }
}

/// The connection that shows that an assertion fails.
fn counterexample<'a>(checked: &'a Checked<'_>) -> Option<&'a Outcome> {
    violations(checked).first()
}
