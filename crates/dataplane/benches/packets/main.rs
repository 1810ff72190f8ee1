//! What a packet pays: connecting, a round trip, and bulk, with and without rules.
//!
//! `cargo bench -p ringfence-dataplane --bench packets`; needs the right to make network
//! namespaces. Every round measures every kind of ruleset once, so that what else the
//! machine does falls on all of them, each right after or before connection tracking alone:
//! ratios are those within such a pair. `RINGFENCE_ROUNDS` says how many rounds (default 7),
//! `RINGFENCE_PLOT` where a picture goes. Figures with the machine are in
//! `docs/benchmarks.md`.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot go on says so by panicking"
)]

#[path = "../../tests/support/network.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod network;
mod plot;
mod traffic;

use std::net::Ipv4Addr;
use std::sync::Arc;

use network::{Network, connect, serve_udp, v4};
use nlink::netlink::namespace::Netns;
use nlink::netlink::nftables::{BaseChain, Chain, CtState, Family, FilterHook, Priority, Rule};
use ringfence_dataplane::compile::{Compiled, Enforcement, Node};
use ringfence_dataplane::nft::{Table, TableName};
use ringfence_dataplane::ruleset::Ruleset;
use ringfence_engine::{Engine, Profile};
use ringfence_model::parse::{self, Input, Limits};
use ringfence_model::snapshot::builder::{BuildOptions, SnapshotBuilder};
use ringfence_testkit::generate::scale::Shape;
use traffic::{Figures, bulk, median, serve};

const WEB: usize = 0;
const DB: usize = 1;
const PODS: [usize; 3] = [100, 1_000, 10_000];
const POLICIES: [usize; 4] = [10, 100, 1_000, 10_000];

/// What stands between `web` and `db`.
enum Kind {
    Nothing,
    ConnectionsOnly,
    Linear(u32),
    Ours(Box<Ruleset>),
}

/// The ruleset of a node with `web`, `db`, and all pods of a large cluster.
fn ours(network: &Network, shape: Shape, enforcement: Enforcement) -> Kind {
    let input = Input {
        name: "shop.yaml".to_owned(),
        bytes: network.manifests(&[], OF_SHOP).into_bytes(),
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
        let endpoint = Arc::make_mut(endpoint);
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
    Kind::Ours(Box::new(compiled.ruleset))
}

const OF_SHOP: &str = "
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

fn kinds(network: &Network) -> Vec<(String, Kind)> {
    let mut kinds = vec![
        ("nothing".to_owned(), Kind::Nothing),
        ("connections only".to_owned(), Kind::ConnectionsOnly),
        ("1,000 linear rules".to_owned(), Kind::Linear(1_000)),
    ];
    for pods in PODS {
        for policies in POLICIES {
            let shape = Shape::with(pods, policies);
            let kind = ours(network, shape, Enforcement::Enforce);
            kinds.push((format!("{pods} pods, {policies} policies"), kind));
        }
    }
    let audit = ours(network, Shape::with(10_000, 10_000), Enforcement::Audit);
    kinds.push(("audit, 10000 pods, 10000 policies".to_owned(), audit));
    kinds
}

/// The place of what only tracks connections among [`kinds`].
const ALONE: usize = 1;

/// One measure with connection tracking alone and one with a kind, right after each other;
/// each is first every other time.
async fn pair<T: Copy + Default>(
    network: &Network,
    [alone, kind]: [&Kind; 2],
    number: usize,
    measure: fn(&Netns) -> T,
) -> [T; 2] {
    let mut both = [T::default(); 2];
    for which in [number % 2, 1 - number % 2] {
        install(network.node.netns(), [alone, kind][which]).await;
        both[which] = measure(network.pod(WEB));
    }
    both
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let rounds = std::env::var("RINGFENCE_ROUNDS").ok();
    let rounds: usize = rounds.map_or(7, |text| text.parse().expect("a number"));
    let network = Network::new(&["web", "db"]).await;
    // A port that was used is not used again for a minute: all of them are needed.
    for sysctl in [network.pod(WEB).sysctl(), network.node.netns().sysctl()] {
        sysctl
            .set("net.ipv4.ip_local_port_range", "1024 65535")
            .unwrap();
    }
    serve(network.pod(DB), 7000);
    serve_udp(network.pod(DB), v4(DB), 53);
    let kinds = kinds(&network);
    let control = connect(network.pod(WEB), v4(DB), 7000);
    assert!(control.is_some(), "it is up");
    let alone = &kinds[ALONE].1;
    let mut figures: Vec<Vec<[Figures; 2]>> = kinds.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for ((_, kind), figures) in kinds.iter().zip(&mut figures) {
            figures.push(pair(&network, [alone, kind], round, Figures::measure).await);
        }
    }
    println!(
        "{:<36} {:>21} {:>21} {:>12} {:>12}",
        "", "connect p50", "connect p99", "UDP rtt p50", "UDP rtt p99"
    );
    for (index, (name, _)) in kinds.iter().enumerate() {
        let figures = &figures[index];
        let of = |value: fn(&Figures) -> f64| median(figures.iter().map(|both| value(&both[1])));
        let ratio = |value: fn(&Figures) -> f64| {
            let ratios = figures
                .iter()
                .map(|[alone, kind]| value(kind) / value(alone));
            median(ratios)
        };
        println!(
            "{name:<36} {:>8.1} us ({:>5.2} x) {:>8.1} us ({:>5.2} x) {:>9.1} us {:>9.1} us",
            of(|it| it.connect_p50),
            ratio(|it| it.connect_p50),
            of(|it| it.connect_p99),
            ratio(|it| it.connect_p99),
            of(|it| it.round_trip_p50),
            of(|it| it.round_trip_p99),
        );
    }
    println!("\nbulk, of that with connection tracking alone: median (quartiles), pairs");
    for index in [0, 2, kinds.len() - 2, kinds.len() - 1] {
        let (name, kind) = &kinds[index];
        let mut ratios = Vec::new();
        for number in 0..rounds * 3 {
            let [tracked, gigabits] = pair(&network, [alone, kind], number, bulk).await;
            ratios.push(gigabits / tracked);
        }
        ratios.sort_by(f64::total_cmp);
        let at = |quarters: usize| ratios[(ratios.len() - 1) * quarters / 4];
        let pairs = ratios.len();
        println!(
            "{name:<36} {:.3} ({:.3} to {:.3}), {pairs}",
            at(2),
            at(1),
            at(3)
        );
    }
    if let Ok(path) = std::env::var("RINGFENCE_PLOT") {
        let of = |index: usize| median(figures[index].iter().map(|both| both[1].connect_p50));
        let flat = [
            (0, "nothing"),
            (ALONE, "connection tracking only"),
            (2, "1,000 linear rules"),
        ];
        let flat = flat.map(|(index, name)| (name.to_owned(), of(index)));
        let ours = PODS.iter().enumerate().map(|(line, pods)| {
            let points = POLICIES.iter().enumerate();
            let points =
                points.map(|(at, policies)| (*policies, of(3 + line * POLICIES.len() + at)));
            (format!("Ringfence, {pods} pods"), points.collect())
        });
        plot::draw(path.as_ref(), &flat, &ours.collect::<Vec<_>>());
    }
}
