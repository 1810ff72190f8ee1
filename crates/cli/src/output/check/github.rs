//! Workflow commands of GitHub Actions, which show as annotations of the manifests.

use std::io::{self, Write};

use ringfence_model::diagnostic::Severity;

use super::{Printed, words};
use crate::output::github::{Annotation, Level};
use crate::output::incomplete;

pub(super) fn write(printed: &Printed<'_>, out: &mut dyn Write) -> io::Result<()> {
    incomplete::github(printed.diagnostics, out)?;
    for finding in &printed.report.findings {
        let level = match finding.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
            Severity::Note => Level::Notice,
        };
        let rule = finding.rule;
        let explanation = words::explanation(printed, finding);
        Annotation {
            level,
            location: words::location(printed, finding).as_ref(),
            title: &format!("{} {}: {}", rule.code, rule.name, finding.object),
            message: &format!("{explanation}\n{}", words::page(rule.code)),
        }
        .write(out)?;
    }
    let counts = words::counts(printed.report);
    writeln!(out, "{counts} ({})", words::assumptions(printed))
}
