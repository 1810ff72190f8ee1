//! What it costs to make a node follow its cluster: compiling, loading, changing one pod.
//!
//! `cargo bench -p ringfence-dataplane --bench programming`; needs the right to make a
//! network namespace. Figures with the machine are in `docs/benchmarks.md`.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot go on says so by panicking"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use nlink::netlink::namespace::Netns;
use ringfence_dataplane::compile::{Compiled, Node};
use ringfence_dataplane::nft::{Table, TableName};
use ringfence_engine::{Engine, Profile};
use ringfence_model::labels::Labels;
use ringfence_model::snapshot::builder::{BuildOptions, SnapshotBuilder};
use ringfence_model::snapshot::{Pod, PodId, Snapshot};
use ringfence_testkit::generate::scale::Shape;

/// Every pod of the cluster is on this node: the worst that a node can have.
fn node(snapshot: &Snapshot) -> Node {
    let mut names: Vec<_> = snapshot.pods.iter().map(|pod| pod.node.clone()).collect();
    names.sort_unstable();
    names.dedup();
    let mut all = Node::default();
    for name in names {
        let endpoints = Node::from_snapshot(snapshot, name.as_deref()).endpoints;
        all.endpoints.extend(endpoints);
    }
    all
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = work();
    (value, start.elapsed())
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// A pod that takes another deployment's labels.
fn relabelled(snapshot: &Snapshot, step: usize) -> (PodId, Pod) {
    let count = snapshot.pods.len();
    let (from, to) = ((step * 7919) % count, (step * 104_729 + count / 2) % count);
    let mut pod = snapshot.pods[from].clone();
    pod.labels = Labels::clone(&snapshot.pods[to].labels);
    (PodId(u32::try_from(from).unwrap()), pod)
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!(
        "{:>7} {:>9} {:>9} {:>7} {:>7} {:>11} {:>9} {:>11} {:>11} {:>11} {:>11} {:>8}",
        "pods",
        "policies",
        "elements",
        "chains",
        "rules",
        "compile ms",
        "load ms",
        "recompile",
        "changed",
        "commit p50",
        "commit p99",
        "RSS MiB"
    );
    for (deployments, replicas) in [(10, 10), (100, 10), (1_000, 1), (1_000, 10)] {
        let shape = Shape {
            namespaces: (deployments / 20).max(1),
            deployments,
            replicas,
            ..Shape::default()
        };
        let mut builder = SnapshotBuilder::new(BuildOptions::default());
        builder.add(shape.objects());
        let (snapshot, _) = builder.build(&Default::default());
        let snapshot = Arc::new(snapshot);
        let node = node(&snapshot);
        let mut engine = Engine::compile(&snapshot, Profile::default());
        drop(snapshot);
        let (mut held, compile) = timed(|| Compiled::new(&engine, &node, &Compiled::default()));
        let name = format!("rf-bench-{}", std::process::id());
        let namespace = Netns::create(&name).expect("root is needed");
        let table = Table::in_namespace(&namespace, TableName::default()).expect("a socket");
        let start = Instant::now();
        let loaded = table.replace(&held.ruleset).await;
        let load = start.elapsed();
        if let Err(error) = &loaded {
            println!("not loaded: {error}");
        }
        let resident = resident();
        let (mut recompiles, mut commits, mut elements) = (Vec::new(), Vec::new(), 0);
        for step in 0..1001 {
            let (id, pod) = relabelled(engine.snapshot(), step);
            engine.replace_pod(id, pod);
            let ((next, changes), recompile) = timed(|| {
                let next = Compiled::new(&engine, &node, &held);
                let changes = next.changes_from(&held);
                (next, changes)
            });
            elements += changes.elements();
            let start = Instant::now();
            table
                .apply(&changes, &held.ruleset)
                .await
                .expect("a change");
            commits.push(start.elapsed());
            recompiles.push(recompile);
            held = next;
        }
        table.verify(&held.ruleset).await.expect("as written");
        recompiles.sort_unstable();
        commits.sort_unstable();
        println!(
            "{:>7} {:>9} {:>9} {:>7} {:>7} {:>11.1} {:>9.1} {:>11.1} {:>11.1} {:>11.2} {:>11.2} {:>8}",
            node.endpoints.len(),
            engine.snapshot().policies.len(),
            held.ruleset.elements(),
            held.ruleset.chains.len(),
            held.ruleset.rules(),
            ms(compile),
            ms(load),
            ms(recompiles[500]),
            f64::from(u32::try_from(elements).unwrap()) / 1001.0,
            ms(commits[500]),
            ms(commits[990]),
            resident,
        );
        namespace.delete().expect("it goes away");
    }
}
