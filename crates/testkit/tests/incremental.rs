//! An engine that took over changes one by one answers like one compiled afresh.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::net::IpAddr;

use ringfence_engine::reach::Selection;
use ringfence_engine::{Engine, Profile};
use ringfence_model::policy::Policy;
use ringfence_model::snapshot::{Pod, PodId, PodKind};
use ringfence_testkit::generate::random::{Cluster, Questions};

const CLUSTERS: u64 = 400;

/// Compares a changed engine with one compiled from its snapshot: every pair of
/// workloads and all addresses, and some packets.
fn check(engine: &Engine, seed: u64, after: &str) {
    let fresh = Engine::compile(engine.snapshot(), engine.profile());
    let all = Selection::default();
    let (found, expected) = (engine.reach(&all, &all), fresh.reach(&all, &all));
    if found != expected {
        for connection in found.connections() {
            assert!(
                expected.connections().any(|c| c == connection),
                "seed {seed}, after {after}: {connection:?} is not in a fresh compilation, which has \
                 {:?}",
                expected
                    .connections()
                    .filter(|c| c.from == connection.from && c.to == connection.to)
                    .collect::<Vec<_>>()
            );
        }
    }
    assert_eq!(found, expected, "seed {seed}, after {after}");
    for packet in Questions::new(engine.snapshot(), seed).take(30) {
        assert_eq!(
            engine.can(&packet),
            fresh.can(&packet),
            "seed {seed}, after {after}: {packet:?}"
        );
    }
}

#[test]
fn changed_policies_and_pods_give_the_answers_of_a_fresh_compilation() {
    for seed in 0..CLUSTERS {
        let snapshot = Cluster::from_seed(seed).snapshot();
        let others: Vec<Policy> = Cluster::from_seed(seed + CLUSTERS)
            .policies()
            .cloned()
            .collect();
        let mut engine = Engine::compile(&snapshot, Profile::default());
        let mut pairs = engine.all_pairs();

        for policy in others {
            let affected = engine.upsert_policy(policy.clone());
            pairs.update(&engine, &affected);
            check(&engine, seed, &format!("adding {}", policy.display_name()));
            assert_eq!(pairs, engine.all_pairs(), "seed {seed}");
        }
        for (id, donor) in donors(&engine).into_iter().chain(readdressed(&engine)) {
            let affected = engine.replace_pod(id, donor);
            pairs.update(&engine, &affected);
            check(&engine, seed, &format!("replacing pod {}", id.0));
            assert_eq!(pairs, engine.all_pairs(), "seed {seed}");
        }
        while let Some(policy) = engine.snapshot().policies.first().cloned() {
            let affected = engine.remove_policy(&policy);
            pairs.update(&engine, &affected);
            check(
                &engine,
                seed,
                &format!("removing {}", policy.display_name()),
            );
            assert_eq!(pairs, engine.all_pairs(), "seed {seed}");
        }
    }
}

/// Live pods as they would be with an address of the other family, or none: with the
/// last of them, the families of pods without address change.
fn readdressed(engine: &Engine) -> Vec<(PodId, Pod)> {
    let snapshot = engine.snapshot();
    let addressed = snapshot
        .pod_ids()
        .filter(|(_, pod)| pod.kind == PodKind::Single && !pod.addresses.is_empty());
    let changed = addressed.map(|(id, pod)| {
        let addresses = match id.0 % 3 {
            0 => Vec::new(),
            _ => vec![IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, id.0 as u16 + 1])],
        };
        (
            id,
            Pod {
                addresses,
                ..pod.clone()
            },
        )
    });
    changed.take(6).collect()
}

/// Some pods as they would be with the labels and ports of another.
fn donors(engine: &Engine) -> Vec<(PodId, Pod)> {
    let snapshot = engine.snapshot();
    let shifted = snapshot.pods.iter().cycle().skip(1);
    snapshot
        .pod_ids()
        .zip(shifted)
        .map(|((id, pod), other)| {
            let changed = Pod {
                labels: other.labels.clone(),
                ports: other.ports.clone(),
                ..pod.clone()
            };
            (id, changed)
        })
        .take(4)
        .collect()
}
