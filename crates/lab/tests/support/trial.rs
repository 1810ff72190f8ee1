//! A cluster in the kernel, held against the oracle.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ringfence_engine::oracle::Oracle;
use ringfence_engine::{Packet, Peer, Profile, Verdict};
use ringfence_lab::Lab;
use ringfence_lab::enforcer::Nftables;
use ringfence_lab::probe::{Kind, Probe, Progress, Settings};
use ringfence_lab::schedule::{Options, schedule};
use ringfence_lab::topology::Cni;
use ringfence_model::address::IpFamily;
use ringfence_model::parse::{Object, Sources};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::builder::BuildOptions;
use ringfence_model::snapshot::{Snapshot, assignable_addresses};
use ringfence_testkit::generate::random::Questions;

/// How often packets are tried again of which nothing came that should have come.
const RETRIES: usize = 3;

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

/// Builds a cluster and sends all packets: how many, and those that did something else.
pub(crate) async fn check(trial: &Trial<'_>) -> (u64, String) {
    let name = &trial.name;
    let options = Options {
        nodes: 2,
        families: Some(IpFamily::ALL.to_vec()),
        ..Options::default()
    };
    let made = schedule(trial.objects, &trial.build, &Sources::default(), &options);
    let made = made.unwrap_or_else(|error| panic!("{name}: {error}"));
    // A bridge has an address of its node's range.
    let has_ranges = made.nodes.iter().all(|node| node.pod_ranges.len() >= 2);
    let cni = if has_ranges { trial.cni } else { Cni::Routed };
    let settings = Settings {
        wait: Duration::from_millis(500),
        ..Settings::default()
    };
    let lab = Lab::build(made, cni, settings)
        .await
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let enforcer = Nftables::default();
    lab.enforce(&enforcer, trial.profile, false)
        .await
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let snapshot = Arc::clone(&lab.schedule().snapshot);
    let oracle = Oracle::new(&snapshot, trial.profile);
    let mut asked: Vec<Packet> = pairs(&snapshot);
    asked.extend(
        Questions::new(&snapshot, trial.seed)
            .take(150)
            .filter(|packet| packet.through_service.is_none()),
    );
    let mut probes = Vec::new();
    let mut verdicts = Vec::new();
    for packet in asked {
        let Some(probe) = probe(&lab, &packet) else {
            continue;
        };
        let verdict = oracle.judge(&packet).verdict;
        // What is not known is denied, but that is the data plane's choice.
        if verdict != Verdict::Unknown && !probes.contains(&probe) {
            probes.push(probe);
            verdicts.push(verdict);
        }
    }
    let due: Vec<bool> = verdicts.iter().map(|v| *v == Verdict::Allowed).collect();
    let progress = Arc::new(Progress::default());
    let prober = lab.prober();
    let mut observed = prober.probe_all(&probes, &due, &progress).await.unwrap();
    // Interfaces and neighbours take their time on a busy machine, and what is lost to that
    // is no verdict: it is tried again. What got through got through.
    for _ in 0..RETRIES {
        let is_open = |index: &usize| {
            let passed = observed[*index].observed.passed();
            passed != Some(due[*index]) && passed != Some(true)
        };
        let again: Vec<usize> = (0..probes.len()).filter(is_open).collect();
        if again.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let some: Vec<Probe> = again.iter().map(|index| probes[*index].clone()).collect();
        let wanted: Vec<bool> = again.iter().map(|index| due[*index]).collect();
        let answers = prober.probe_all(&some, &wanted, &progress).await.unwrap();
        for (index, answer) in again.into_iter().zip(answers) {
            observed[index] = answer;
        }
    }
    let mut failures = String::new();
    for ((probe, due), observation) in probes.iter().zip(due).zip(observed) {
        if observation.observed.passed() != Some(due) {
            let names = lab.network().namespaces();
            writeln!(
                failures,
                "  {} ({:?}) -> {}:{}/{}: {} should be {}: {:?} {:?}",
                names[probe.from].name(),
                probe.source,
                probe.to,
                probe.port,
                probe.protocol,
                observation.observed,
                if due { "allowed" } else { "denied" },
                observation.detail,
                observation.arrived.map(|at| names[at].name()),
            )
            .unwrap();
        }
    }
    (u64::try_from(probes.len()).unwrap(), failures)
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

/// How a packet is sent in the lab; `None` for one that no host could send or receive.
fn probe(lab: &Lab, packet: &Packet) -> Option<Probe> {
    let (from, source) = end(lab, packet.source, packet.family)?;
    let (to, address) = end(lab, packet.destination, packet.family)?;
    // Nothing of what a host sends to itself goes through a node.
    (from != to).then_some(Probe {
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
fn end(lab: &Lab, peer: Peer, family: IpFamily) -> Option<(usize, IpAddr)> {
    let schedule = lab.schedule();
    let snapshot = &schedule.snapshot;
    match peer {
        Peer::Pod(id) => Some((lab.station_of(id)?, snapshot.pod(id).address(family)?)),
        Peer::Address(address) => {
            let position = schedule
                .nodes
                .iter()
                .position(|node| node.addresses.contains(&address));
            if let Some(position) = position {
                return Some((lab.network().plan.nodes[position], address));
            }
            let service = snapshot.services.iter();
            let mut cluster_ips = service.flat_map(|service| &service.cluster_ips);
            let mut ranges = schedule.nodes.iter().flat_map(|node| &node.pod_ranges);
            // Closed on the node whose range it is, whatever policies say.
            let nobodys = ranges.any(|range| range.contains(&address));
            let possible = assignable_addresses(family).contains(address);
            let taken = cluster_ips.any(|ip| *ip == address) || nobodys;
            (possible && !taken).then_some((lab.network().plan.world, address))
        }
    }
}
