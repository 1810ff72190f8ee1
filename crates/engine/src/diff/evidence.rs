//! Why a verdict has changed: one packet, explained before and after.

use std::net::IpAddr;

use ipnet::IpNet;
use ringfence_model::address::IpFamily;
use ringfence_model::policy::Direction;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodId, PodKind, Snapshot};
use rustc_hash::FxHashMap;

use super::policies::{self, PolicyStatus};
use super::{Change, ChangedEnd, differ_in_families, with_verdict};
use crate::engine::Engine;
use crate::explain::{Explanation, Reason, Side, explain};
use crate::packet::{Packet, Peer, Verdict};
use crate::sets::PortSet;

/// One of the two clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum When {
    /// The old one.
    Before,
    /// The new one.
    After,
}

/// A packet with the verdict that a change speaks of.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The packet; its pods are those of the one cluster.
    pub packet: Packet,
    /// Why it has its verdict there.
    pub explanation: Explanation,
}

/// A policy, or a rule of it, to which a change is due.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// The cluster in which the policy has this effect.
    pub when: When,
    /// The side of the connection.
    pub direction: Direction,
    /// The policy, its rule and effect; the index is that of the one cluster.
    pub reason: Reason,
    /// What has become of the policy. `Same` when it is not the policy that changed,
    /// but what it selects.
    pub status: PolicyStatus,
}

/// Why a verdict has changed.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Responsible {
    /// A packet in the old cluster. `None` when an end does not exist there, and where
    /// no packet has the verdict: the ends have no family in common, or the only known
    /// pod of a workload has no replica to talk to.
    pub before: Option<Evidence>,
    /// A packet in the new cluster, on the same condition.
    pub after: Option<Evidence>,
    /// Policies that changed, where there are any; otherwise those that decide
    /// differently now. Empty when what decides is that no policy does.
    pub causes: Vec<Cause>,
}

/// Finds the policies to which a change is due.
///
/// It reads every policy for one packet of each cluster: do this for the changes that
/// are shown.
#[must_use]
pub fn responsible(old: &Engine, new: &Engine, change: &Change) -> Responsible {
    let any_family = differ_in_families(old, new);
    let before = evidence(old, change, change.before, any_family);
    let after = evidence(new, change, change.after, any_family);
    let mut causes = Vec::new();
    for direction in [Direction::Egress, Direction::Ingress] {
        let side = |evidence: &Option<Evidence>| {
            let explanation = evidence.as_ref().map(|e| &e.explanation)?;
            Some(side(explanation, direction).verdict)
        };
        if let (Some(was), Some(is)) = (side(&before), side(&after))
            && was == is
        {
            continue;
        }
        for (when, evidence, other, missing) in [
            (When::Before, &before, new, PolicyStatus::Removed),
            (When::After, &after, old, PolicyStatus::Added),
        ] {
            let snapshot = match when {
                When::Before => old.snapshot(),
                When::After => new.snapshot(),
            };
            let decisive = evidence
                .iter()
                .flat_map(|e| &self::side(&e.explanation, direction).reasons)
                .filter(|reason| reason.decisive);
            causes.extend(decisive.map(|reason| Cause {
                when,
                direction,
                reason: reason.clone(),
                status: policies::status(snapshot.policy(reason.policy), other.snapshot(), missing),
            }));
        }
    }
    if causes
        .iter()
        .any(|cause| cause.status != PolicyStatus::Same)
    {
        causes.retain(|cause| cause.status != PolicyStatus::Same);
    }
    Responsible {
        before,
        after,
        causes,
    }
}

fn side(explanation: &Explanation, direction: Direction) -> &Side {
    match direction {
        Direction::Egress => &explanation.egress,
        Direction::Ingress => &explanation.ingress,
    }
}

