//! The walk for a person: each step with its source lines, what the pod reaches, and the
//! conclusion.

use std::io::{self, Write};

use ringfence_advisor::why_open::{Answer, Status, Step};
use ringfence_model::source::Location;
use ringfence_model::tri::Tri;

use super::{Printed, words};
use crate::output::address_names::AddressNames;
use crate::output::layout::wrapped;
use crate::output::snippet::{Marked, render, untitled};
use crate::output::{Theme, incomplete, visible};

/// What stands before the text of a step.
const INDENT: &str = "   ";
/// Lines of what is reached that are shown at most.
const MOST_REACHED: usize = 12;

pub(super) fn write(
    printed: &Printed<'_>,
    theme: Theme,
    width: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let strong = theme.strong;
    let subject = words::subject(printed);
    let subject = visible::line(&subject);
    writeln!(out, "{strong}is {subject} open?{strong:#}\n")?;
    for step in &printed.walk.steps {
        write_step(printed, step, theme, width, out)?;
    }
    write_reached(printed, theme, width, out)?;
    let conclusion = &printed.walk.conclusion;
    let style = match conclusion.answer {
        Answer::Closed => theme.allowed,
        Answer::Unknown => theme.unknown,
        Answer::Open => theme.denied,
    };
    let sentence = wrapped(&visible::line(&conclusion.sentence), width);
    writeln!(out, "{style}{sentence}{style:#}")?;
    let dim = theme.dim;
    writeln!(out, "{dim}profile {}{dim:#}", printed.profile.name)?;
    incomplete::human(printed.diagnostics, theme, out)
}

fn write_step(
    printed: &Printed<'_>,
    step: &Step,
    theme: Theme,
    width: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let style = match step.status {
        Status::Ok => theme.allowed,
        Status::NotVerified => theme.unknown,
        Status::NotOk => theme.denied,
    };
    let (number, question) = (step.question.number(), step.question.text());
    let status = words::status(step.status);
    writeln!(out, "{number}  {question} {style}{status}{style:#}")?;
    paragraph(&step.says, "", width, out)?;
    let mut marks: Vec<(Location, &str)> = Vec::new();
    for evidence in &step.evidence {
        let place = evidence.place.as_ref();
        match place.and_then(|place| place.locate(printed.sources)) {
            Some(location) => marks.push((location, &evidence.text)),
            None => paragraph(&evidence.text, "- ", width, out)?,
        }
    }
    let labels: Vec<_> = marks.iter().map(|(_, text)| visible::line(text)).collect();
    let shown: Vec<Marked<'_>> = marks
        .iter()
        .zip(&labels)
        .filter_map(|((location, _), label)| {
            Some(Marked {
                location,
                text: printed.sources.text_of(&location.file)?,
                label,
                primary: true,
            })
        })
        .collect();
    if !shown.is_empty() {
        let snippet = render(&[untitled(&shown)], theme.colored, width);
        writeln!(out, "{}", snippet.trim_end())?;
    }
    if let Some(help) = &step.help {
        let word = match step.status {
            Status::NotVerified => "to find out: ",
            Status::Ok | Status::NotOk => "help: ",
        };
        paragraph(help, word, width, out)?;
    }
    writeln!(out)
}

fn paragraph(text: &str, head: &str, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let text = format!("{head}{}", visible::line(text));
    for line in wrapped(&text, width.saturating_sub(INDENT.len())).lines() {
        writeln!(out, "{INDENT}{line}")?;
    }
    Ok(())
}

fn write_reached(
    printed: &Printed<'_>,
    theme: Theme,
    width: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let names = AddressNames::new(printed.snapshot);
    let reached = &printed.walk.reaches;
    let strong = theme.strong;
    if reached.is_empty() {
        let reaches = words::reaches(printed);
        return writeln!(out, "{strong}{reaches} nothing{strong:#}\n");
    }
    writeln!(out, "{strong}{}{strong:#}", words::reaches(printed))?;
    for reached in reached.iter().take(MOST_REACHED) {
        let what = words::what(printed, &names, &reached.what);
        let style = match reached.too_wide {
            Tri::Yes => theme.danger,
            Tri::Unknown => theme.unknown,
            Tri::No => theme.strong,
        };
        let ports = words::ports(reached);
        let what = visible::line(&what);
        writeln!(out, "{INDENT}{style}{what}{style:#}: {ports}")?;
        for opener in &reached.by {
            let text = words::opener(printed, opener);
            for line in wrapped(&visible::line(&text), width.saturating_sub(8)).lines() {
                writeln!(out, "{INDENT}    {line}")?;
            }
        }
    }
    let more = reached.len().saturating_sub(MOST_REACHED);
    if more > 0 {
        writeln!(out, "{INDENT}... and {more} more (`-o json` lists all)")?;
    }
    writeln!(out)
}
