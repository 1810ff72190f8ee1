//! Generated clusters, put to every decider: all must say the same.
//!
//! `RINGFENCE_CLUSTERS` says how many clusters (default 2000), `RINGFENCE_SEED` with
//! which seed to begin (default 0). A difference is shrunk and printed as a fixture.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use ringfence_engine::profile::ProfileName;
use ringfence_engine::{Packet, Profile, Verdict};
use ringfence_model::parse::{self, Input, Limits, Object, TypedObject};
use ringfence_model::policy::{PolicyBody, TieredPeer};
use ringfence_model::snapshot::Snapshot;
use ringfence_testkit::all_deciders;
use ringfence_testkit::generate::random::{Cluster, Questions};

const PACKETS_PER_CLUSTER: usize = 64;

/// A packet, and what each decider says about it.
#[derive(Debug)]
struct Answers {
    packet: Packet,
    by_decider: Vec<(String, Verdict)>,
}

impl Answers {
    fn first(&self) -> Verdict {
        let first = self.by_decider.first();
        first.map_or(Verdict::Unknown, |(_, verdict)| *verdict)
    }

    fn differ(&self) -> bool {
        let first = self.first();
        self.by_decider.iter().any(|(_, verdict)| *verdict != first)
    }
}

/// Every profile, with and without the strict reading of traffic to the own node.
fn profile(seed: u64) -> Profile {
    let index = usize::try_from(seed / 2 % 4).unwrap_or_default();
    let name = ProfileName::ALL.get(index).copied().unwrap_or_default();
    match seed % 2 {
        0 => Profile::named(name),
        _ => Profile::named(name).strict_own_node(),
    }
}

fn ask(snapshot: &Arc<Snapshot>, seed: u64) -> Vec<Answers> {
    let deciders = all_deciders(snapshot, profile(seed));
    Questions::new(snapshot, seed)
        .take(PACKETS_PER_CLUSTER)
        .map(|packet| Answers {
            packet,
            by_decider: deciders
                .iter()
                .map(|decider| (decider.name().to_owned(), decider.decide(&packet)))
                .collect(),
        })
        .collect()
}

/// What is needed to see a difference again.
fn reproduction(cluster: &Cluster) -> String {
    let seed = cluster.seed;
    let small = cluster.shrink(&|c| ask(&c.snapshot(), seed).iter().any(Answers::differ));
    let snapshot = small.snapshot();
    let answers = ask(&snapshot, seed);
    let Some(found) = answers.iter().find(|answers| answers.differ()) else {
        return format!("seed {seed}: the difference does not come again");
    };
    let said = found.by_decider.iter();
    let said: Vec<String> = said.map(|(name, v)| format!("{name} says {v}")).collect();
    format!(
        "seed {seed}, {:?}: {}\n\n# expected.yaml\n{}\n# cluster.yaml\n{}",
        profile(seed),
        said.join(", "),
        small.expected_yaml(&snapshot, &found.packet, found.first()),
        small.to_yaml()
    )
}

#[test]
fn all_deciders_agree_on_generated_clusters() {
    let number = |variable: &str, default: u64| {
        let text = std::env::var(variable).ok();
        text.map_or(default, |text| text.parse().expect("a number"))
    };
    let first = number("RINGFENCE_SEED", 0);
    let clusters = number("RINGFENCE_CLUSTERS", 2000);
    let mut verdicts: BTreeMap<Verdict, usize> = BTreeMap::new();
    for seed in first..first + clusters {
        let cluster = Cluster::from_seed(seed);
        for answers in ask(&cluster.snapshot(), seed) {
            assert!(!answers.differ(), "{}", reproduction(&cluster));
            *verdicts.entry(answers.first()).or_default() += 1;
        }
    }
    let total: usize = verdicts.values().sum();
    println!("{clusters} clusters, {total} packets: {verdicts:?}");
    for verdict in [Verdict::Allowed, Verdict::Denied, Verdict::Unknown] {
        let count = verdicts.get(&verdict).copied().unwrap_or_default();
        assert!(
            clusters < 100 || count * 100 / total >= 10,
            "{verdict} must be common for the comparison to mean something: {verdicts:?}"
        );
    }
}

#[test]
fn a_seed_always_gives_the_same_cluster_and_nothing_is_wrong_with_it() {
    for seed in 0..200 {
        let cluster = Cluster::from_seed(seed);
        assert_eq!(cluster.to_yaml(), Cluster::from_seed(seed).to_yaml());
        let (snapshot, diagnostics) = cluster.build();
        assert!(diagnostics.is_empty(), "seed {seed}: {diagnostics:?}");
        let questions: Vec<Packet> = Questions::new(&snapshot, seed).take(8).collect();
        let again: Vec<Packet> = Questions::new(&snapshot, seed).take(8).collect();
        assert_eq!(questions, again);
    }
}

/// The lists of a snapshot, without where things were read from.
fn contents(mut objects: Vec<Object>, cluster: &Cluster) -> String {
    for object in &mut objects {
        object.origin = None;
        if let TypedObject::Policy(policy) = &mut object.typed {
            policy.origin = None;
        }
    }
    let cluster = Cluster {
        objects,
        ..cluster.clone()
    };
    let snapshot = cluster.snapshot();
    format!(
        "{:#?}",
        (
            &snapshot.namespaces,
            &snapshot.workloads,
            &snapshot.pods,
            &snapshot.nodes,
            &snapshot.ingress_routes,
            &snapshot.policies,
        )
    )
}

/// Whether some rule has a peer that no manifest can have: only an API server of a
/// later version sends one.
fn has_unrecognized_peers(cluster: &Cluster) -> bool {
    cluster.policies().any(|policy| match &policy.body {
        PolicyBody::Network(_) => false,
        PolicyBody::Tiered(tiered) => tiered
            .ingress
            .iter()
            .chain(&tiered.egress)
            .any(|rule| rule.peers.contains(&TieredPeer::Unrecognized)),
    })
}

#[test]
fn a_cluster_that_is_printed_and_read_back_is_the_same() {
    let clusters = (0..500).map(Cluster::from_seed);
    for cluster in clusters.filter(|cluster| !has_unrecognized_peers(cluster)) {
        let seed = cluster.seed;
        let text = cluster.to_yaml();
        let input = Input {
            name: "generated.yaml".to_owned(),
            bytes: text.clone().into_bytes(),
        };
        let loaded = parse::load(vec![input], &Limits::default());
        assert!(
            loaded.diagnostics.is_empty(),
            "seed {seed}: {:#?}\n{text}",
            loaded.diagnostics
        );
        assert_eq!(
            contents(loaded.objects, &cluster),
            contents(cluster.objects.clone(), &cluster),
            "seed {seed}\n{text}"
        );
    }
}
