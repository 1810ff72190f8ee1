//! A cluster in the kernel, held against the oracle.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use ringfence_engine::{Packet, Verdict};
use ringfence_lab::Lab;
use ringfence_lab::enforcer::Nftables;
use ringfence_lab::probe::{Probe, Progress, Settings};

use crate::asked::{Asked, Counts, Trial};

/// How often packets are tried again of which nothing came that should have come.
const RETRIES: usize = 3;

/// What came of a cluster in the kernel.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Packets that were sent.
    pub(crate) sent: u64,
    /// Verdicts of the others.
    pub(crate) counts: Counts,
    /// What somebody said that the oracle does not, and packets that did something else.
    pub(crate) failures: String,
}

/// Builds a cluster and sends all packets, and those that are given.
pub(crate) async fn check(trial: &Trial<'_>, asked: Asked, more: &[Packet]) -> Outcome {
    let name = &trial.name;
    let mut packets = asked.packets(trial.seed);
    let new = more.iter().filter(|packet| !packets.contains(packet));
    let new: Vec<Packet> = new.copied().collect();
    packets.extend(new);
    let (verdicts, counts, mut failures) = asked.decide(trial.profile, &packets, None);
    let mut probes = Vec::new();
    let mut due = Vec::new();
    for (packet, verdict) in packets.iter().zip(verdicts) {
        // What is not known is denied, but that is the data plane's choice.
        if verdict != Verdict::Unknown
            && let Some(probe) = asked.probe(packet)
            && !probes.contains(&probe)
        {
            probes.push(probe);
            due.push(verdict == Verdict::Allowed);
        }
    }
    let settings = Settings {
        wait: Duration::from_millis(500),
        ..Settings::default()
    };
    let lab = Lab::build(asked.made, asked.cni, settings)
        .await
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let enforcer = Nftables::default();
    lab.enforce(&enforcer, trial.profile, false)
        .await
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let progress = Arc::new(Progress::default());
    let prober = lab.prober();
    let mut observed = prober.probe_all(&probes, &due, &progress).await.unwrap();
    // Interfaces and neighbours take their time on a busy machine, and what is lost to that
    // is no verdict: it is tried again. What got through got through.
    for _ in 0..RETRIES {
        let is_open = |index: &usize| {
            let passed = observed[*index].observed.passed();
            passed != Some(due[*index]) && passed != Some(true)
        };
        let again: Vec<usize> = (0..probes.len()).filter(is_open).collect();
        if again.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let some: Vec<Probe> = again.iter().map(|index| probes[*index].clone()).collect();
        let wanted: Vec<bool> = again.iter().map(|index| due[*index]).collect();
        let answers = prober.probe_all(&some, &wanted, &progress).await.unwrap();
        for (index, answer) in again.into_iter().zip(answers) {
            observed[index] = answer;
        }
    }
    for ((probe, due), observation) in probes.iter().zip(due).zip(observed) {
        if observation.observed.passed() != Some(due) {
            let name = |number| lab.network().namespace(number).unwrap().name();
            writeln!(
                failures,
                "  {} ({:?}) -> {}:{}/{}: {} should be {}: {:?} {:?}",
                name(probe.from),
                probe.source,
                probe.to,
                probe.port,
                probe.protocol,
                observation.observed,
                if due { "allowed" } else { "denied" },
                observation.detail,
                observation.arrived.map(name),
            )
            .unwrap();
        }
    }
    Outcome {
        sent: u64::try_from(probes.len()).unwrap(),
        counts,
        failures,
    }
}
