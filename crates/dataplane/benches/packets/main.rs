//! What a packet pays: connecting, a round trip, and bulk, with and without rules; the same
//! between pods of a bridge; and what one costs that is denied.
//!
//! `cargo bench -p ringfence-dataplane --bench packets`; needs the right to make network
//! namespaces. With `-- bridge` or `-- denied` only that. Every kind of ruleset has a network of
//! its own and is loaded once; every round measures each of them right before or after connection
//! tracking alone, so that what else the machine does falls on both: ratios are those within such
//! a pair. What connection tracking alone takes in a second network, of the first, is the error of
//! all of it.
//! `RINGFENCE_ROUNDS` says how many rounds (default 25), `RINGFENCE_PLOT` where a picture
//! goes. Figures with the machine are in `docs/benchmarks.md`.
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

mod bridge;
mod denied;
#[path = "../../tests/support/network.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod network;
mod plot;
mod traffic;

use std::net::Ipv4Addr;
use std::sync::Arc;

use network::{Network, bridged};
use nlink::netlink::namespace::Netns;
use nlink::netlink::nftables::{BaseChain, Chain, CtState, Family, FilterHook, Priority, Rule};
use ringfence_dataplane::compile::{Compiled, Enforcement, Node, Settings};
use ringfence_dataplane::nft::{Table, TableName};
use ringfence_dataplane::ruleset::Ruleset;
use ringfence_engine::{Engine, Profile};
use ringfence_model::parse::{self, Input, Limits};
use ringfence_model::snapshot::builder::{BuildOptions, SnapshotBuilder};
use ringfence_testkit::generate::scale::Shape;
use traffic::{Bulk, Figures, bulk, median, quartiles, serve};

const WEB: usize = 0;
const DB: usize = 1;
const PODS: [usize; 3] = [100, 1_000, 10_000];
const POLICIES: [usize; 4] = [10, 100, 1_000, 10_000];

/// What stands between `web` and `db`.
enum Kind {
    Nothing,
    ConnectionsOnly,
    Linear(u32),
    /// What comes from this address is dropped, as anybody would write it.
    Drop(Ipv4Addr),
    Ours(Box<Ruleset>),
}

