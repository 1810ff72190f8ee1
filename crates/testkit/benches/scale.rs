//! The engine at scale: `cargo bench -p ringfence-testkit --bench scale -- WHAT`.
//!
//! `large`: 100,000 pods, from typed objects to all pairs, one query, one change.
//! `curve`: 100, 1,000 and 10,000 deployments.
//! `agree`: oracle and engine on generated cases (`RINGFENCE_CASES`, default 1,000,000).
//! `yaml FILE DEPLOYMENTS`: writes a cluster of that many deployments.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringfence_engine::oracle::Oracle;
use ringfence_engine::reach::Selection;
use ringfence_engine::{Engine, Packet, Peer, Profile};
use ringfence_model::address::IpFamily;
use ringfence_model::parse::Sources;
use ringfence_model::policy::PolicyBody;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::builder::{BuildOptions, SnapshotBuilder};
use ringfence_model::snapshot::{Pod, PodId, Snapshot};
use ringfence_testkit::generate::random::{Cluster, Questions};
use ringfence_testkit::generate::scale::Shape;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["large"] => large(),
        ["curve"] => curve(),
        ["agree"] => agree(),
        ["yaml", file, deployments] => {
            let shape = Shape {
                deployments: deployments.parse().expect("a number of deployments"),
                ..Shape::default()
            };
            std::fs::write(file, shape.to_yaml()).expect("the file can be written");
        }
        // `cargo bench` without arguments, and `cargo test --benches`.
        [] => curve(),
        other => panic!("no such measurement: {other:?}"),
    }
}

fn snapshot(shape: &Shape) -> Arc<Snapshot> {
    let mut builder = SnapshotBuilder::new(BuildOptions::default());
    builder.add(shape.objects());
    Arc::new(builder.build(&Sources::default()).0)
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

fn show(what: &str, value: impl std::fmt::Display) {
    println!("{what:<58} {value:>14}");
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}

fn microseconds(duration: Duration, times: u32) -> String {
    format!("{:.3} us", duration.as_secs_f64() * 1e6 / f64::from(times))
}

/// The median of some durations.
fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations[durations.len() / 2]
}

/// The most memory that this process has had, in MiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn large() {
    let shape = Shape::hundred_thousand_pods();
    let objects = shape.objects();
    let ((snapshot, _), build) = timed(|| {
        let mut builder = SnapshotBuilder::new(BuildOptions::default());
        builder.add(objects);
        builder.build(&Sources::default())
    });
    show("pods", snapshot.pods.len());
    show("workloads", snapshot.workloads.len());
    show("policies", snapshot.policies.len());
    show("namespaces", snapshot.namespaces.len());
    show("typed objects to snapshot", milliseconds(build));
    let snapshot = Arc::new(snapshot);
    let (mut engine, compile) = timed(|| Engine::compile(&snapshot, Profile::default()));
    drop(snapshot);
    show("snapshot to compiled", milliseconds(compile));
    let (mut pairs, all_pairs) = timed(|| engine.all_pairs());
    show("compiled to all pairs", milliseconds(all_pairs));
    show("snapshot to all pairs", milliseconds(compile + all_pairs));
    show("pairs of classes with something allowed", pairs.pairs());
    show("classes", engine.size().classes);
    show("atoms", engine.size().atoms);
    show("sides", engine.size().sides);
    show(
        "peak memory, objects included",
        format!("{} MiB", peak_memory()),
    );

    let packets = packets(engine.snapshot(), 1_000_000);
    let (_, queries) = timed(|| {
        for packet in &packets {
            black_box(engine.can(packet));
        }
    });
    show(
        "one query, mean of 1,000,000",
        microseconds(queries, 1_000_000),
    );

    let labels: Vec<Duration> = (0..101u32)
        .map(|step| {
            let (id, pod) = relabelled(engine.snapshot(), step);
            timed(|| {
                let affected = engine.replace_pod(id, pod);
                pairs.update(&engine, &affected);
            })
            .1
        })
        .collect();
    let worst = labels.iter().max().copied().unwrap_or_default();
    show(
        "one pod's labels changed, median of 101",
        milliseconds(median(labels)),
    );
    show(
        "one pod's labels changed, worst of 101",
        milliseconds(worst),
    );

    let edits: Vec<Duration> = (0..101usize)
        .map(|step| {
            let policy = edited_policy(engine.snapshot(), step);
            timed(|| {
                let affected = engine.upsert_policy(policy);
                pairs.update(&engine, &affected);
            })
            .1
        })
        .collect();
    let worst = edits.iter().max().copied().unwrap_or_default();
    show(
        "one policy changed, median of 101",
        milliseconds(median(edits)),
    );
    show("one policy changed, worst of 101", milliseconds(worst));
    assert_eq!(
        pairs,
        engine.all_pairs(),
        "updated pairs differ from fresh ones"
    );
    show("peak memory at the end", format!("{} MiB", peak_memory()));
}

