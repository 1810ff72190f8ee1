//! Every format of a report that has everything: all severities, what is suppressed, and
//! what is not verified.

use std::sync::Arc;

use ringfence_advisor::context::Inventory;
use ringfence_advisor::{Input, NotVerified, Options, Report, Suppressed, check};
use ringfence_engine::{Engine, Profile};
use ringfence_model::diagnostic::Severity;
use ringfence_model::parse::{self, Limits, load};
use ringfence_model::snapshot::builder::{BuildOptions, SnapshotBuilder};

use super::{Format, Printed, write};
use crate::output::Theme;

const CLUSTER: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: one}
spec: {containers: [{name: c}]}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: two}
spec: {containers: [{name: c}]}
";

/// Shows a report in a format.
fn shown(format: Format) -> String {
    let loaded = load(
        vec![parse::Input {
            name: "a.yaml".into(),
            bytes: CLUSTER.into(),
        }],
        &Limits::default(),
    );
    let inventory = Inventory::of(&loaded.objects, "default");
    let mut builder = SnapshotBuilder::new(BuildOptions::default());
    builder.add(loaded.objects);
    let (snapshot, diagnostics) = builder.build(&loaded.sources);
    let snapshot = Arc::new(snapshot);
    let profile = Profile::default();
    let engine = Engine::compile(&snapshot, profile);
    let options = Options {
        select: vec!["RF201".parse().unwrap(), "RF401".parse().unwrap()],
        ..Options::default()
    };
    let mut report = check(&Input {
        engine: &engine,
        sources: &loaded.sources,
        diagnostics: &diagnostics,
        inventory: &inventory,
        assumed_dns: false,
        options: &options,
    });
    make_colourful(&mut report);
    let printed = Printed {
        report: &report,
        snapshot: &snapshot,
        sources: &loaded.sources,
        input: " -f shop.yaml",
        diagnostics: &diagnostics,
        profile: &profile,
        assumed_dns: false,
        show_suppressed: false,
        options: &options,
        fail_on: Some(Severity::Error),
        picture: None,
    };
    let mut out = Vec::new();
    write(&printed, format, Theme::default(), 100, false, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Gives the findings all severities, suppresses one, and asks a question.
fn make_colourful(report: &mut Report) {
    let [_, second, third, fourth, ..] = &mut report.findings[..] else {
        panic!("{:#?}", report.findings);
    };
    second.severity = Severity::Warning;
    third.severity = Severity::Note;
    // Something that is written nowhere.
    fourth.severity = Severity::Note;
    fourth.primary = None;
    let finding = report.findings.remove(0);
    report.suppressed.push(Suppressed {
        finding,
        reason: "a demo, nothing <secret> in it".to_owned(),
        by: "annotation of Namespace one".to_owned(),
    });
    report.not_verified.push(NotVerified {
        code: "RF401".parse().unwrap(),
        what: "whether the cloud asks for a session token".to_owned(),
        why: "manifests do not say; `nodes` would".to_owned(),
        how: "look at the instance's metadata options".to_owned(),
    });
}

#[test]
fn what_is_suppressed_and_what_is_not_verified_is_in_every_format() {
    for format in [
        Format::Human,
        Format::Json,
        Format::Yaml,
        Format::Sarif,
        Format::Junit,
        Format::Github,
        Format::Markdown,
        Format::Html,
    ] {
        let text = shown(format);
        assert!(text.contains("warning"), "{format:?}: {text}");
        assert!(text.contains("suppress"), "{format:?}: {text}");
        assert!(
            text.contains("not verified") || text.contains("notVerified"),
            "{format:?}: {text}"
        );
    }
}

#[test]
fn a_suppressed_finding_does_not_fail_in_junit_and_is_accepted_in_sarif() {
    let junit = shown(Format::Junit);
    assert!(!junit.contains("<failure"), "{junit}");
    assert!(junit.contains("suppressed: a demo, nothing &lt;secret&gt; in it (annotation of"));
    let log: serde_json::Value = serde_json::from_str(&shown(Format::Sarif)).unwrap();
    let results = log["runs"][0]["results"].as_array().unwrap();
    let levels: Vec<&str> = results
        .iter()
        .map(|result| result["level"].as_str().unwrap())
        .collect();
    assert_eq!(levels, ["warning", "note", "note", "error"]);
    let suppression = &results[3]["suppressions"][0];
    assert_eq!(suppression["kind"], "inSource");
    assert_eq!(suppression["status"], "accepted");
    // What is written nowhere stands at a workload that it is about.
    let nowhere = &results[2]["locations"][0]["physicalLocation"];
    assert_eq!(nowhere["artifactLocation"]["uri"], "a.yaml");
    assert!(nowhere["region"]["startLine"].as_u64().is_some());
}

#[test]
fn the_last_line_counts_everything() {
    let human = shown(Format::Human);
    let last = human.lines().last().unwrap();
    assert_eq!(
        last,
        "1 warning, 2 notes, 1 suppressed, 1 not verified (profile upstream)"
    );
}
