//! Workflow commands of GitHub Actions, which show as annotations of the file.

use std::io::{self, Write};

use super::{Report, message};
use crate::output::explain::words::Speaker;
use crate::output::github::{Annotation, Level};
use crate::output::incomplete;
use crate::output::layout::count;

pub(super) fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    incomplete::github(report.diagnostics, out)?;
    let speaker = Speaker::new(report.snapshot);
    for checked in report.checked {
        let Some(message) = message(&speaker, checked) else {
            continue;
        };
        let assertion = checked.assertion;
        let why = assertion
            .why
            .as_ref()
            .map_or_else(String::new, |why| format!("\n{why}"));
        Annotation {
            level: Level::Error,
            location: Some(&assertion.location),
            title: &format!("{} {}", assertion.demand.as_str(), assertion.text()),
            message: &format!("{message}{why}"),
        }
        .write(out)?;
    }
    writeln!(
        out,
        "{} of {} failed",
        report.failed(),
        count(report.checked.len(), "assertion", "assertions")
    )
}
