//! Labs that are run, and what came of them.

#[path = "agreed.rs"]
mod agreed;

use std::sync::Arc;
use std::time::Instant;

use ringfence_engine::{Engine, Profile};
use ringfence_lab::Lab;
use ringfence_lab::enforcer::Nftables;
use ringfence_lab::probe::{Progress, Settings};
use ringfence_lab::run::{Report, run};
use ringfence_lab::schedule::Options;
use ringfence_lab::topology::Cni;
use ringfence_model::address::IpFamily;

pub(crate) use agreed::{assert_all_agree, scheduled};

pub(crate) fn dual(nodes: usize) -> Options {
    Options {
        nodes,
        families: Some(IpFamily::ALL.to_vec()),
        ..Options::default()
    }
}

/// How a lab is run in a test.
#[derive(Clone, Copy, Debug, PartialEq)]
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