/// The ruleset of a node with `web`, `db`, and all pods of a large cluster.
fn ours(network: &Network, shape: Shape, enforcement: Enforcement, settings: Settings) -> Kind {
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
    let mut node = Node {
        settings,
        ..Node::default()
    };
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
    if network.is_bridge {
        bridged(&mut node);
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
    let nft = nlink::Connection::<nlink::netlink::Nftables>::new_in(namespace).unwrap();
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
        Kind::Drop(from) => {
            let made = nft.transaction().add_table("other", Family::Inet);
            let made = made.add_chain(chain).add_rule(established);
            let rule = Rule::new("other", "forward").family(Family::Inet);
            let rule = rule.match_saddr_v4(*from, 32).drop();
            made.add_rule(rule).commit(&nft).await.unwrap();
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

/// Two pods and a node between whom a ruleset stands.
struct Place {
    name: String,
    network: Network,
    bulk: Bulk,
}

async fn place(name: &str, kind: impl FnOnce(&Network) -> Kind) -> Place {
    place_in(Network::new(&["web", "db"]).await, name, kind).await
}

async fn place_in(network: Network, name: &str, kind: impl FnOnce(&Network) -> Kind) -> Place {
    install(network.node.netns(), &kind(&network)).await;
    let bulk = serve(&network);
    Place {
        name: name.to_owned(),
        network,
        bulk,
    }
}

/// Every kind that is measured; the clusters by number of pods, then of policies.
async fn places() -> Vec<Place> {
    let mut places = vec![
        place("nothing", |_| Kind::Nothing).await,
        place("connections only, again", |_| Kind::ConnectionsOnly).await,
        place("1,000 linear rules", |_| Kind::Linear(1_000)).await,
    ];
    for pods in PODS {
        for policies in POLICIES {
            let name = format!("{pods} pods, {policies} policies");
            let shape = Shape::with(pods, policies);
            let kind =
                |network: &_| ours(network, shape, Enforcement::Enforce, Settings::default());
            places.push(place(&name, kind).await);
        }
    }
    let shape = Shape::with(10_000, 10_000);
    let audit = |network: &_| ours(network, shape, Enforcement::Audit, Settings::default());
    places.push(place("audit, 10000 pods, 10000 policies", audit).await);
    places
}

/// The place of the first cluster among [`places`].
const OURS: usize = 3;

/// One measure with connection tracking alone and one in a place, right after each other;
/// each is first every other time.
fn pair<P, T: Copy + Default>(alone: &P, place: &P, number: usize, measure: fn(&P) -> T) -> [T; 2] {
    let mut both = [T::default(); 2];
    for which in [number % 2, 1 - number % 2] {
        both[which] = measure([alone, place][which]);
    }
    both
}

fn tell(place: &Place, figures: &[[Figures; 2]]) {
    let of = |value: fn(&Figures) -> f64| median(figures.iter().map(|both| value(&both[1])));
    let ratio = |value: fn(&Figures) -> f64| {
        let ratios = figures.iter();
        quartiles(ratios.map(|[alone, kind]| value(kind) / value(alone)))
    };
    let [middle, low, high] = ratio(|it| it.connect_p50);
    println!(
        "{:<36} {:>8.1} us ({middle:>5.3} x, {low:>5.3} to {high:>5.3}) {:>8.1} us ({:>5.3} x) \
         {:>8.1} us ({:>5.3} x) {:>8.1} us",
        place.name,
        of(|it| it.connect_p50),
        of(|it| it.connect_p99),
        ratio(|it| it.connect_p99)[0],
        of(|it| it.round_trip_p50),
        ratio(|it| it.round_trip_p50)[0],
        of(|it| it.round_trip_p99),
    );
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let rounds = std::env::var("RINGFENCE_ROUNDS").ok();
    let rounds: usize = rounds.map_or(25, |text| text.parse().expect("a number"));
    traffic::stay_here();
    let only = std::env::args().find(|argument| matches!(&**argument, "bridge" | "denied"));
    let is_asked = |what| only.as_deref().is_none_or(|only| only == what);
    if is_asked("passing") {
        passing(rounds).await;
    }
    if is_asked("bridge") {
        bridge::measure(rounds).await;
    }
    if is_asked("denied") {
        denied::measure(rounds).await;
    }
}

fn tell_all(places: &[Place], figures: &[Vec<[Figures; 2]>]) {
    println!(
        "{:<36} {:>36} {:>21} {:>21} {:>11}",
        "", "connect p50 (quartiles)", "connect p99", "UDP rtt p50", "UDP rtt p99"
    );
    for (place, figures) in places.iter().zip(figures) {
        tell(place, figures);
    }
}

fn measure_bulk<'a>(alone: &Place, places: impl IntoIterator<Item = &'a Place>, pairs: usize) {
    println!("\nbulk, of that with connection tracking alone: median (quartiles), pairs");
    let places: Vec<&Place> = places.into_iter().collect();
    let one: fn(&Place) -> f64 = |place| bulk(&place.bulk.here);
    let two: fn(&Place) -> f64 = |place| bulk(&place.bulk.next);
    for (processors, measure) in [("one processor", one), ("two processors", two)] {
        for place in &places {
            let ratios = (0..pairs).map(|number| {
                let [tracked, gigabits] = pair(alone, place, number, measure);
                gigabits / tracked
            });
            let [middle, low, high] = quartiles(ratios);
            let name = &place.name;
            println!("{name:<36} {processors:<15} {middle:.3} ({low:.3} to {high:.3}), {pairs}");
        }
    }
}

/// What packets pay that pass.
async fn passing(rounds: usize) {
    let alone = place("connections only", |_| Kind::ConnectionsOnly).await;
    let places = places().await;
    let mut figures: Vec<Vec<[Figures; 2]>> = places.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for (place, figures) in places.iter().zip(&mut figures) {
            figures.push(pair(&alone, place, round, |place| {
                Figures::measure(&place.network)
            }));
        }
    }
    tell_all(&places, &figures);
    let some = [0, 1, 2, places.len() - 2, places.len() - 1];
    measure_bulk(&alone, some.map(|index| &places[index]), rounds * 10);
    if let Ok(path) = std::env::var("RINGFENCE_PLOT") {
        let of = |index: usize| median(figures[index].iter().map(|both| both[1].connect_p50));
        let flat = [
            (0, "nothing"),
            (1, "connection tracking only"),
            (2, "1,000 linear rules"),
        ];
        let flat = flat.map(|(index, name)| (name.to_owned(), of(index)));
        let ours = PODS.iter().enumerate().map(|(line, pods)| {
            let points = POLICIES.iter().enumerate();
            let points =
                points.map(|(at, policies)| (*policies, of(OURS + line * POLICIES.len() + at)));
            (format!("Ringfence, {pods} pods"), points.collect())
        });
        plot::draw(path.as_ref(), &flat, &ours.collect::<Vec<_>>());
    }
}
