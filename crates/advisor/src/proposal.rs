//! Policies that a fix adds to a namespace: those of the baseline, as manifests.

use std::collections::BTreeSet;

use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::policy::PolicyBody;
use ringfence_model::snapshot::NamespaceId;
use serde_json::{Value, json};

use crate::baseline::{self, ProposedPolicy};
use crate::context::Context;

/// A policy that isolates the egress of all pods of a namespace and allows nothing.
pub(crate) fn deny_egress(context: &Context<'_>, namespace: NamespaceId) -> Value {
    let name = &context.snapshot.namespace(namespace).name;
    let proposed = baseline::deny_egress(name);
    manifest(&proposed, &mut taken_names(context, namespace))
}

/// Policies that let pods of a namespace ask the name servers of this cluster: one for
/// each of the selectors.
pub(crate) fn allow_dns(
    context: &Context<'_>,
    namespace: NamespaceId,
    selectors: impl IntoIterator<Item = LabelSelector>,
) -> Vec<Value> {
    let name = &context.snapshot.namespace(namespace).name;
    let mut taken = taken_names(context, namespace);
    let mut manifests = Vec::new();
    let Some(mut proposed) = baseline::allow_dns(context, name) else {
        return manifests;
    };
    for selector in selectors {
        if let PolicyBody::Network(spec) = &mut proposed.policy.body {
            spec.pod_selector = Some(selector);
        }
        manifests.push(manifest(&proposed, &mut taken));
    }
    manifests
}

/// The egress rules of such a policy.
pub(crate) fn dns_egress_rules(context: &Context<'_>) -> Vec<Value> {
    let proposed = baseline::allow_dns(context, "");
    match proposed.map(|proposed| proposed.policy.body) {
        Some(PolicyBody::Network(spec)) => {
            let rules = spec.egress.iter().flatten();
            rules
                .filter_map(|rule| serde_json::to_value(rule).ok())
                .collect()
        }
        Some(PolicyBody::Tiered(_)) | None => Vec::new(),
    }
}

fn taken_names(context: &Context<'_>, namespace: NamespaceId) -> BTreeSet<String> {
    let namespace = &context.snapshot.namespace(namespace).name;
    let policies = context.snapshot.policies.iter();
    policies
        .filter(|policy| policy.namespace.as_ref() == Some(namespace))
        .map(|policy| policy.name.to_string())
        .collect()
}

/// The policy under a name that no other policy of the namespace has.
fn manifest(proposed: &ProposedPolicy, taken: &mut BTreeSet<String>) -> Value {
    let policy = &proposed.policy;
    let numbered = (2_u32..).map(|number| format!("{}-{number}", policy.name));
    let mut names = std::iter::once(policy.name.to_string()).chain(numbered);
    let name = names.find(|name| !taken.contains(name)).unwrap_or_default();
    taken.insert(name.clone());
    let spec = match &policy.body {
        PolicyBody::Network(spec) => serde_json::to_value(spec).unwrap_or_default(),
        PolicyBody::Tiered(_) => Value::Null,
    };
    json!({
        "apiVersion": policy.family.api_version(),
        "kind": policy.family.kind(),
        "metadata": {
            "name": name,
            "namespace": policy.namespace.as_deref(),
            "labels": proposed.labels,
            "annotations": policy.annotations,
        },
        "spec": spec,
    })
}
