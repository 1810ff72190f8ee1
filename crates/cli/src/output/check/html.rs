//! One page with everything, for people who do not sit at the terminal. It asks nobody
//! for anything: styles and the picture are inside, and there is no script.

mod source;

use std::io::{self, Write};

use ringfence_advisor::{Finding, Place};
use ringfence_model::diagnostic::Severity;

use super::words::Tone;
use super::{Printed, escape, words};
use crate::diagnostics::left_out;
use crate::output::{Names, uri};

const STYLE: &str = include_str!("html/page.css");

/// Findings from which on the page has a table of them.
const WORTH_AN_INDEX: usize = 4;
/// Workloads that are listed with a finding.
const MOST_AFFECTED: usize = 40;

pub(super) fn write(printed: &Printed<'_>, out: &mut dyn Write) -> io::Result<()> {
    let counts = escape::text(&words::counts(printed.report));
    writeln!(
        out,
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="color-scheme" content="light dark" />
<meta name="referrer" content="no-referrer" />
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:" />
<title>Ringfence: {counts}</title>
<style>
{STYLE}</style>
</head>
<body>"#
    )?;
    write_header(printed, out)?;
    writeln!(out, "<main>")?;
    write_posture(printed, out)?;
    write_findings(printed, out)?;
    write_picture(printed, out)?;
    write_not_verified(printed, out)?;
    write_suppressed(printed, out)?;
    writeln!(
        out,
        "</main>\n<footer>Written by <code>ringfence check -o html</code> {}, {}. A template counts \
         as one pod, whatever its replicas.</footer>\n</body>\n</html>",
        env!("CARGO_PKG_VERSION"),
        escape::text(&words::assumptions(printed)),
    )
}

