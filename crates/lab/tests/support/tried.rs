//! Labs that are run, and what came of them.

use std::sync::Arc;
use std::time::Instant;

use ringfence_engine::{Engine, Profile};
use ringfence_lab::Lab;
use ringfence_lab::enforcer::Nftables;
use ringfence_lab::probe::{Progress, Settings};
use ringfence_lab::run::{Agreement, Purpose, Report, run};
use ringfence_lab::schedule::{Options, Schedule, schedule};
use ringfence_lab::topology::Cni;
use ringfence_model::address::IpFamily;
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

pub(crate) fn dual(nodes: usize) -> Options {
    Options {
        nodes,
        families: Some(IpFamily::ALL.to_vec()),
        ..Options::default()
    }
}

/// How a lab is run in a test.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    Enforce,
    Audit,
    Open,
}

pub(crate) async fn report(yaml: &str, options: &Options, cni: Cni, mode: Mode) -> Report {
    let started = Instant::now();
    let lab = Lab::build(scheduled(yaml, options), cni, Settings::default())
        .await
        .expect("network namespaces can be made: root is needed");
    println!("built after {:?}", started.elapsed());
    let profile = Profile::default();
    let audit = mode == Mode::Audit;
    let engine = match mode {
        Mode::Open => Engine::compile(&lab.schedule().snapshot, profile),
        _ => lab
            .enforce(&Nftables::default(), profile, audit)
            .await
            .unwrap(),
    };
    println!("enforced after {:?}", started.elapsed());
    let report = run(&lab, &engine, audit, &Arc::new(Progress::default()))
        .await
        .unwrap();
    println!("{} probes after {:?}", report.rows.len(), started.elapsed());
    assert_eq!(report.failed_controls, [""; 0]);
    report
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
