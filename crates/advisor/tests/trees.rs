//! Precision: trees of manifests as people have them, each with exactly the findings that
//! it should have.
//!
//! `tests/trees/<name>/manifests/` is what somebody has, `expected.yaml` beside it what
//! `check` must say: nothing may be missing and nothing may be extra.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test panics where it does not find what it expects"
)]

mod loading;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ringfence_advisor::{Finding, Report};
use ringfence_model::object::ObjectRef;
use serde::Deserialize;

use crate::loading::{Loaded, manifests_below};

/// Set to write `docs/precision.md` instead of comparing it.
const UPDATE: &str = "RINGFENCE_UPDATE_PRECISION";

/// What `expected.yaml` says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Expected {
    /// One line: what the tree is.
    what: String,
    /// Options as they are typed.
    #[serde(default)]
    options: String,
    /// Code, severity and object of each finding, sorted.
    #[serde(default)]
    findings: Vec<String>,
    /// Code and object of each suppressed finding, sorted.
    #[serde(default)]
    suppressed: Vec<String>,
    /// The codes of the questions that the manifests cannot answer, sorted.
    #[serde(default)]
    not_verified: Vec<String>,
}

struct Tree {
    name: String,
    expected: Expected,
    report: Report,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trees")
}

fn tree(name: &str) -> Tree {
    let folder = folder().join(name);
    let text = std::fs::read_to_string(folder.join("expected.yaml"));
    let text = text.unwrap_or_else(|error| panic!("{name}: expected.yaml: {error}"));
    let expected: Expected = serde_saphyr::from_str(&text)
        .unwrap_or_else(|error| panic!("{name}: expected.yaml: {error}"));
    let manifests = manifests_below(&folder.join("manifests"));
    let report = Loaded::read(&manifests, &expected.options).report();
    Tree {
        name: name.to_owned(),
        expected,
        report,
    }
}

fn trees() -> Vec<Tree> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names.iter().map(|name| tree(name)).collect()
}

fn object(object: &ObjectRef) -> String {
    match &object.namespace {
        Some(namespace) => format!("{} {namespace}/{}", object.kind, object.name),
        None => format!("{} {}", object.kind, object.name),
    }
}

