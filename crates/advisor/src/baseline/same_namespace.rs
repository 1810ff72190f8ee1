use ringfence_model::k8s_openapi::api::networking::v1::NetworkPolicySpec;
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::policy::Direction;

use super::proposed::{ProposedPolicy, from, pods, to};

/// Connections inside a namespace.
pub(super) fn policy(namespace: &str) -> ProposedPolicy {
    let all = || vec![pods(LabelSelector::default())];
    let types = [Direction::Ingress, Direction::Egress];
    let spec = NetworkPolicySpec {
        pod_selector: Some(LabelSelector::default()),
        policy_types: Some(types.iter().map(|d| d.policy_type().to_owned()).collect()),
        ingress: Some(vec![from(all(), None)]),
        egress: Some(vec![to(all(), None)]),
    };
    ProposedPolicy::network(
        namespace,
        "allow-same-namespace",
        "Pods of this namespace may connect to each other on every port",
        spec,
    )
    .saying(
        "A podSelector without a namespaceSelector means this namespace alone; \
         `namespaceSelector: {}` would mean every namespace of the cluster. Both sides are \
         written, since both are closed. Policies for single workloads are better: this one lets \
         each pod reach each other on every port.",
    )
    .ignoring(&["RF502 all ports inside the namespace were asked for"])
}
