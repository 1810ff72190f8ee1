//! `docs/conformance.md` says of every ported scenario how many verdicts of it were asked of
//! whom. Set `RINGFENCE_UPDATE_DOCS` to write the numbers.
//!
//! What needs a kernel is sent by `corpus.rs`, from the same questions.
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
#[allow(dead_code, reason = "the rest is for tests that need a kernel")]
mod asked;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use answers::ask;
use asked::{Asked, Counts};
use ringfence_testkit::all_deciders;
use ringfence_testkit::fixture::{clusters, find_fixtures, run_fixture};

/// What the scenarios of upstream suites are called here.
const PORTED: [&str; 2] = ["e2e-", "houses-"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn name_of(fixture: &Path) -> String {
    let name = fixture.file_name().expect("a name");
    name.to_string_lossy().into_owned()
}

/// The columns of a fixture: oracle, engine, rulesets, kernel.
fn asked_of(fixture: &Path) -> [u64; 4] {
    let report = run_fixture(fixture, &|snapshot, profile| {
        all_deciders(snapshot, profile)
    });
    let report = report.expect("a fixture that can be run");
    assert!(report.mismatches.is_empty(), "{report}");
    // Both of them are asked everything.
    let each = u64::try_from(report.verdicts / 2).unwrap();
    let (mut counts, mut sent) = (Counts::default(), 0);
    for stage in clusters(fixture).expect("a fixture that can be read") {
        let trial = answers::trial(&name_of(fixture), &stage);
        let answers = ask(&trial.name, &stage, &Asked::new(&trial));
        assert_eq!(answers.failures, "", "{}", trial.name);
        counts.add(answers.counts);
        sent += u64::try_from(answers.for_kernel.len()).unwrap();
    }
    [each, each, counts.interpreted, sent]
}

#[test]
fn the_page_says_who_was_asked_what() {
    let fixtures = find_fixtures(&root().join("fixtures")).expect("the fixtures");
    let path = root().join("docs/conformance.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut missing: BTreeSet<String> = fixtures
        .iter()
        .map(|fixture| name_of(fixture))
        .filter(|name| PORTED.iter().any(|prefix| name.starts_with(prefix)))
        .collect();
    let mut written = String::new();
    let mut total = [0; 4];
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        // [`name`](../fixtures/name)
        let link = cells.get(2).copied().unwrap_or_default();
        let name = link.split('`').nth(1).unwrap_or_default();
        if cells.len() == 8 && PORTED.iter().any(|prefix| name.starts_with(prefix)) {
            assert!(
                missing.remove(name),
                "{name} is there twice, or is no fixture"
            );
            let columns = asked_of(&root().join("fixtures").join(name));
            assert!(columns[3] > 0, "{name}: the kernel is asked nothing");
            let numbers: Vec<String> = columns.iter().map(ToString::to_string).collect();
            let link = format!("[`{name}`](../fixtures/{name})");
            let row = [cells[1], &link, &numbers.join(" | ")].join(" | ");
            written.push_str(&format!("| {row} |\n"));
            for (sum, more) in total.iter_mut().zip(columns) {
                *sum += more;
            }
        } else {
            written.push_str(line);
            written.push('\n');
        }
    }
    println!("oracle, engine, rulesets, kernel: {total:?}");
    assert!(missing.is_empty(), "not on the page: {missing:?}");
    if std::env::var_os("RINGFENCE_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let now = std::fs::read_to_string(&path).unwrap();
    assert!(
        now == written,
        "docs/conformance.md is not what the fixtures say; if the change is meant, run the tests \
         with RINGFENCE_UPDATE_DOCS=1"
    );
}

#[test]
fn every_fixture_is_known_to_the_rulesets_as_a_scheduler_lays_it_out() {
    let fixtures = find_fixtures(&root().join("fixtures")).expect("the fixtures");
    let (mut counts, mut wrong) = (Counts::default(), Vec::new());
    for fixture in &fixtures {
        for stage in clusters(fixture).expect("a fixture that can be read") {
            let trial = answers::trial(&name_of(fixture), &stage);
            let answers = ask(&trial.name, &stage, &Asked::new(&trial));
            counts.add(answers.counts);
            if !answers.failures.is_empty() {
                wrong.push(format!("{}:\n{}", trial.name, answers.failures));
            }
        }
    }
    println!("{} fixtures: {counts:?}", fixtures.len());
    assert!(counts.interpreted * 10 > counts.asked * 9, "{counts:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
