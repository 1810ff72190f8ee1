//! The ends and ports of a connection that policies are written for.

use std::collections::BTreeSet;

use ipnet::IpNet;
use ringfence_advisor::baseline::{Destination, Flow, PortRange};
use ringfence_engine::sets::PortSet;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodId, PortRef, ServiceEndpoint, ServiceId, Snapshot, WorkloadId};

use crate::command::Stop;
use crate::endpoint::{EndpointArg, PortWord, Resolver, Target, TargetKind};

/// The connection between two endpoints.
pub(super) fn flow(
    snapshot: &Snapshot,
    default_namespace: &str,
    from: Option<&EndpointArg>,
    to: Option<&EndpointArg>,
    wants_addresses: bool,
) -> Result<Flow, Stop> {
    let (Some(from), Some(to)) = (from, to) else {
        return Err(anyhow::anyhow!("a connection has two ends: --from and --to").into());
    };
    let resolver = Resolver::new(snapshot, default_namespace);
    let source = one_workload(snapshot, &resolver.resolve(from)?, from)?;
    let target = resolver.resolve(to)?;
    if let TargetKind::Addresses { nets, .. } = &target.kind {
        let [net] = nets.as_slice() else {
            return Err(anyhow::anyhow!(
                "`{to}` is more than one block: for the internet there is --preset \
                 allow-internet-https, which leaves out what is private"
            )
            .into());
        };
        if !wants_addresses {
            return Err(
                anyhow::anyhow!("`{to}` is an address: take --preset workload-to-cidr").into(),
            );
        }
        if !is_cut(to, net) {
            return Err(anyhow::anyhow!(
                "`{to}` is not where a block begins: write {net} for all of it, or one address"
            )
            .into());
        }
        let word = target.port.as_ref().ok_or_else(|| no_port(to))?;
        let ports = word.numbers().ok_or_else(|| {
            anyhow::anyhow!("`{to}`: an address has no named ports, give the number")
        })?;
        return Ok(Flow {
            from: source,
            to: Destination::Block(*net),
            ports: ranges(&ports, to)?,
        });
    }
    if wants_addresses {
        return Err(
            anyhow::anyhow!("`{to}` is no address: take --preset workload-to-workload").into(),
        );
    }
    let (destination, ports) = match target.kind {
        TargetKind::Service(id) => behind(snapshot, id, target.port.as_ref(), to)?,
        _ => {
            let id = one_workload(snapshot, &target, to)?;
            let pods = snapshot.workload(id).pod_ids();
            let ports = pods.map(|pod| on_pod(snapshot, pod, target.port.as_ref()));
            (
                id,
                ports.fold(PortSet::none(), |all, ports| all.union(&ports)),
            )
        }
    };
    Ok(Flow {
        from: source,
        to: Destination::Workload(destination),
        ports: ranges(&ports, to)?,
    })
}

/// Whether a block was typed as it is: `10.0.0.5/8` could as well mean one address, and
/// a policy for all of 10.0.0.0/8 would open far more than that.
fn is_cut(named: &EndpointArg, net: &IpNet) -> bool {
    let typed = named.text.trim_start_matches('[');
    let Some((address, _)) = typed.split_once('/') else {
        return true;
    };
    address.parse() == Ok(net.addr())
}

/// The workload that an endpoint names.
fn one_workload(
    snapshot: &Snapshot,
    target: &Target,
    named: &EndpointArg,
) -> Result<WorkloadId, Stop> {
    match &target.kind {
        TargetKind::Workloads(ids) if ids.len() == 1 => {
            Ok(ids.first().copied().ok_or_else(|| not_one(named))?)
        }
        TargetKind::Pod(pod) => Ok(snapshot.pod(*pod).workload),
        _ => Err(not_one(named).into()),
    }
}

fn not_one(named: &EndpointArg) -> anyhow::Error {
    anyhow::anyhow!("`{named}` is not one workload: name it as NS/NAME")
}

fn no_port(named: &EndpointArg) -> anyhow::Error {
    anyhow::anyhow!("`{named}` needs a port, as in {named}:443: without one, all ports were open")
}

/// The ports of a pod that a word means; without one, those that it declares.
fn on_pod(snapshot: &Snapshot, pod: PodId, word: Option<&PortWord>) -> PortSet {
    let pod = snapshot.pod(pod);
    match word {
        Some(word) => word.on_pod(pod),
        None => pod
            .ports
            .iter()
            .map(|port| PortSet::range(port.protocol, port.port, port.port))
            .fold(PortSet::none(), |all, port| all.union(&port)),
    }
}

/// The workload behind a service, and the ports on its pods.
fn behind(
    snapshot: &Snapshot,
    id: ServiceId,
    word: Option<&PortWord>,
    named: &EndpointArg,
) -> Result<(WorkloadId, PortSet), Stop> {
    let mut workloads = BTreeSet::new();
    let mut found = PortSet::none();
    for port in &snapshot.service(id).ports {
        let is_meant = match word {
            None => true,
            Some(word) => match word.numbers() {
                Some(numbers) => {
                    let protocol = word.protocol.unwrap_or(port.protocol);
                    protocol == port.protocol
                        && numbers.contains(word.protocol.unwrap_or(Protocol::Tcp), port.port)
                }
                None => is_named(port.name.as_deref(), &port.target_port, word),
            },
        };
        if !is_meant {
            continue;
        }
        for endpoint in snapshot.service_endpoints(id, port) {
            if let ServiceEndpoint::Pod { pod, port: at, .. } = endpoint {
                workloads.insert(snapshot.pod(pod).workload);
                found = found.union(&PortSet::range(port.protocol, at, at));
            }
        }
    }
    let mut workloads = workloads.into_iter();
    match (workloads.next(), workloads.next()) {
        (Some(only), None) => Ok((only, found)),
        (Some(_), Some(_)) => Err(anyhow::anyhow!(
            "`{named}` leads to several workloads: name one of them, as NS/NAME:PORT"
        )
        .into()),
        (None, _) => Err(anyhow::anyhow!(
            "`{named}` leads to no pod of the input on that port: name the workload, as \
             NS/NAME:PORT"
        )
        .into()),
    }
}

/// Whether a name is that of a service's port, or of its target port.
fn is_named(name: Option<&str>, target: &PortRef, word: &PortWord) -> bool {
    let crate::endpoint::PortNumber::Name(wanted) = &word.number else {
        return false;
    };
    let is_target = matches!(target, PortRef::Name(target) if **target == **wanted);
    name == Some(wanted.as_str()) || is_target
}

/// The ports of a rule, which are never all.
fn ranges(ports: &PortSet, named: &EndpointArg) -> Result<Vec<PortRange>, Stop> {
    let mut found = Vec::new();
    for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
        let ranges = ports.ranges(protocol).into_iter();
        found.extend(ranges.map(|(start, end)| PortRange {
            protocol,
            start,
            end,
        }));
    }
    match found.is_empty() {
        true => Err(no_port(named).into()),
        false => Ok(found),
    }
}
