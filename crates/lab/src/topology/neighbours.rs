//! Neighbours that are written down, where hosts would ask for more than can be remembered.
//!
//! The kernel remembers a thousand neighbours of a family, in all namespaces together, and
//! that limit is none of a namespace's settings. What is written down is not counted.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ringfence_model::address::IpFamily;
use ringfence_model::snapshot::PodId;

use super::plan::{Cni, Plan};
use super::pod_links::{NODE_HARDWARE, POD_BRIDGE, bridge_address, gateway, pod_hardware};
use crate::on_link::metadata_on_link;
use crate::schedule::{Schedule, ScheduledNode};

/// So many may be asked for, of one family.
const MOST_ASKED_FOR: usize = 300;

/// So many are written down on bridges; each takes half a kilobyte of the kernel's memory.
const MOST_WRITTEN: usize = 400_000;

/// A pod with a link of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Linked {
    pub(super) pod: PodId,
    /// The number of its link in the plan: the node's end is the first.
    pub(super) link: usize,
}

/// How many neighbours the hosts of a bridge have: everybody has everybody else and the
/// node, and the node has everybody.
fn on_bridge(pods: usize) -> usize {
    pods.saturating_mul(pods.saturating_add(1))
}

/// Bridges on which more neighbours would have to be written down than should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Crowded {
    /// The node with the most pods on its bridge.
    pub(super) node: Arc<str>,
    /// How many those are.
    pub(super) pods: usize,
    /// How many pods each of the nodes may have, if all have as many.
    pub(super) most: usize,
    /// Over how many nodes all pods would have to be spread evenly.
    pub(super) nodes: usize,
}

/// What is wrong with the bridges of a cluster; `None` if nothing is.
pub(super) fn crowded(schedule: &Schedule) -> Option<Crowded> {
    let snapshot = &schedule.snapshot;
    let families = schedule.families.len();
    let is_too_many = |neighbours: usize| neighbours.saturating_mul(families) > MOST_WRITTEN;
    let pods_of = |node: &ScheduledNode| {
        let pods = snapshot.pods.iter();
        let own = pods.filter(|pod| !pod.host_network && pod.node.as_ref() == Some(&node.name));
        own.count()
    };
    let counts: Vec<usize> = schedule.nodes.iter().map(pods_of).collect();
    if !is_too_many(counts.iter().copied().map(on_bridge).sum()) {
        return None;
    }
    let spread = |pods: usize, nodes: usize| on_bridge(pods).saturating_mul(nodes);
    let (pods, node) = counts
        .iter()
        .zip(&schedule.nodes)
        .rev()
        .max_by_key(|(pods, _)| **pods)?;
    let fits = |pods: &usize| !is_too_many(spread(*pods, counts.len()));
    let all: usize = counts.iter().sum();
    let mut enough = (1..=all).filter(|nodes| !is_too_many(spread(all.div_ceil(*nodes), *nodes)));
    Some(Crowded {
        node: Arc::clone(&node.name),
        pods: *pods,
        most: (0..*pods).rev().find(fits).unwrap_or_default(),
        nodes: enough.next().unwrap_or(all),
    })
}

/// Writes neighbours into the plan, where there are many.
pub(super) fn write_down(plan: &mut Plan, schedule: &Schedule, cni: Cni, linked: &[Linked]) {
    let mut by_node: BTreeMap<usize, Vec<Linked>> = BTreeMap::new();
    for one in linked {
        if let Some(link) = plan.links.get(one.link) {
            by_node.entry(link.first.0).or_default().push(*one);
        }
    }
    let asked_for: usize = match cni {
        Cni::Routed => linked.len().saturating_mul(2),
        Cni::Bridge => by_node.values().map(|pods| on_bridge(pods.len())).sum(),
    };
    if asked_for <= MOST_ASKED_FOR {
        return;
    }
    match cni {
        Cni::Routed => linked.iter().for_each(|one| routed(plan, schedule, *one)),
        Cni::Bridge => {
            for (node, pods) in by_node {
                bridged(plan, schedule, node, &pods);
            }
        }
    }
}

/// The pod knows its gateway, and the node the pod.
fn routed(plan: &mut Plan, schedule: &Schedule, one: Linked) {
    let addresses = &schedule.snapshot.pod(one.pod).addresses;
    if let Some(link) = plan.links.get_mut(one.link) {
        let hardware = pod_hardware(link.second.0);
        let hosts = addresses.iter().map(|address| (*address, hardware));
        link.first.1.neighbours = hosts.collect();
        let gateways = addresses.iter().flat_map(|address| {
            let on_link = metadata_on_link(IpFamily::of(*address));
            std::iter::once(gateway(*address).0).chain(on_link)
        });
        link.second.1.neighbours = gateways.map(|address| (address, NODE_HARDWARE)).collect();
    }
}

/// Everybody on the bridge knows everybody else and the node, and the node knows everybody.
fn bridged(plan: &mut Plan, schedule: &Schedule, node: usize, pods: &[Linked]) {
    let snapshot = &schedule.snapshot;
    let position = plan.nodes.iter().position(|namespace| *namespace == node);
    let scheduled = position.and_then(|position| schedule.nodes.get(position));
    let ranges = scheduled
        .map(|node| &node.pod_ranges[..])
        .unwrap_or_default();
    let gateways: Vec<IpAddr> = IpFamily::ALL
        .into_iter()
        .filter_map(|family| bridge_address(schedule, ranges, family))
        .flat_map(|(address, _)| {
            let on_link = metadata_on_link(IpFamily::of(address));
            std::iter::once(address).chain(on_link)
        })
        .collect();
    let addresses = pods.iter().flat_map(|one| {
        let link = plan.links.get(one.link);
        let hardware = link.map(|link| pod_hardware(link.second.0));
        let addresses = snapshot.pod(one.pod).addresses.iter();
        addresses.filter_map(move |address| Some((*address, hardware?)))
    });
    let everybody: Vec<(IpAddr, [u8; 6])> = addresses.collect();
    for one in pods {
        let Some(link) = plan.links.get_mut(one.link) else {
            continue;
        };
        let own = pod_hardware(link.second.0);
        // Those outside the range of the bridge are reached by way of the node.
        let others = everybody.iter().filter(|(address, hardware)| {
            *hardware != own && ranges.iter().any(|range| range.contains(address))
        });
        let node = gateways.iter().map(|address| (*address, NODE_HARDWARE));
        link.second.1.neighbours = others.copied().chain(node).collect();
    }
    let namespace = plan.namespaces.get_mut(&node);
    let bridges = namespace
        .into_iter()
        .flat_map(|namespace| &mut namespace.bridges);
    for bridge in bridges.filter(|bridge| bridge.name == POD_BRIDGE) {
        bridge.neighbours.clone_from(&everybody);
    }
}
