use ipnet::IpNet;
use ringfence_engine::{Frontend, Packet, Peer};
use ringfence_model::address::IpFamily;
use ringfence_model::k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort};
use ringfence_model::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ringfence_model::policy::{Policy, PolicyBody, TieredPeer, TieredPort};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{ServiceId, Snapshot};

use super::{Dice, addresses};

/// Packets worth asking about in one cluster: between its pods and the edges of the
/// blocks that its policies name, to the edges of their port ranges.
#[derive(Clone, Debug)]
pub struct Questions<'a> {
    snapshot: &'a Snapshot,
    dice: Dice,
    pods: Vec<Peer>,
    addresses: Vec<Peer>,
    ports: Vec<u16>,
}

impl<'a> Questions<'a> {
    /// The questions about a snapshot; the same seed asks the same.
    #[must_use]
    pub fn new(snapshot: &'a Snapshot, seed: u64) -> Self {
        let blocks = snapshot.policies.iter().flat_map(blocks);
        let outside = addresses::edges(blocks)
            .into_iter()
            .filter(|address| snapshot.pod_with_address(*address).is_none())
            .map(Peer::Address);
        let mut ports: Vec<u16> = snapshot
            .policies
            .iter()
            .flat_map(bounds)
            .chain(
                snapshot
                    .pods
                    .iter()
                    .flat_map(|pod| pod.ports.iter().map(|p| p.port)),
            )
            .chain([80, 8080, 443])
            .flat_map(|port| [port.saturating_sub(1), port, port.saturating_add(1)])
            .filter(|port| *port != 0)
            .collect();
        ports.sort_unstable();
        ports.dedup();
        Self {
            snapshot,
            dice: Dice::new(!seed),
            pods: snapshot.pod_ids().map(|(id, _)| Peer::Pod(id)).collect(),
            addresses: outside.collect(),
            ports,
        }
    }

    fn families(&self, peer: Peer) -> Vec<IpFamily> {
        match peer {
            Peer::Pod(id) => self.snapshot.families_of(self.snapshot.pod(id)),
            Peer::Address(address) => vec![IpFamily::of(address)],
        }
    }

    fn try_next(&mut self) -> Option<Packet> {
        let (from_pod, to_pod) =
            self.dice
                .pick(&[(true, true), (true, true), (true, false), (false, true)]);
        let source = self.peer(from_pod);
        let destination = self.peer(to_pod);
        let theirs = self.families(destination);
        let common: Vec<IpFamily> = self
            .families(source)
            .into_iter()
            .filter(|family| theirs.contains(family))
            .collect();
        if common.is_empty() {
            return None;
        }
        let protocol = self.dice.pick(&[
            Protocol::Tcp,
            Protocol::Tcp,
            Protocol::Tcp,
            Protocol::Udp,
            Protocol::Udp,
            Protocol::Sctp,
            Protocol::Icmp,
        ]);
        Some(Packet {
            through_service: self.frontend(protocol),
            source,
            destination,
            family: self.dice.pick(&common),
            protocol,
            port: match protocol {
                Protocol::Icmp => 0,
                _ => self.dice.pick(&self.ports),
            },
        })
    }

    /// Sometimes a port of a Service, whether or not it leads to the destination.
    fn frontend(&mut self, protocol: Protocol) -> Option<Frontend> {
        if self.snapshot.services.is_empty() || !self.dice.chance(30) {
            return None;
        }
        let service = self.dice.below(self.snapshot.services.len());
        let service = ServiceId(u32::try_from(service).unwrap_or_default());
        let ports = self.snapshot.service(service).ports.iter();
        let ports: Vec<u16> = ports
            .filter(|port| port.protocol == protocol)
            .map(|port| port.port)
            .collect();
        let port = match ports.is_empty() {
            true => self.dice.pick(&self.ports),
            false => self.dice.pick(&ports),
        };
        Some(Frontend { service, port })
    }

    fn peer(&mut self, pod: bool) -> Peer {
        self.dice
            .pick(if pod { &self.pods } else { &self.addresses })
    }
}

/// Never ends, unless the cluster has no pod.
impl Iterator for Questions<'_> {
    type Item = Packet;

    fn next(&mut self) -> Option<Packet> {
        if self.pods.is_empty() {
            return None;
        }
        // A pair of ends may have no family in common, and a cluster none that it
        // shares with any other end.
        (0..64).find_map(|_| self.try_next())
    }
}

/// Every block that a policy names.
fn blocks(policy: &Policy) -> Vec<IpNet> {
    let texts: Vec<&String> = match &policy.body {
        PolicyBody::Network(spec) => {
            let from = spec.ingress.iter().flatten().flat_map(|rule| &rule.from);
            let to = spec.egress.iter().flatten().flat_map(|rule| &rule.to);
            from.chain(to).flatten().flat_map(block_texts).collect()
        }
        PolicyBody::Tiered(tiered) => tiered
            .ingress
            .iter()
            .chain(&tiered.egress)
            .flat_map(|rule| &rule.peers)
            .flat_map(|peer| match peer {
                TieredPeer::Networks(cidrs) => cidrs.as_slice(),
                _ => &[],
            })
            .collect(),
    };
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

fn block_texts(peer: &NetworkPolicyPeer) -> impl Iterator<Item = &String> {
    peer.ip_block
        .iter()
        .flat_map(|block| std::iter::once(&block.cidr).chain(block.except.iter().flatten()))
}

/// Both ends of every range of ports that a policy names.
fn bounds(policy: &Policy) -> Vec<u16> {
    match &policy.body {
        PolicyBody::Network(spec) => {
            let ingress = spec.ingress.iter().flatten().flat_map(|rule| &rule.ports);
            let egress = spec.egress.iter().flatten().flat_map(|rule| &rule.ports);
            ingress
                .chain(egress)
                .flatten()
                .flat_map(|port: &NetworkPolicyPort| {
                    let first = match &port.port {
                        Some(IntOrString::Int(number)) => Some(*number),
                        _ => None,
                    };
                    [first, port.end_port]
                })
                .flatten()
                .filter_map(|number| u16::try_from(number).ok())
                .collect()
        }
        PolicyBody::Tiered(tiered) => tiered
            .ingress
            .iter()
            .chain(&tiered.egress)
            .flat_map(|rule| rule.ports.iter().flatten())
            .flat_map(|port| match port {
                TieredPort::Range { start, end, .. } => vec![*start, *end],
                TieredPort::Named(_) => Vec::new(),
            })
            .collect(),
    }
}
