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
use ringfence_lab::schedule::{Options, Schedule, schedule};
use ringfence_lab::topology::{Cni, Network};
use ringfence_model::address::IpFamily;
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

/// What a bridge cannot hold is refused before anything is built, in numbers: how many pods
/// there are, and with how many it would do.
#[test]
fn a_bridge_with_too_many_pods_is_refused_in_numbers() {
    let check = |replicas: u32, options: &Options| {
        let yaml = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: many}}\nspec: {{replicas: \
             {replicas}, selector: {{matchLabels: {{a: b}}}}, template: {{metadata: {{labels: {{a: \
             b}}}}, spec: {{containers: [{{name: a}}]}}}}}}\n"
        );
        let made = scheduled(yaml, options);
        Network::empty(Cni::Bridge).check(&made)
    };
    let both = Some(IpFamily::ALL.to_vec());
    // There is one pod that the manifests do not have: the name server.
    for (nodes, families, pods, most, enough) in [
        (1, None, 632, 631, 2),
        (2, None, 447, 446, 3),
        (1, both.clone(), 447, 446, 2),
        (2, both, 316, 315, 3),
    ] {
        let options = Options {
            nodes,
            families,
            replicas: 1000,
            ..Options::default()
        };
        let all = u32::try_from(most * nodes - 1).unwrap();
        let more = all + u32::try_from(nodes).unwrap();
        check(all, &options).unwrap();
        let said = check(more, &options).unwrap_err().to_string();
        for part in [
            format!("{pods} pods on the bridge of node-1"),
            format!("at most {most} on each"),
            format!("--nodes {enough}"),
        ] {
            assert!(said.contains(&part), "{part}: {said}");
        }
        let spread = Options {
            nodes: enough,
            ..options
        };
        check(more, &spread).unwrap();
    }
}

fn scheduled(yaml: String, options: &Options) -> Schedule {
    let loaded = parse::load(
        vec![Input {
            name: "size.yaml".to_owned(),
            bytes: yaml.into_bytes(),
        }],
        &Limits::default(),
    );
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    let build = BuildOptions::default();
    schedule(&loaded.objects, &build, &loaded.sources, options).unwrap()
}

async fn probe_fifty_pods(cni: Cni, nodes: usize) {
    let options = Options {
        nodes,
        ..Options::default()
    };
    let made = scheduled(fifty_pods(), &options);
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
