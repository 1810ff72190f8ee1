//! Generated clusters in the kernel: every pair, both families, three protocols, and
//! packets to and from the edges of every block.
//!
//! `RINGFENCE_LABS` says how many clusters (default 25), `RINGFENCE_SEED` with which seed
//! to begin (default 0). These tests make network namespaces and fail where that is not
//! permitted.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringfence_engine::oracle::Oracle;
use ringfence_engine::profile::ProfileName;
use ringfence_engine::{Packet, Peer, Profile, Verdict};
use ringfence_lab::Lab;
use ringfence_lab::enforcer::Nftables;
use ringfence_lab::probe::{Kind, Probe, Progress, Settings};
use ringfence_lab::schedule::{Options, schedule};
use ringfence_lab::topology::Cni;
use ringfence_model::address::IpFamily;
use ringfence_model::parse::Sources;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{Snapshot, assignable_addresses};
use ringfence_testkit::generate::random::{Cluster, Questions};
use tokio::task::JoinSet;

const AT_ONCE: usize = 4;

fn number(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The kernel judges after the address of a Service is translated.
fn profile(seed: u64) -> Profile {
    let names = [
        ProfileName::Upstream,
        ProfileName::Calico,
        ProfileName::Cilium,
    ];
    let profile = Profile::named(names[usize::try_from(seed / 2 % 3).unwrap()]);
    match seed % 2 {
        0 => profile,
        _ => profile.strict_own_node(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_clusters_do_in_the_kernel_what_the_oracle_says() {
    let (first, count) = (number("RINGFENCE_SEED", 0), number("RINGFENCE_LABS", 25));
    let started = Instant::now();
    let (mut packets, mut wrong) = (0, String::new());
    // A lab mostly waits for what does not come: several wait together.
    let mut seeds = first..first + count;
    let mut running = JoinSet::new();
    loop {
        while running.len() < AT_ONCE
            && let Some(seed) = seeds.next()
        {
            let cni = if seed % 4 == 3 {
                Cni::Bridge
            } else {
                Cni::Routed
            };
            running.spawn(async move { (seed, cni, check(seed, cni).await) });
        }
        let Some(done) = running.join_next().await else {
            break;
        };
        let (seed, cni, (asked, failures)) = done.expect("a lab runs to its end");
        packets += asked;
        if !failures.is_empty() {
            write!(
                wrong,
                "seed {seed}, {cni:?}, {:?}:\n{failures}",
                profile(seed)
            )
            .unwrap();
        }
    }
    println!(
        "{count} clusters, {packets} packets in {:?}",
        started.elapsed()
    );
    assert!(packets > count * 50, "only {packets} packets");
    assert!(wrong.is_empty(), "{wrong}");
}

/// Builds a cluster and sends all packets: how many, and those that did something else.
async fn check(seed: u64, cni: Cni) -> (u64, String) {
    let cluster = Cluster::from_seed(seed);
    let options = Options {
        nodes: 2,
        families: Some(IpFamily::ALL.to_vec()),
        ..Options::default()
    };
    let made = schedule(
        &cluster.objects,
        &cluster.options,
        &Sources::default(),
        &options,
    );
    let made = made.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    if cni == Cni::Bridge && made.nodes.iter().any(|node| node.pod_ranges.len() < 2) {
        // A bridge has an address of its node's range.
        return Box::pin(check(seed, Cni::Routed)).await;
    }
    let settings = Settings {
        wait: Duration::from_millis(500),
        ..Settings::default()
    };
    let lab = Lab::build(made, cni, settings)
        .await
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let enforcer = Nftables::default();
    lab.enforce(&enforcer, profile(seed), false)
        .await
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let snapshot = Arc::clone(&lab.schedule().snapshot);
    let oracle = Oracle::new(&snapshot, profile(seed));
    let mut asked: Vec<Packet> = pairs(&snapshot);
    asked.extend(
        Questions::new(&snapshot, seed)
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
    let observed = lab
        .prober()
        .probe_all(&probes, &due, &progress)
        .await
        .unwrap();
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
