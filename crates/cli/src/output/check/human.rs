//! Findings for a person: source lines as rustc shows them, the posture of each
//! namespace, and a last line with counts.

use std::io::{self, Write};

use annotate_snippets::{Group, Level};
use anstyle::{AnsiColor, Style};
use ringfence_advisor::Finding;
use ringfence_advisor::finding::Place;
use ringfence_model::diagnostic::Severity;
use ringfence_model::source::Location;
use similar::{ChangeTag, TextDiff};

use super::{Printed, patch, words};
use crate::output::layout::{Word, wrapped, write_words};
use crate::output::snippet::{Marked, render, with_snippets};
use crate::output::{Theme, incomplete, visible};

/// What stands before a note, besides the column of line numbers: ` ├ note: `.
const BEFORE_NOTE: usize = 9;
/// Notes are not wrapped to less than this.
const NARROWEST_NOTE: usize = 40;

/// Writes everything; when quiet, only the findings and how many there are.
pub(super) fn write(
    printed: &Printed<'_>,
    theme: Theme,
    width: usize,
    quiet: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    for finding in &printed.report.findings {
        let text = rendered(printed, finding, theme.colored, width);
        writeln!(out, "{text}\n")?;
    }
    if !quiet {
        write_posture(printed, theme, out)?;
        write_not_verified(printed, theme, width, out)?;
    }
    if printed.show_suppressed {
        for suppressed in &printed.report.suppressed {
            let shown = rendered(printed, &suppressed.finding, theme.colored, width);
            let (reason, by) = (&suppressed.reason, &suppressed.by);
            let dim = theme.dim;
            writeln!(out, "{shown}\n{dim}suppressed by {by}: {reason}{dim:#}\n")?;
        }
    }
    incomplete::human(printed.diagnostics, theme, out)?;
    if !quiet {
        write_where_to_read(printed, theme, out)?;
    }
    write_counts(printed, theme, out)
}

/// One finding with its source lines.
pub(super) fn rendered(
    printed: &Printed<'_>,
    finding: &Finding,
    colored: bool,
    width: usize,
) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let code = finding.rule.code.to_string();
    let message = visible::line(&finding.message);
    let title = level.primary_title(&*message).id(code.as_str());
    let located: Vec<(Location, &Place, bool)> = finding
        .primary
        .iter()
        .map(|place| (place, true))
        .chain(finding.related.iter().map(|place| (place, false)))
        .filter_map(|(place, primary)| Some((place.locate(printed.sources)?, place, primary)))
        .collect();
    let labels: Vec<_> = located
        .iter()
        .map(|(_, place, _)| visible::line(&place.label))
        .collect();
    let marks: Vec<Marked<'_>> = located
        .iter()
        .zip(&labels)
        .filter_map(|((location, _, primary), label)| {
            Some(Marked {
                location,
                text: printed.sources.text_of(&location.file)?,
                label,
                primary: *primary,
            })
        })
        .collect();
    let last_line = located.iter().map(|(at, ..)| at.span.end.line).max();
    let numbers = last_line.unwrap_or(0).to_string().len();
    let wide = width
        .saturating_sub(numbers + BEFORE_NOTE)
        .max(NARROWEST_NOTE);
    let mut notes: Vec<(Level<'_>, String)> = Vec::new();
    if marks.is_empty() {
        notes.push((Level::NOTE, format!("in {}", finding.object)));
    }
    let consequence = finding.consequence.clone();
    notes.extend(consequence.map(|text| (Level::NOTE, text)));
    notes.extend(words::witness(printed, finding).map(|text| (Level::NOTE, text)));
    notes.extend(finding.help.clone().map(|text| (Level::HELP, text)));
    let fix = finding.fix.as_ref();
    let changes = fix.map(|fix| patch::changes(printed.sources, fix));
    if let (Some(fix), Some(changes)) = (fix, &changes) {
        notes.push((Level::HELP, words::fix(fix, changes.as_ref().err())));
    }
    notes.push((Level::NOTE, words::page(finding.rule.code)));
    let notes: Vec<(Level<'_>, String)> = notes
        .into_iter()
        .map(|(level, text)| (level, wrapped(&visible::line(&text), wide)))
        .collect();
    let mut group = with_snippets(Group::with_title(title), &marks);
    for (level, text) in &notes {
        group = group.element(level.clone().message(text.as_str()));
    }
    let text = render(&[group], colored, width);
    let changes = changes.and_then(Result::ok).unwrap_or_default();
    match patch::shown(printed.sources, &changes) {
        Some(shown) => format!("{text}\n{}", with_fix(&shown, Theme::new(colored), numbers)),
        None => text,
    }
}

/// The lines that a fix changes, as they are and as they would be, with line numbers in a
/// column that is so wide.
fn with_fix(shown: &patch::Shown<'_>, theme: Theme, numbers: usize) -> String {
    let [before, after] = [shown.before, &*shown.after].map(|text| {
        let text = text.replace("\r\n", "\n");
        visible::lines(&text).into_owned()
    });
    let diff = TextDiff::from_lines(&before, &after);
    let frame = if theme.colored {
        AnsiColor::BrightBlue.on_default().bold()
    } else {
        Style::new()
    };
    let last_line = shown.first_line + after.lines().count();
    let numbers = numbers.max(last_line.to_string().len());
    let help = if theme.colored {
        AnsiColor::BrightCyan.on_default().bold()
    } else {
        Style::new()
    };
    let mut text = format!(
        "{help}help{help:#}: the fix\n{frame}{:numbers$} ╭╴{frame:#}\n",
        ""
    );
    for change in diff.iter_all_changes() {
        let (sign, style, index) = match change.tag() {
            ChangeTag::Delete => ("-", theme.denied, change.old_index()),
            ChangeTag::Insert => ("+", theme.allowed, change.new_index()),
            ChangeTag::Equal => ("│", Style::new(), change.new_index()),
        };
        let number = shown.first_line + index.unwrap_or_default();
        let content = change.value().trim_end_matches(['\r', '\n']);
        let sign_style = match change.tag() {
            ChangeTag::Equal => frame,
            _ => style,
        };
        text.push_str(&format!(
            "{frame}{number:numbers$}{frame:#} {sign_style}{sign}{sign_style:#} {style}{content}{style:#}\n"
        ));
    }
    text.push_str(&format!("{frame}{:numbers$} ╰╴{frame:#}", ""));
    text
}

fn write_posture(printed: &Printed<'_>, theme: Theme, out: &mut dyn Write) -> io::Result<()> {
    let posture = &printed.report.posture;
    if posture.is_empty() {
        return Ok(());
    }
    let styled = |cell: words::Cell| {
        let style = match cell.tone {
            words::Tone::Good => theme.allowed,
            words::Tone::Doubtful => theme.warning,
            words::Tone::Bad => theme.denied,
            words::Tone::Unknown => theme.unknown,
            words::Tone::Plain => Style::new(),
        };
        Word::styled(visible::line(&cell.line()), style)
    };
    let header = words::POSTURE.map(|name| Word::styled(name.to_uppercase(), theme.strong));
    let rows: Vec<[Word; 7]> = posture
        .iter()
        .map(|namespace| words::posture(namespace).map(styled))
        .collect();
    let mut widths = [0; 7];
    for row in std::iter::once(&header).chain(&rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.text.chars().count());
        }
    }
    for row in std::iter::once(&header).chain(&rows) {
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            // Nothing behind the last column.
            let pad = if column + 1 == row.len() {
                0
            } else {
                width + 2
            };
            write_words(out, std::slice::from_ref(cell), pad)?;
        }
        writeln!(out)?;
    }
    writeln!(out)
}

