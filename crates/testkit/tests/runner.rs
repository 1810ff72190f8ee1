//! The fixture runner notices what is not as expected.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::fs;
use std::path::PathBuf;

use ringfence_testkit::all_deciders;
use ringfence_testkit::fixture::{FixtureError, FixtureReport, find_fixtures, run_fixture};

const CLUSTER: &str = "
{apiVersion: v1, kind: Pod, metadata: {namespace: x, name: a, labels: {app: a}}, status: {podIP: 10.0.0.1}}
---
{apiVersion: v1, kind: Pod, metadata: {namespace: x, name: b, labels: {app: b}}, status: {podIP: 10.0.0.2}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: x, name: b}, spec: {template: {}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: x, name: deny}
spec: {podSelector: {matchLabels: {app: b}}, policyTypes: [Ingress]}
";

/// A fixture folder of its own for each test.
fn fixture(name: &str, expected: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("runner")
        .join(name);
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("cluster.yaml"), CLUSTER).unwrap();
    fs::write(dir.join("expected.yaml"), expected).unwrap();
    dir
}

fn run(name: &str, expected: &str) -> Result<FixtureReport, FixtureError> {
    run_fixture(&fixture(name, expected), &|snapshot, profile| {
        all_deciders(snapshot, profile)
    })
}

fn mismatches(name: &str, expected: &str) -> Vec<String> {
    let report = run(name, expected).unwrap();
    report.mismatches.iter().map(ToString::to_string).collect()
}

#[test]
fn a_fixture_that_is_right_has_no_mismatch() {
    let report = run(
        "right",
        "why: it works
rules: [np-2]
cases:
  - {from: x/a, to: x/Pod/b, port: 80/TCP, verdict: Denied}
  - {from: x/Pod/b, to: 10.0.0.1, port: icmp, verdict: Allowed, under: {profile: cilium}}
tables:
  - ports: [80, 53/UDP]
    table: |2
              x/a  x/Pod/b
      x/a     .    X
      8.8.8.8 .    X
",
    )
    .unwrap();
    assert_eq!(report.to_string(), "right (it works)");
    assert_eq!(report.verdicts, 2 * (2 + 8), "two deciders");
}

#[test]
fn every_wrong_verdict_of_every_decider_is_named() {
    let found = mismatches(
        "wrong",
        "why: it does not
cases:
  - {from: x/a, to: x/Pod/b, port: 80/TCP, verdict: Allowed}
tables: [{ports: [81], table: \"x/a\\nx/Pod/b ?\"}]
",
    );
    assert_eq!(
        found,
        [
            "x/a -> x/Pod/b 80/TCP: expected Allowed, oracle says Denied (x/a -> x/b over IPv4, profile upstream)",
            "x/a -> x/Pod/b 80/TCP: expected Allowed, engine says Denied (x/a -> x/b over IPv4, profile upstream)",
            "x/Pod/b -> x/a 81/TCP: expected Unknown, oracle says Allowed (x/b -> x/a over IPv4, profile upstream)",
            "x/Pod/b -> x/a 81/TCP: expected Unknown, engine says Allowed (x/b -> x/a over IPv4, profile upstream)",
        ]
    );
}

#[test]
fn diagnostics_must_be_exactly_those_expected() {
    let case = "cases: [{from: x/a, to: x/a, port: 80, verdict: Allowed}]";
    let found = mismatches(
        "quiet",
        &format!("why: none comes\ndiagnostics: [unknown-field]\n{case}"),
    );
    assert_eq!(found, ["diagnostics: expected [unknown-field], got none"]);

    let dir = fixture("loud", &format!("why: one comes\n{case}"));
    let twice = format!("{CLUSTER}---\n{CLUSTER}");
    fs::write(dir.join("cluster.yaml"), twice).unwrap();
    let report = run_fixture(&dir, &|snapshot, profile| all_deciders(snapshot, profile)).unwrap();
    let shown = report.mismatches[0].to_string();
    assert!(
        shown.contains("duplicate-object: Pod x/a is defined more than once"),
        "{shown}"
    );
}

#[test]
fn steps_are_judged_on_their_own_inputs() {
    let dir = fixture(
        "steps",
        "why: an update
cases: [{from: x/a, to: x/Pod/b, port: 80, verdict: Denied}]
steps:
  - name: the policy is gone
    inputs: [later.yaml]
    cases: [{from: x/a, to: x/Pod/b, port: 80, verdict: Denied}]
",
    );
    let without = CLUSTER.replace("[Ingress]", "[Egress]");
    fs::write(dir.join("later.yaml"), without).unwrap();
    let report = run_fixture(&dir, &|snapshot, profile| all_deciders(snapshot, profile)).unwrap();
    assert_eq!(report.mismatches.len(), 2);
    assert!(
        report.mismatches[0]
            .to_string()
            .starts_with("[the policy is gone] x/a -> x/Pod/b")
    );
}

#[test]
fn what_cannot_be_asked_is_an_error() {
    for (name, expected, message) in [
        ("nothing", "why: a", "no diagnostics, cases or tables"),
        (
            "rule",
            "why: a\nrules: [nap-1]\ndiagnostics: [a]",
            "`nap-1` is not a rule",
        ),
        (
            "missing",
            "why: a\ncases: [{from: x/c, to: x/a, port: 80, verdict: Denied}]",
            "no workload or pod `x/c`",
        ),
        (
            "ambiguous",
            "why: a\ncases: [{from: x/b, to: x/a, port: 80, verdict: Denied}]",
            "`x/b` is more than one thing",
        ),
        (
            "syntax",
            "why: a\ncases: [{from: b, to: x/a, port: 80, verdict: Denied}]",
            "`b` is not an endpoint",
        ),
        (
            "family",
            "why: a\ncases: [{from: \"::1\", to: x/a, port: 80, verdict: Denied}]",
            "do not share an IP family",
        ),
        (
            "table",
            "why: a\ntables: [{ports: [80], table: 'x/a'}]",
            "a line for each source",
        ),
        (
            "inputs",
            "why: a\ninputs: [nowhere.yaml]\ndiagnostics: [a]",
            "nowhere.yaml",
        ),
        ("key", "why: a\ncase: []", "case"),
    ] {
        let error = run(name, expected).unwrap_err().to_string();
        assert!(error.contains(message), "{name}: {error}");
    }
}

#[test]
fn fixtures_are_found_in_folders_of_folders() {
    let right = "why: a\ncases: [{from: x/a, to: x/a, port: 80, verdict: Allowed}]";
    let inner = fixture("found/group/inner", right);
    let outer = fixture("found/outer", right);
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("runner/found");
    assert_eq!(find_fixtures(&root).unwrap(), [inner, outer]);
    assert!(find_fixtures(&root.join("nowhere")).is_err());
}
