//! What a packet pays: connecting, a round trip, and bulk, with and without rules.
//!
//! `cargo bench -p ringfence-dataplane --bench packets`; needs the right to make network
//! namespaces. Every round measures every kind of ruleset once, so that what else the
//! machine does falls on all of them. Figures with the machine are in
//! `docs/benchmarks.md`.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot go on says so by panicking"
)]

#[path = "../tests/support/network.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod network;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use network::{Network, connect, serve_udp, udp, v4};
use nlink::netlink::namespace::Netns;
use nlink::netlink::nftables::{BaseChain, Chain, CtState, Family, FilterHook, Priority, Rule};
use ringfence_dataplane::compile::{Compiled, Enforcement, Node};
use ringfence_dataplane::nft::{Table, TableName};
use ringfence_dataplane::ruleset::Ruleset;
use ringfence_engine::{Engine, Profile};
use ringfence_model::parse::{self, Input, Limits};
use ringfence_model::snapshot::builder::{BuildOptions, SnapshotBuilder};
use ringfence_testkit::generate::scale::Shape;

const WEB: usize = 0;
const DB: usize = 1;
const ROUNDS: usize = 7;
const CONNECTIONS: usize = 1_000;
const ROUND_TRIPS: usize = 5_000;
const BULK: Duration = Duration::from_millis(700);

/// What stands between `web` and `db`.
enum Kind {
    Nothing,
    ConnectionsOnly,
    Linear(u32),
    Ours(Box<Ruleset>),
}

/// The ruleset of a node with `web`, `db`, and all pods of a large cluster.
fn ours(network: &Network, deployments: usize, enforcement: Enforcement) -> (usize, Kind) {
    let shape = Shape {
        namespaces: (deployments / 20).max(1),
        deployments,
        replicas: 1,
        ..Shape::default()
    };
    let input = Input {
        name: "shop.yaml".to_owned(),
        bytes: network.manifests(&[], POLICIES).into_bytes(),
    };
    let mut builder = SnapshotBuilder::new(BuildOptions::default());
    builder.add(shape.objects());
    builder.add(parse::load(vec![input], &Limits::default()).objects);
    let snapshot = Arc::new(builder.build(&Default::default()).0);
    let mut names: Vec<_> = snapshot.pods.iter().map(|pod| pod.node.clone()).collect();
    names.sort_unstable();
    names.dedup();
    let mut node = Node::default();
    for name in names {
        let endpoints = Node::from_snapshot(&snapshot, name.as_deref()).endpoints;
        node.endpoints.extend(endpoints);
    }
    for endpoint in &mut node.endpoints {
        endpoint.enforcement = enforcement;
        let pods = network.pods.iter();
        let ours = pods.map(|(name, _)| format!("shop/{name}"));
        endpoint.interface = ours
            .enumerate()
            .find(|(_, name)| **name == *endpoint.name)
            .map(|(index, _)| format!("pod{index}"));
    }
    let engine = Engine::compile(&snapshot, Profile::default());
    let compiled = Compiled::new(&engine, &node, &Compiled::default());
    (
        snapshot.policies.len(),
        Kind::Ours(Box::new(compiled.ruleset)),
    )
}

const POLICIES: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny-all, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web-to-db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: db}}}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db-from-web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]
";

async fn install(namespace: &Netns, kind: &Kind) {
    let table = Table::in_namespace(namespace, TableName::default()).unwrap();
    table.delete().await.unwrap();
    let nft = nlink::Connection::<nlink::netlink::Nftables>::new_in(namespace).unwrap();
    nft.del_table_if_exists("other", Family::Inet)
        .await
        .unwrap();
    let base = BaseChain::filter(FilterHook::Forward, Priority::Filter);
    let chain = Chain::new("other", "forward")
        .unwrap()
        .family(Family::Inet)
        .base(base);
    let established = Rule::new("other", "forward")
        .family(Family::Inet)
        .match_ct_state(CtState::ESTABLISHED)
        .accept();
    match kind {
        Kind::Nothing => {}
        Kind::ConnectionsOnly => {
            let made = nft
                .transaction()
                .add_table("other", Family::Inet)
                .add_chain(chain);
            made.add_rule(established).commit(&nft).await.unwrap();
        }
        Kind::Linear(rules) => {
            let made = nft.transaction().add_table("other", Family::Inet);
            let made = made.add_chain(chain).add_rule(established);
            made.commit(&nft).await.unwrap();
            for first in (0..*rules).step_by(200) {
                let mut more = nft.transaction();
                for number in first..first + 200 {
                    let [_, _, high, low] = number.to_be_bytes();
                    let rule = Rule::new("other", "forward")
                        .family(Family::Inet)
                        .match_saddr_v4(Ipv4Addr::new(10, 10, high, low), 32)
                        .match_daddr_v4(Ipv4Addr::new(10, 11, high, low), 32);
                    more = more.add_rule(rule.match_tcp_dport(80).accept());
                }
                more.commit(&nft).await.unwrap();
            }
        }
        Kind::Ours(ruleset) => table.replace(ruleset).await.unwrap(),
    }
}

