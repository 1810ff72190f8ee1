//! The large generated clusters are what they say they are.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::sync::Arc;

use ringfence_engine::{Engine, Packet, Peer, Profile, Verdict};
use ringfence_model::address::IpFamily;
use ringfence_model::parse::{self, Input, Limits, Sources};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::Snapshot;
use ringfence_model::snapshot::builder::{BuildOptions, SnapshotBuilder};
use ringfence_testkit::generate::scale::Shape;

fn build(shape: &Shape) -> Snapshot {
    let mut builder = SnapshotBuilder::new(BuildOptions::default());
    builder.add(shape.objects());
    let (snapshot, diagnostics) = builder.build(&Sources::default());
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    snapshot
}

fn small() -> Shape {
    Shape {
        namespaces: 4,
        deployments: 40,
        replicas: 2,
        policy_for_each_direction: true,
        external_blocks: 20,
        ..Shape::default()
    }
}

#[test]
fn the_cluster_has_the_size_it_was_asked_for() {
    let snapshot = build(&small());
    assert_eq!(snapshot.namespaces.len(), 4 + 2);
    assert_eq!(snapshot.workloads.len(), 40 + 2);
    assert_eq!(snapshot.pods.len(), 40 * 2 + 2);
    assert_eq!(snapshot.policies.len(), 40 * 2 + 4 + 10);
    assert!(
        snapshot
            .pods
            .iter()
            .filter(|p| p.addresses.len() == 1)
            .count()
            == 80
    );
}

#[test]
fn a_deployment_reaches_those_it_calls_and_no_other() {
    let snapshot = Arc::new(build(&small()));
    let engine = Engine::compile(&snapshot, Profile::default());
    let pod = |number: usize| {
        let name = format!("app-{number:05}-5d4f8c7b9-00000");
        let namespace = format!("team-{:03}", number % 4);
        Peer::Pod(snapshot.find_pod(&namespace, &name).unwrap())
    };
    let verdict = |from, to, port| {
        engine.can(&Packet {
            through_service: None,
            source: from,
            destination: to,
            family: IpFamily::V4,
            protocol: Protocol::Tcp,
            port,
        })
    };
    assert_eq!(verdict(pod(0), pod(1), 8080), Verdict::Allowed);
    assert_eq!(verdict(pod(1), pod(0), 8080), Verdict::Denied);
    assert_eq!(verdict(pod(0), pod(1), 9090), Verdict::Denied);
    assert_eq!(verdict(pod(0), pod(20), 8080), Verdict::Denied);
    let outside = |text: &str| Peer::Address(text.parse().unwrap());
    assert_eq!(verdict(pod(0), outside("8.8.8.8"), 443), Verdict::Allowed);
    assert_eq!(verdict(pod(5), outside("203.0.5.1"), 443), Verdict::Allowed);
    assert_eq!(verdict(pod(5), outside("8.8.8.8"), 443), Verdict::Denied);
    assert_eq!(
        verdict(pod(0), outside("169.254.169.254"), 443),
        Verdict::Denied
    );
}

#[test]
fn the_text_says_the_same_as_the_objects() {
    let shape = small();
    let input = Input {
        name: "scale.yaml".to_owned(),
        bytes: shape.to_yaml().into_bytes(),
    };
    let loaded = parse::load(vec![input], &Limits::default());
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    assert_eq!(loaded.objects.len(), shape.objects().len());
    let mut builder = SnapshotBuilder::new(BuildOptions::default());
    builder.add(loaded.objects);
    let (read, _) = builder.build(&loaded.sources);
    let written = build(&shape);
    let names = |s: &Snapshot| {
        s.pods
            .iter()
            .map(|p| p.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&read), names(&written));
    let bodies = |s: &Snapshot| {
        s.policies
            .iter()
            .map(|p| p.body.clone())
            .collect::<Vec<_>>()
    };
    assert!(bodies(&read) == bodies(&written));
}