fn write_header(printed: &Printed<'_>, out: &mut dyn Write) -> io::Result<()> {
    let report = printed.report;
    let title = match report.worst() {
        None => "Nothing was found",
        Some(Severity::Note) => "Nothing is broken",
        Some(Severity::Warning) => "There is something to look at",
        Some(Severity::Error) => "There is something to mend",
    };
    writeln!(
        out,
        r#"<header><p class="brand">Ringfence check</p><h1>{title}</h1><ul class="counts">"#
    )?;
    for (severity, one, many) in [
        (Severity::Error, "error", "errors"),
        (Severity::Warning, "warning", "warnings"),
        (Severity::Note, "note", "notes"),
    ] {
        let number = report.count(severity);
        let word = if number == 1 { one } else { many };
        let class = if number == 0 { "none" } else { one };
        writeln!(out, r#"<li class="{class}"><b>{number}</b>{word}</li>"#)?;
    }
    for (number, class, word) in [
        (report.not_verified.len(), "unknown", "not verified"),
        (report.suppressed.len(), "none", "suppressed"),
    ] {
        if number > 0 {
            writeln!(out, r#"<li class="{class}"><b>{number}</b>{word}</li>"#)?;
        }
    }
    let assumptions = escape::text(&words::assumptions(printed));
    writeln!(out, r#"</ul><p class="dim">{assumptions}</p>"#)?;
    if let Some(summary) = left_out(printed.diagnostics) {
        let summary = escape::text(&summary);
        writeln!(
            out,
            r#"<p class="incomplete"><b>Incomplete:</b> {summary}</p>"#
        )?;
    }
    writeln!(out, "</header>")
}

fn write_posture(printed: &Printed<'_>, out: &mut dyn Write) -> io::Result<()> {
    let posture = &printed.report.posture;
    if posture.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        r#"<section class="posture" id="posture"><h2>Namespaces</h2><div class="card"><table><thead><tr>"#
    )?;
    for name in words::POSTURE {
        write!(out, r#"<th scope="col">{name}</th>"#)?;
    }
    writeln!(out, "</tr></thead><tbody>")?;
    for namespace in posture {
        write!(out, "<tr>")?;
        let cells = words::posture(namespace);
        for (position, (cell, name)) in cells.iter().zip(words::POSTURE).enumerate() {
            let text = escape::text(&cell.text);
            let aside = match cell.aside.as_str() {
                "" => String::new(),
                aside => format!(r#" <span class="dim">{}</span>"#, escape::text(aside)),
            };
            let class = match cell.tone {
                Tone::Good => "good",
                Tone::Doubtful => "doubtful",
                Tone::Bad => "bad",
                Tone::Unknown => "unknown",
                Tone::Plain => "",
            };
            if position == 0 {
                write!(out, r#"<th scope="row">{text}</th>"#)?;
            } else if class.is_empty() {
                write!(out, r#"<td data-name="{name}">{text}</td>"#)?;
            } else {
                write!(
                    out,
                    r#"<td data-name="{name}"><span class="pill {class}">{text}</span>{aside}</td>"#
                )?;
            }
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody></table></div></section>")
}

fn write_findings(printed: &Printed<'_>, out: &mut dyn Write) -> io::Result<()> {
    let findings = &printed.report.findings;
    if findings.is_empty() {
        return Ok(());
    }
    writeln!(out, r#"<section id="findings"><h2>Findings</h2>"#)?;
    if findings.len() >= WORTH_AN_INDEX {
        write_index(printed, out)?;
    }
    let names = Names::new(printed.snapshot);
    for (position, finding) in findings.iter().enumerate() {
        let id = format!("finding-{}", position + 1);
        write_finding(printed, &names, finding, Some(&id), out)?;
    }
    writeln!(out, "</section>")
}

/// A table of all findings, with links into the page.
fn write_index(printed: &Printed<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        r#"<div class="card index"><table><thead><tr><th scope="col">severity</th><th scope="col">rule</th><th scope="col">finding</th><th scope="col">where</th></tr></thead><tbody>"#
    )?;
    for (position, finding) in printed.report.findings.iter().enumerate() {
        let severity = words::severity(finding.severity);
        let place = match words::location(printed, finding) {
            Some(location) => format!("{}:{}", location.file, location.span.start.line),
            None => finding.object.to_string(),
        };
        writeln!(
            out,
            r##"<tr><td><span class="pill {severity}">{severity}</span></td><td>{}</td><td><a href="#finding-{}">{}</a></td><td>{}</td></tr>"##,
            finding.rule.code,
            position + 1,
            escape::sentence(&finding.message),
            escape::text(&place),
        )?;
    }
    writeln!(out, "</tbody></table></div>")
}

fn write_finding(
    printed: &Printed<'_>,
    names: &Names<'_>,
    finding: &Finding,
    id: Option<&str>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let severity = words::severity(finding.severity);
    let rule = finding.rule;
    let id = id.map_or_else(String::new, |id| format!(r#" id="{id}""#));
    let state = if id.is_empty() { " suppressed" } else { "" };
    writeln!(
        out,
        r#"<article class="card finding {severity}{state}"{id}><div class="lead"><p class="about"><span class="pill {severity}">{severity}</span><a href="{}">{} {}</a><span>{}</span></p><h3>{}</h3>"#,
        words::page(rule.code),
        rule.code,
        rule.name,
        escape::text(&finding.object.to_string()),
        escape::sentence(&finding.message),
    )?;
    if let Some(place) = &finding.primary {
        write_place(printed, place, true, out)?;
    }
    writeln!(out, "</div>")?;
    for place in &finding.related {
        write_place(printed, place, false, out)?;
    }
    write_facts(printed, names, finding, out)?;
    writeln!(out, "</article>")
}

fn write_place(
    printed: &Printed<'_>,
    place: &Place,
    primary: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Some(location) = place.locate(printed.sources) else {
        return Ok(());
    };
    match printed.sources.text_of(&location.file) {
        Some(file) => source::write(&location, file, &place.label, primary, out),
        None => Ok(()),
    }
}

fn write_facts(
    printed: &Printed<'_>,
    names: &Names<'_>,
    finding: &Finding,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut facts: Vec<(&str, String)> = Vec::new();
    let mut add = |name, text: &Option<String>| {
        facts.extend(text.as_ref().map(|text| (name, escape::sentence(text))));
    };
    add("so", &finding.consequence);
    add("help", &finding.help);
    add("fix", &finding.fix.as_ref().map(|fix| fix.title.clone()));
    add("shown by", &words::witness(printed, finding));
    if finding.affected.len() > 1 {
        let shown = finding.affected.iter().take(MOST_AFFECTED);
        let mut listed: Vec<String> = shown.map(|id| escape::text(&names.workload(*id))).collect();
        let more = finding.affected.len().saturating_sub(MOST_AFFECTED);
        if more > 0 {
            listed.push(format!("and {more} more"));
        }
        facts.push(("workloads", listed.join(", ")));
    }
    if facts.is_empty() {
        return Ok(());
    }
    writeln!(out, r#"<dl class="facts">"#)?;
    for (name, text) in facts {
        writeln!(out, "<dt>{name}</dt><dd>{text}</dd>")?;
    }
    writeln!(out, "</dl>")
}

/// The picture is an image of its own, so that its styles and names stay inside it.
fn write_picture(printed: &Printed<'_>, out: &mut dyn Write) -> io::Result<()> {
    let Some(picture) = printed.picture else {
        return Ok(());
    };
    writeln!(
        out,
        r#"<section id="picture"><h2>Who can reach whom</h2><div class="card picture"><img alt="Graph of the connections that policies allow; ringfence reach lists them" src="{}" /></div></section>"#,
        uri::data("image/svg+xml", picture),
    )
}

fn write_not_verified(printed: &Printed<'_>, out: &mut dyn Write) -> io::Result<()> {
    let questions = &printed.report.not_verified;
    if questions.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        r#"<section id="not-verified"><h2>Not verified</h2><ul class="card plain">"#
    )?;
    for question in questions {
        writeln!(
            out,
            r#"<li><span class="pill unknown">{}</span> <b>{}</b><br /><span class="dim">{}; {}</span></li>"#,
            question.code,
            escape::sentence(&question.what),
            escape::sentence(&question.why),
            escape::sentence(&question.how),
        )?;
    }
    writeln!(out, "</ul></section>")
}

fn write_suppressed(printed: &Printed<'_>, out: &mut dyn Write) -> io::Result<()> {
    let suppressed = &printed.report.suppressed;
    if suppressed.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        r#"<section id="suppressed"><h2>Suppressed</h2><details><summary>Findings that somebody has decided to live with: {}</summary>"#,
        suppressed.len()
    )?;
    let names = Names::new(printed.snapshot);
    for suppressed in suppressed {
        writeln!(
            out,
            r#"<p class="dim">{} ({})</p>"#,
            escape::text(&suppressed.reason),
            escape::text(&suppressed.by),
        )?;
        write_finding(printed, &names, &suppressed.finding, None, out)?;
    }
    writeln!(out, "</details></section>")
}
