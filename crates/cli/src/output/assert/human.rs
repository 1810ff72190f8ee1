//! The report for a person at a terminal.

use std::io::{self, Write};

use super::{Report, all_hold, counterexample, message, violations};
use crate::assertions::Demand;
use crate::output::explain::words::{Missing, Speaker};
use crate::output::explain::{write_missing, write_sides};
use crate::output::layout::count;
use crate::output::{Theme, incomplete};

pub(super) fn write(
    report: &Report<'_>,
    theme: Theme,
    width: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let speaker = Speaker::new(report.snapshot);
    let (strong, dim) = (theme.strong, theme.dim);
    for checked in report.checked {
        let assertion = checked.assertion;
        let (style, sign) = if checked.finding.holds() {
            (theme.allowed, "✔")
        } else {
            (theme.denied, "✘")
        };
        write!(
            out,
            "{style}{sign}{style:#} {} {}",
            assertion.demand.as_str(),
            assertion.text()
        )?;
        match &assertion.why {
            Some(why) => writeln!(out, "  {dim}{why}{dim:#}")?,
            None => writeln!(out)?,
        }
        let Some(message) = message(&speaker, checked) else {
            continue;
        };
        writeln!(out, "  {strong}{message}{strong:#}")?;
        writeln!(out, "  {dim}asserted at {}{dim:#}", assertion.location)?;
        if let Some(outcome) = counterexample(checked) {
            write_sides(
                (report.snapshot, report.sources),
                report.profile,
                &outcome.packet,
                theme,
                width,
                out,
            )?;
            if assertion.demand == Demand::Permits {
                let mut missing =
                    Missing::new(report.snapshot, report.profile, violations(checked));
                write_missing(&missing.of(outcome), theme, out)?;
            }
        }
    }
    let failed = report.failed();
    let total = count(report.checked.len(), "assertion", "assertions");
    let (style, summary) = match failed {
        0 => (theme.allowed, all_hold(report.checked.len())),
        failed => (theme.denied, format!("{failed} of {total} failed")),
    };
    writeln!(
        out,
        "\n{style}{summary}{style:#} {dim}(profile {}){dim:#}",
        report.profile.name
    )?;
    incomplete::human(report.diagnostics, theme, out)
}
