//! What bridges need, of the kernel and of the schedule.

use ringfence_model::address::IpFamily;

use super::neighbours::crowded;
use crate::error::LabError;
use crate::schedule::{Schedule, ScheduledNode};

/// Whether pods of a schedule can be on bridges here.
pub(super) fn check(schedule: &Schedule) -> Result<(), LabError> {
    must_be_filtered()?;
    must_have_ranges(schedule)?;
    must_not_be_crowded(schedule)
}

/// A bridge passes frames without asking netfilter unless the kernel has `br_netfilter`:
/// then nothing could be enforced between pods of one node.
fn must_be_filtered() -> Result<(), LabError> {
    let there = std::path::Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables").exists();
    match there {
        true => Ok(()),
        false => Err(LabError::Unsupported(
            "--cni bridge: this kernel has no br_netfilter, without which no policy holds \
             between pods of one bridge; load the module, or use --cni routed"
                .to_owned(),
        )),
    }
}

/// A bridge is a network: its pods have their addresses from one range.
fn must_have_ranges(schedule: &Schedule) -> Result<(), LabError> {
    let complete = |node: &&ScheduledNode| {
        let has = |family: &IpFamily| {
            let mut ranges = node.pod_ranges.iter();
            ranges.any(|range| IpFamily::of(range.addr()) == *family)
        };
        schedule.families.iter().all(has)
    };
    match schedule.nodes.iter().find(|node| !complete(node)) {
        None => Ok(()),
        Some(node) => Err(LabError::Unsupported(format!(
            "--cni bridge: node {} has no range of its own for its pods, because the ranges \
             are too small or pods have addresses of other nodes' ranges; use --cni routed",
            node.name
        ))),
    }
}

/// Everybody on a bridge has everybody else for a neighbour.
fn must_not_be_crowded(schedule: &Schedule) -> Result<(), LabError> {
    let Some(crowded) = crowded(schedule) else {
        return Ok(());
    };
    let nodes = match schedule.nodes.len() {
        1 => "one node".to_owned(),
        nodes => format!("{nodes} nodes"),
    };
    Err(LabError::Unsupported(format!(
        "--cni bridge: there are {} pods on the bridge of {}, where everybody is everybody's \
         neighbour, and with {nodes} at most {} on each can be; use --cni routed, or --nodes {} \
         if no pod has to be on a certain node",
        crowded.pods, crowded.node, crowded.most, crowded.nodes
    )))
}