fn write_not_verified(
    printed: &Printed<'_>,
    theme: Theme,
    width: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let questions = &printed.report.not_verified;
    let style = theme.unknown;
    for question in questions {
        let (code, what) = (question.code, visible::line(&question.what));
        writeln!(out, "{style}not verified[{code}]{style:#}: {what}")?;
        let why = format!("{}; {}", question.why, question.how);
        for line in wrapped(&visible::line(&why), width.saturating_sub(2)).lines() {
            writeln!(out, "  {line}")?;
        }
    }
    if !questions.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}

/// The command that describes what was found, once.
fn write_where_to_read(printed: &Printed<'_>, theme: Theme, out: &mut dyn Write) -> io::Result<()> {
    let codes = words::codes(printed.report);
    let Some(first) = codes.first() else {
        return Ok(());
    };
    let style = theme.strong;
    let more = match codes.len() {
        1 => String::new(),
        _ => {
            let rest: Vec<String> = codes.iter().skip(1).map(ToString::to_string).collect();
            format!(" (or {})", rest.join(", "))
        }
    };
    writeln!(
        out,
        "to read what a finding means: {style}ringfence check --explain {first}{style:#}{more}"
    )
}

fn write_counts(printed: &Printed<'_>, theme: Theme, out: &mut dyn Write) -> io::Result<()> {
    let mut parts: Vec<String> = words::severities(printed.report)
        .into_iter()
        .map(|(severity, text)| {
            let style = match severity {
                Severity::Error => theme.denied,
                Severity::Warning => theme.warning,
                Severity::Note => theme.strong,
            };
            format!("{style}{text}{style:#}")
        })
        .collect();
    if parts.is_empty() {
        let style = theme.allowed;
        parts.push(format!("{style}no findings{style:#}"));
    }
    parts.extend(words::besides(printed.report));
    let assumptions = words::assumptions(printed);
    writeln!(out, "{} ({assumptions})", parts.join(", "))
}
