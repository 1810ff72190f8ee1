//! What is wrong: the report of `check`.

mod escape;
mod github;
mod html;
mod human;
mod json;
mod junit;
mod markdown;
mod patch;
mod sarif;
mod words;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use json::CheckReportOut;
pub(crate) use json::FullObjectOut;

use std::io;

use clap::ValueEnum;
use ringfence_advisor::{Options, Report, rules};
use ringfence_engine::Profile;
use ringfence_model::diagnostic::{Diagnostic, Severity};
use ringfence_model::parse::Sources;
use ringfence_model::snapshot::Snapshot;

use super::{Printer, Theme, structured};

/// The formats of `check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Source lines with what is wrong underlined
    Human,
    Json,
    Yaml,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// JUnit XML, for CI systems that show test results
    Junit,
    /// Annotations of GitHub Actions
    Github,
    /// For a comment on a pull request
    Markdown,
    /// One page with everything, the picture included
    Html,
}

/// Everything that is printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printed<'a> {
    pub(crate) report: &'a Report,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) sources: &'a Sources,
    /// The options that say what was read, for a command that asks about the same; with a
    /// space before each.
    pub(crate) input: &'a str,
    pub(crate) diagnostics: &'a [Diagnostic],
    pub(crate) profile: &'a Profile,
    /// Whether name servers were assumed.
    pub(crate) assumed_dns: bool,
    /// Whether suppressed findings are shown to a person; other formats have them anyway.
    pub(crate) show_suppressed: bool,
    /// Which rules looked.
    pub(crate) options: &'a Options,
    /// How bad a finding must be to fail the run.
    pub(crate) fail_on: Option<Severity>,
    /// Who can reach whom, as SVG; for the format that shows it.
    pub(crate) picture: Option<&'a str>,
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
    let (theme, width, quiet) = (printer.theme(), printer.width(), printer.is_quiet());
    write(printed, format, theme, width, quiet, printer.out())
}

/// Prints the report on stderr, for a person: stdout has something else.
pub(crate) fn print_aside(printed: &Printed<'_>, printer: &mut Printer) -> io::Result<()> {
    let mut text = Vec::new();
    let (theme, width) = (printer.err_theme(), printer.width());
    human::write(printed, theme, width, printer.is_quiet(), &mut text)?;
    printer.err_line(String::from_utf8_lossy(&text).trim_end());
    Ok(())
}

fn write(
    printed: &Printed<'_>,
    format: Format,
    theme: Theme,
    width: usize,
    quiet: bool,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    match format {
        Format::Human => human::write(printed, theme, width, quiet, out),
        Format::Json => structured::json(out, &json::document(printed)),
        Format::Yaml => structured::yaml(out, &json::document(printed)),
        Format::Sarif => structured::json(out, &sarif::log(printed)),
        Format::Junit => junit::write(printed, out),
        Format::Github => github::write(printed, out),
        Format::Markdown => markdown::write(printed, out),
        Format::Html => html::write(printed, out),
    }
}
