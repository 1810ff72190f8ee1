//! Manifests as a schedule, and packets that do what is predicted.

use ringfence_lab::run::{Agreement, Purpose, Report};
use ringfence_lab::schedule::{Options, Schedule, schedule};
use ringfence_model::parse::{self, Input, Limits};
use ringfence_model::snapshot::builder::BuildOptions;

pub(crate) fn scheduled(yaml: &str, options: &Options) -> Schedule {
    let loaded = parse::load(
        vec![Input {
            name: "test.yaml".to_owned(),
            bytes: yaml.as_bytes().to_vec(),
        }],
        &Limits::default(),
    );
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    schedule(
        &loaded.objects,
        &BuildOptions::default(),
        &loaded.sources,
        options,
    )
    .unwrap()
}

pub(crate) fn assert_all_agree(report: &Report) {
    let wrong: Vec<String> = report
        .rows
        .iter()
        .filter(|row| match row.agreement() {
            Agreement::Same => false,
            // A Service leads to one of several, for which the policies may differ.
            Agreement::NotPredicted => !matches!(
                row.question.purpose,
                Purpose::Service | Purpose::NodePort | Purpose::External
            ),
            Agreement::Differ | Agreement::NotObserved => true,
        })
        .map(|row| {
            let probe = &row.question.probe;
            format!(
                "{} -> {} {}:{}/{}: predicted {}, {} {:?}",
                row.question.from.name,
                row.question.to.name,
                probe.to,
                probe.port,
                probe.protocol,
                row.predicted,
                row.observation.observed,
                row.observation.detail
            )
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        report.rows.len(),
        wrong.join("\n")
    );
}
