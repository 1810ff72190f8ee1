//! Every folder under `fixtures/`, put to every decider.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::path::Path;

use ringfence_testkit::all_deciders;
use ringfence_testkit::fixture::{find_fixtures, run_fixture};

#[test]
fn every_decider_agrees_with_every_fixture() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let root = root.canonicalize().expect("there is a fixtures folder");
    let fixtures = find_fixtures(&root).expect("the fixtures folder can be read");
    assert!(!fixtures.is_empty(), "no fixture in {}", root.display());

    let mut verdicts = 0;
    let mut wrong = Vec::new();
    for fixture in &fixtures {
        match run_fixture(fixture, &|snapshot, profile| {
            all_deciders(snapshot, profile)
        }) {
            Err(error) => wrong.push(error.to_string()),
            Ok(report) => {
                verdicts += report.verdicts;
                if !report.mismatches.is_empty() {
                    wrong.push(report.to_string());
                }
            }
        }
    }
    println!("{} fixtures, {verdicts} verdicts", fixtures.len());
    assert!(
        wrong.is_empty(),
        "{} of {} fixtures are not as expected:\n\n{}\n",
        wrong.len(),
        fixtures.len(),
        wrong.join("\n\n")
    );
}
