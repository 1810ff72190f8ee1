//! From a cluster that shows a difference to a smaller one that still does.

use ringfence_model::k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort};
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::parse::TypedObject;
use ringfence_model::policy::{Policy, PolicyBody, TieredRule};

use super::Cluster;

/// Leaves out one thing after the other, as long as `fails` holds.
pub(super) fn shrink(cluster: &Cluster, fails: &dyn Fn(&Cluster) -> bool) -> Cluster {
    let mut smallest = cluster.clone();
    loop {
        match smaller(&smallest).into_iter().find(|c| fails(c)) {
            Some(found) => smallest = found,
            None => return smallest,
        }
    }
}

/// Everything that has one thing less than `cluster`, large things first.
pub(super) fn smaller(cluster: &Cluster) -> Vec<Cluster> {
    let mut candidates = Vec::new();
    for index in 0..cluster.objects.len() {
        let mut without = cluster.clone();
        without.objects.remove(index);
        candidates.push(without);
    }
    for (index, object) in cluster.objects.iter().enumerate() {
        let TypedObject::Policy(policy) = &object.typed else {
            continue;
        };
        for reduced in smaller_policies(policy) {
            let mut with = cluster.clone();
            if let Some(place) = with.objects.get_mut(index) {
                place.typed = TypedObject::Policy(Box::new(reduced));
            }
            candidates.push(with);
        }
    }
    if !cluster.options.pod_cidrs.is_empty() {
        let mut without = cluster.clone();
        without.options.pod_cidrs.clear();
        candidates.push(without);
    }
    if cluster.options.families.is_some() {
        let mut without = cluster.clone();
        without.options.families = None;
        candidates.push(without);
    }
    candidates
}

fn smaller_policies(policy: &Policy) -> Vec<Policy> {
    let bodies: Vec<PolicyBody> = match &policy.body {
        PolicyBody::Network(spec) => {
            let mut specs = Vec::new();
            for rules in smaller_lists(spec.ingress.as_deref(), &|rule| {
                let peers = smaller_lists(rule.from.as_deref(), &smaller_peers);
                let ports = smaller_lists(rule.ports.as_deref(), &no_smaller::<NetworkPolicyPort>);
                let from = |from| with(rule, |rule| rule.from = Some(from));
                let to = |ports| with(rule, |rule| rule.ports = Some(ports));
                peers
                    .into_iter()
                    .map(from)
                    .chain(ports.into_iter().map(to))
                    .collect()
            }) {
                specs.push(with(spec, |spec| spec.ingress = Some(rules)));
            }
            for rules in smaller_lists(spec.egress.as_deref(), &|rule| {
                let peers = smaller_lists(rule.to.as_deref(), &smaller_peers);
                let ports = smaller_lists(rule.ports.as_deref(), &no_smaller::<NetworkPolicyPort>);
                let from = |to| with(rule, |rule| rule.to = Some(to));
                let to = |ports| with(rule, |rule| rule.ports = Some(ports));
                peers
                    .into_iter()
                    .map(from)
                    .chain(ports.into_iter().map(to))
                    .collect()
            }) {
                specs.push(with(spec, |spec| spec.egress = Some(rules)));
            }
            if let Some(selector) = &spec.pod_selector {
                let smaller = smaller_selectors(selector).into_iter();
                specs.extend(smaller.map(|s| with(spec, |spec| spec.pod_selector = Some(s))));
            }
            specs.into_iter().map(PolicyBody::Network).collect()
        }
        PolicyBody::Tiered(tiered) => {
            let ingress = smaller_lists(Some(&tiered.ingress), &smaller_rules)
                .into_iter()
                .map(|rules| with(tiered, |tiered| tiered.ingress = rules));
            let egress = smaller_lists(Some(&tiered.egress), &smaller_rules)
                .into_iter()
                .map(|rules| with(tiered, |tiered| tiered.egress = rules));
            ingress.chain(egress).map(PolicyBody::Tiered).collect()
        }
    };
    bodies
        .into_iter()
        .map(|body| with(policy, |policy| policy.body = body))
        .collect()
}

/// The list without one of its elements, or with one of them smaller.
fn smaller_lists<T: Clone>(
    list: Option<&[T]>,
    smaller_element: &dyn Fn(&T) -> Vec<T>,
) -> Vec<Vec<T>> {
    let list = list.unwrap_or_default();
    let mut lists = Vec::new();
    for (index, element) in list.iter().enumerate() {
        let mut without = list.to_vec();
        without.remove(index);
        lists.push(without);
        for reduced in smaller_element(element) {
            let mut with = list.to_vec();
            if let Some(place) = with.get_mut(index) {
                *place = reduced;
            }
            lists.push(with);
        }
    }
    lists
}

fn no_smaller<T>(_: &T) -> Vec<T> {
    Vec::new()
}

fn smaller_peers(peer: &NetworkPolicyPeer) -> Vec<NetworkPolicyPeer> {
    let mut peers = Vec::new();
    if let Some(block) = &peer.ip_block {
        for except in smaller_lists(block.except.as_deref(), &no_smaller::<String>) {
            let except = (!except.is_empty()).then_some(except);
            peers.push(with(peer, |peer| {
                if let Some(block) = &mut peer.ip_block {
                    block.except = except;
                }
            }));
        }
    }
    if let Some(selector) = &peer.pod_selector {
        let smaller = smaller_selectors(selector).into_iter();
        peers.extend(smaller.map(|s| with(peer, |peer| peer.pod_selector = Some(s))));
    }
    if let Some(selector) = &peer.namespace_selector {
        let smaller = smaller_selectors(selector).into_iter();
        peers.extend(smaller.map(|s| with(peer, |peer| peer.namespace_selector = Some(s))));
    }
    peers
}

fn smaller_rules(rule: &TieredRule) -> Vec<TieredRule> {
    let mut rules = Vec::new();
    if rule.peers.len() > 1 {
        rules.extend(
            smaller_lists(Some(&rule.peers), &no_smaller)
                .into_iter()
                .map(|peers| with(rule, |rule| rule.peers = peers)),
        );
    }
    if rule.ports.is_some() {
        rules.push(with(rule, |rule| rule.ports = None));
    }
    rules
}

/// The empty selector, if this is another one.
fn smaller_selectors(selector: &LabelSelector) -> Vec<LabelSelector> {
    let empty = LabelSelector::default();
    if *selector == empty {
        Vec::new()
    } else {
        vec![empty]
    }
}

fn with<T: Clone>(value: &T, change: impl FnOnce(&mut T)) -> T {
    let mut changed = value.clone();
    change(&mut changed);
    changed
}
