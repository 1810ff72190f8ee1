use ringfence_model::diagnostic::Severity;
use ringfence_model::policy::{Direction, PolicyBody};
use ringfence_model::source::KeyPath;
use ringfence_model::tri::Tri;
use serde_json::json;

use crate::context::Context;
use crate::finding::{Edit, Finding, Fix, Place, Safety};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A policy that writes `egress` and does not cover it.
pub(super) static RULE: Rule = Rule {
    code: Code(203),
    name: "egress-not-in-effect",
    severity: Severity::Error,
    summary: "`egress: []`, or egress rules, in a policy that does not cover egress",
    page: include_str!("../../../../docs/findings/RF203.md"),
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings) {
    for (id, policy) in context.snapshot.policy_ids() {
        let PolicyBody::Network(spec) = &policy.body else {
            continue;
        };
        let Some(rules) = &spec.egress else {
            continue;
        };
        if context.engine.covers(id, Direction::Egress) {
            continue;
        }
        let subjects = context.engine.subjects_of(id);
        let open: Vec<_> = subjects
            .iter()
            .map(|(pod, _)| *pod)
            .filter(|pod| context.engine.isolated(*pod, Direction::Egress) != Tri::Yes)
            .collect();
        let all_isolated = open.is_empty() && !subjects.is_empty();
        // Nothing was to be allowed, and nothing is.
        if all_isolated && rules.is_empty() {
            continue;
        }
        let types = spec.policy_types.as_deref().unwrap_or_default();
        let name = &policy.name;
        let (message, consequence) = match (rules.is_empty(), all_isolated) {
            (true, _) => (
                format!("`{name}` says `egress: []` and isolates no egress"),
                "it reads as if nothing may leave, and everything may: without \
                 `policyTypes`, an empty list of egress rules counts for nothing",
            ),
            (false, false) => (
                format!("the egress rules of `{name}` have no effect, and egress stays open"),
                "`policyTypes` does not list Egress, so the policy limits no connection that \
                 its pods open",
            ),
            (false, true) => (
                format!("the egress rules of `{name}` have no effect"),
                "`policyTypes` does not list Egress, so what they allow stays denied by the \
                 policies that do isolate these pods",
            ),
        };
        let consequence = match (rules.is_empty(), types.is_empty()) {
            (true, false) => {
                "it reads as if nothing may leave, and everything may: `policyTypes` does not \
                 list Egress"
            }
            _ => consequence,
        };
        let types_path = KeyPath::root().key("spec").key("policyTypes");
        let is_protected = context
            .namespace_of(id)
            .is_some_and(|namespace| context.role(namespace).is_protected());
        let fix = policy
            .origin
            .as_ref()
            .filter(|_| !is_protected)
            .map(|origin| {
                let edit = match types.is_empty() {
                    false => Edit::Append {
                        origin: origin.clone(),
                        path: types_path.clone(),
                        value: json!("Egress"),
                    },
                    // Without the key, ingress is isolated: it stays so.
                    true => Edit::Set {
                        origin: origin.clone(),
                        path: types_path.clone(),
                        value: json!(["Ingress", "Egress"]),
                    },
                };
                Fix {
                    title: "list Egress in `policyTypes`".to_owned(),
                    safety: Safety::Safe,
                    edits: vec![edit],
                }
            });
        let related = policy.origin.iter().filter(|_| !types.is_empty());
        let related =
            related.map(|origin| Place::value(origin, types_path.clone(), "Egress is not listed"));
        findings.push(Finding {
            rule: &RULE,
            severity: match all_isolated || is_protected {
                true => Severity::Warning,
                false => RULE.severity,
            },
            message,
            consequence: Some(consequence.to_owned()),
            help: Some(match is_protected {
                true => "take `egress` out: a namespace of the control plane needs its egress"
                    .to_owned(),
                false => "list the direction: `policyTypes: [Ingress, Egress]`, or `[Egress]` \
                          where ingress is to stay open"
                    .to_owned(),
            }),
            object: context.policy_ref(id),
            primary: policy.origin.as_ref().map(|origin| {
                let path = KeyPath::root().key("spec").key("egress");
                Place::key(origin, path, "this counts for nothing")
            }),
            related: related.collect(),
            witness: None,
            affected: context.workloads(match all_isolated {
                true => subjects.iter().map(|(pod, _)| *pod).collect(),
                false => open,
            }),
            fix,
        });
    }
}
