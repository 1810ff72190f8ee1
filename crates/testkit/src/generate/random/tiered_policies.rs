use std::collections::BTreeMap;

use ringfence_model::policy::{
    Action, Direction, PodSelection, Policy, PolicyBody, PolicyFamily, Tier, TieredPeer,
    TieredPolicy, TieredPort, TieredRule,
};
use ringfence_model::protocol::Protocol;

use super::network_policies::{NAMES, NUMBERS, range};
use super::selectors::{Of, selector};
use super::{Dice, addresses};

pub(super) fn tiered_policies(dice: &mut Dice) -> Vec<Policy> {
    let cluster = dice.pick(&[0, 1, 2, 3, 4]);
    let admin = dice.pick(&[0, 0, 1, 2]);
    let mut policies = Vec::new();
    for number in 0..cluster {
        let tier = dice.pick(&[Tier::Admin, Tier::Admin, Tier::Baseline]);
        let family = PolicyFamily::ClusterNetworkPolicy;
        policies.push(policy(dice, family, tier, &format!("cnp{number}")));
    }
    for number in 0..admin {
        let family = PolicyFamily::AdminNetworkPolicy;
        policies.push(policy(dice, family, Tier::Admin, &format!("anp{number}")));
    }
    if dice.chance(30) {
        let family = PolicyFamily::BaselineAdminNetworkPolicy;
        policies.push(policy(dice, family, Tier::Baseline, "default"));
    }
    policies
}

fn policy(dice: &mut Dice, family: PolicyFamily, tier: Tier, name: &str) -> Policy {
    let priority = match family {
        PolicyFamily::BaselineAdminNetworkPolicy => 0,
        // Few numbers: ties are the interesting case.
        _ => dice.pick(&[0, 10, 10, 10, 20, 1000]),
    };
    let tiered = TieredPolicy {
        tier,
        priority,
        subject: selection(dice),
        ingress: dice.several(0, 3, |dice| rule(dice, family, Direction::Ingress)),
        egress: dice.several(0, 3, |dice| rule(dice, family, Direction::Egress)),
    };
    Policy {
        family,
        namespace: None,
        name: name.into(),
        annotations: BTreeMap::new(),
        body: PolicyBody::Tiered(tiered),
        origin: None,
    }
}

fn selection(dice: &mut Dice) -> PodSelection {
    if dice.chance(50) {
        PodSelection::Namespaces(selector(dice, Of::Namespaces))
    } else {
        PodSelection::Pods {
            namespace_selector: selector(dice, Of::Namespaces),
            pod_selector: selector(dice, Of::Pods),
        }
    }
}

fn rule(dice: &mut Dice, family: PolicyFamily, direction: Direction) -> TieredRule {
    let action = match family {
        PolicyFamily::BaselineAdminNetworkPolicy => dice.pick(&[Action::Accept, Action::Deny]),
        _ => dice.pick(&[Action::Accept, Action::Deny, Action::Deny, Action::Pass]),
    };
    let peers = dice.several(1, 2, |dice| peer(dice, family, direction, action));
    // A named port is a port of a pod: it may not stand beside any other peer.
    let only_pods = peers.iter().all(|peer| matches!(peer, TieredPeer::Pods(_)));
    let ports = dice
        .chance(65)
        .then(|| dice.several(1, 2, |dice| port(dice, only_pods)));
    TieredRule {
        name: String::new(),
        action,
        peers,
        ports,
    }
}

fn peer(dice: &mut Dice, family: PolicyFamily, direction: Direction, action: Action) -> TieredPeer {
    if dice.chance(3) {
        return TieredPeer::Unrecognized;
    }
    let names = action == Action::Accept && family != PolicyFamily::BaselineAdminNetworkPolicy;
    match (direction, dice.below(10)) {
        (Direction::Egress, 0..=2) => {
            let mut cidrs = dice.several(1, 2, |dice| addresses::block(dice).to_string());
            // The API server refuses a list with the same block twice.
            cidrs.dedup();
            TieredPeer::Networks(cidrs)
        }
        (Direction::Egress, 3) => TieredPeer::Nodes(selector(dice, Of::Nodes)),
        (Direction::Egress, 4) if names => {
            TieredPeer::DomainNames(vec!["*.example.org".to_owned()])
        }
        _ => TieredPeer::Pods(selection(dice)),
    }
}

fn port(dice: &mut Dice, may_be_named: bool) -> TieredPort {
    if may_be_named && dice.chance(30) {
        return TieredPort::Named(dice.pick(&NAMES).to_owned());
    }
    let protocol = dice.pick(&[Protocol::Tcp, Protocol::Tcp, Protocol::Udp, Protocol::Sctp]);
    let (start, end) = match dice.below(10) {
        0..=5 => {
            let number = dice.pick(&NUMBERS);
            (number, number)
        }
        6 => (1, u16::MAX),
        _ => range(dice),
    };
    TieredPort::Range {
        protocol,
        start,
        end,
    }
}