/// A packet of the change that has `verdict`, explained.
fn evidence(
    engine: &Engine,
    change: &Change,
    verdict: Verdict,
    any_family: bool,
) -> Option<Evidence> {
    // As the change was found: see `Selection::any_family`.
    let any_family = any_family
        && [&change.from, &change.to]
            .iter()
            .any(|end| matches!(end, ChangedEnd::Addresses(_)));
    let by_node = has_host_network(engine, &change.from) || has_host_network(engine, &change.to);
    for family in IpFamily::ALL {
        let sources = representatives(engine, &change.from, family, by_node, any_family);
        let destinations = representatives(engine, &change.to, family, by_node, any_family);
        for source in &sources {
            for destination in &destinations {
                if is_same_pod(engine.snapshot(), *source, *destination) {
                    continue;
                }
                let open = engine.ports(*source, *destination, family);
                let ports = with_verdict(&open, verdict).intersection(&change.ports);
                let Some((protocol, port)) = first_port(&ports) else {
                    continue;
                };
                let packet = Packet {
                    through_service: None,
                    source: *source,
                    destination: *destination,
                    family,
                    protocol,
                    port,
                };
                let profile = engine.profile();
                return Some(Evidence {
                    packet,
                    explanation: explain(engine.snapshot(), &profile, &packet),
                });
            }
        }
    }
    None
}

fn is_same_pod(snapshot: &Snapshot, source: Peer, destination: Peer) -> bool {
    match source {
        Peer::Pod(id) => source == destination && snapshot.pod(id).kind != PodKind::Template,
        Peer::Address(_) => false,
    }
}

fn pods(engine: &Engine, end: &ChangedEnd) -> Vec<PodId> {
    let snapshot = engine.snapshot();
    match end {
        ChangedEnd::Workload(name) => name
            .find(snapshot)
            .map(|id| snapshot.workload(id).pod_ids().collect())
            .unwrap_or_default(),
        ChangedEnd::Addresses(_) => Vec::new(),
    }
}

fn has_host_network(engine: &Engine, end: &ChangedEnd) -> bool {
    let pods = pods(engine, end);
    pods.into_iter()
        .any(|id| engine.snapshot().pod(id).host_network)
}

/// Pods of a workload such that every other one gets the answers of one of them: two
/// of each class, as one of them may be the other end. For addresses, one of them.
fn representatives(
    engine: &Engine,
    end: &ChangedEnd,
    family: IpFamily,
    by_node: bool,
    any_family: bool,
) -> Vec<Peer> {
    let snapshot = engine.snapshot();
    if let ChangedEnd::Addresses(nets) = end {
        return example(snapshot, nets, family)
            .map(Peer::Address)
            .into_iter()
            .collect();
    }
    let mut seen: FxHashMap<(u32, Option<&str>), u8> = FxHashMap::default();
    let mut chosen = Vec::new();
    for id in pods(engine, end) {
        let pod = snapshot.pod(id);
        let may_have_it = any_family && pod.addresses.is_empty();
        if !may_have_it && !snapshot.families_of(pod).contains(&family) {
            continue;
        }
        let node = pod.node.as_deref().filter(|_| by_node);
        let count = seen.entry((engine.class_of(id), node)).or_default();
        if *count < 2 {
            *count += 1;
            chosen.push(Peer::Pod(id));
        }
    }
    chosen
}

/// Addresses that read well in an example: those reserved for documentation, and
/// well-known ones.
const EXAMPLES: [&str; 6] = [
    "203.0.113.1",
    "198.51.100.1",
    "8.8.8.8",
    "169.254.169.254",
    "10.0.0.1",
    "2001:db8::1",
];

/// An address of the blocks that no pod has, and no node if that can be avoided.
fn example(snapshot: &Snapshot, nets: &[IpNet], family: IpFamily) -> Option<IpAddr> {
    // A block may begin with addresses that are taken.
    const TRIED: usize = 64;
    let of_family = || nets.iter().filter(|net| IpFamily::of(net.addr()) == family);
    let well_known = EXAMPLES
        .iter()
        .filter_map(|text| text.parse::<IpAddr>().ok())
        .filter(|address| of_family().any(|net| net.contains(address)));
    let first = of_family().flat_map(|net| net.hosts().take(TRIED));
    let free = || {
        let candidates = well_known.clone().chain(first.clone());
        candidates.filter(|address| snapshot.pod_with_address(*address).is_none())
    };
    free()
        .find(|address| snapshot.node_with_address(*address).is_none())
        .or_else(|| free().next())
}

/// A port of the set: a TCP port if there is one.
fn first_port(ports: &PortSet) -> Option<(Protocol, u16)> {
    Protocol::WITH_PORTS
        .into_iter()
        .find_map(|protocol| {
            let ranges = ports.ranges(protocol);
            ranges.first().map(|(first, _)| (protocol, *first))
        })
        .or_else(|| ports.has_icmp().then_some((Protocol::Icmp, 0)))
}