/// Packets between pods far apart in the list, in a fixed order.
fn packets(snapshot: &Snapshot, count: u32) -> Vec<Packet> {
    let pods = u32::try_from(snapshot.pods.len()).expect("few enough pods");
    (0..count)
        .map(|i| Packet {
            through_service: None,
            source: Peer::Pod(PodId(i.wrapping_mul(2_654_435_761) % pods)),
            destination: Peer::Pod(PodId(i.wrapping_mul(40_503).wrapping_add(i / 7) % pods)),
            family: IpFamily::V4,
            protocol: Protocol::Tcp,
            port: 8080,
        })
        .collect()
}

/// A pod with the labels of another of its namespace.
fn relabelled(snapshot: &Snapshot, step: u32) -> (PodId, Pod) {
    let pods = u32::try_from(snapshot.pods.len()).expect("few enough pods");
    let id = PodId((step * 977 + 5) % pods);
    let pod = snapshot.pod(id).clone();
    let mut labels = (*pod.labels.known).clone();
    labels.insert("canary".to_owned(), format!("step-{step}"));
    let labels = labels.into_iter().collect();
    (id, Pod { labels, ..pod })
}

/// A policy of a deployment with its first egress rule gone.
fn edited_policy(snapshot: &Snapshot, step: usize) -> ringfence_model::policy::Policy {
    let with_rules: Vec<_> = snapshot
        .policies
        .iter()
        .filter(|policy| match &policy.body {
            PolicyBody::Network(spec) => spec.egress.as_ref().is_some_and(|rules| rules.len() > 1),
            PolicyBody::Tiered(_) => false,
        })
        .collect();
    let mut policy = with_rules[step * 97 % with_rules.len()].clone();
    if let PolicyBody::Network(spec) = &mut policy.body
        && let Some(rules) = &mut spec.egress
    {
        rules.remove(0);
    }
    policy
}

fn curve() {
    println!("deployments   classes  compile ms  all pairs ms     pairs  ns per pair  reach ms");
    for deployments in [100, 1_000, 10_000] {
        let snapshot = snapshot(&Shape {
            namespaces: (deployments / 20).max(1),
            deployments,
            ..Shape::default()
        });
        let runs: Vec<(Duration, Duration, Duration, u64, usize)> = (0..5)
            .map(|_| {
                let (engine, compile) = timed(|| Engine::compile(&snapshot, Profile::default()));
                let (pairs, all_pairs) = timed(|| engine.all_pairs());
                let all = Selection::default();
                let (_, reach) = timed(|| black_box(engine.reach(&all, &all)));
                (
                    compile,
                    all_pairs,
                    reach,
                    pairs.pairs(),
                    engine.size().classes,
                )
            })
            .collect();
        let compile = median(runs.iter().map(|r| r.0).collect());
        let all_pairs = median(runs.iter().map(|r| r.1).collect());
        let reach = median(runs.iter().map(|r| r.2).collect());
        let (pairs, classes) = (runs[0].3, runs[0].4);
        let total = (compile + all_pairs).as_secs_f64();
        println!(
            "{deployments:>11} {classes:>9} {:>11.2} {:>13.2} {pairs:>9} {:>12.0} {:>9.2}",
            compile.as_secs_f64() * 1e3,
            all_pairs.as_secs_f64() * 1e3,
            total * 1e9 / pairs.max(1) as f64,
            reach.as_secs_f64() * 1e3,
        );
    }
}

fn agree() {
    let cases: usize = std::env::var("RINGFENCE_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(1_000_000);
    let (mut asked, mut differ, mut seed) = (0, 0, 1_000_000u64);
    let start = Instant::now();
    while asked < cases {
        let snapshot = Cluster::from_seed(seed).snapshot();
        let engine = Engine::compile(&snapshot, Profile::default());
        let oracle = Oracle::new(&snapshot, Profile::default());
        for packet in Questions::new(&snapshot, seed).take(64) {
            asked += 1;
            if engine.can(&packet) != oracle.judge(&packet).verdict {
                differ += 1;
                println!("seed {seed}: {packet:?}");
            }
        }
        seed += 1;
    }
    show("cases (cluster, packet)", asked);
    show("clusters", seed - 1_000_000);
    show("oracle and engine differ", differ);
    show("seconds", format!("{:.1}", start.elapsed().as_secs_f64()));
    assert_eq!(differ, 0);
}
