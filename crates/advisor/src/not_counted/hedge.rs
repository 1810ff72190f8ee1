//! What a finding says is open is less certain where a policy that is not counted may
//! close it.

use ringfence_model::diagnostic::Severity;

use super::NotCountedPolicy;
use crate::context::Context;
use crate::finding::Finding;
use crate::rule::Code;

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

/// Lowers an error to a warning where such a policy may close what the finding is about,
/// and says so. The packet that shows the finding has no certain verdict then.
pub(crate) fn hedge(context: &Context<'_>, finding: &mut Finding) {
    let all = &context.not_counted;
    if all.is_empty() {
        return;
    }
    let of_witness = finding.witness.map(|witness| {
        let profile = context.engine.profile();
        all.could_change(context.snapshot, &profile, &witness.packet, true)
    });
    if let (Some(witness), Some(policies)) = (&mut finding.witness, &of_witness) {
        witness.is_certain = policies.is_empty();
    }
    if !SAYS_OPEN.contains(&finding.rule.code) {
        return;
    }
    let may_close = |policy: &&NotCountedPolicy| match &of_witness {
        // One of another kind may close it for others of those concerned.
        Some(policies) => policy.is_before_namespaces() || policies.contains(policy),
        None => true,
    };
    let namespaces = finding
        .affected
        .iter()
        .map(|id| context.snapshot.workload(*id).namespace);
    let mut policies = namespaces.flat_map(|id| all.about(context.snapshot, id));
    let Some(policy) = policies.find(may_close) else {
        return;
    };
    let may_close = format!(
        "{} `{}` may close it, and {}",
        policy.object.kind,
        policy.object.name,
        policy.why.says()
    );
    finding.severity = finding.severity.min(Severity::Warning);
    finding.consequence = Some(match finding.consequence.take() {
        Some(consequence) => format!("{consequence}; {may_close}"),
        None => may_close,
    });
}
