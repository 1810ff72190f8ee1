//! `reach` says about workloads what the oracle says about each of their pods.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use ringfence_engine::oracle::Oracle;
use ringfence_engine::reach::{Connection, End, Selection};
use ringfence_engine::sets::PortSet;
use ringfence_engine::{Engine, Packet, Peer, Profile, Verdict};
use ringfence_model::address::IpFamily;
use ringfence_model::policy::Direction;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodId, PodKind, Snapshot, WorkloadId};
use ringfence_testkit::generate::random::{Cluster, Questions};

const CLUSTERS: u64 = 300;

/// What the packets of some pairs of ends come to: allowed for one is allowed.
#[derive(Default)]
struct Seen {
    allowed: bool,
    unknown: bool,
}

impl Seen {
    fn add(&mut self, verdict: Verdict) {
        self.allowed |= verdict == Verdict::Allowed;
        self.unknown |= verdict == Verdict::Unknown;
    }

    fn verdict(&self) -> Verdict {
        match (self.allowed, self.unknown) {
            (true, _) => Verdict::Allowed,
            (false, true) => Verdict::Unknown,
            (false, false) => Verdict::Denied,
        }
    }
}

fn said(connection: Option<&(PortSet, PortSet)>, protocol: Protocol, port: u16) -> Verdict {
    match connection {
        Some((allow, _)) if allow.contains(protocol, port) => Verdict::Allowed,
        Some((_, maybe)) if maybe.contains(protocol, port) => Verdict::Unknown,
        _ => Verdict::Denied,
    }
}

