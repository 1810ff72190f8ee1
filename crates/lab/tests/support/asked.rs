//! A cluster as a scheduler lays it out, what is asked about it, and what those say who need
//! no kernel: the oracle, the engine, and the interpreter of the compiled rulesets.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use ringfence_engine::oracle::Oracle;
use ringfence_engine::{Engine, Packet, Peer, Profile, Verdict};
use ringfence_lab::probe::{Kind, Probe};
use ringfence_lab::schedule::{Options, Schedule, schedule};
use ringfence_lab::topology::{Cni, Plan};
use ringfence_model::address::IpFamily;
use ringfence_model::parse::{Object, Sources};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::builder::BuildOptions;
use ringfence_model::snapshot::{Snapshot, assignable_addresses};
use ringfence_testkit::generate::random::Questions;
use ringfence_testkit::{Decider, Rulesets};

/// A cluster to build, and how.
pub(crate) struct Trial<'a> {
    /// For messages.
    pub(crate) name: String,
    /// What it is made of.
    pub(crate) objects: &'a [Object],
    /// How the manifests are read.
    pub(crate) build: BuildOptions,
    /// How the policies are read.
    pub(crate) profile: Profile,
    pub(crate) cni: Cni,
    /// Which packets are asked about besides all pairs.
    pub(crate) seed: u64,
}

/// How many verdicts each decider gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// The oracle, and the engine as many.
    pub(crate) asked: u64,
    /// Those that it knows.
    pub(crate) certain: u64,
    /// The interpreter of the rulesets.
    pub(crate) interpreted: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.asked += other.asked;
        self.certain += other.certain;
        self.interpreted += other.interpreted;
    }
}

/// A cluster that is laid out.
pub(crate) struct Asked {
    pub(crate) made: Schedule,
    pub(crate) cni: Cni,
    plan: Plan,
}

impl Asked {
    /// On two nodes, with both families.
    pub(crate) fn new(trial: &Trial<'_>) -> Self {
        let options = Options {
            nodes: 2,
            families: Some(IpFamily::ALL.to_vec()),
            ..Options::default()
        };
        let made = schedule(trial.objects, &trial.build, &Sources::default(), &options);
        let made = made.unwrap_or_else(|error| panic!("{}: {error}", trial.name));
        // A bridge has an address of its node's range.
        let has_ranges = made.nodes.iter().all(|node| node.pod_ranges.len() >= 2);
        let cni = if has_ranges { trial.cni } else { Cni::Routed };
        let plan = Plan::new(&made, cni);
        Self { made, cni, plan }
    }

    pub(crate) fn snapshot(&self) -> &Arc<Snapshot> {
        &self.made.snapshot
    }

    /// All pairs of pods, and packets to and from the edges of every block.
    pub(crate) fn packets(&self, seed: u64) -> Vec<Packet> {
        let snapshot = self.snapshot();
        let mut packets = pairs(snapshot);
        let edges = Questions::new(snapshot, seed).take(150);
        packets.extend(edges.filter(|packet| packet.through_service.is_none()));
        packets
    }

    /// What the oracle says of packets. Where the engine or the rulesets say something else,
    /// or the oracle not what is expected, it is told; packets that no network carries are
    /// not asked of the rulesets, and what is unknown is closed by them.
    pub(crate) fn decide(
        &self,
        profile: Profile,
        packets: &[Packet],
        expected: Option<&[Verdict]>,
    ) -> (Vec<Verdict>, Counts, String) {
        let snapshot = self.snapshot();
        let oracle = Oracle::new(snapshot, profile);
        let engine = Engine::compile(snapshot, profile);
        let rulesets = Rulesets::new(snapshot, profile);
        let (mut verdicts, mut counts, mut differ) = (Vec::new(), Counts::default(), String::new());
        for (index, packet) in packets.iter().enumerate() {
            let said = oracle.judge(packet).verdict;
            let computed = engine.can(packet);
            let done = match profile.judges_before_dnat {
                // The data plane judges after the address of a Service is translated.
                true => Verdict::Unknown,
                false => rulesets.decide(packet),
            };
            counts.asked += 1;
            counts.certain += u64::from(said != Verdict::Unknown);
            counts.interpreted += u64::from(done != Verdict::Unknown);
            let wanted = expected.map_or(said, |expected| expected[index]);
            let alike = match (said, done) {
                (_, Verdict::Unknown) => true,
                (Verdict::Unknown, done) => done == Verdict::Denied,
                (said, done) => said == done,
            };
            if wanted != said || said != computed || !alike {
                writeln!(
                    differ,
                    "  {packet:?}: expected {wanted}, the oracle says {said}, the engine \
                     {computed}, the rulesets {done}"
                )
                .unwrap();
            }
            verdicts.push(said);
        }
        (verdicts, counts, differ)
    }

