//! Diagnostics of the input, rendered like rustc's.

use std::collections::BTreeMap;

use annotate_snippets::{Group, Level};
use ringfence_model::custom::MAY_MAKE_PODS;
use ringfence_model::diagnostic::{Annotation, Diagnostic, Severity};
use ringfence_model::parse::Sources;

use crate::output::snippet::{Marked, render, with_snippets};
use crate::output::{Printer, layout, visible};

/// Finds the text of a file by the name that locations carry.
pub(crate) trait Texts {
    /// The text of the file called `name`.
    fn text_of(&self, name: &str) -> Option<&str>;
}

impl Texts for Sources {
    fn text_of(&self, name: &str) -> Option<&str> {
        Self::text_of(self, name)
    }
}

/// One file that is not a manifest, such as an assertion file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SingleText<'a> {
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
}

impl Texts for SingleText<'_> {
    fn text_of(&self, name: &str) -> Option<&str> {
        (name == self.name).then_some(self.text)
    }
}

/// Prints diagnostics on stderr, and a line that says what was left out.
///
/// When the printer is quiet, only errors and what was left out.
pub(crate) fn print(diagnostics: &[Diagnostic], texts: &impl Texts, printer: &mut Printer) {
    print_alone(diagnostics, texts, printer);
    if let Some(summary) = left_out(diagnostics) {
        let style = printer.err_theme().warning;
        printer.err_line(format_args!("{style}incomplete{style:#}: {summary}"));
    }
}

/// Prints diagnostics on stderr, of a file without which there is no answer.
pub(crate) fn print_alone(diagnostics: &[Diagnostic], texts: &impl Texts, printer: &mut Printer) {
    let colored = printer.err_theme().colored;
    let width = printer.width();
    let quiet = printer.is_quiet();
    let shown: Vec<&Diagnostic> = diagnostics
        .iter()
        .filter(|d| !quiet || d.severity == Severity::Error)
        .filter(|d| d.code != MAY_MAKE_PODS)
        .collect();
    // Errors must not drown in warnings: among many they are told first.
    let (errors, others): (Vec<&Diagnostic>, Vec<&Diagnostic>) = match shown.len() > MOST_PRINTED {
        true => shown.iter().partition(|d| is_problem(d)),
        false => (shown.clone(), Vec::new()),
    };
    for diagnostic in errors.into_iter().chain(others).take(MOST_PRINTED) {
        printer.err_line(rendered(diagnostic, texts, colored, width));
        printer.err_line("");
    }
    let more = shown.len().saturating_sub(MOST_PRINTED);
    if more > 0 {
        let more = layout::count(more, "problem", "problems");
        printer.err_line(format_args!("... and {more} more (`-o json` lists all)"));
    }
    if let Some(note) = not_looked_at(diagnostics) {
        printer.note(note);
    }
}

/// The objects that may make pods, in one line: there may be hundreds of a kind.
fn not_looked_at(diagnostics: &[Diagnostic]) -> Option<String> {
    let of_code = diagnostics.iter().filter(|d| d.code == MAY_MAKE_PODS);
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for object in of_code.filter_map(|d| d.object.as_ref()) {
        *kinds.entry(&object.kind).or_default() += 1;
    }
    let count = kinds.values().sum();
    let listed = kinds.iter().map(|(kind, count)| match count {
        1 => visible::line(kind).into_owned(),
        count => format!("{} ({count})", visible::line(kind)),
    });
    let listed: Vec<String> = listed.collect();
    let objects = layout::count(count, "object", "objects");
    (count > 0).then(|| {
        format!(
            "not looked at: {objects} of which pods may be made, or which install others: {}",
            listed.join(", ")
        )
    })
}

/// Whether something was left out, so that answers may be wrong.
pub(crate) fn is_incomplete(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(is_problem)
}

/// Whether an answer may be wrong because of it.
pub(crate) fn is_problem(diagnostic: &Diagnostic) -> bool {
    match diagnostic.severity {
        Severity::Error => true,
        Severity::Warning => diagnostic.left_out.is_some(),
        // What was left out is nothing that an answer is about: a chart's values.
        Severity::Note => false,
    }
}

/// How many diagnostics are printed in full.
const MOST_PRINTED: usize = 50;

/// How many things are listed in the line that says what was left out.
const MOST_LISTED: usize = 5;

/// What was left out, in one line.
pub(crate) fn left_out(diagnostics: &[Diagnostic]) -> Option<String> {
    if !is_incomplete(diagnostics) {
        return None;
    }
    let count = diagnostics.iter().filter(|d| is_problem(d)).count();
    let problems = layout::count(count, "problem", "problems");
    let mut left_out: Vec<String> = diagnostics
        .iter()
        .filter_map(|d| match (&d.left_out, &d.object) {
            (Some(left_out), Some(object)) => Some(format!("{object}: {left_out}")),
            (Some(left_out), None) => Some(left_out.clone()),
            (None, _) => None,
        })
        .collect();
    for text in &mut left_out {
        *text = visible::line(text).into_owned();
    }
    left_out.sort();
    left_out.dedup();
    let more = left_out.len().saturating_sub(MOST_LISTED);
    left_out.truncate(MOST_LISTED);
    if more > 0 {
        left_out.push(format!("and {more} more"));
    }
    Some(if left_out.is_empty() {
        format!("{problems} in the input: the answer does not know what could not be read")
    } else {
        format!("{problems} in the input ({})", left_out.join("; "))
    })
}

fn rendered(diagnostic: &Diagnostic, texts: &impl Texts, colored: bool, width: usize) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level
        .primary_title(diagnostic.message.as_str())
        .id(diagnostic.code);
    let mut marks = Vec::new();
    let mut mark = |annotation: &'_ Annotation, primary| {
        if let Some(text) = texts.text_of(&annotation.location.file) {
            marks.push((annotation.clone(), text, primary));
        }
    };
    if let Some(primary) = &diagnostic.primary {
        mark(primary, true);
    }
    for related in &diagnostic.related {
        mark(related, false);
    }
    let marks: Vec<Marked<'_>> = marks
        .iter()
        .map(|(annotation, text, primary)| Marked {
            location: &annotation.location,
            text,
            label: &annotation.label,
            primary: *primary,
        })
        .collect();
    let mut group = with_snippets(Group::with_title(title), &marks);
    let object = diagnostic.object.as_ref().map(ToString::to_string);
    if let Some(object) = &object {
        group = group.element(Level::NOTE.message(format!("in {object}")));
    }
    if let Some(left_out) = &diagnostic.left_out {
        group = group.element(Level::NOTE.message(left_out.as_str()));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    render(&[group], colored, width)
}
