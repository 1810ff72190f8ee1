use std::collections::BTreeMap;

use ringfence_model::k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use ringfence_model::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ringfence_model::policy::{Policy, PolicyBody, PolicyFamily};

use super::selectors::{Of, selector};
use super::{Dice, NAMESPACES, addresses};

/// Numbers that policies and questions share.
pub(super) const NUMBERS: [u16; 8] = [80, 81, 443, 8080, 53, 1, 65535, 8100];
/// Names of ports; no pod has the last.
pub(super) const NAMES: [&str; 4] = ["http", "web", "dns", "nosuch"];

pub(super) fn network_policies(dice: &mut Dice) -> Vec<Policy> {
    let count = dice.pick(&[1, 2, 3, 4, 5, 6]);
    (0..count)
        .map(|number| Policy {
            family: PolicyFamily::NetworkPolicy,
            namespace: Some(dice.pick(&NAMESPACES).into()),
            name: format!("np{number}").into(),
            annotations: BTreeMap::new(),
            body: PolicyBody::Network(spec(dice)),
            origin: None,
        })
        .collect()
}

fn spec(dice: &mut Dice) -> NetworkPolicySpec {
    let policy_types: Option<&[&str]> = match dice.below(10) {
        0 | 1 => None,
        2 => Some(&[]),
        3 | 4 => Some(&["Ingress"]),
        5 | 6 => Some(&["Egress"]),
        _ => Some(&["Egress", "Ingress"]),
    };
    let pod_selector = match dice.below(10) {
        0 => None,
        _ => Some(selector(dice, Of::Pods)),
    };
    NetworkPolicySpec {
        pod_selector,
        policy_types: policy_types.map(|types| types.iter().map(ToString::to_string).collect()),
        ingress: list(dice, 2, |dice| NetworkPolicyIngressRule {
            from: list(dice, 2, peer),
            ports: list(dice, 2, port),
        }),
        egress: list(dice, 2, |dice| NetworkPolicyEgressRule {
            to: list(dice, 2, peer),
            ports: list(dice, 2, port),
        }),
    }
}

/// Absent, empty, or up to `most` values.
fn list<T>(dice: &mut Dice, most: usize, make: impl FnMut(&mut Dice) -> T) -> Option<Vec<T>> {
    match dice.below(10) {
        0 | 1 => None,
        2 => Some(Vec::new()),
        _ => Some(dice.several(1, most, make)),
    }
}

fn peer(dice: &mut Dice) -> NetworkPolicyPeer {
    let mut peer = NetworkPolicyPeer::default();
    match dice.below(10) {
        0..=2 => peer.pod_selector = Some(selector(dice, Of::Pods)),
        3 | 4 => peer.namespace_selector = Some(selector(dice, Of::Namespaces)),
        5 | 6 => {
            peer.pod_selector = Some(selector(dice, Of::Pods));
            peer.namespace_selector = Some(selector(dice, Of::Namespaces));
        }
        _ => {
            let cidr = addresses::block(dice);
            let except = match dice.below(10) {
                0..=3 => None,
                4 => Some(Vec::new()),
                _ => Some(addresses::exceptions(dice, &cidr)),
            };
            peer.ip_block = Some(IPBlock {
                cidr: cidr.to_string(),
                except: except.map(|nets| nets.iter().map(ToString::to_string).collect()),
            });
        }
    }
    peer
}

fn port(dice: &mut Dice) -> NetworkPolicyPort {
    let protocol = match dice.below(10) {
        0..=2 => None,
        3..=6 => Some("TCP"),
        7 | 8 => Some("UDP"),
        _ => Some("SCTP"),
    };
    let (port, end_port) = match dice.below(10) {
        0 => (None, None),
        1..=3 => {
            let name = dice.pick(&NAMES).to_owned();
            (Some(IntOrString::String(name)), None)
        }
        4 | 5 => {
            let (first, last) = range(dice);
            (
                Some(IntOrString::Int(i32::from(first))),
                Some(i32::from(last)),
            )
        }
        _ => {
            let number = i32::from(dice.pick(&NUMBERS));
            (Some(IntOrString::Int(number)), None)
        }
    };
    NetworkPolicyPort {
        protocol: protocol.map(ToOwned::to_owned),
        port,
        end_port,
    }
}

/// A range of ports; `first` may equal `last`.
pub(super) fn range(dice: &mut Dice) -> (u16, u16) {
    let (a, b) = (dice.pick(&NUMBERS), dice.pick(&NUMBERS));
    (a.min(b), a.max(b))
}
