//! For a comment on a pull request.

use std::io::{self, Write};

use ringfence_engine::explain::{Side, Suggestion, explain};

use super::Report;
use super::alike::{MOST_EXPLAINED, alike, rest};
use super::words::{Missing, Speaker, decided_by, location, reason_title, verdict};
use crate::output::markdown::cell;
use crate::output::{incomplete, visible};
use crate::unread::introduction;

pub(super) fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    incomplete::markdown(report.diagnostics, out)?;
    let speaker = Speaker::new(report.snapshot);
    let snapshot = report.snapshot;
    let groups = alike(snapshot, &report.answer.outcomes);
    let shown = || groups.iter().take(MOST_EXPLAINED);
    let mut missing = Missing::new(snapshot, report.profile, shown().map(|group| group.first));
    let mut printed: Vec<Suggestion> = Vec::new();
    for group in shown() {
        let outcome = group.first;
        writeln!(
            out,
            "### `{}`: **{}**\n",
            speaker.connection(outcome).replace('`', "'"),
            verdict(outcome.verdict)
        )?;
        if let Some(remark) = introduction(outcome) {
            writeln!(out, "**Not certain:** {}\n", cell(&remark))?;
        }
        let explanation = explain(snapshot, report.profile, &outcome.packet);
        side(
            report,
            &explanation.egress,
            &speaker.party(&outcome.from),
            out,
        )?;
        side(
            report,
            &explanation.ingress,
            &speaker.party(&outcome.to),
            out,
        )?;
        if let Some(others) = group.others(&speaker) {
            writeln!(out, "- {}", cell(&others))?;
        }
        writeln!(out)?;
        for suggestion in missing.of(outcome) {
            let direction = suggestion.direction;
            if printed.contains(&suggestion) {
                writeln!(out, "**Missing** ({direction}): the policy shown above\n")?;
                continue;
            }
            writeln!(out, "**Missing** ({direction}): {}\n", suggestion.text)?;
            if let Some(manifest) = &suggestion.manifest {
                writeln!(out, "```yaml\n{}\n```\n", manifest.trim_end())?;
            }
            printed.push(suggestion);
        }
    }
    if let Some(rest) = rest(&groups) {
        writeln!(out, "{rest}.\n")?;
    }
    writeln!(out, "Profile `{}`.", report.profile.name)
}

fn side(report: &Report<'_>, side: &Side, name: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "- {} of `{name}`: **{}**, {}",
        side.direction,
        verdict(side.verdict),
        decided_by(side)
    )?;
    for reason in &side.reasons {
        // Names in it may be anything; its own marks are meant.
        let text = visible::line(&reason.text).replace('<', "&lt;");
        let title = reason_title(report.snapshot, reason);
        let at = location(report.snapshot, report.sources, reason)
            .map_or_else(String::new, |location| format!(" (`{location}`)"));
        writeln!(out, "  - {title}{at}: {}", text)?;
    }
    Ok(())
}
