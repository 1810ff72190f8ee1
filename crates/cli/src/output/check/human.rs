//! Findings for a person: source lines as rustc shows them, the posture of each
//! namespace, and a last line with counts.

use std::io::{self, Write};

use annotate_snippets::{Group, Level};
use ringfence_advisor::Finding;
use ringfence_advisor::finding::Place;
use ringfence_model::diagnostic::Severity;
use ringfence_model::source::Location;

use super::{Printed, words};
use crate::output::layout::count;
use crate::output::snippet::{Marked, render, with_snippets};
use crate::output::{Theme, incomplete};

/// Writes everything.
pub(super) fn write(
    printed: &Printed<'_>,
    theme: Theme,
    width: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    for finding in &printed.report.findings {
        writeln!(
            out,
            "{}\n",
            rendered(printed, finding, theme.colored, width)
        )?;
    }
    if printed.show_suppressed {
        for suppressed in &printed.report.suppressed {
            let shown = rendered(printed, &suppressed.finding, theme.colored, width);
            let (reason, by) = (&suppressed.reason, &suppressed.by);
            let dim = theme.dim;
            writeln!(out, "{shown}\n{dim}suppressed by {by}: {reason}{dim:#}\n")?;
        }
    }
    write_posture(printed, theme, out)?;
    write_not_verified(printed, theme, out)?;
    incomplete::human(printed.diagnostics, theme, out)?;
    write_counts(printed, theme, out)
}

/// One finding with its source lines.
fn rendered(printed: &Printed<'_>, finding: &Finding, colored: bool, width: usize) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let code = finding.rule.code.to_string();
    let url = words::page(finding.rule.code);
    let title = level
        .primary_title(finding.message.as_str())
        .id(code.as_str());
    let located: Vec<(Location, &Place, bool)> = finding
        .primary
        .iter()
        .map(|place| (place, true))
        .chain(finding.related.iter().map(|place| (place, false)))
        .filter_map(|(place, primary)| Some((place.locate(printed.sources)?, place, primary)))
        .collect();
    let marks: Vec<Marked<'_>> = located
        .iter()
        .filter_map(|(location, place, primary)| {
            Some(Marked {
                location,
                text: printed.sources.text_of(&location.file)?,
                label: &place.label,
                primary: *primary,
            })
        })
        .collect();
    let mut group = with_snippets(Group::with_title(title), &marks);
    let object = finding.object.to_string();
    if marks.is_empty() {
        group = group.element(Level::NOTE.message(format!("in {object}")));
    }
    if let Some(consequence) = &finding.consequence {
        group = group.element(Level::NOTE.message(consequence.as_str()));
    }
    if let Some(witness) = &finding.witness {
        let (from, to) = words::explain_arguments(printed.snapshot, witness);
        let text = format!("{}: see `ringfence explain {from} {to}`", witness.verdict);
        group = group.element(Level::NOTE.message(text));
    }
    if let Some(help) = &finding.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    if let Some(fix) = &finding.fix {
        group = group.element(Level::HELP.message(format!("`--fix` can {}", fix.title)));
    }
    group = group.element(Level::NOTE.message(url));
    render(&[group], colored, width)
}

fn write_posture(printed: &Printed<'_>, theme: Theme, out: &mut dyn Write) -> io::Result<()> {
    let posture = &printed.report.posture;
    if posture.is_empty() {
        return Ok(());
    }
    let header = [
        "NAMESPACE",
        "PODS",
        "EGRESS ISOLATED",
        "INGRESS ISOLATED",
        "DNS",
        "METADATA",
        "INTERNET",
    ];
    let rows: Vec<[String; 7]> = posture
        .iter()
        .map(|p| {
            let of = |isolated: usize| match (isolated, p.host_network) {
                (n, 0) => format!("{n}/{}", p.pods),
                (n, host) => format!("{n}/{} ({host} hostNetwork)", p.pods),
            };
            [
                p.namespace.to_string(),
                p.pods.to_string(),
                of(p.egress_isolated),
                format!("{}/{}", p.ingress_isolated, p.pods),
                p.dns.as_str().to_owned(),
                p.metadata.as_str().to_owned(),
                p.internet.as_str().to_owned(),
            ]
        })
        .collect();
    let mut widths = header.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let strong = theme.strong;
    let line = |cells: &[String; 7]| {
        let cells = cells.iter().zip(widths);
        let text: String = cells
            .map(|(cell, width)| format!("{cell:width$}  "))
            .collect();
        text.trim_end().to_owned()
    };
    writeln!(
        out,
        "{strong}{}{strong:#}",
        line(&header.map(str::to_owned))
    )?;
    for row in &rows {
        writeln!(out, "{}", line(row))?;
    }
    writeln!(out)
}

fn write_not_verified(printed: &Printed<'_>, theme: Theme, out: &mut dyn Write) -> io::Result<()> {
    let questions = &printed.report.not_verified;
    let style = theme.unknown;
    for question in questions {
        let (what, why, how) = (&question.what, &question.why, &question.how);
        let code = question.code;
        writeln!(
            out,
            "{style}not verified[{code}]{style:#}: {what}: {why}; {how}"
        )?;
    }
    if !questions.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}

fn write_counts(printed: &Printed<'_>, theme: Theme, out: &mut dyn Write) -> io::Result<()> {
    let report = printed.report;
    let mut parts = Vec::new();
    for (severity, style, one, many) in [
        (Severity::Error, theme.denied, "error", "errors"),
        (Severity::Warning, theme.warning, "warning", "warnings"),
        (Severity::Note, theme.strong, "note", "notes"),
    ] {
        let number = report.count(severity);
        if number > 0 {
            parts.push(format!("{style}{}{style:#}", count(number, one, many)));
        }
    }
    if parts.is_empty() {
        let style = theme.allowed;
        parts.push(format!("{style}no findings{style:#}"));
    }
    if !report.suppressed.is_empty() {
        parts.push(format!("{} suppressed", report.suppressed.len()));
    }
    if !report.not_verified.is_empty() {
        parts.push(format!("{} not verified", report.not_verified.len()));
    }
    let assumed = match printed.assumed_dns {
        true => "; the input has no name servers: CoreDNS in kube-system is assumed",
        false => "",
    };
    let profile = printed.profile.name;
    writeln!(out, "{} (profile {profile}{assumed})", parts.join(", "))
}
