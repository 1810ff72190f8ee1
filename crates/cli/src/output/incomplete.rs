//! That the input was incomplete, told inside the answer: who reads a report in CI does
//! not see stderr, and an answer about half of the policies must not look whole.

use std::io::{self, Write};

use ringfence_model::diagnostic::Diagnostic;

use super::Theme;
use super::github::{Annotation, Level};
use super::markdown::cell;
use crate::diagnostics::{is_problem, left_out};

/// The last line for a person.
pub(crate) fn human(
    diagnostics: &[Diagnostic],
    theme: Theme,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Some(summary) = left_out(diagnostics) else {
        return Ok(());
    };
    let style = theme.warning;
    writeln!(out, "{style}incomplete{style:#}: {summary}")
}

/// The first line of Markdown.
pub(crate) fn markdown(diagnostics: &[Diagnostic], out: &mut dyn Write) -> io::Result<()> {
    match left_out(diagnostics) {
        Some(summary) => writeln!(out, "**Incomplete:** {}\n", cell(&summary)),
        None => Ok(()),
    }
}

/// A comment of a format whose comments are lines that begin with `sign`.
pub(crate) fn comment(
    diagnostics: &[Diagnostic],
    sign: &str,
    out: &mut dyn Write,
) -> io::Result<()> {
    match left_out(diagnostics) {
        Some(summary) => writeln!(out, "{sign} incomplete: {}", summary),
        None => Ok(()),
    }
}

/// An annotation for each problem.
pub(crate) fn github(diagnostics: &[Diagnostic], out: &mut dyn Write) -> io::Result<()> {
    for diagnostic in diagnostics.iter().filter(|d| is_problem(d)) {
        Annotation {
            level: Level::Error,
            location: diagnostic.primary.as_ref().map(|at| &at.location),
            title: &format!("incomplete input: {}", diagnostic.code),
            message: &sentence(diagnostic),
        }
        .write(out)?;
    }
    Ok(())
}

/// A problem in one sentence.
pub(crate) fn sentence(diagnostic: &Diagnostic) -> String {
    let mut text = diagnostic.message.clone();
    if let Some(object) = &diagnostic.object {
        text = format!("{object}: {text}");
    }
    if let Some(left_out) = &diagnostic.left_out {
        text.push_str(&format!(" ({left_out})"));
    }
    text
}
