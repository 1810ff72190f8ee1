use ringfence_model::diagnostic::Severity;

use crate::context::Context;
use crate::diagnosed::{self, MISSPELT};
use crate::report::Findings;
use crate::rule::Rule;

/// An unknown field, a value in the wrong case, a wrong API version, a name twice, a kind of
/// policy that is not evaluated.
pub(super) static RULE: Rule = Rule {
    code: MISSPELT,
    name: "not-counted",
    severity: Severity::Error,
    summary: "an unknown field, a value in the wrong case, a wrong API version, a name twice, a kind of policy that is not evaluated",
    page: include_str!("../../../../docs/findings/RF604.md"),
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings) {
    findings.extend(diagnosed::findings(context.diagnostics, &RULE));
}
