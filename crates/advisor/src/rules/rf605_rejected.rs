use ringfence_model::diagnostic::Severity;

use crate::context::Context;
use crate::diagnosed::{self, REJECTED};
use crate::report::Findings;
use crate::rule::Rule;

/// The API server would reject the policy.
pub(super) static RULE: Rule = Rule {
    code: REJECTED,
    name: "rejected-by-api-server",
    severity: Severity::Error,
    summary: "a policy that the API server would reject",
    page: include_str!("../../../../docs/findings/RF605.md"),
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings) {
    findings.extend(diagnosed::findings(context.diagnostics, &RULE));
}
