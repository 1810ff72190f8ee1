//! What is wrong: the report of `check`.

mod human;
mod json;
mod words;

#[cfg(test)]
pub(crate) use json::CheckReportOut;

use std::io;

use clap::ValueEnum;
use ringfence_advisor::{Report, rules};
use ringfence_engine::Profile;
use ringfence_model::diagnostic::Diagnostic;
use ringfence_model::parse::Sources;
use ringfence_model::snapshot::Snapshot;

use super::{Printer, structured};

/// The formats of `check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Source lines with what is wrong underlined
    Human,
    Json,
    Yaml,
}

/// Everything that is printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printed<'a> {
    pub(crate) report: &'a Report,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) sources: &'a Sources,
    pub(crate) diagnostics: &'a [Diagnostic],
    pub(crate) profile: &'a Profile,
    /// Whether name servers were assumed.
    pub(crate) assumed_dns: bool,
    /// Whether suppressed findings are shown to a person; other formats have them anyway.
    pub(crate) show_suppressed: bool,
}

/// Prints every rule in one line.
pub(crate) fn print_rules(printer: &mut Printer) -> io::Result<()> {
    let strong = printer.theme().strong;
    let mut section = None;
    for rule in rules::ALL {
        if section != Some(rule.code.section()) {
            let gap = if section.is_some() { "\n" } else { "" };
            section = Some(rule.code.section());
            let title = rule.code.section().title();
            writeln!(printer.out(), "{gap}{strong}{title}{strong:#}")?;
        }
        let severity = words::severity(rule.severity);
        let (code, name, summary) = (rule.code, rule.name, rule.summary);
        writeln!(printer.out(), "{code}  {severity:7}  {name}: {summary}")?;
    }
    Ok(())
}

/// Prints the report.
pub(crate) fn print(
    printed: &Printed<'_>,
    format: Format,
    printer: &mut Printer,
) -> io::Result<()> {
    let (theme, width) = (printer.theme(), printer.width());
    match format {
        Format::Human => human::write(printed, theme, width, printer.out()),
        Format::Json => structured::json(printer.out(), &json::document(printed)),
        Format::Yaml => structured::yaml(printer.out(), &json::document(printed)),
    }
}
