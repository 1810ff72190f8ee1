//! Labs of fifty pods do what is predicted; how long it takes is printed, not asserted.
//!
//! These tests make network namespaces and fail where that is not permitted.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::sync::Arc;
use std::time::Instant;

use ringfence_engine::Profile;
use ringfence_lab::Lab;
use ringfence_lab::enforcer::Nftables;
use ringfence_lab::probe::{Progress, Settings};
use ringfence_lab::run::{Agreement, Purpose, run};
use ringfence_lab::schedule::{Options, schedule};
use ringfence_lab::topology::Cni;
use ringfence_model::parse::{self, Input, Limits};
use ringfence_model::snapshot::builder::BuildOptions;

/// Fifty pods of three ports each; every second one denies everything.
fn fifty_pods() -> String {
    let mut yaml = String::new();
    for number in 0..50 {
        let side = if number % 2 == 0 { "open" } else { "closed" };
        yaml.push_str(&format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{number}, namespace: fifty, labels: \
             {{side: {side}}}}}\nspec: {{containers: [{{name: a, ports: [{{containerPort: 80}}, \
             {{containerPort: 53, protocol: UDP}}, {{containerPort: 81, protocol: SCTP}}]}}]}}\n"
        ));
    }
    yaml.push_str(
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: d, \
         namespace: fifty}\nspec: {podSelector: {matchLabels: {side: closed}}, policyTypes: \
         [Ingress, Egress]}\n",
    );
    yaml
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_pods_are_probed_and_none_does_anything_else() {
    probe_fifty_pods(Cni::Routed, 3).await;
}

/// Fifty hosts of one network have more neighbours than the kernel remembers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_pods_on_one_bridge_are_probed_and_none_does_anything_else() {
    probe_fifty_pods(Cni::Bridge, 1).await;
}

async fn probe_fifty_pods(cni: Cni, nodes: usize) {
    let loaded = parse::load(
        vec![Input {
            name: "fifty.yaml".to_owned(),
            bytes: fifty_pods().into_bytes(),
        }],
        &Limits::default(),
    );
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    let options = Options {
        nodes,
        ..Options::default()
    };
    let build = BuildOptions::default();
    let made = schedule(&loaded.objects, &build, &loaded.sources, &options).unwrap();
    let started = Instant::now();
    let lab = Lab::build(made, cni, Settings::default()).await;
    let lab = lab.expect("network namespaces can be made: root is needed");
    println!("built in {:?}", started.elapsed());
    let started = Instant::now();
    let enforcer = Nftables::default();
    let engine = lab
        .enforce(&enforcer, Profile::default(), false)
        .await
        .unwrap();
    println!("enforced in {:?}", started.elapsed());
    let started = Instant::now();
    let report = run(&lab, &engine, false, &Arc::new(Progress::default()))
        .await
        .unwrap();
    let probed = started.elapsed();
    let of_pairs = |row: &&ringfence_lab::run::Row| row.question.purpose == Purpose::Pod;
    let pairs = report.rows.iter().filter(of_pairs).count();
    let all = report.rows.len();
    println!("{all} probes, {pairs} of them between pods, in {probed:?}");
    let started = Instant::now();
    drop(lab);
    println!("taken down in {:?}", started.elapsed());
    assert_eq!(report.failed_controls, [""; 0]);
    assert_eq!(report.count(Agreement::Same), all);
    assert!(pairs >= 7350, "{pairs}");
}
