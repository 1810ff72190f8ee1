//! Neighbours that are written down, where hosts would ask for more than can be remembered.
//!
//! The kernel remembers a thousand neighbours of a family, in all namespaces together, and
//! that limit is none of a namespace's settings. What is written down is not counted.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ringfence_model::address::IpFamily;
use ringfence_model::snapshot::PodId;

use super::plan::{Cni, Plan};
use super::pod_links::{NODE_HARDWARE, POD_BRIDGE, bridge_address, gateway, pod_hardware};
use crate::on_link::metadata_on_link;
use crate::schedule::Schedule;

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

/// Whether the bridges of a cluster have more neighbours than should be written down.
pub(super) fn are_too_many(schedule: &Schedule) -> bool {
    let snapshot = &schedule.snapshot;
    let of_node = |node: &crate::schedule::ScheduledNode| {
        let pods = snapshot.pods.iter();
        let own = pods.filter(|pod| !pod.host_network && pod.node.as_ref() == Some(&node.name));
        on_bridge(own.count()).saturating_mul(schedule.families.len())
    };
    schedule.nodes.iter().map(of_node).sum::<usize>() > MOST_WRITTEN
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
