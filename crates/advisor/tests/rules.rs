//! Every rule has a page, a manifest that makes it fire and one that does not, and says
//! nothing that the oracle denies.
//!
//! `tests/rules/RFnnn/fires*.yaml` must give at least one finding of the rule,
//! `tests/rules/RFnnn/silent*.yaml` none. The rendered findings stand beside them and are
//! checked with the binary.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test panics where it does not find what it expects"
)]

mod loading;

use std::path::{Path, PathBuf};

use ringfence_advisor::{Code, Report, Rule, rules};
use ringfence_engine::Profile;
use ringfence_engine::oracle::Oracle;

use crate::loading::{Loaded, words_of};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules")
}

/// The manifests of a rule whose names begin with `prefix`, sorted.
fn manifests(rule: &Rule, prefix: &str) -> Vec<PathBuf> {
    let folder = folder().join(rule.code.to_string());
    let entries = std::fs::read_dir(&folder);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with(prefix) && name.ends_with(".yaml")
        })
        .collect();
    found.sort();
    assert!(
        !found.is_empty(),
        "{} has no {prefix}*.yaml",
        folder.display()
    );
    found
}

/// Checks one file with all rules, and that every witness is what the oracle says.
fn checked(path: &Path) -> Report {
    let name = path.display().to_string();
    let loaded = Loaded::read(&[path.to_path_buf()], &words_of(path));
    let report = loaded.report();
    let oracle = Oracle::new(&loaded.snapshot, Profile::default());
    for finding in &report.findings {
        if let Some(witness) = &finding.witness {
            let said = oracle.judge(&witness.packet).verdict;
            let rule = finding.rule.code;
            assert_eq!(witness.verdict, said, "{name}: {rule}: {}", finding.message);
        }
        // A policy alone, without the pods that it is for, opens nothing to anybody yet.
        let is_about_pods = !finding.affected.is_empty();
        let needs_witness = matches!(finding.rule.code.0 / 100, 4 | 5) && is_about_pods;
        assert!(
            finding.witness.is_some() || !needs_witness,
            "{name}: {} names no witness: {}",
            finding.rule.code,
            finding.message
        );
    }
    report
}

fn has(report: &Report, code: Code) -> bool {
    report
        .findings
        .iter()
        .any(|finding| finding.rule.code == code)
}

#[test]
fn every_rule_fires_where_it_should_and_nowhere_else() {
    let mut wrong = Vec::new();
    for rule in rules::ALL {
        for (prefix, expected) in [("fires", true), ("silent", false)] {
            for path in manifests(rule, prefix) {
                if has(&checked(&path), rule.code) != expected {
                    wrong.push(path.display().to_string());
                }
            }
        }
    }
    assert!(wrong.is_empty(), "not as their names say: {wrong:#?}");
}

#[test]
fn every_rule_has_a_page_of_its_own() {
    let mut codes = Vec::new();
    for rule in rules::ALL {
        let title = format!("# {} {}\n", rule.code, rule.name);
        assert!(rule.page.starts_with(&title), "{}: {title}", rule.code);
        for heading in ["## What is wrong", "## Why it matters", "## What to do"] {
            assert!(rule.page.contains(heading), "{}: {heading}", rule.code);
        }
        let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(rule.name.chars().all(lower), "{}", rule.name);
        assert!(!rule.summary.ends_with('.'), "{}", rule.code);
        codes.push(rule.code);
    }
    let mut sorted = codes.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(codes, sorted, "rules are listed by code, each once");
}

#[test]
fn no_folder_and_no_page_is_left_without_a_rule() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/findings");
    for folder in [folder(), pages] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            let Some(code) = name.strip_suffix(".md").unwrap_or(&name).parse().ok() else {
                continue;
            };
            assert!(rules::find(code).is_some(), "{name} is about no rule");
        }
    }
}

#[test]
fn exceptions_that_the_api_server_rejects_are_found_though_the_policy_is_left_out() {
    let report = checked(&folder().join("RF405/rejected.yaml"));
    let rejected = report
        .findings
        .iter()
        .filter(|finding| finding.rule.code == Code(405));
    assert_eq!(rejected.count(), 2);
}

#[test]
fn what_a_cluster_wide_policy_denies_is_not_blamed_on_a_namespace() {
    for code in [Code(301), Code(302)] {
        let path = folder().join(format!("{code}/denied-cluster-wide.yaml"));
        let report = checked(&path);
        let mut found = report.findings.iter().filter(|f| f.rule.code == code);
        let finding = found.next().unwrap_or_else(|| panic!("{code} is silent"));
        assert_eq!(&*finding.object.kind, "ClusterNetworkPolicy", "{code}");
        assert!(finding.fix.is_none(), "{code}: {:?}", finding.fix);
        assert!(finding.primary.is_some(), "{code}");
        assert!(found.next().is_none(), "{code}: one cause, one finding");
    }
}

#[test]
fn the_index_of_the_pages_lists_every_rule() {
    let mut index = String::from(
        "# Findings\n\nWhat `ringfence check` looks for; `ringfence check --explain CODE` prints a \
         page.\n",
    );
    let mut section = None;
    for rule in rules::ALL {
        if section != Some(rule.code.section()) {
            section = Some(rule.code.section());
            let title = rule.code.section().title();
            index.push_str(&format!(
                "\n## {title}\n\n| code | name | severity | |\n|---|---|---|---|\n"
            ));
        }
        let severity = format!("{:?}", rule.severity).to_lowercase();
        let (code, name, summary) = (rule.code, rule.name, rule.summary);
        index.push_str(&format!(
            "| [{code}]({code}.md) | {name} | {severity} | {summary} |\n"
        ));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/findings/README.md");
    if std::env::var_os("RINGFENCE_UPDATE_FINDINGS").is_some() {
        std::fs::write(&path, &index).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == index,
        "{}: run with RINGFENCE_UPDATE_FINDINGS=1",
        path.display()
    );
}
