//! Connections that no policy denies. Where one fails, silence proves nothing.

use std::net::IpAddr;
use std::sync::Arc;

use ringfence_engine::Engine;
use ringfence_model::address::IpFamily;
use ringfence_model::protocol::Protocol;

use crate::error::LabError;
use crate::lab::Lab;
use crate::probe::{Kind, Probe, Progress};

/// A control that failed.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    /// The station that it was for.
    pub(super) station: usize,
    /// What failed.
    pub(super) what: String,
}

/// Pings every pod from its own node, the own node from every pod where the profile lets
/// it, and the world from every node; gives what was not answered.
pub(super) async fn failed(lab: &Lab, engine: &Engine) -> Result<Vec<Failed>, LabError> {
    let schedule = lab.schedule();
    let mut probes = Vec::new();
    let mut about = Vec::new();
    for (id, pod) in schedule.snapshot.pod_ids() {
        let (Some(station), Some(node)) = (
            lab.station_of(id),
            schedule
                .nodes
                .iter()
                .position(|node| pod.node.as_ref() == Some(&node.name)),
        ) else {
            continue;
        };
        let Some(nodes) = lab.network().plan.nodes.get(node).copied() else {
            continue;
        };
        if pod.host_network {
            continue;
        }
        let on = schedule.nodes.get(node);
        for address in &pod.addresses {
            let family = IpFamily::of(*address);
            let own = on.and_then(|on| on.addresses.iter().find(|a| IpFamily::of(**a) == family));
            probes.push(ping(nodes, own.copied(), *address));
            about.push((station, format!("{} from its node at {address}", pod.name)));
            if let Some(own) = own
                && engine.profile().pod_reaches_own_node
            {
                probes.push(ping(station, Some(*address), *own));
                about.push((station, format!("the node of {} at {own}", pod.name)));
            }
        }
    }
    for (node, station) in schedule.nodes.iter().zip(&lab.network().plan.nodes) {
        for address in &schedule.api_server {
            let family = IpFamily::of(*address);
            let own = node.addresses.iter().find(|a| IpFamily::of(**a) == family);
            probes.push(ping(*station, own.copied(), *address));
            let what = format!("{address} from {}", node.name);
            about.push((lab.network().plan.world, what));
        }
    }
    let due = vec![true; probes.len()];
    let progress = Arc::new(Progress::default());
    let observed = lab.prober().probe_all(&probes, &due, &progress).await?;
    let failed = about.into_iter().zip(observed);
    Ok(failed
        .filter(|(_, observation)| observation.observed.passed() != Some(true))
        .map(|((station, what), observation)| Failed {
            station,
            what: format!("{what}: {}", observation.observed),
        })
        .collect())
}

fn ping(from: usize, source: Option<IpAddr>, to: IpAddr) -> Probe {
    Probe {
        from,
        source,
        to,
        name: None,
        protocol: Protocol::Icmp,
        port: 0,
        kind: Kind::Connection,
    }
}
