//! The shared corpus in the kernel: the cluster of every fixture, as a scheduler would lay
//! it out, does with real packets what the oracle says.
//!
//! Makes network namespaces and fails where that is not permitted.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

#[path = "support/trial.rs"]
mod trial;

use std::path::Path;

use ringfence_lab::topology::Cni;
use ringfence_testkit::fixture::{clusters, find_fixtures};
use tokio::task::JoinSet;
use trial::{Trial, check};

const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fixture_does_in_the_kernel_what_the_oracle_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let fixtures = find_fixtures(&root).expect("the fixtures");
    let mut stages = fixtures.iter().flat_map(|fixture| {
        let name = fixture
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let stages = clusters(fixture).expect("a fixture that can be read");
        stages.into_iter().map(move |stage| (name.clone(), stage))
    });
    let (mut trials, mut packets, mut wrong) = (0, 0, Vec::new());
    let mut running = JoinSet::new();
    loop {
        while running.len() < AT_ONCE
            && let Some((fixture, stage)) = stages.next()
        {
            // The data plane judges after the address of a Service is translated.
            if stage.profile.judges_before_dnat {
                continue;
            }
            running.spawn(async move {
                let step = stage.step.map_or(String::new(), |step| format!(", {step}"));
                let trial = Trial {
                    name: format!("{fixture}{step}"),
                    objects: &stage.loaded.objects,
                    build: stage.options,
                    profile: stage.profile,
                    cni: Cni::Routed,
                    seed: 0,
                };
                (trial.name.clone(), check(&trial).await)
            });
        }
        let Some(done) = running.join_next().await else {
            break;
        };
        let (name, (sent, failures)) = done.expect("a lab runs to its end");
        trials += 1;
        packets += sent;
        if !failures.is_empty() {
            wrong.push(format!("{name}:\n{failures}"));
        }
    }
    println!("{trials} clusters of fixtures, {packets} packets");
    assert!(trials > 200 && packets > trials * 20, "{trials}, {packets}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
