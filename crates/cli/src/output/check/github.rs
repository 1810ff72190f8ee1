//! Workflow commands of GitHub Actions, which show as annotations of the manifests.

use std::io::{self, Write};

use ringfence_advisor::code_of;
use ringfence_model::diagnostic::{Diagnostic, Severity};

use super::{Printed, words};
use crate::output::github::{Annotation, Level};
use crate::output::incomplete;

pub(super) fn write(printed: &Printed<'_>, out: &mut dyn Write) -> io::Result<()> {
    // What is a finding has its annotation as one.
    let is_finding = |diagnostic: &Diagnostic| {
        let code = code_of(diagnostic);
        let mut findings = printed.report.findings.iter();
        findings.any(|finding| {
            Some(finding.rule.code) == code
                && finding.message == diagnostic.message
                && diagnostic.object.as_ref() == Some(&finding.object)
        })
    };
    let problems = printed.diagnostics.iter();
    let problems: Vec<Diagnostic> = problems.filter(|d| !is_finding(d)).cloned().collect();
    incomplete::github(&problems, out)?;
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
