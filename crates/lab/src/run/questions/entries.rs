//! The ways to Services that have another address than their own: ports of nodes, load
//! balancers, `externalIPs`.
//!
//! Each pod at each node would be more than everything else together, and say the same again
//! and again: of each workload one pod asks one node of a kind.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ringfence_engine::{Frontend, Packet, Peer, Verdict};
use ringfence_model::address::IpFamily;
use ringfence_model::policy::Direction;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{ServiceId, Snapshot, WorkloadId};

use super::{Asking, Purpose, Source, Target};
use crate::probe::Kind;
use crate::schedule::Schedule;
use crate::services::{Endpoint, Entry, Origin, Way, ways};

/// More are not asked, however many workloads and Services there are.
const MOST_ASKED: usize = 4000;

/// What leads to Services at each node, and what was asked of it.
pub(super) struct Entries {
    nodes: Vec<AtNode>,
    asked: BTreeSet<Alike>,
    /// Those that were not asked, because one like them was, or too many were.
    pub(super) left_out: usize,
}

/// A node, and what leads to Services there.
struct AtNode {
    name: String,
    addresses: Vec<IpAddr>,
    ways: Vec<Way>,
}

/// Connections of which one is asked for all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Alike {
    from: WorkloadId,
    family: IpFamily,
    service: ServiceId,
    port: (Protocol, u16),
    /// The address, where it is no node's.
    external: Option<IpAddr>,
    is_own_node: bool,
    has_endpoint: bool,
}

impl Entries {
    pub(super) fn new(schedule: &Schedule) -> Self {
        let at = |snapshot: &Snapshot, name: &str| {
            let mut ways = ways(snapshot, Some(name));
            ways.retain(|way| way.entry != Entry::ClusterAddress);
            ways
        };
        let nodes = schedule.nodes.iter().map(|node| AtNode {
            name: node.name.to_string(),
            addresses: node.addresses.clone(),
            ways: at(&schedule.snapshot, &node.name),
        });
        Self {
            nodes: nodes.collect(),
            asked: BTreeSet::new(),
            left_out: 0,
        }
    }
}

impl Asking<'_> {
    pub(super) fn entries(&mut self, source: &Source<'_>, entries: &mut Entries) {
        for node in &entries.nodes {
            let is_own_node = source.pod.node.as_deref() == Some(&*node.name);
            for way in &node.ways {
                // Every node translates external addresses: the pod's own does it first.
                let is_asked_here = way.entry == Entry::NodePort || is_own_node;
                if !is_asked_here || IpFamily::of(way.address) != source.family {
                    continue;
                }
                let mut ends = way.endpoints.iter();
                let alike = Alike {
                    from: source.pod.workload,
                    family: source.family,
                    service: way.service,
                    port: (way.protocol, way.service_port),
                    external: (way.entry == Entry::External).then_some(way.address),
                    is_own_node,
                    has_endpoint: ends.any(|end| end.node.as_deref() == Some(&*node.name)),
                };
                if entries.asked.len() >= MOST_ASKED || !entries.asked.insert(alike) {
                    entries.left_out += 1;
                    continue;
                }
                let target = self.target(way, node, is_own_node);
                let verdict = self.by_way(source, way, node);
                self.ask(source, target, Kind::Connection, verdict);
            }
        }
    }

    fn target(&self, way: &Way, node: &AtNode, is_own_node: bool) -> Target {
        let snapshot = &self.lab.schedule().snapshot;
        let service = snapshot.service(way.service);
        let namespace = &snapshot.namespace(service.namespace).name;
        let service = format!("svc:{namespace}/{}", service.name);
        let (purpose, place, kind) = match way.entry {
            Entry::External => {
                let address = way.address.to_string();
                (Purpose::External, address.clone(), address)
            }
            _ => {
                let kind = if is_own_node {
                    "own node"
                } else {
                    "another node"
                };
                (Purpose::NodePort, node.name.clone(), kind.to_owned())
            }
        };
        Target {
            purpose,
            name: format!("{service} at {place}"),
            group: format!("{service} at {kind}"),
            station: None,
            address: way.address,
            protocol: way.protocol,
            port: way.port,
        }
    }

    /// The verdict on a way that a node translates: that on all endpoints that it may lead
    /// to, unknown where they differ.
    fn by_way(&self, source: &Source<'_>, way: &Way, node: &AtNode) -> Verdict {
        let is_own_node = source.pod.node.as_deref() == Some(&*node.name);
        let origin = match (is_own_node, source.pod.host_network) {
            (true, false) => Origin::OwnPod,
            (true, true) => Origin::Node,
            (false, _) => Origin::Elsewhere,
        };
        let ends = way.endpoints_for(origin).into_iter();
        let verdicts: Vec<Verdict> = ends
            .map(|end| self.to_endpoint(source, way, node, origin, end))
            .collect();
        match verdicts.split_first() {
            // Nothing is behind it, or nothing on this node: it is refused there.
            None => Verdict::Denied,
            Some((first, rest)) if rest.iter().all(|other| other == first) => *first,
            Some(_) => Verdict::Unknown,
        }
    }

    /// The verdict on one endpoint. The two sides do not see the same packet: egress is judged
    /// on the pod's own node, ingress on that of the endpoint, and the node that was asked
    /// translates between them.
    fn to_endpoint(
        &self,
        source: &Source<'_>,
        way: &Way,
        node: &AtNode,
        origin: Origin,
        end: &Endpoint,
    ) -> Verdict {
        let translated = Packet {
            source: Peer::Pod(source.id),
            destination: end.peer,
            family: source.family,
            protocol: way.protocol,
            port: end.port,
            through_service: Some(Frontend {
                service: way.service,
                port: way.service_port,
            }),
        };
        let as_sent = Packet {
            destination: Peer::Address(way.address),
            port: way.port,
            through_service: None,
            ..translated
        };
        // The own node has translated the destination before it judges.
        let is_translated =
            origin != Origin::Elsewhere && !self.engine.profile().judges_before_dnat;
        let leaving = if is_translated { translated } else { as_sent };
        let egress = self.engine.can_on(&leaving, Direction::Egress);
        // A node judges what it lets in before it puts its own address on it: so only other
        // nodes see that.
        let is_hidden = way.hides(origin) && end.node.as_deref() != Some(&*node.name);
        let mut own = node.addresses.iter().copied();
        let own = own.find(|address| IpFamily::of(*address) == source.family);
        let arriving = match own.filter(|_| is_hidden) {
            Some(address) => Packet {
                source: Peer::Address(address),
                through_service: None,
                ..translated
            },
            None => translated,
        };
        egress.both(self.engine.can_on(&arriving, Direction::Ingress))
    }
}
