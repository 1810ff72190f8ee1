use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ringfence_engine::{Peer, RuleRef};
use ringfence_model::address::{IpFamily, public_internet};
use ringfence_model::policy::{Action, Direction, PolicyBody, Tier};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::PolicyId;
use ringfence_model::tri::Tri;

use super::{Context, Group};

/// A rule that denies everything that was not allowed before, in one family.
pub(super) type DenyAll = (RuleRef, IpFamily);

/// A public address of the family, to ask whether a rule covers what is outside.
fn outside(family: IpFamily) -> IpAddr {
    match family {
        IpFamily::V4 => Ipv4Addr::new(8, 8, 8, 8).into(),
        IpFamily::V6 => Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888).into(),
    }
}

/// The egress rules of cluster-wide policies that deny every port to every pod that
/// selectors see. Whether they cover what is outside the cluster is asked for each pod.
pub(super) fn candidates(context: &Context<'_>) -> Vec<DenyAll> {
    let mut found = Vec::new();
    let pods = context.snapshot.pod_ids();
    let all = pods.filter(|(_, pod)| !pod.host_network).count();
    for (policy, written) in context.snapshot.policy_ids() {
        let PolicyBody::Tiered(body) = &written.body else {
            continue;
        };
        for (index, rule) in body.egress.iter().enumerate() {
            if rule.action != Action::Deny || rule.ports.is_some() {
                continue;
            }
            let rule = RuleRef {
                policy,
                direction: Direction::Egress,
                rule: index,
            };
            found.extend(IpFamily::ALL.into_iter().filter_map(|family| {
                let peers = context.engine.peers_of(rule, family);
                let covered = peers.iter().filter(|(_, matches)| *matches == Tri::Yes);
                (covered.count() >= all).then_some((rule, family))
            }));
        }
    }
    found
}

/// The cluster-wide policy that denies a group all egress which nothing else allows, in
/// every family that it has: a default deny that is no `NetworkPolicy`.
pub(super) fn of(context: &Context<'_>, candidates: &[DenyAll], group: &Group) -> Option<PolicyId> {
    if candidates.is_empty() {
        return None;
    }
    let snapshot = context.snapshot;
    let families = snapshot.families_of(snapshot.pod(group.first));
    let denying = |family: IpFamily| {
        let rules = context.engine.matching_rules(
            group.first,
            Direction::Egress,
            Peer::Address(outside(family)),
            family,
            (Protocol::Tcp, 443),
        );
        rules.into_iter().find_map(|found| {
            let is_certain = found.matches == Tri::Yes;
            (is_certain && candidates.contains(&(found.rule, family))).then_some(found.rule.policy)
        })
    };
    let mut policies = families.iter().map(|family| denying(*family));
    let first = policies.next()??;
    let denies_all = policies.all(|policy| policy.is_some())
        && !passes_by(context, group, first)
        && families
            .iter()
            .all(|family| is_accepted(context, group, *family));
    denies_all.then_some(first)
}

/// Whether whatever is open to public addresses was accepted by some rule, so that none of
/// it is open for want of one.
fn is_accepted(context: &Context<'_>, group: &Group, family: IpFamily) -> bool {
    let public = public_internet(family).to_nets();
    let engine = context.engine;
    let regions = engine.outside(group.first, Direction::Egress, family, &public);
    regions.iter().all(|region| {
        let Some(net) = region.addresses.first() else {
            return true;
        };
        let mut first_ports = Protocol::WITH_PORTS.into_iter().flat_map(|protocol| {
            let ranges = region.open.allow.ranges(protocol).to_vec();
            ranges.into_iter().map(move |(start, _)| (protocol, start))
        });
        first_ports.all(|port| {
            let to = Peer::Address(net.addr());
            let rules = engine.matching_rules(group.first, Direction::Egress, to, family, port);
            rules
                .iter()
                .any(|m| m.action == Action::Accept && m.matches == Tri::Yes)
        })
    })
}

/// Whether something is passed on before a deny of the Admin tier: with no policy of the
/// namespace to limit it, it is open. A deny of the Baseline tier comes after all that.
fn passes_by(context: &Context<'_>, group: &Group, deny: PolicyId) -> bool {
    if context.snapshot.policy(deny).tier() != Tier::Admin {
        return false;
    }
    let mut policies = context.engine.policies_for(group.first, Direction::Egress);
    policies.any(|(id, _)| match &context.snapshot.policy(id).body {
        PolicyBody::Tiered(body) => body.egress.iter().any(|rule| rule.action == Action::Pass),
        PolicyBody::Network(_) => false,
    })
}
