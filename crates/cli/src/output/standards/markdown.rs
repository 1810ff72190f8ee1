//! For a ticket or an audit folder: tables, and the details folded away.

use std::io::{self, Write};

use ringfence_advisor::standards::{ControlResult, Status};

use super::{Printed, words};
use crate::output::incomplete;
use crate::output::markdown::{cell, code, sentence};

/// Objections that are listed of one control at most: a comment has a limit.
const MOST_SHOWN: usize = 20;

pub(super) fn write(printed: &Printed<'_>, out: &mut dyn Write) -> io::Result<()> {
    let controls = printed.results.iter().flat_map(|result| &result.controls);
    writeln!(out, "## Controls: {}\n", words::counts(controls))?;
    incomplete::markdown(printed.diagnostics, out)?;
    for result in printed.results {
        let standard = result.standard;
        let (title, edition) = (cell(standard.title), cell(standard.edition));
        writeln!(out, "### {title} ({edition})\n")?;
        writeln!(out, "| control | | | |\n|---|---|---|---|")?;
        for control in &result.controls {
            let sign = match control.status {
                Status::Pass => "✅",
                Status::NotVerified => "⚪",
                Status::Fail => "❌",
            };
            writeln!(
                out,
                "| {} | {sign} {} | {} | {} |",
                control.control.number,
                words::status(control.status),
                sentence(control.control.title),
                words::besides(control),
            )?;
        }
        writeln!(out)?;
        for control in &result.controls {
            write_details(printed, control, out)?;
        }
    }
    let profile = printed.profile.name;
    writeln!(
        out,
        "<sub>ringfence check --standard, profile {profile}</sub>"
    )
}

fn write_details(
    printed: &Printed<'_>,
    result: &ControlResult,
    out: &mut dyn Write,
) -> io::Result<()> {
    let control = result.control;
    let status = words::status(result.status);
    let (number, title) = (control.number, sentence(control.title));
    writeln!(
        out,
        "<details><summary>{number} {status}</summary>\n\n{title}. Taken to mean: {}.\n",
        sentence(control.meaning)
    )?;
    for objection in result.failing.iter().take(MOST_SHOWN) {
        let text = sentence(&words::objection(objection));
        writeln!(
            out,
            "- {text} ({})",
            code(&words::place(printed, objection))
        )?;
    }
    let more = result.failing.len().saturating_sub(MOST_SHOWN);
    if more > 0 {
        writeln!(out, "- ... and {more} more; `-o json` lists all")?;
    }
    for accepted in &result.accepted {
        let text = sentence(&words::objection(&accepted.objection));
        let (reason, by) = (sentence(&accepted.reason), sentence(&accepted.by));
        writeln!(out, "- accepted risk: {text}; {reason} ({by})")?;
    }
    for noted in &result.noted {
        writeln!(
            out,
            "- to be looked at: {}",
            sentence(&words::objection(noted))
        )?;
    }
    for open in &result.open {
        writeln!(out, "- not verified: {}", sentence(&words::question(open)))?;
    }
    writeln!(out, "\n</details>\n")
}
