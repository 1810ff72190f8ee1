//! A table of controls, then what speaks against those that do not pass.

use std::io::{self, Write};

use anstyle::Style;
use ringfence_advisor::standards::{ControlResult, StandardResult, Status};

use super::{Printed, words};
use crate::output::layout::wrapped;
use crate::output::{Theme, incomplete, visible};

/// Objections that are shown of one control at most.
const MOST_SHOWN: usize = 8;

pub(super) fn write(
    printed: &Printed<'_>,
    theme: Theme,
    width: usize,
    quiet: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    for result in printed.results {
        write_table(result, theme, out)?;
    }
    if !quiet {
        for result in printed.results {
            for control in &result.controls {
                let id = result.standard.id;
                write_details(printed, id, control, theme, width, out)?;
            }
        }
    }
    incomplete::human(printed.diagnostics, theme, out)?;
    let controls = printed.results.iter().flat_map(|result| &result.controls);
    let profile = printed.profile.name;
    writeln!(out, "{} (profile {profile})", words::counts(controls))
}

fn style(theme: Theme, status: Status) -> Style {
    match status {
        Status::Pass => theme.allowed,
        Status::NotVerified => theme.unknown,
        Status::Fail => theme.denied,
    }
}

fn write_table(result: &StandardResult, theme: Theme, out: &mut dyn Write) -> io::Result<()> {
    let (strong, dim) = (theme.strong, theme.dim);
    let standard = result.standard;
    writeln!(
        out,
        "{strong}{}{strong:#} {dim}({}){dim:#}",
        standard.title, standard.edition
    )?;
    let widest = |text: fn(&ControlResult) -> &str| {
        let texts = result.controls.iter().map(text);
        texts.map(|text| text.chars().count()).max().unwrap_or(0)
    };
    let numbers = widest(|result| result.control.number);
    let titles = widest(|result| result.control.title);
    for control in &result.controls {
        let style = style(theme, control.status);
        let status = words::status(control.status);
        let (number, title) = (control.control.number, control.control.title);
        let besides = words::besides(control);
        let line = format!("  {number:numbers$}  {style}{status:12}{style:#}  {title:titles$}");
        match besides.is_empty() {
            true => writeln!(out, "{}", line.trim_end())?,
            false => writeln!(out, "{line}  {besides}")?,
        }
    }
    writeln!(out)
}

fn write_details(
    printed: &Printed<'_>,
    id: &str,
    result: &ControlResult,
    theme: Theme,
    width: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (strong, dim) = (theme.strong, theme.dim);
    let status = words::status(result.status);
    let style = style(theme, result.status);
    let (number, meaning) = (result.control.number, result.control.meaning);
    writeln!(
        out,
        "{strong}{id} {number}{strong:#} {style}{status}{style:#}"
    )?;
    paragraph(&format!("taken to mean: {meaning}"), width, out)?;
    for objection in result.failing.iter().take(MOST_SHOWN) {
        let text = words::objection(objection);
        paragraph(&format!("- {text}"), width, out)?;
        let place = words::place(printed, objection);
        writeln!(out, "    {dim}{}{dim:#}", visible::line(&place))?;
    }
    let more = result.failing.len().saturating_sub(MOST_SHOWN);
    if more > 0 {
        writeln!(out, "  ... and {more} more (`-o json` lists all)")?;
    }
    for accepted in &result.accepted {
        let text = words::objection(&accepted.objection);
        let (reason, by) = (&accepted.reason, &accepted.by);
        paragraph(
            &format!("accepted risk: {text}; {reason} ({by})"),
            width,
            out,
        )?;
    }
    for noted in &result.noted {
        let text = words::objection(noted);
        paragraph(&format!("to be looked at: {text}"), width, out)?;
    }
    for open in &result.open {
        let text = words::question(open);
        paragraph(&format!("not verified: {text}"), width, out)?;
    }
    writeln!(out)
}

fn paragraph(text: &str, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let text = wrapped(&visible::line(text), width.saturating_sub(4));
    for (position, line) in text.lines().enumerate() {
        let indent = if position == 0 { "  " } else { "    " };
        writeln!(out, "{indent}{line}")?;
    }
    Ok(())
}
