//! All ports of a pair, and regions of addresses: what the oracle says for each packet.
#![allow(
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

use std::net::IpAddr;

use ipnet::IpNet;
use ringfence_engine::oracle::Oracle;
use ringfence_engine::profile::ProfileName;
use ringfence_engine::reach::OpenPorts;
use ringfence_engine::{Engine, Packet, Peer, Profile, Verdict};
use ringfence_model::address::IpFamily;
use ringfence_model::policy::Direction;
use ringfence_model::snapshot::Snapshot;
use ringfence_testkit::generate::random::{Cluster, Questions};

const CLUSTERS: u64 = 300;
const QUESTIONS: usize = 40;

fn said(open: &OpenPorts, packet: &Packet) -> Verdict {
    if open.allow.contains(packet.protocol, packet.port) {
        Verdict::Allowed
    } else if open.maybe.contains(packet.protocol, packet.port) {
        Verdict::Unknown
    } else {
        Verdict::Denied
    }
}

fn profiles(seed: u64) -> Profile {
    let name = match seed % 3 {
        0 => ProfileName::Aws,
        _ => ProfileName::Upstream,
    };
    let profile = Profile::named(name);
    if seed.is_multiple_of(2) {
        profile
    } else {
        profile.strict_own_node()
    }
}

#[test]
fn all_ports_of_a_pair_are_what_each_packet_gets() {
    for seed in 0..CLUSTERS {
        let snapshot = Cluster::from_seed(seed).snapshot();
        let profile = profiles(seed);
        let engine = Engine::compile(&snapshot, profile);
        let oracle = Oracle::new(&snapshot, profile);
        for packet in Questions::new(&snapshot, seed).take(QUESTIONS) {
            let open = match (packet.source, packet.destination) {
                (Peer::Pod(source), destination) if packet.through_service.is_some() => engine
                    .ports_through_service(
                        source,
                        destination,
                        packet.family,
                        packet.protocol,
                        packet.through_service.unwrap(),
                    ),
                (source, destination) => engine.ports(source, destination, packet.family),
            };
            let expected = oracle.judge(&packet).verdict;
            assert_eq!(said(&open, &packet), expected, "seed {seed}: {packet:?}");
        }
    }
}

#[test]
fn every_address_outside_is_in_the_region_with_its_verdict() {
    for seed in 0..CLUSTERS {
        let snapshot = Cluster::from_seed(seed).snapshot();
        let profile = profiles(seed);
        let engine = Engine::compile(&snapshot, profile);
        let oracle = Oracle::new(&snapshot, profile);
        for packet in Questions::new(&snapshot, seed).take(QUESTIONS) {
            let (pod, address, direction) = match (packet.source, packet.destination) {
                (Peer::Pod(pod), Peer::Address(address)) => (pod, address, Direction::Egress),
                (Peer::Address(address), Peer::Pod(pod)) => (pod, address, Direction::Ingress),
                _ => continue,
            };
            if is_of_pods(&snapshot, address) {
                continue;
            }
            // A region is about addresses, not about the ways to them.
            let packet = Packet {
                through_service: None,
                ..packet
            };
            let all: [IpNet; 2] = IpFamily::ALL.map(whole);
            let regions = engine.outside(pod, direction, packet.family, &all);
            let holding: Vec<_> = regions
                .iter()
                .filter(|region| region.addresses.iter().any(|net| net.contains(&address)))
                .collect();
            let [region] = holding.as_slice() else {
                panic!("seed {seed}: {address} is in {} regions", holding.len());
            };
            let expected = oracle.judge(&packet).verdict;
            assert_eq!(
                said(&region.open, &packet),
                expected,
                "seed {seed}: {packet:?}"
            );
        }
    }
}

fn whole(family: IpFamily) -> IpNet {
    match family {
        IpFamily::V4 => IpNet::V4(ipnet::Ipv4Net::default()),
        IpFamily::V6 => IpNet::V6(ipnet::Ipv6Net::default()),
    }
}

fn is_of_pods(snapshot: &Snapshot, address: IpAddr) -> bool {
    let range = snapshot.pod_range(IpFamily::of(address));
    range.is_some_and(|range| range.contains(address))
}