/// The protocols and ports that are interesting in a cluster.
fn ports(snapshot: &Snapshot, seed: u64) -> Vec<(Protocol, u16)> {
    let mut ports: Vec<(Protocol, u16)> = Questions::new(snapshot, seed)
        .take(12)
        .map(|packet| (packet.protocol, packet.port))
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

#[test]
fn a_workload_reaches_what_one_of_its_pods_reaches() {
    for seed in 0..CLUSTERS {
        let snapshot = Cluster::from_seed(seed).snapshot();
        let engine = Engine::compile(&snapshot, Profile::default());
        let oracle = Oracle::new(&snapshot, Profile::default());
        let all = Selection::default();
        let mut between: BTreeMap<(WorkloadId, WorkloadId), (PortSet, PortSet)> = BTreeMap::new();
        let reachability = engine.reach(&all, &all);
        let listed = reachability.connections().count();
        assert_eq!(reachability.len(), listed as u64, "seed {seed}");
        for connection in reachability.connections() {
            let Connection {
                from,
                to,
                allow,
                maybe,
            } = connection;
            assert!(
                allow.intersection(maybe).is_empty(),
                "seed {seed}: a port is both allowed and unknown"
            );
            if let (End::Workload(from), End::Workload(to)) = (from, to) {
                let ports = (allow.clone(), maybe.clone());
                let twice = between.insert((*from, *to), ports);
                assert!(twice.is_none(), "seed {seed}: a pair is listed twice");
            }
        }
        let ports = ports(&snapshot, seed);
        let ids: Vec<WorkloadId> = (0u32..)
            .map(WorkloadId)
            .take(snapshot.workloads.len())
            .collect();
        for &from in &ids {
            for &to in &ids {
                if from == to && !snapshot.workload(from).may_have_peers_of_its_own() {
                    continue;
                }
                for &(protocol, port) in &ports {
                    let mut seen = Seen::default();
                    for source in snapshot.workload(from).pod_ids() {
                        for destination in snapshot.workload(to).pod_ids() {
                            pair(&snapshot, source, destination, |packet_family| {
                                seen.add(
                                    oracle
                                        .judge(&Packet {
                                            through_service: None,
                                            source: Peer::Pod(source),
                                            destination: Peer::Pod(destination),
                                            family: packet_family,
                                            protocol,
                                            port,
                                        })
                                        .verdict,
                                );
                            });
                        }
                    }
                    // Replicas of a workload of which one pod is known may be joined by
                    // others: `reach` answers for those.
                    if from == to && snapshot.workload(from).pods.len() == 1 {
                        continue;
                    }
                    assert_eq!(
                        said(between.get(&(from, to)), protocol, port),
                        seen.verdict(),
                        "seed {seed}: {} -> {} {protocol} {port}",
                        snapshot.workload(from).name,
                        snapshot.workload(to).name,
                    );
                }
            }
        }
    }
}

/// Calls `ask` for each family that both pods have. A pod and itself are left out,
/// unless it stands for several.
fn pair(snapshot: &Snapshot, source: PodId, destination: PodId, mut ask: impl FnMut(IpFamily)) {
    let (from, to) = (snapshot.pod(source), snapshot.pod(destination));
    if source == destination && from.kind != PodKind::Template {
        return;
    }
    let families = snapshot.families_of(to);
    for family in snapshot.families_of(from) {
        if families.contains(&family) {
            ask(family);
        }
    }
}

#[test]
fn a_workload_reaches_the_addresses_that_one_of_its_pods_reaches() {
    for seed in 0..CLUSTERS {
        let snapshot = Cluster::from_seed(seed).snapshot();
        let engine = Engine::compile(&snapshot, Profile::default());
        let oracle = Oracle::new(&snapshot, Profile::default());
        // Both ways to ask: about the families that pods are taken to have, and about any.
        let any_family = seed % 2 == 0;
        let all = Selection {
            any_family,
            ..Selection::default()
        };
        let reachability = engine.reach(&all, &all);
        let inside: Vec<IpNet> = snapshot.pod_cidrs.clone();
        let addresses: Vec<IpAddr> = Questions::new(&snapshot, seed)
            .take(40)
            .filter_map(|packet| match packet.destination {
                Peer::Address(address) => Some(address),
                Peer::Pod(_) => None,
            })
            .filter(|address| !inside.iter().any(|net| net.contains(address)))
            .filter(|address| snapshot.node_name_with_address(*address).is_none())
            .collect();
        for (protocol, port) in ports(&snapshot, seed) {
            for &address in &addresses {
                for (id, workload) in (0u32..).map(WorkloadId).zip(&snapshot.workloads) {
                    let mut seen = Seen::default();
                    for pod in workload.pod_ids() {
                        let family = IpFamily::of(address);
                        let may_have_any = any_family && snapshot.pod(pod).addresses.is_empty();
                        if !may_have_any
                            && !snapshot.families_of(snapshot.pod(pod)).contains(&family)
                        {
                            continue;
                        }
                        let packet = Packet {
                            through_service: None,
                            source: Peer::Pod(pod),
                            destination: Peer::Address(address),
                            family,
                            protocol,
                            port,
                        };
                        seen.add(oracle.judge(&packet).verdict);
                    }
                    let found = reachability.connections().find(|connection| {
                        *connection.from == End::Workload(id)
                            && matches!(connection.to, End::Addresses(nets)
                                if nets.iter().any(|net| net.contains(&address)))
                    });
                    let ports = found.map(|c| (c.allow.clone(), c.maybe.clone()));
                    assert_eq!(
                        said(ports.as_ref(), protocol, port),
                        seen.verdict(),
                        "seed {seed}: {} -> {address} {protocol} {port}",
                        workload.name
                    );
                }
            }
        }
    }
}

/// `outside` and `can` are two ways to ask the same.
#[test]
fn the_regions_of_a_pod_say_what_single_packets_say() {
    let everything: Vec<IpNet> = ["0.0.0.0/0", "::/0"].map(|net| net.parse().unwrap()).into();
    for seed in 0..CLUSTERS {
        let snapshot = Cluster::from_seed(seed).snapshot();
        let engine = Engine::compile(&snapshot, Profile::default());
        for packet in Questions::new(&snapshot, seed).take(60) {
            let (pod, address, direction) = match (packet.source, packet.destination) {
                (Peer::Pod(pod), Peer::Address(address)) => (pod, address, Direction::Egress),
                (Peer::Address(address), Peer::Pod(pod)) => (pod, address, Direction::Ingress),
                _ => continue,
            };
            let regions = engine.outside(pod, direction, packet.family, &everything);
            let region = regions
                .iter()
                .find(|region| region.addresses.iter().any(|net| net.contains(&address)))
                .unwrap_or_else(|| panic!("seed {seed}: {address} is in no region"));
            // There, an address may be that of a pod whose address is not known.
            if snapshot.pod_cidrs.iter().any(|net| net.contains(&address)) {
                continue;
            }
            let open = (region.open.allow.clone(), region.open.maybe.clone());
            assert_eq!(
                said(Some(&open), packet.protocol, packet.port),
                engine.can(&packet),
                "seed {seed}: {packet:?}"
            );
        }
    }
}
