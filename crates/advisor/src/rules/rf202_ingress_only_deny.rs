use ringfence_model::diagnostic::Severity;
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::policy::{Direction, PolicyBody};
use ringfence_model::selector::selects_everything;
use ringfence_model::snapshot::NamespaceId;
use ringfence_model::source::{KeyPath, Origin};
use ringfence_model::tri::Tri;
use serde_json::json;

use crate::context::Context;
use crate::finding::{Edit, Finding, Fix, Place, Safety};
use crate::proposal;
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
        // An `egress` key says that egress was meant: RF203. A name that says ingress says
        // that it was not: RF201 tells where egress is open.
        let says_ingress = policy.name.to_ascii_lowercase().contains("ingress");
        if spec.egress.is_some() || says_ingress || context.engine.covers(id, Direction::Egress) {
            continue;
        }
        let namespace = context.namespace_of(id);
        if namespace.is_some_and(|namespace| context.role(namespace).is_protected()) {
            // No default deny belongs there: RF206.
            continue;
        }
        let types = spec.policy_types.as_deref().unwrap_or_default();
        let subjects = context.engine.subjects_of(id);
        let open: Vec<_> = subjects
            .iter()
            .map(|(pod, _)| *pod)
            .filter(|pod| context.engine.isolated(*pod, Direction::Egress) != Tri::Yes)
            .collect();
        // Another policy isolates egress: two policies, one a direction, are a good habit.
        let is_complemented = match subjects.is_empty() {
            true => isolates_all_egress(context, policy.namespace.as_deref()),
            false => open.is_empty(),
        };
        if is_complemented {
            continue;
        }
        let spec_path = KeyPath::root().key("spec");
        let types_path = spec_path.key("policyTypes");
        let (place, isolate) = match (&policy.origin, types.is_empty()) {
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
        let fix = isolate.map(|isolate| fix(context, namespace, policy.origin.as_ref(), isolate));
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
            help: Some(
                "list both directions, `policyTypes: [Ingress, Egress]`, and allow what the pods \
                 connect to, DNS first"
                    .to_owned(),
            ),
            object: context.policy_ref(id),
            primary: place,
            related: Vec::new(),
            witness: None,
            affected: context.workloads(open),
            fix,
        });
    }
}

/// Isolates egress. Pods that could connect to anything so far must be able to resolve
/// names with it, and whatever else they need is not known here.
fn fix(
    context: &Context<'_>,
    namespace: Option<NamespaceId>,
    origin: Option<&Origin>,
    isolate: Edit,
) -> Fix {
    let dns = namespace
        .map(|namespace| proposal::allow_dns(context, namespace, [LabelSelector::default()]))
        .unwrap_or_default();
    let title = match dns.is_empty() {
        true => "isolate egress too",
        false => "isolate egress too, and allow DNS",
    };
    let mut edits = vec![isolate];
    if let Some(origin) = origin {
        edits.extend(dns.into_iter().map(|manifest| Edit::AddObject {
            beside: origin.clone(),
            manifest,
        }));
    }
    Fix {
        title: title.to_owned(),
        safety: Safety::Unsafe,
        edits,
    }
}

/// Whether a policy isolates the egress of whatever pods a namespace has.
fn isolates_all_egress(context: &Context<'_>, namespace: Option<&str>) -> bool {
    context.snapshot.policy_ids().any(|(id, policy)| {
        let PolicyBody::Network(spec) = &policy.body else {
            return false;
        };
        policy.namespace.as_deref() == namespace
            && spec.pod_selector.as_ref().is_none_or(selects_everything)
            && context.engine.covers(id, Direction::Egress)
    })
}
