use ringfence_model::diagnostic::Severity;

use crate::context::Context;
use crate::diagnosed::{self, MISSPELT};
use crate::report::Findings;
use crate::rule::Rule;

/// An unknown field, a value in the wrong case, a wrong API version, a name twice.
pub(super) static RULE: Rule = Rule {
    code: MISSPELT,
    name: "misspelt",
    severity: Severity::Error,
    summary: "an unknown field, a value in the wrong case, a wrong API version, a name twice",
    page: include_str!("../../../../docs/findings/RF604.md"),
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings) {
    findings.extend(diagnosed::findings(context.diagnostics, &RULE));
}
