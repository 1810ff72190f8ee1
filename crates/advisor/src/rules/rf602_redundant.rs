use std::collections::BTreeMap;

use ringfence_engine::RuleRef;
use ringfence_model::diagnostic::Severity;
use ringfence_model::policy::{Action, Direction, PolicyBody, Tier};
use ringfence_model::snapshot::PolicyId;
use ringfence_model::source::KeyPath;

use crate::context::Context;
use crate::finding::{Finding, Place};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A rule or a policy that changes nothing.
pub(super) static RULE: Rule = Rule {
    code: Code(602),
    name: "redundant",
    severity: Severity::Note,
    summary: "a rule, or all rules of a policy, change nothing: other rules say the same",
    page: include_str!("../../../../docs/findings/RF602.md"),
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings) {
    let mut by_policy: BTreeMap<PolicyId, Vec<RuleRef>> = BTreeMap::new();
    for rule in context.engine.redundant_rules() {
        // Of a policy that is for nobody in the input, nothing is known to be redundant.
        if is_guard(context, rule) || context.subjects(rule.policy).is_empty() {
            continue;
        }
        by_policy.entry(rule.policy).or_default().push(rule);
    }
    for (policy, rules) in by_policy {
        if rules.len() == count(context, policy) && rules.len() > 1 {
            let message = format!(
                "none of the {} rules of `{}` changes anything",
                rules.len(),
                context.snapshot.policy(policy).name
            );
            findings.push(finding(
                context,
                policy,
                message,
                KeyPath::root().key("spec"),
            ));
            continue;
        }
        for rule in rules {
            let message = format!(
                "{} rule {} of `{}` changes nothing",
                rule.direction,
                rule.rule + 1,
                context.snapshot.policy(policy).name
            );
            let spec = KeyPath::root().key("spec");
            let path = spec.key(rule.direction.rules_key()).index(rule.rule);
            findings.push(finding(context, policy, message, path));
        }
    }
}

/// Whether the rule denies before all policies of namespaces: it holds whatever they will
/// say one day, so that it is no less needed for changing nothing today.
fn is_guard(context: &Context<'_>, rule: RuleRef) -> bool {
    let policy = context.snapshot.policy(rule.policy);
    let PolicyBody::Tiered(tiered) = &policy.body else {
        return false;
    };
    let rules = tiered.rules(rule.direction);
    let denies = rules
        .get(rule.rule)
        .is_some_and(|r| r.action == Action::Deny);
    policy.tier() == Tier::Admin && denies
}

/// How many rules a policy has.
fn count(context: &Context<'_>, policy: PolicyId) -> usize {
    match &context.snapshot.policy(policy).body {
        PolicyBody::Network(spec) => {
            spec.egress.iter().flatten().count() + spec.ingress.iter().flatten().count()
        }
        PolicyBody::Tiered(tiered) => {
            tiered.rules(Direction::Egress).len() + tiered.rules(Direction::Ingress).len()
        }
    }
}

fn finding(context: &Context<'_>, id: PolicyId, message: String, path: KeyPath) -> Finding {
    let policy = context.snapshot.policy(id);
    let subjects = context.subjects(id);
    Finding {
        rule: &RULE,
        severity: RULE.severity,
        message,
        consequence: Some(
            "for every pod and address of the input the outcome is the same without it: other \
             rules decide it alike"
                .to_owned(),
        ),
        help: Some(
            "take it out, unless it is there for pods that are not in the input; a policy \
             that is left without rules still isolates its pods"
                .to_owned(),
        ),
        object: context.policy_ref(id),
        primary: policy
            .origin
            .as_ref()
            .map(|origin| Place::value(origin, path, "other rules decide all of it alike")),
        related: Vec::new(),
        witness: None,
        affected: context.workloads_like(&subjects),
        fix: None,
    }
}
