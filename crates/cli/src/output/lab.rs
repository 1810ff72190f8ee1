//! What packets did, beside what policies say: the report of `lab run`.

mod alike;
mod explaining;
mod human;
mod json;
mod junit;
mod matrix;

pub(crate) use explaining::Explaining;
#[cfg(test)]
pub(crate) use json::LabReportOut;

use std::io;

use clap::ValueEnum;
use ringfence_engine::{Profile, Verdict};
use ringfence_lab::run::{self, Agreement, Row};
use ringfence_lab::session::Policies;
use ringfence_model::diagnostic::Diagnostic;
use ringfence_model::protocol::Protocol;

use super::{Printer, structured};
use crate::output::printer::unless_reader_left;

/// The formats of `lab run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Human,
    Json,
    Yaml,
    Junit,
}

/// Everything that is printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report<'a> {
    pub(crate) profile: &'a Profile,
    pub(crate) policies: Policies,
    pub(crate) diagnostics: &'a [Diagnostic],
    pub(crate) result: &'a run::Report,
    /// Whether ports and verdicts are written out, a line for connections that are alike.
    pub(crate) all: bool,
    /// What says why something is predicted.
    pub(crate) explaining: &'a Explaining,
}

/// Prints the report.
pub(crate) fn print(report: &Report<'_>, format: Format, printer: &mut Printer) -> io::Result<()> {
    let theme = printer.theme();
    let out = printer.out();
    unless_reader_left(match format {
        Format::Human => human::write(report, theme, out),
        Format::Json => structured::json(out, &json::document(report)),
        Format::Yaml => structured::yaml(out, &json::document(report)),
        Format::Junit => junit::write(report, out),
    })
}

/// What the policies say, in the words of the table.
fn predicted(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed => "allowed",
        Verdict::Denied => "denied",
        Verdict::Unknown => "unknown",
    }
}

/// A port as it is written: `80/TCP`, `ICMP`.
fn port(row: &Row) -> String {
    let probe = &row.question.probe;
    match probe.protocol {
        Protocol::Icmp => "ICMP".to_owned(),
        protocol => format!("{}/{protocol}", probe.port),
    }
}

/// How the packets did, in a word. In audit mode what is denied passes, and is told.
fn agreement(policies: Policies, row: &Row) -> &'static str {
    match row.agreement() {
        Agreement::Same => "same",
        Agreement::Differ if would_be_denied(policies, row) => "would be denied",
        Agreement::Differ => "differs",
        Agreement::NotPredicted => "not predicted",
        Agreement::NotObserved => "not observed",
    }
}

fn would_be_denied(policies: Policies, row: &Row) -> bool {
    policies == Policies::Audited
        && row.predicted == Verdict::Denied
        && row.observation.observed.passed() == Some(true)
}
