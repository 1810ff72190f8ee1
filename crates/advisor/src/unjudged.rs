//! Policies that are in the input and are not evaluated, such as those of Cilium and
//! Calico, may close what looks open. What is said to be open is then less certain.

use ringfence_model::diagnostic::{Diagnostic, Severity};

use crate::context::Context;
use crate::finding::Finding;
use crate::rule::Code;

/// The kinds that limit connections by address and port. Those of service meshes decide
/// about requests, and only where a proxy sees them.
fn closes(kind: &str) -> bool {
    kind.ends_with("NetworkPolicy") || kind == "EgressFirewall"
}

/// Findings that say that something is open, or that nothing closes it.
const SAYS_OPEN: [Code; 11] = [
    Code(201),
    Code(202),
    Code(203),
    Code(207),
    Code(304),
    Code(401),
    Code(403),
    Code(404),
    Code(501),
    Code(508),
    Code(703),
];

/// The policies that are not evaluated and that may close something, or open it.
#[must_use]
pub fn policies(diagnostics: &[Diagnostic]) -> Vec<&Diagnostic> {
    let unjudged = diagnostics.iter().filter(|diagnostic| {
        let kind = diagnostic.object.as_ref().map(|object| &*object.kind);
        diagnostic.code == "unsupported-policy" && kind.is_some_and(closes)
    });
    unjudged.collect()
}

/// Lowers an error to a warning where such a policy may close what the finding is about,
/// and says so.
pub(crate) fn hedge(context: &Context<'_>, policies: &[&Diagnostic], finding: &mut Finding) {
    if finding.affected.is_empty() || !SAYS_OPEN.contains(&finding.rule.code) {
        return;
    }
    let namespaces: Vec<&str> = finding
        .affected
        .iter()
        .map(|id| {
            let workload = context.snapshot.workload(*id);
            &*context.snapshot.namespace(workload.namespace).name
        })
        .collect();
    let concerns = |diagnostic: &&&Diagnostic| {
        let object = diagnostic.object.as_ref();
        object.is_some_and(|object| match object.namespace.as_deref() {
            // Some for one namespace, some for the whole cluster.
            Some(namespace) => namespaces.contains(&namespace),
            None => true,
        })
    };
    let Some(object) = policies
        .iter()
        .find(concerns)
        .and_then(|d| d.object.as_ref())
    else {
        return;
    };
    let may_close = format!(
        "{} `{}` may close it, and is not evaluated",
        object.kind, object.name
    );
    finding.severity = finding.severity.min(Severity::Warning);
    finding.consequence = Some(match finding.consequence.take() {
        Some(consequence) => format!("{consequence}; {may_close}"),
        None => may_close,
    });
}