    /// How a packet is sent in the lab; `None` for one that no host could send or receive.
    pub(crate) fn probe(&self, packet: &Packet) -> Option<Probe> {
        let (from, source) = self.end(packet.source, packet.family)?;
        let (to, address) = self.end(packet.destination, packet.family)?;
        let mut ports = self.snapshot().services.iter().flat_map(|s| &s.ports);
        let is_node_port =
            self.plan.nodes.contains(&to) && ports.any(|port| port.node_port == Some(packet.port));
        // Nothing of what a host sends to itself goes through a node.
        (from != to && packet.through_service.is_none() && !is_node_port).then_some(Probe {
            from,
            source: Some(source),
            to: address,
            name: None,
            protocol: packet.protocol,
            port: packet.port,
            kind: Kind::Connection,
        })
    }

    /// The station of an end, and its address.
    fn end(&self, peer: Peer, family: IpFamily) -> Option<(usize, IpAddr)> {
        let snapshot = self.snapshot();
        match peer {
            Peer::Pod(id) => {
                let station = self.plan.pods.get(id.0 as usize).copied()?;
                Some((station, snapshot.pod(id).address(family)?))
            }
            Peer::Address(address) => {
                let mut nodes = self.made.nodes.iter();
                let position = nodes.position(|node| node.addresses.contains(&address));
                if let Some(position) = position {
                    return Some((self.plan.nodes[position], address));
                }
                let services = snapshot.services.iter();
                let mut translated = services.flat_map(|service| {
                    service
                        .cluster_ips
                        .iter()
                        .chain(&service.external_addresses)
                });
                let mut ranges = self.made.nodes.iter().flat_map(|node| &node.pod_ranges);
                // Closed on the node whose range it is, whatever policies say.
                let nobodys = ranges.any(|range| range.contains(&address));
                let possible = assignable_addresses(family).contains(address);
                let taken = translated.any(|ip| *ip == address) || nobodys;
                (possible && !taken).then_some((self.plan.world, address))
            }
        }
    }
}

/// Every pair of pods, at the ports that any of them declares, in every family.
fn pairs(snapshot: &Snapshot) -> Vec<Packet> {
    let declared = snapshot.pods.iter().flat_map(|pod| pod.ports.iter());
    let mut ports: BTreeSet<(Protocol, u16)> =
        declared.map(|port| (port.protocol, port.port)).collect();
    ports.extend(Protocol::WITH_PORTS.map(|protocol| (protocol, 80)));
    ports.insert((Protocol::Icmp, 0));
    let mut packets = Vec::new();
    for (source, from) in snapshot.pod_ids() {
        for (destination, to) in snapshot.pod_ids().filter(|(id, _)| *id != source) {
            for family in IpFamily::ALL {
                if from.address(family).is_none() || to.address(family).is_none() {
                    continue;
                }
                packets.extend(ports.iter().map(|(protocol, port)| Packet {
                    source: Peer::Pod(source),
                    destination: Peer::Pod(destination),
                    family,
                    protocol: *protocol,
                    port: *port,
                    through_service: None,
                }));
            }
        }
    }
    packets
}
