//! For a comment on a pull request: counts, a table, and the details folded away.

use std::io::{self, Write};

use ringfence_advisor::Finding;
use ringfence_model::diagnostic::Severity;
use ringfence_model::source::Location;

use super::words::Tone;
use super::{Printed, escape, human, words};
use crate::output::markdown::{cell, code, sentence};
use crate::output::{incomplete, uri};

/// A comment on GitHub has at most 65 536 characters: of more findings than this, the
/// table has the first ones and says how many there are besides.
const MOST_ROWS: usize = 100;
/// The same for details.
const MOST_DETAILED: usize = 20;
/// Lines of source are cut to this.
const WIDTH: usize = 100;

pub(super) fn write(printed: &Printed<'_>, out: &mut dyn Write) -> io::Result<()> {
    let report = printed.report;
    writeln!(out, "## Ringfence: {}\n", words::counts(report))?;
    incomplete::markdown(printed.diagnostics, out)?;
    write_findings(printed, out)?;
    write_posture(printed, out)?;
    write_details(printed, out)?;
    write_not_verified(printed, out)?;
    write_suppressed(printed, out)?;
    let assumptions = cell(&words::assumptions(printed));
    writeln!(out, "<sub>ringfence check, {assumptions}</sub>")
}

fn write_findings(printed: &Printed<'_>, out: &mut dyn Write) -> io::Result<()> {
    let findings = &printed.report.findings;
    if findings.is_empty() {
        return Ok(());
    }
    writeln!(out, "| | rule | finding | where |\n|---|---|---|---|")?;
    for finding in findings.iter().take(MOST_ROWS) {
        let sign = match finding.severity {
            Severity::Error => "❌ error",
            Severity::Warning => "⚠️ warning",
            Severity::Note => "ℹ️ note",
        };
        writeln!(
            out,
            "| {sign} | [{}]({}) {} | {} | {} |",
            finding.rule.code,
            words::page(finding.rule.code),
            finding.rule.name,
            sentence(&finding.message),
            place(words::location(printed, finding), finding),
        )?;
    }
    writeln!(out)?;
    let more = findings.len().saturating_sub(MOST_ROWS);
    if more > 0 {
        writeln!(out, "... and {more} more; `-o json` lists all.\n")?;
    }
    Ok(())
}

/// A link to the line, or the object where none is written.
fn place(location: Option<Location>, finding: &Finding) -> String {
    let Some(Location { file, span }) = location else {
        return cell(&finding.object.to_string());
    };
    let line = span.start.line;
    let text = code(&format!("{file}:{line}"));
    // What came through a pipe has no page to link to.
    if file.starts_with('<') {
        return text;
    }
    format!("[{text}]({}#L{line})", uri::path(&file))
}

fn write_posture(printed: &Printed<'_>, out: &mut dyn Write) -> io::Result<()> {
    let posture = &printed.report.posture;
    if posture.is_empty() {
        return Ok(());
    }
    writeln!(out, "| {} |", words::POSTURE.join(" | "))?;
    writeln!(out, "|---|--:|---|---|---|---|---|")?;
    for namespace in posture {
        let cells = words::posture(namespace).map(|posture| {
            let sign = match posture.tone {
                Tone::Good => "🟢 ",
                Tone::Doubtful => "🟡 ",
                Tone::Bad => "🔴 ",
                Tone::Unknown => "⚪ ",
                Tone::Plain => "",
            };
            format!("{sign}{}", cell(&posture.line()))
        });
        writeln!(out, "| {} |", cells.join(" | "))?;
    }
    writeln!(out)
}

fn write_details(printed: &Printed<'_>, out: &mut dyn Write) -> io::Result<()> {
    let findings = &printed.report.findings;
    for finding in findings.iter().take(MOST_DETAILED) {
        let object = escape::text(&finding.object.to_string());
        let text = human::rendered(printed, finding, false, WIDTH);
        let rule = finding.rule;
        let summary = format!("{} {}: {object}", rule.code, rule.name);
        write_folded(&summary, &fenced(&text), out)?;
    }
    let more = findings.len().saturating_sub(MOST_DETAILED);
    if more > 0 {
        writeln!(
            out,
            "Details of {more} more are left out here; `-o human` has them.\n"
        )?;
    }
    Ok(())
}

fn write_not_verified(printed: &Printed<'_>, out: &mut dyn Write) -> io::Result<()> {
    let questions = &printed.report.not_verified;
    if questions.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = questions
        .iter()
        .map(|question| {
            let text = format!("{}: {}; {}", question.what, question.why, question.how);
            format!("- {} {}", question.code, sentence(&text))
        })
        .collect();
    let summary = format!("{} not verified", questions.len());
    write_folded(&summary, &lines.join("\n"), out)
}

fn write_suppressed(printed: &Printed<'_>, out: &mut dyn Write) -> io::Result<()> {
    let suppressed = &printed.report.suppressed;
    if suppressed.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = suppressed
        .iter()
        .map(|suppressed| {
            let finding = &suppressed.finding;
            let place = place(words::location(printed, finding), finding);
            format!(
                "- {} {} ({place}): {} ({})",
                finding.rule.code,
                sentence(&finding.message),
                cell(&suppressed.reason),
                cell(&suppressed.by),
            )
        })
        .collect();
    let summary = format!("{} suppressed", suppressed.len());
    write_folded(&summary, &lines.join("\n"), out)
}

fn write_folded(summary: &str, content: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "<details><summary>{summary}</summary>\n\n{content}\n\n</details>\n"
    )
}

/// Text in a block that it cannot end.
fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{text}\n{fence}")
}

#[cfg(test)]
mod tests {
    use super::fenced;

    #[test]
    fn a_block_does_not_end_early() {
        assert_eq!(fenced("a"), "```text\na\n```");
        assert_eq!(fenced("a\n````\nb"), "`````text\na\n````\nb\n`````");
    }
}
