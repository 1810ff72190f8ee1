use std::collections::BTreeMap;

use ringfence_model::diagnostic::Severity;
use ringfence_model::policy::{Direction, PolicyBody, Tier};
use ringfence_model::snapshot::{NamespaceId, PolicyId};
use ringfence_model::source::KeyPath;
use ringfence_model::tri::Tri;

use crate::context::{Context, Group};
use crate::finding::{Edit, Finding, Fix, Place, Safety};
use crate::proposal;
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// Pods that are isolated by nothing but policies which allow something.
pub(super) static RULE: Rule = Rule {
    code: Code(207),
    name: "no-default-deny",
    severity: Severity::Warning,
    summary: "an allow policy is what isolates the pod: there is no default deny",
    page: include_str!("../../../../docs/findings/RF207.md"),
    check,
};

/// A group, and the policies that isolate it.
type Case<'a> = (&'a Group, Vec<PolicyId>);

fn check(context: &Context<'_>, findings: &mut Findings) {
    let mut by_namespace: BTreeMap<NamespaceId, Vec<Case<'_>>> = BTreeMap::new();
    for group in context.groups() {
        if group.egress_isolated != Tri::Yes || context.role(group.namespace).is_protected() {
            continue;
        }
        let isolating = isolating(context, group);
        let has_deny = isolating.iter().any(|id| !has_egress_rules(context, *id));
        // A policy that allows everything isolates nobody: to lose it opens nothing.
        let allows_all = isolating.iter().any(|id| {
            let mut rules = context.written_rules_of(*id).iter();
            rules.any(|rule| {
                rule.id.direction == Direction::Egress
                    && rule.is_for_everybody()
                    && rule.port_entries.is_empty()
            })
        });
        if !has_deny && !allows_all && context.cluster_wide_deny(group).is_none() {
            by_namespace
                .entry(group.namespace)
                .or_default()
                .push((group, isolating));
        }
    }
    for (namespace, cases) in by_namespace {
        // Where other pods are not isolated at all, RF201 says that a default deny is
        // missing.
        let mut groups = context.groups_in(namespace);
        if groups.all(|g| g.host_network || g.egress_isolated == Tri::Yes) {
            findings.push(finding(context, namespace, &cases));
        }
    }
}

/// The policies that isolate the egress of a group, or may.
fn isolating(context: &Context<'_>, group: &Group) -> Vec<PolicyId> {
    let policies = context.engine.policies_for(group.first, Direction::Egress);
    let of_namespace = policies
        .map(|(id, _)| id)
        .filter(|id| context.snapshot.policy(*id).tier() == Tier::NetworkPolicy);
    of_namespace.collect()
}

fn has_egress_rules(context: &Context<'_>, policy: PolicyId) -> bool {
    match &context.snapshot.policy(policy).body {
        PolicyBody::Network(spec) => spec.egress.iter().flatten().next().is_some(),
        PolicyBody::Tiered(_) => false,
    }
}

fn finding(context: &Context<'_>, namespace: NamespaceId, cases: &[Case<'_>]) -> Finding {
    let name = &context.snapshot.namespace(namespace).name;
    let affected = context.workloads(cases.iter().flat_map(|(g, _)| g.pods.iter().copied()));
    let mut policies: Vec<PolicyId> = cases.iter().flat_map(|(_, ids)| ids.clone()).collect();
    policies.sort_unstable();
    policies.dedup();
    // One policy whose end opens most is enough to show it.
    let shown = policies.iter().copied().max_by_key(|id| {
        let alone = cases.iter().filter(|(_, ids)| ids.as_slice() == [*id]);
        (alone.count(), std::cmp::Reverse(*id))
    });
    let message = format!(
        "namespace `{name}` has no default deny: policies that allow something are all that \
         isolates the egress of {}",
        context.list(&affected)
    );
    let consequence = match shown {
        Some(id) if cases.iter().any(|(_, ids)| ids.as_slice() == [id]) => format!(
            "whoever deletes `{}`, or changes its selector, opens all egress of the pods that \
             nothing else selects; a new workload starts wide open",
            context.snapshot.policy(id).name
        ),
        _ => "whoever deletes these policies opens all egress; a new workload starts wide open"
            .to_owned(),
    };
    let origin = shown.and_then(|id| context.snapshot.policy(id).origin.as_ref());
    Finding {
        rule: &RULE,
        severity: RULE.severity,
        message,
        consequence: Some(consequence),
        help: Some(
            "add a default deny, a policy with `podSelector: {}`, `policyTypes: [Egress]` and no \
             rules: it changes nothing today"
                .to_owned(),
        ),
        object: context.namespace_ref(namespace),
        primary: origin.map(|origin| {
            let path = KeyPath::root().key("metadata").key("name");
            Place::value(origin, path, "this policy is what isolates them")
        }),
        related: Vec::new(),
        witness: None,
        affected,
        // Every pod of the namespace is isolated already, so a deny that allows nothing
        // closes nothing.
        fix: origin.map(|origin| Fix {
            title: format!("add a default deny for egress to namespace `{name}`"),
            safety: Safety::Safe,
            edits: vec![Edit::AddObject {
                beside: origin.clone(),
                manifest: proposal::deny_egress(context, namespace),
            }],
        }),
    }
}
