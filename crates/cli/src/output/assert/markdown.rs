//! A table for a pull request.

use std::io::{self, Write};

use super::{Report, all_hold, message};
use crate::output::explain::words::Speaker;
use crate::output::incomplete;
use crate::output::layout::count;
use crate::output::markdown::{cell, code};

pub(super) fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let speaker = Speaker::new(report.snapshot);
    let failed = report.failed();
    incomplete::markdown(report.diagnostics, out)?;
    let total = count(report.checked.len(), "assertion", "assertions");
    let summary = match failed {
        0 => all_hold(report.checked.len()),
        failed => format!("{failed} of {total} failed"),
    };
    writeln!(out, "## Assertions: {summary}\n")?;
    writeln!(out, "Profile `{}`.\n", report.profile.name)?;
    writeln!(out, "| | demand | connection | why | found |")?;
    writeln!(out, "|---|---|---|---|---|")?;
    for checked in report.checked {
        let assertion = checked.assertion;
        let sign = if checked.finding.holds() {
            "✅"
        } else {
            "❌"
        };
        writeln!(
            out,
            "| {sign} | {} | {} | {} | {} |",
            assertion.demand.as_str(),
            code(&assertion.text()),
            cell(assertion.why.as_deref().unwrap_or_default()),
            cell(&message(&speaker, checked).unwrap_or_default()),
        )?;
    }
    Ok(())
}
