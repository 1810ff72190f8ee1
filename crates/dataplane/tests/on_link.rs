//! What rulesets do to packets from and to addresses of one link, told by the interpreter.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

#[path = "support/network.rs"]
#[expect(dead_code, reason = "each test file uses what it needs")]
mod network;

use std::net::IpAddr;
use std::sync::Arc;

use network::{Network, v6};
use ringfence_dataplane::compile::{Bridge, Compiled, Node, Port};
use ringfence_dataplane::interpret::{Frame, pass};
use ringfence_dataplane::ruleset::{Hook, Layer};
use ringfence_engine::{Engine, Profile};
use ringfence_model::metadata;
use ringfence_model::protocol::Protocol;

const WEB: usize = 0;
const OTHER: usize = 1;
const LINK_LOCAL: &str = "fe80::1234";

/// `web` may go nowhere; `other` is open.
const WEB_CLOSED: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: shop}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}
";

fn cluster() -> (Engine, Node) {
    Network::of_names(&["web", "other"], false).engine(&[], WEB_CLOSED)
}

fn compiled(engine: &Engine, node: &Node) -> Compiled {
    Compiled::new(engine, node, &Compiled::default())
}

/// The first packet of a connection to port 80.
fn opening(interface: &str, source: IpAddr, destination: IpAddr) -> Frame {
    Frame::opening(interface, source, destination, Protocol::Tcp, 80)
}

#[test]
fn no_metadata_address_is_open_because_the_node_has_it() {
    let (engine, mut node) = cluster();
    let strict = Engine::compile(engine.snapshot(), Profile::default().strict_own_node());
    let own: IpAddr = "172.18.0.2".parse().unwrap();
    node.addresses = metadata::secret_addresses();
    node.addresses.push(own);
    for (engine, reaches_own_node) in [(&engine, true), (&strict, false)] {
        let ruleset = compiled(engine, &node).ruleset;
        let reached = |pod: usize, to: IpAddr| {
            let from = if to.is_ipv4() {
                network::v4(pod)
            } else {
                v6(pod)
            };
            pass(&ruleset, Hook::Input, &opening("pod0", from, to)).accepted
        };
        assert_eq!(reached(WEB, own), reaches_own_node);
        for address in metadata::secret_addresses() {
            assert!(!reached(WEB, address), "{address}");
            assert!(reached(OTHER, address), "{address}: nothing isolates it");
        }
    }
}

#[test]
fn nothing_of_one_table_has_a_name_of_the_other() {
    let (engine, node) = cluster();
    let alone = compiled(&engine, &node).ruleset;
    let mut shared = node.clone();
    shared.bridges = vec![Bridge {
        name: "cni0".to_owned(),
        hardware: [2, 0, 0, 1, 0, 0],
    }];
    for (number, endpoint) in (0..).zip(&mut shared.endpoints) {
        let endpoint = Arc::make_mut(endpoint);
        endpoint.interface = Some("cni0".to_owned());
        endpoint.port = Some(Port {
            name: format!("pod{number}"),
            hardware: [2, 0, 0, 0, 0, number],
        });
    }
    let both = compiled(&engine, &shared).ruleset;
    let first = |layer: Layer| layer == Layer::Network;
    assert!(alone.sets.values().all(|set| first(set.layer)));
    assert!(alone.chains.values().all(|chain| first(chain.layer)));
    // Whatever would have the same name, would be in one of them only.
    for (name, set) in &alone.sets {
        assert!(first(both.sets[name].layer), "{name}");
        assert_eq!(both.sets[name].key, set.key, "{name}");
    }
    for name in alone.chains.keys() {
        assert!(first(both.chains[name].layer), "{name}");
    }
    let of_frames = |layers: Vec<Layer>| layers.into_iter().filter(|it| !first(*it)).count();
    assert_eq!(
        of_frames(both.sets.values().map(|it| it.layer).collect()),
        9
    );
    assert_eq!(both.sets.len(), alone.sets.len() + 9);
    let more = both.chains.len() - alone.chains.len();
    assert_eq!(
        of_frames(both.chains.values().map(|it| it.layer).collect()),
        more
    );
}

#[test]
fn nothing_comes_from_a_link_local_address_of_a_pod_but_neighbour_discovery() {
    let (engine, mut node) = cluster();
    for shared in [false, true] {
        if shared {
            for endpoint in &mut node.endpoints {
                Arc::make_mut(endpoint).interface = Some("cni0".to_owned());
            }
        }
        let ruleset = compiled(&engine, &node).ruleset;
        let arrives = |frame: &Frame| pass(&ruleset, Hook::Arriving, frame).accepted;
        let link_local: IpAddr = LINK_LOCAL.parse().unwrap();
        let metadata: IpAddr = "fe80::a9fe:a9fe".parse().unwrap();
        for pod in [WEB, OTHER] {
            let interface = match shared {
                true => "cni0".to_owned(),
                false => format!("pod{pod}"),
            };
            for to in [metadata, "fe80::5678".parse().unwrap(), v6(OTHER)] {
                assert!(
                    !arrives(&opening(&interface, link_local, to)),
                    "{shared}, {to}"
                );
            }
            assert!(arrives(&opening(&interface, v6(pod), metadata)));
            // A router's solicitation, a neighbour's, and a report of a listener.
            let listeners: IpAddr = "ff02::16".parse().unwrap();
            for (icmp_type, hop_limit, to) in [
                (133, 255, metadata),
                (135, 255, metadata),
                (143, 1, listeners),
            ] {
                let discovery = Frame {
                    protocol: 58,
                    icmp_type,
                    hop_limit,
                    connection: None,
                    ..opening(&interface, link_local, to)
                };
                assert!(arrives(&discovery), "{shared}, type {icmp_type}");
                // What may have passed a router is none, nor what goes to anybody else.
                let farther = Frame {
                    hop_limit: 64,
                    destination: v6(OTHER),
                    ..discovery
                };
                assert!(!arrives(&farther), "{shared}, type {icmp_type}");
            }
        }
        // Other links are none of ours.
        assert!(arrives(&opening("eth0", link_local, metadata)));
    }
}
