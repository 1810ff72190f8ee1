use ringfence_model::k8s_openapi::api::networking::v1::NetworkPolicySpec;
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::policy::Direction;

use super::proposed::ProposedPolicy;

/// The default deny of a namespace in some directions.
pub(super) fn policy(namespace: &str, directions: &[Direction]) -> ProposedPolicy {
    let (name, description, comment) = match directions {
        [Direction::Egress] => (
            "default-deny-all-egress",
            "Default deny: pods open no connection that another policy does not allow",
            "Nothing gets out that no other policy allows, name resolution included. Ingress is \
             left as it is.",
        ),
        [Direction::Ingress] => (
            "default-deny-all-ingress",
            "Default deny: pods accept no connection that another policy does not allow",
            "Nothing gets in that no other policy allows. Egress is left as it is.",
        ),
        _ => (
            "default-deny-all",
            "Default deny: no connection in or out that another policy does not allow",
            "Nothing gets in or out that no other policy allows. Both types are written out: \
             without Egress in policyTypes, egress would stay open.",
        ),
    };
    let types = directions.iter().map(|d| d.policy_type().to_owned());
    let spec = NetworkPolicySpec {
        pod_selector: Some(LabelSelector::default()),
        policy_types: Some(types.collect()),
        egress: None,
        ingress: None,
    };
    ProposedPolicy::network(namespace, name, description, spec).saying(comment)
}