fn found(finding: &Finding) -> String {
    let severity = format!("{:?}", finding.severity).to_lowercase();
    format!(
        "{} {severity} {}",
        finding.rule.code,
        object(&finding.object)
    )
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

impl Tree {
    fn findings(&self) -> Vec<String> {
        sorted(self.report.findings.iter().map(found).collect())
    }

    fn suppressed(&self) -> Vec<String> {
        let suppressed = self.report.suppressed.iter();
        let line = |finding: &Finding| format!("{} {}", finding.rule.code, object(&finding.object));
        sorted(suppressed.map(|s| line(&s.finding)).collect())
    }

    fn not_verified(&self) -> Vec<String> {
        let questions = self.report.not_verified.iter();
        sorted(questions.map(|q| q.code.to_string()).collect())
    }
}

/// What is in `a` and not in `b`, each as often as it is there too often.
fn surplus(a: &[String], b: &[String]) -> Vec<String> {
    let mut rest = b.to_vec();
    let mut surplus = Vec::new();
    for line in a {
        match rest.iter().position(|other| other == line) {
            Some(position) => drop(rest.remove(position)),
            None => surplus.push(line.clone()),
        }
    }
    surplus
}

#[test]
fn each_tree_has_its_findings_and_no_others() {
    let mut wrong = String::new();
    for tree in trees() {
        let expected = &tree.expected;
        for (what, expected, found) in [
            ("finding", &expected.findings, tree.findings()),
            ("suppressed", &expected.suppressed, tree.suppressed()),
            ("not verified", &expected.not_verified, tree.not_verified()),
        ] {
            for line in surplus(expected, &found) {
                writeln!(wrong, "{}: missing {what}: {line}", tree.name).unwrap();
            }
            for line in surplus(&found, expected) {
                writeln!(wrong, "{}: extra {what}: {line}", tree.name).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn there_are_trees_of_many_kinds() {
    let trees = trees();
    assert!(trees.len() >= 30, "{}", trees.len());
    let clean = trees.iter().filter(|t| t.expected.findings.is_empty());
    assert!(
        clean.count() >= 8,
        "sound trees show that nothing is said without need"
    );
}

/// The errors of two published guides to default deny: the tree with the manifest, and
/// the findings that catch each.
#[test]
fn every_error_of_the_published_guides_is_caught() {
    let errors = [
        (
            "a policy called deny-metadata-service denies nothing and opens 80 and 443",
            "article-deny-metadata-service",
            "RF402 error NetworkPolicy production/deny-metadata-service",
        ),
        (
            "its IPv4 exceptions leave IPv6 alone",
            "article-deny-metadata-service",
            "RF405 warning NetworkPolicy production/deny-metadata-service",
        ),
        (
            "an IPv6 rule beside it stays open",
            "dual-stack-ipv6-forgotten",
            "RF404 error NetworkPolicy edge/internet",
        ),
        (
            "another policy's wider allow undoes its exceptions",
            "article-on-a-namespace",
            "RF403 error NetworkPolicy production/deny-metadata-service",
        ),
        (
            "private ranges are not blocked by anybody's ingress rules",
            "article-on-a-namespace",
            "RF508 warning NetworkPolicy production/deny-metadata-service",
        ),
        (
            "private ranges in the recipe's external rule",
            "recipe-on-a-shop",
            "RF508 warning NetworkPolicy default/app-allow-external-api",
        ),
        (
            "Baseline already prohibits hostNetwork, and not Restricted alone",
            "article-ingress-only-on-a-namespace",
            "RF104 note Namespace production",
        ),
        (
            "a deny of ingress alone leaves egress open",
            "article-deny-all-incomplete",
            "RF202 error NetworkPolicy production/deny-all-incomplete",
        ),
        (
            "the manifest says `namespace: default` and is applied with `-n development`",
            "recipe-applied-to-development",
            "RF603 error NetworkPolicy default/default-deny-all-egress",
        ),
        (
            "\"internal only\" opens every namespace",
            "recipe-patterns-on-a-shop",
            "RF503 warning NetworkPolicy default/allow-internal-only",
        ),
        (
            "the DNS pattern misses NodeLocal DNSCache",
            "recipe-dns-on-nodelocal",
            "RF303 warning NetworkPolicy default/allow-dns",
        ),
        (
            "the DNS pattern misses OpenShift's name servers",
            "recipe-dns-on-openshift",
            "RF303 error NetworkPolicy default/allow-dns",
        ),
        (
            "the API server on 443 has become an endpoint on 6443",
            "article-kube-api-on-443",
            "RF504 error NetworkPolicy production/allow-kube-api",
        ),
        (
            "a port without protocol means TCP only: fatal for DNS",
            "dns-port-without-protocol",
            "RF302 error NetworkPolicy forum/allow-dns",
        ),
        (
            "a port without protocol means TCP only: not HTTP/3",
            "recipe-patterns-on-a-shop",
            "RF510 note NetworkPolicy default/allow-specific-external",
        ),
    ];
    let mut missed = Vec::new();
    for (error, name, finding) in errors {
        if !tree(name).findings().iter().any(|found| found == finding) {
            missed.push(format!("{error}: {name} has no {finding}"));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
    let hosts = tree("article-ingress-only-on-a-namespace").report;
    let mut of_104 = hosts.findings.iter().filter(|f| f.rule.code.0 == 104);
    let help = of_104.next().unwrap().help.clone().unwrap();
    assert!(
        help.contains("`pod-security.kubernetes.io/enforce: baseline`"),
        "{help}"
    );
}

#[test]
fn the_table_of_precision_is_up_to_date() {
    let mut text = String::from(
        "# Precision\n\nTrees of manifests as people have them, sound and not, with the \
         findings that each\nmust have and those that it has. They are in \
         `crates/advisor/tests/trees/`; a test fails\nwhere one is missing or one is extra, \
         and where this table is not what it finds\n(`RINGFENCE_UPDATE_PRECISION=1` writes \
         it). Suppressed findings, and questions that\nmanifests cannot answer, are compared \
         as well.\n\n",
    );
    let trees = trees();
    let (mut expected, mut found, mut missing, mut extra) = (0, 0, 0, 0);
    let mut rows = String::new();
    for tree in &trees {
        let has = tree.findings();
        expected += tree.expected.findings.len();
        found += has.len();
        missing += surplus(&tree.expected.findings, &has).len();
        extra += surplus(&has, &tree.expected.findings).len();
        let (name, what) = (&tree.name, &tree.expected.what);
        let (expected, found) = (codes(&tree.expected.findings), codes(&has));
        writeln!(rows, "| {name} | {what} | {expected} | {found} |").unwrap();
    }
    writeln!(
        text,
        "{} trees, {expected} findings expected, {found} found: {missing} missing, {extra} \
         extra.\n\n| tree | what it is | expected | found |\n|---|---|---|---|\n{rows}",
        trees.len()
    )
    .unwrap();
    let text = format!("{}\n", text.trim_end());
    let page = root().join("docs/precision.md");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&page, &text).unwrap();
    }
    let written = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        written == text,
        "run the tests with {UPDATE}=1 and look at it"
    );
}

/// The codes of some lines, with how often each is there: `RF201 ×2, RF401`.
fn codes(lines: &[String]) -> String {
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for line in lines {
        let code = line.split(' ').next().unwrap();
        match counted.iter_mut().find(|(other, _)| *other == code) {
            Some((_, count)) => *count += 1,
            None => counted.push((code, 1)),
        }
    }
    let words: Vec<String> = counted
        .iter()
        .map(|(code, count)| match count {
            1 => (*code).to_owned(),
            count => format!("{code} ×{count}"),
        })
        .collect();
    match words.is_empty() {
        true => "none".to_owned(),
        false => words.join(", "),
    }
}
