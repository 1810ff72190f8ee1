use std::net::IpAddr;

use ipnet::IpNet;
use ringfence_model::address::IpFamily;
use ringfence_model::k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, LabelSelectorRequirement,
};
use ringfence_model::labels::METADATA_NAME;
use ringfence_model::policy::{
    Action, Direction, PodSelection, PolicyBody, PolicyFamily, Tier, TieredPeer, TieredPolicy,
    TieredRule,
};
use ringfence_model::snapshot::PolicyId;
use ringfence_model::tri::Tri;

use super::namespaces::Target;
use super::proposed::{ProposedPolicy, block, egress, to};
use super::request::{BaselineError, Request};
use crate::context::{Context, Group};

/// The priority of the cluster-wide denial, where no other policy has to come after it.
const PRIORITY: u16 = 100;

/// The namespace of which every cluster has one, and whose pods may need metadata.
const KUBE_SYSTEM: &str = "kube-system";

/// The nearest that a `NetworkPolicy` comes to a denial: everything but metadata.
pub(super) fn namespaced(context: &Context<'_>, namespace: &str) -> ProposedPolicy {
    let mut peers = vec![NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector::default()),
        ..NetworkPolicyPeer::default()
    }];
    for (family, all) in [(IpFamily::V4, "0.0.0.0/0"), (IpFamily::V6, "::/0")] {
        let addresses = addresses(context).into_iter();
        let except = addresses
            .filter(|address| IpFamily::of(*address) == family)
            .map(|address| IpNet::from(address).to_string());
        peers.push(block(all, except.collect()));
    }
    ProposedPolicy::network(
        namespace,
        "allow-all-but-metadata",
        "Pods may connect to everything but cloud metadata",
        egress(LabelSelector::default(), vec![to(peers, None)]),
    )
    .saying(
        "A NetworkPolicy cannot deny. This one allows everything else, which closes metadata only \
         as long as no other policy of the namespace allows it: policies add up. It is no default \
         deny, and must not be added to one: it would open what that closes. With a default deny, \
         metadata is closed already unless a rule opens it.",
    )
    .saying(
        "Both families are written, since an IPv4 block with exceptions leaves the IPv6 endpoints \
         as they are. The first peer is for data planes that read an ipBlock as addresses outside \
         the cluster.",
    )
    .ignoring(&[
        "RF501 everything but metadata was asked for",
        "RF502 everything but metadata was asked for",
        "RF503 everything but metadata was asked for",
        "RF508 everything but metadata was asked for",
    ])
}

/// Without an address to leave out, the policy would allow everything.
pub(super) fn must_deny(context: &Context<'_>) -> Result<(), BaselineError> {
    match addresses(context).is_empty() {
        true => Err(BaselineError::NoMetadata),
        false => Ok(()),
    }
}

/// A policy that allows so much must not meet one that allows less.
pub(super) fn must_not_open(
    context: &Context<'_>,
    targets: &[Target],
) -> Result<(), BaselineError> {
    for target in targets {
        let body = namespaced(context, &target.name).policy.body;
        let policies = &context.snapshot.policies;
        let is_there = policies
            .iter()
            .any(|policy| policy.namespace.as_ref() == Some(&target.name) && policy.body == body);
        let mut groups = target.groups(context);
        if !is_there && groups.any(|(_, group)| group.egress_isolated != Tri::No) {
            let name = format!("namespace `{}`", target.name);
            return Err(BaselineError::WouldOpen(name));
        }
        // What a NetworkPolicy allows never gets to the Baseline tier.
        let mut groups = target.groups(context);
        let denial = groups.find_map(|(_, group)| baseline_denial(context, group));
        if let Some(denial) = denial.filter(|_| !is_there) {
            let by = context.snapshot.policy(denial).display_name();
            let name = format!("namespace `{}` ({by})", target.name);
            return Err(BaselineError::WouldOpen(name));
        }
    }
    Ok(())
}

/// A policy of the Baseline tier that denies egress of these pods, or may.
fn baseline_denial(context: &Context<'_>, group: &Group) -> Option<PolicyId> {
    let mut policies = context
        .engine
        .policies_for(group.first, Direction::Egress)
        .map(|(id, _)| id);
    policies.find(|id| match &context.snapshot.policy(*id).body {
        PolicyBody::Tiered(body) => {
            let mut rules = body.egress.iter();
            body.tier == Tier::Baseline && rules.any(|rule| rule.action == Action::Deny)
        }
        PolicyBody::Network(_) => false,
    })
}

/// A denial that no `NetworkPolicy` undoes.
pub(super) fn cluster_wide(
    context: &Context<'_>,
    request: &Request,
) -> Result<ProposedPolicy, BaselineError> {
    must_deny(context)?;
    let networks: Vec<String> = addresses(context)
        .into_iter()
        .map(|address| IpNet::from(address).to_string())
        .collect();
    let (operator, mut values) = match request.namespaces.is_empty() {
        false => ("In", request.namespaces.clone()),
        true => ("NotIn", protected(context)),
    };
    values.sort_unstable();
    values.dedup();
    let body = PolicyBody::Tiered(TieredPolicy {
        tier: Tier::Admin,
        priority: priority(context),
        subject: PodSelection::Namespaces(LabelSelector {
            match_labels: None,
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: METADATA_NAME.to_owned(),
                operator: operator.to_owned(),
                values: Some(values),
            }]),
        }),
        ingress: Vec::new(),
        egress: vec![TieredRule {
            name: "cloud-metadata".to_owned(),
            action: Action::Deny,
            peers: vec![TieredPeer::Networks(networks)],
            ports: None,
        }],
    });
    Ok(ProposedPolicy::new(
        PolicyFamily::ClusterNetworkPolicy,
        None,
        "deny-cloud-metadata",
        "No pod of these namespaces reaches cloud metadata",
        body,
    )
    .saying(
        "Evaluated before every NetworkPolicy, so that none can undo it. It needs a data plane \
         that implements ClusterNetworkPolicy; pods in their node's network are in no subject and \
         bypass it. What gets its credentials from one of these addresses (EKS Pod Identity, \
         workload identity of GKE) must be left out of the subject.",
    ))
}

/// The metadata addresses that count, IPv4 first, ascending, each once.
fn addresses(context: &Context<'_>) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = context.metadata_endpoints().map(|e| e.address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// The namespaces that run the cluster.
fn protected(context: &Context<'_>) -> Vec<String> {
    let namespaces = context.snapshot.namespace_ids();
    let protected = namespaces.filter(|(id, _)| context.role(*id).is_protected());
    let mut names: Vec<String> = protected.map(|(_, n)| n.name.to_string()).collect();
    names.push(KUBE_SYSTEM.to_owned());
    names
}

/// Before every other policy of the tier, and at no other's number as long as there is
/// one.
fn priority(context: &Context<'_>) -> u16 {
    let policies = context.snapshot.policies.iter();
    let taken: Vec<u16> = policies
        .filter_map(|policy| match &policy.body {
            PolicyBody::Tiered(policy) if policy.tier == Tier::Admin => Some(policy.priority),
            PolicyBody::Tiered(_) | PolicyBody::Network(_) => None,
        })
        .collect();
    match taken.iter().min() {
        None => PRIORITY,
        Some(0) => (0..=1000).find(|p| !taken.contains(p)).unwrap_or(0),
        Some(first) => PRIORITY.min(first.saturating_sub(1)),
    }
}
