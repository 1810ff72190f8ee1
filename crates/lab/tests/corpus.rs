//! The shared corpus in the kernel: the cluster of every fixture, as a scheduler would lay
//! it out, does with real packets what the fixture knows, and of all other packets what the
//! oracle says; and so say the engine and the interpreter of the rulesets.
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

#[path = "support/answers.rs"]
mod answers;
#[path = "support/asked.rs"]
mod asked;
#[path = "support/trial.rs"]
mod trial;

use std::path::Path;

use answers::ask;
use asked::{Asked, Counts};
use ringfence_testkit::fixture::{clusters, find_fixtures};
use tokio::task::JoinSet;
use trial::{Outcome, check};

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
    let (mut trials, mut packets, mut known, mut wrong) = (0, 0, 0, Vec::new());
    let mut counts = Counts::default();
    let mut running = JoinSet::new();
    loop {
        while running.len() < AT_ONCE
            && let Some((fixture, stage)) = stages.next()
        {
            running.spawn(async move {
                let trial = answers::trial(&fixture, &stage);
                let asked = Asked::new(&trial);
                let answers = ask(&trial.name, &stage, &asked);
                // The data plane judges after the address of a Service is translated.
                let mut outcome = match stage.profile.judges_before_dnat {
                    true => Outcome::default(),
                    false => check(&trial, asked, &answers.for_kernel).await,
                };
                outcome.failures.insert_str(0, &answers.failures);
                outcome.counts.add(answers.counts);
                (trial.name.clone(), answers.for_kernel.len(), outcome)
            });
        }
        let Some(done) = running.join_next().await else {
            break;
        };
        let (name, of_fixture, outcome) = done.expect("a lab runs to its end");
        trials += u64::from(outcome.sent > 0);
        packets += outcome.sent;
        known += of_fixture;
        counts.add(outcome.counts);
        if !outcome.failures.is_empty() {
            wrong.push(format!("{name}:\n{}", outcome.failures));
        }
    }
    println!(
        "{trials} clusters of fixtures, {packets} packets, {known} of them of fixtures, {counts:?}"
    );
    assert!(trials > 200 && packets > trials * 20, "{trials}, {packets}");
    assert!(known > 3000, "{known}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
