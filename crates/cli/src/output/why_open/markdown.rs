//! The walk for a comment or a ticket.

use std::io::{self, Write};

use ringfence_advisor::why_open::Status;

use super::{Printed, words};
use crate::output::address_names::AddressNames;
use crate::output::incomplete;
use crate::output::markdown::{cell, code, sentence};

/// Rows of what is reached at most: a comment has a limit.
const MOST_REACHED: usize = 50;

pub(super) fn write(printed: &Printed<'_>, out: &mut dyn Write) -> io::Result<()> {
    let walk = printed.walk;
    writeln!(out, "## Is {} open?\n", cell(&words::subject(printed)))?;
    writeln!(out, "**{}.**\n", sentence(&walk.conclusion.sentence))?;
    incomplete::markdown(printed.diagnostics, out)?;
    writeln!(out, "| step | | | where |\n|---|---|---|---|")?;
    for step in &walk.steps {
        let sign = match step.status {
            Status::Ok => "✅",
            Status::NotVerified => "⚪",
            Status::NotOk => "❌",
        };
        let mut says = sentence(&step.says);
        if let Some(help) = &step.help {
            says.push_str("<br>");
            says.push_str(&sentence(help));
        }
        let places = step.evidence.iter().filter_map(|evidence| {
            let at = evidence.place.as_ref()?.locate(printed.sources)?;
            Some(code(&format!("{}:{}", at.file, at.span.start.line)))
        });
        let places: Vec<String> = places.collect();
        writeln!(
            out,
            "| {}. {} | {sign} {} | {says} | {} |",
            step.question.number(),
            step.question.text(),
            words::status(step.status),
            places.join("<br>"),
        )?;
    }
    writeln!(out)?;
    write_reached(printed, out)?;
    let profile = printed.profile.name;
    writeln!(
        out,
        "<sub>ringfence check --why-open, profile {profile}</sub>"
    )
}

fn write_reached(printed: &Printed<'_>, out: &mut dyn Write) -> io::Result<()> {
    let reaches = &printed.walk.reaches;
    if reaches.is_empty() {
        return writeln!(out, "{} nothing\n", words::reaches(printed));
    }
    let names = AddressNames::new(printed.snapshot);
    let head = words::reaches(printed);
    writeln!(out, "| {head} | ports | why |\n|---|---|---|")?;
    for reached in reaches.iter().take(MOST_REACHED) {
        let by: Vec<String> = reached
            .by
            .iter()
            .map(|opener| cell(&words::opener(printed, opener)))
            .collect();
        let what = cell(&words::what(printed, &names, &reached.what));
        let ports = cell(&words::ports(reached));
        writeln!(out, "| {what} | {ports} | {} |", by.join("<br>"))?;
    }
    let more = reaches.len().saturating_sub(MOST_REACHED);
    if more > 0 {
        writeln!(out, "\n... and {more} more; `-o json` lists all.")?;
    }
    writeln!(out)
}
