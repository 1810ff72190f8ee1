use std::collections::BTreeSet;

use ringfence_model::diagnostic::Severity;
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::policy::PolicyBody;
use ringfence_model::selector::{matches, selects_everything};
use ringfence_model::snapshot::{NamespaceId, PolicyId};
use ringfence_model::source::{KeyPath, Origin};
use ringfence_model::tri::Tri;
use serde_json::json;

use crate::context::Context;
use crate::finding::{Edit, Finding, Fix, NotVerified, Place, Safety};
use crate::nearest::{Meant, nearest};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A policy that applies to no pod.
pub(super) static RULE: Rule = Rule {
    code: Code(204),
    name: "policy-selects-nothing",
    severity: Severity::Error,
    summary: "the policy's podSelector matches no pod",
    page: include_str!("../../../../docs/findings/RF204.md"),
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings) {
    let mut without_pods: BTreeSet<String> = BTreeSet::new();
    let mut with_unseen: BTreeSet<String> = BTreeSet::new();
    for (id, policy) in context.snapshot.policy_ids() {
        let PolicyBody::Network(spec) = &policy.body else {
            continue;
        };
        let Some(selector) = spec
            .pod_selector
            .as_ref()
            .filter(|s| !selects_everything(s))
        else {
            continue;
        };
        let Some(namespace) = context.namespace_of(id) else {
            continue;
        };
        // Those that it may select, as far as labels are known, count as selected.
        if !context.engine.subjects_of(id).is_empty() {
            continue;
        }
        let name = &context.snapshot.namespace(namespace).name;
        // The pods of a Job come and go.
        if context.inventory.has_ended_pod(name, selector) {
            continue;
        }
        if context.groups_in(namespace).next().is_none() {
            without_pods.insert(format!("`{name}`"));
            continue;
        }
        if context.has_unseen_pods(namespace) {
            with_unseen.insert(format!("`{name}/{}`", policy.name));
            continue;
        }
        findings.push(finding(context, id, namespace, selector));
    }
    for policy in with_unseen {
        findings.not_verified(NotVerified {
            code: RULE.code,
            what: format!("whether {policy} selects any pod"),
            why: "none that the input has; an operator makes others there, which it does not \
                  have"
                .to_owned(),
            how: "add the pods to the input".to_owned(),
        });
    }
    if !without_pods.is_empty() {
        let names: Vec<String> = without_pods.into_iter().collect();
        findings.not_verified(NotVerified {
            code: RULE.code,
            what: match names.as_slice() {
                [one] => format!("whether the policies of namespace {one} select any pod"),
                all => format!(
                    "whether the policies of namespaces {} select any pod",
                    all.join(", ")
                ),
            },
            why: "the input has no pods there".to_owned(),
            how: "check policies and workloads together".to_owned(),
        });
    }
}

fn finding(
    context: &Context<'_>,
    id: PolicyId,
    namespace: NamespaceId,
    selector: &LabelSelector,
) -> Finding {
    let policy = context.snapshot.policy(id);
    let namespace_name = &context.snapshot.namespace(namespace).name;
    let pod_labels = |id| &context.snapshot.pod(id).labels;
    let in_host_network: Vec<_> = context
        .groups_in(namespace)
        .filter(|g| g.host_network && matches(selector, pod_labels(g.first)) == Tri::Yes)
        .flat_map(|group| group.pods.iter().copied())
        .collect();
    let affected = context.workloads(in_host_network);
    let own = context.groups_in(namespace).filter(|g| !g.host_network);
    let meant = match affected.is_empty() {
        true => nearest(selector, own.map(|group| pod_labels(group.first))),
        false => None,
    };
    let elsewhere = match (&meant, affected.is_empty()) {
        (None, true) => context.groups().iter().find(|group| {
            !group.host_network && matches(selector, pod_labels(group.first)) == Tri::Yes
        }),
        _ => None,
    };
    let name = &policy.name;
    let (message, help) = if let Some(meant) = &meant {
        let pairs: Vec<String> = meant.iter().map(|m| format!("`{}`", m.pair())).collect();
        (
            format!("`{name}` selects no pod of namespace `{namespace_name}`"),
            format!("did you mean {}?", pairs.join(" and ")),
        )
    } else if !affected.is_empty() {
        (
            format!(
                "`{name}` selects {}, which policies do not apply to (hostNetwork), and no other pod",
                context.list(&affected)
            ),
            "no policy can limit a pod in its node's network: see RF103".to_owned(),
        )
    } else if let Some(group) = elsewhere {
        let other = &context.snapshot.namespace(group.namespace).name;
        (
            format!("`{name}` selects no pod of namespace `{namespace_name}`"),
            format!(
                "pods with these labels are in namespace `{other}`: a policy selects in its own \
                 namespace only"
            ),
        )
    } else {
        (
            format!("`{name}` selects no pod of namespace `{namespace_name}` in the input"),
            "compare the selector with the labels of the pods, which are those of the template \
             (`spec.template.metadata.labels`) and not those of the workload; if another chart or \
             an operator makes the pods, check them together"
                .to_owned(),
        )
    };
    let fix = meant.as_ref().zip(policy.origin.as_ref());
    Finding {
        rule: &RULE,
        // Without a hint, the pods may be outside the input.
        severity: match &meant {
            Some(_) => RULE.severity,
            None => Severity::Warning,
        },
        message,
        consequence: Some(
            "it isolates nothing and allows nothing: the pods that it was written for are as \
             open, or as closed, as without it"
                .to_owned(),
        ),
        help: Some(help),
        object: context.policy_ref(id),
        primary: policy.origin.as_ref().map(|origin| {
            let pods = pod_selector();
            match meant.as_deref() {
                Some([one]) => Place::value(origin, one.path(&pods), "no pod has this label"),
                _ => Place::value(origin, pods, "no pod has these labels"),
            }
        }),
        related: Vec::new(),
        witness: None,
        affected,
        fix: fix.map(|(meant, origin)| Fix {
            title: "use the labels that the pods have".to_owned(),
            safety: Safety::Unsafe,
            edits: label_edits(origin, &pod_selector(), meant),
        }),
    }
}

fn pod_selector() -> KeyPath {
    KeyPath::root().key("spec").key("podSelector")
}

/// The changes that make a written selector what was meant.
pub(super) fn label_edits(origin: &Origin, selector: &KeyPath, meant: &[Meant]) -> Vec<Edit> {
    let edit = |meant: &Meant| {
        let path = meant.path(selector);
        if meant.key == meant.meant_key {
            Edit::Set {
                origin: origin.clone(),
                path,
                value: json!(meant.meant_value),
            }
        } else {
            Edit::Rename {
                origin: origin.clone(),
                path,
                name: meant.meant_key.clone(),
            }
        }
    };
    meant.iter().map(edit).collect()
}