/// Accepts and closes on one port, and takes all that comes on the next.
fn serve(namespace: &Netns, port: u16) {
    for (port, drains) in [(port, false), (port + 1, true)] {
        let to = SocketAddr::new(v4(DB), port);
        let listener = namespace.run(|| TcpListener::bind(to)).unwrap().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut buffer = vec![0; 1 << 17];
                while drains && stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
            }
        });
    }
}

#[derive(Default)]
struct Figures {
    connect: Vec<Duration>,
    round_trip: Vec<Duration>,
    gigabits: Vec<f64>,
}

fn measure(namespace: &Netns, figures: &mut Figures) {
    let to = SocketAddr::new(v4(DB), 7000);
    let connects = namespace.run(|| {
        let connect = |_| {
            let start = Instant::now();
            let stream = TcpStream::connect(to).unwrap();
            let took = start.elapsed();
            drop(stream);
            took
        };
        (0..CONNECTIONS).map(connect).collect::<Vec<_>>()
    });
    figures.connect.extend(connects.unwrap());
    let socket: UdpSocket = udp(namespace, v4(WEB));
    socket.connect(SocketAddr::new(v4(DB), 53)).unwrap();
    for _ in 0..ROUND_TRIPS {
        let start = Instant::now();
        socket.send(b"ping").unwrap();
        socket.recv(&mut [0; 8]).unwrap();
        figures.round_trip.push(start.elapsed());
    }
    let mut stream = connect(namespace, v4(DB), 7001).unwrap();
    let (buffer, start, mut sent) = (vec![0; 1 << 17], Instant::now(), 0_usize);
    while start.elapsed() < BULK {
        sent += stream.write(&buffer).unwrap();
    }
    let bits = f64::from(u32::try_from(sent >> 10).unwrap()) * 8.0 * 1024.0;
    figures
        .gigabits
        .push(bits / start.elapsed().as_secs_f64() / 1e9);
}

fn quantile(values: &mut [Duration], of_hundred: usize) -> f64 {
    values.sort_unstable();
    values[values.len() * of_hundred / 100].as_secs_f64() * 1e6
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let network = Network::new(&["web", "db"]).await;
    // A port that was used is not used again for a minute: all of them are needed.
    let ports = network.pod(WEB).sysctl();
    ports
        .set("net.ipv4.ip_local_port_range", "1024 65535")
        .unwrap();
    serve(network.pod(DB), 7000);
    serve_udp(network.pod(DB), v4(DB), 53);
    let namespace = network.node.netns();
    let mut kinds = vec![
        ("nothing".to_owned(), Kind::Nothing),
        ("connections only".to_owned(), Kind::ConnectionsOnly),
        ("1,000 linear rules".to_owned(), Kind::Linear(1_000)),
    ];
    for deployments in [5, 500, 9_400] {
        let (policies, kind) = ours(&network, deployments, Enforcement::Enforce);
        kinds.push((format!("ringfence, {policies} policies"), kind));
    }
    let (policies, kind) = ours(&network, 9_400, Enforcement::Audit);
    kinds.push((format!("audit, {policies} policies"), kind));
    assert!(
        connect(network.pod(WEB), v4(DB), 7000).is_some(),
        "it is up"
    );
    let mut figures: BTreeMap<usize, Figures> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for (index, (_, kind)) in kinds.iter().enumerate() {
            install(namespace, kind).await;
            measure(network.pod(WEB), figures.entry(index).or_default());
        }
    }
    println!(
        "{:<28} {:>12} {:>12} {:>12} {:>12} {:>9}",
        "", "connect p50", "connect p99", "UDP rtt p50", "UDP rtt p99", "Gbit/s"
    );
    for (index, (name, _)) in kinds.iter().enumerate() {
        let figures = figures.get_mut(&index).unwrap();
        figures.gigabits.sort_by(f64::total_cmp);
        println!(
            "{name:<28} {:>9.1} us {:>9.1} us {:>9.1} us {:>9.1} us {:>9.2}",
            quantile(&mut figures.connect, 50),
            quantile(&mut figures.connect, 99),
            quantile(&mut figures.round_trip, 50),
            quantile(&mut figures.round_trip, 99),
            figures.gigabits[ROUNDS / 2],
        );
    }
}
