//! Where packets go: pods or addresses, each with the ports that are asked for.

use ipnet::IpNet;
use ringfence_engine::sets::PortSet;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{
    Pod, PodId, PortRef, ServiceEndpoint, ServiceId, ServicePort, Snapshot,
};

use super::{QuestionError, Via, asked, pods_of};
use crate::endpoint::{PortNumber, PortWord, Target, TargetKind};
use crate::output::Names;

/// Pods or addresses that packets go to.
#[derive(Clone, Debug)]
pub(super) enum Destination {
    Pods {
        via: Option<Via>,
        /// Each with the ports that are asked for.
        pods: Vec<(PodId, PortSet)>,
    },
    Addresses {
        via: Option<Via>,
        nets: Vec<IpNet>,
        ports: PortSet,
    },
}

/// Everything that packets to `target` go to, and what to tell about it.
pub(super) fn destinations(
    snapshot: &Snapshot,
    target: &Target,
) -> Result<(Vec<Destination>, Vec<String>), QuestionError> {
    match &target.kind {
        TargetKind::Service(id) => behind_service(snapshot, *id, target),
        TargetKind::Workloads(_) | TargetKind::Pod(_) => {
            let pods = pods_with_ports(snapshot, target)?;
            Ok((vec![Destination::Pods { via: None, pods }], Vec::new()))
        }
        TargetKind::Addresses { nets, .. } => {
            let asked = asked(target);
            let mut ports = PortSet::none();
            for word in &asked {
                let numbers = word
                    .numbers()
                    .ok_or_else(|| QuestionError::NamedPortOfAddress(word.to_string()))?;
                ports = ports.union(&numbers);
            }
            if asked.is_empty() {
                ports = PortSet::all();
            }
            let destination = Destination::Addresses {
                via: None,
                nets: nets.clone(),
                ports,
            };
            Ok((vec![destination], Vec::new()))
        }
    }
}

/// The pods of a target with the ports asked for: those given, or those the pod
/// declares, or all.
fn pods_with_ports(
    snapshot: &Snapshot,
    target: &Target,
) -> Result<Vec<(PodId, PortSet)>, QuestionError> {
    let asked = asked(target);
    let pods: Vec<PodId> = pods_of(snapshot, target);
    let found: Vec<(PodId, PortSet)> = pods
        .iter()
        .map(|id| {
            let pod = snapshot.pod(*id);
            let ports = if asked.is_empty() {
                declared(pod)
            } else {
                let words = asked.iter().map(|word| word.on_pod(pod));
                words.fold(PortSet::none(), |all, ports| all.union(&ports))
            };
            (*id, ports)
        })
        .filter(|(_, ports)| !ports.is_empty())
        .collect();
    match (found.is_empty(), asked.first(), pods.first()) {
        (true, Some(word), Some(pod)) => Err(no_named_port(snapshot, word, *pod)),
        _ => Ok(found),
    }
}

fn no_named_port(snapshot: &Snapshot, word: &PortWord, pod: PodId) -> QuestionError {
    let names: Vec<&str> = snapshot
        .pod(pod)
        .ports
        .iter()
        .filter_map(|port| port.name.as_deref())
        .collect();
    let hint = match names.as_slice() {
        [] => "; it declares none by name".to_owned(),
        names => format!("; it declares {}", names.join(", ")),
    };
    QuestionError::NoNamedPort {
        name: Names::new(snapshot).workload(snapshot.pod(pod).workload),
        port: word.to_string(),
        hint,
    }
}

/// The ports that containers declare; without any, all.
fn declared(pod: &Pod) -> PortSet {
    let ports = pod
        .ports
        .iter()
        .map(|port| PortSet::range(port.protocol, port.port, port.port))
        .fold(PortSet::none(), |all, port| all.union(&port));
    if ports.is_empty() {
        PortSet::all()
    } else {
        ports
    }
}

fn behind_service(
    snapshot: &Snapshot,
    id: ServiceId,
    target: &Target,
) -> Result<(Vec<Destination>, Vec<String>), QuestionError> {
    let service = snapshot.service(id);
    let name = Names::new(snapshot).service(id);
    if let Some(external) = &service.external_name {
        return Err(QuestionError::ExternalName(name, external.to_string()));
    }
    let asked = asked(target);
    let ports: Vec<&ServicePort> = service
        .ports
        .iter()
        .filter(|port| asked.is_empty() || asked.iter().any(|word| names(word, port)))
        .collect();
    if ports.is_empty() {
        return Err(no_service_port(name, &service.ports, &asked));
    }
    let mut found = Vec::new();
    let mut notes = Vec::new();
    for port in ports {
        let endpoints = snapshot.service_endpoints(id, port);
        if endpoints.is_empty() {
            notes.push(format!(
                "nothing is behind port {} of service {name}",
                port.port
            ));
        }
        for endpoint in endpoints {
            let via = |target_port, certain| {
                Some(Via {
                    service: id,
                    port: port.port,
                    protocol: port.protocol,
                    target_port,
                    certain,
                })
            };
            let number = |number| PortSet::range(port.protocol, number, number);
            found.push(match endpoint {
                ServiceEndpoint::Pod { pod, port, certain } => Destination::Pods {
                    via: via(port, certain),
                    pods: vec![(pod, number(port))],
                },
                ServiceEndpoint::Address { address, port } => Destination::Addresses {
                    via: via(port, true),
                    nets: vec![IpNet::from(address)],
                    ports: number(port),
                },
            });
        }
    }
    if found.is_empty() {
        return Err(QuestionError::NothingBehind(name));
    }
    Ok((found, notes))
}

/// Whether the word names this port of a service: by its number or its name.
fn names(word: &PortWord, port: &ServicePort) -> bool {
    let is_same = match &word.number {
        PortNumber::Range(start, end) => (*start..=*end).contains(&port.port),
        PortNumber::Name(name) => port.name.as_deref() == Some(name),
    };
    let protocol = match word.number {
        PortNumber::Range(..) => Some(word.protocol.unwrap_or(Protocol::Tcp)),
        PortNumber::Name(_) => word.protocol,
    };
    is_same && protocol.is_none_or(|protocol| protocol == port.protocol)
}

fn no_service_port(service: String, ports: &[ServicePort], asked: &[&PortWord]) -> QuestionError {
    let shown: Vec<String> = ports
        .iter()
        .map(|port| {
            let target = match &port.target_port {
                PortRef::Number(number) => number.to_string(),
                PortRef::Name(name) => name.to_string(),
            };
            format!("{}/{} (on pods: {target})", port.port, port.protocol)
        })
        .collect();
    let hint = if shown.is_empty() {
        "; it has none".to_owned()
    } else {
        format!("; it has {}", shown.join(", "))
    };
    let asked: Vec<String> = asked.iter().map(ToString::to_string).collect();
    QuestionError::NoServicePort {
        service,
        port: asked.join(", "),
        hint,
    }
}
