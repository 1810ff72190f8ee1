use ringfence_model::diagnostic::Severity;
use ringfence_model::policy::{Direction, PolicyBody};
use ringfence_model::selector::selects_everything;
use ringfence_model::source::KeyPath;
use ringfence_model::tri::Tri;
use serde_json::json;

use crate::context::Context;
use crate::finding::{Edit, Finding, Fix, Place, Safety};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A policy that reads like deny-all and leaves egress alone.
pub(super) static RULE: Rule = Rule {
    code: Code(202),
    name: "ingress-only-deny",
    severity: Severity::Error,
    summary: "a policy that reads like deny-all but isolates ingress only",
    page: include_str!("../../../../docs/findings/RF202.md"),
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings) {
    for (id, policy) in context.snapshot.policy_ids() {
        let PolicyBody::Network(spec) = &policy.body else {
            continue;
        };
        let selector = spec.pod_selector.as_ref();
        let has_rules = spec.ingress.iter().flatten().next().is_some()
            || spec.egress.iter().flatten().next().is_some();
        if has_rules || !selector.is_none_or(selects_everything) {
            continue;
        }
        // `egress: []` without `policyTypes` says that egress was meant: RF203.
        let types = spec.policy_types.as_deref().unwrap_or_default();
        let egress_was_meant = types.is_empty() && spec.egress.is_some();
        if egress_was_meant || types.iter().any(|t| t == Direction::Egress.policy_type()) {
            continue;
        }
        let subjects = context.engine.subjects_of(id);
        let open: Vec<_> = subjects
            .iter()
            .filter(|(pod, _)| context.engine.isolated(*pod, Direction::Egress) != Tri::Yes)
            .map(|(pod, _)| *pod)
            .collect();
        // Another policy isolates egress: two policies, one a direction, are a good habit.
        if open.is_empty() && !subjects.is_empty() {
            continue;
        }
        let spec_path = KeyPath::root().key("spec");
        let types_path = spec_path.key("policyTypes");
        let (place, edit) = match (&policy.origin, types.is_empty()) {
            (None, _) => (None, None),
            (Some(origin), false) => (
                Some(Place::value(
                    origin,
                    types_path.clone(),
                    "Egress is not listed",
                )),
                Some(Edit::Append {
                    origin: origin.clone(),
                    path: types_path,
                    value: json!("Egress"),
                }),
            ),
            (Some(origin), true) => (
                Some(Place::key(
                    origin,
                    spec_path,
                    "without `policyTypes` and without egress rules, only ingress is isolated",
                )),
                Some(Edit::Set {
                    origin: origin.clone(),
                    path: types_path,
                    value: json!(["Ingress", "Egress"]),
                }),
            ),
        };
        findings.push(Finding {
            rule: &RULE,
            severity: RULE.severity,
            message: format!(
                "`{}` denies all ingress and leaves egress open",
                policy.name
            ),
            consequence: Some(
                "every pod that it selects still connects to anything: the internet, cloud \
                 metadata, other namespaces"
                    .to_owned(),
            ),
            help: Some("list both directions: `policyTypes: [Ingress, Egress]`".to_owned()),
            object: context.policy_ref(id),
            primary: place,
            related: Vec::new(),
            witness: None,
            affected: context.workloads(open),
            fix: edit.map(|edit| Fix {
                title: "isolate egress too".to_owned(),
                safety: Safety::Safe,
                edits: vec![edit],
            }),
        });
    }
}
