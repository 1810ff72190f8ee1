//! Where packets go: pods or addresses, each with the ports that are asked for.

use std::collections::BTreeSet;

use ipnet::IpNet;
use ringfence_engine::Profile;
use ringfence_engine::profile::ProfileName;
use ringfence_engine::sets::PortSet;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{
    Pod, PodId, PortRef, ServiceEndpoint, ServiceId, ServicePort, Snapshot,
};

use super::{Ports, QuestionError, Via, pods_of};
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
        /// Whether they stand behind a word (`internet`).
        by_word: bool,
        ports: PortSet,
    },
}

/// The words that say which ports are asked for.
struct Asked<'a> {
    words: Vec<&'a PortWord>,
    /// Whether somebody typed them: then each must mean something.
    explicit: bool,
    everything: bool,
    /// Whether policies see a service's own address and port.
    before_translation: bool,
    profile: ProfileName,
}

impl<'a> Asked<'a> {
    fn new(target: &'a Target, ports: &Ports<'a>, profile: &Profile) -> Self {
        let (words, explicit) = match (ports, &target.port) {
            (Ports::All, _) => (Vec::new(), true),
            (Ports::These(words), _) => (words.iter().collect(), true),
            (Ports::AsNamed, Some(port)) => (vec![port], true),
            (Ports::AsNamed, None) => (target.implied_ports.iter().collect(), false),
        };
        Self {
            words,
            explicit,
            everything: matches!(ports, Ports::All),
            before_translation: profile.judges_before_dnat,
            profile: profile.name,
        }
    }

    fn on_pod(&self, pod: &Pod) -> PortSet {
        if self.everything {
            PortSet::all()
        } else if self.words.is_empty() {
            declared(pod)
        } else {
            union(self.words.iter().map(|word| word.on_pod(pod)))
        }
    }

    fn at_address(&self) -> Result<PortSet, QuestionError> {
        if self.words.is_empty() {
            return Ok(PortSet::all());
        }
        let mut ports = PortSet::none();
        for word in &self.words {
            let numbers = word.numbers();
            let numbers =
                numbers.ok_or_else(|| QuestionError::NamedPortOfAddress(word.to_string()))?;
            ports = ports.union(&numbers);
        }
        Ok(ports)
    }
}

fn union(sets: impl Iterator<Item = PortSet>) -> PortSet {
    sets.fold(PortSet::none(), |all, set| all.union(&set))
}

/// Everything that packets to `target` go to, and what to tell about it.
pub(super) fn destinations(
    snapshot: &Snapshot,
    target: &Target,
    ports: &Ports<'_>,
    profile: &Profile,
) -> Result<(Vec<Destination>, Vec<String>), QuestionError> {
    let asked = Asked::new(target, ports, profile);
    match &target.kind {
        TargetKind::Service(id) if asked.everything => {
            Ok((everything_behind(snapshot, *id, target)?, Vec::new()))
        }
        TargetKind::Service(id) => behind_service(snapshot, *id, &asked),
        TargetKind::Workloads(_) | TargetKind::Pod(_) => {
            let pods = pods_with_ports(snapshot, target, &asked)?;
            Ok((vec![Destination::Pods { via: None, pods }], Vec::new()))
        }
        TargetKind::Addresses { word, nets } => {
            let destination = Destination::Addresses {
                via: None,
                nets: nets.clone(),
                by_word: word.is_some(),
                ports: asked.at_address()?,
            };
            Ok((vec![destination], Vec::new()))
        }
    }
}

/// The pods of a target with the ports asked for.
fn pods_with_ports(
    snapshot: &Snapshot,
    target: &Target,
    asked: &Asked<'_>,
) -> Result<Vec<(PodId, PortSet)>, QuestionError> {
    let pods: Vec<PodId> = pods_of(snapshot, target);
    let found: Vec<(PodId, PortSet)> = pods
        .iter()
        .map(|id| (*id, asked.on_pod(snapshot.pod(*id))))
        .filter(|(_, ports)| !ports.is_empty())
        .collect();
    match (found.is_empty(), asked.words.first(), pods.first()) {
        (true, Some(word), Some(pod)) => Err(no_named_port(snapshot, word, *pod)),
        _ => Ok(found),
    }
}

/// All ports of everything behind a service, whichever ports the service has.
fn everything_behind(
    snapshot: &Snapshot,
    id: ServiceId,
    target: &Target,
) -> Result<Vec<Destination>, QuestionError> {
    let selection = target.selection(snapshot);
    let mut found = Vec::new();
    let workloads = selection.workloads.unwrap_or_default();
    if !workloads.is_empty() {
        let pods = workloads
            .into_iter()
            .flat_map(|w| snapshot.workload(w).pod_ids());
        found.push(Destination::Pods {
            via: None,
            pods: pods.map(|pod| (pod, PortSet::all())).collect(),
        });
    }
    if let Some(nets) = selection.addresses.filter(|nets| !nets.is_empty()) {
        found.push(Destination::Addresses {
            via: None,
            nets,
            by_word: false,
            ports: PortSet::all(),
        });
    }
    if found.is_empty() {
        // Pods that no port of the service leads to can still be reached by its name
        // where it is headless, and by their addresses always.
        let pods = selected_pods(snapshot, id);
        if pods.is_empty() {
            return Err(QuestionError::NothingBehind(
                Names::new(snapshot).service(id),
            ));
        }
        found.push(Destination::Pods {
            via: None,
            pods: pods.into_iter().map(|pod| (pod, PortSet::all())).collect(),
        });
    }
    Ok(found)
}

/// The pods that a service selects, whether or not they have its target ports.
fn selected_pods(snapshot: &Snapshot, id: ServiceId) -> Vec<PodId> {
    let any_port = ServicePort {
        name: None,
        protocol: Protocol::Tcp,
        port: 1,
        target_port: PortRef::Number(1),
        node_port: None,
    };
    let endpoints = snapshot.service_endpoints(id, &any_port).into_iter();
    let pods: BTreeSet<PodId> = endpoints
        .filter_map(|endpoint| match endpoint {
            ServiceEndpoint::Pod { pod, .. } => Some(pod),
            ServiceEndpoint::Address { .. } => None,
        })
        .collect();
    pods.into_iter().collect()
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
    asked: &Asked<'_>,
) -> Result<(Vec<Destination>, Vec<String>), QuestionError> {
    let service = snapshot.service(id);
    let name = Names::new(snapshot).service(id);
    if let Some(external) = &service.external_name {
        return Err(QuestionError::ExternalName(name, external.to_string()));
    }
    let words = &asked.words;
    let is_there = |word: &&&PortWord| service.ports.iter().any(|port| names(word, port));
    let missing = words.iter().find(|word| !is_there(word));
    let ports: Vec<&ServicePort> = service
        .ports
        .iter()
        .filter(|port| words.is_empty() || words.iter().any(|word| names(word, port)))
        .collect();
    if let Some(word) = missing.filter(|_| asked.explicit || ports.is_empty()) {
        return Err(no_service_port(name, &service.ports, word));
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
        let own: Vec<IpNet> = match asked.before_translation && !service.headless {
            true => service
                .cluster_ips
                .iter()
                .copied()
                .map(IpNet::from)
                .collect(),
            false => Vec::new(),
        };
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
        let mut by_own_address = false;
        for endpoint in endpoints {
            found.push(match endpoint {
                ServiceEndpoint::Pod { pod, port, certain } => Destination::Pods {
                    via: via(port, certain),
                    pods: vec![(pod, number(port))],
                },
                ServiceEndpoint::Address { .. } if !own.is_empty() => {
                    by_own_address = true;
                    continue;
                }
                ServiceEndpoint::Address { address, port } => Destination::Addresses {
                    via: via(port, true),
                    nets: vec![IpNet::from(address)],
                    by_word: false,
                    ports: number(port),
                },
            });
        }
        if by_own_address {
            found.push(Destination::Addresses {
                via: via(port.port, true),
                nets: own.clone(),
                by_word: false,
                ports: number(port.port),
            });
        } else if !own.is_empty() {
            notes.push(format!(
                "profile {} judges egress to service {name} before its address is translated: an \
                 ipBlock must cover {} and port {}, and a selector must match what the service \
                 selects by",
                asked.profile,
                service
                    .cluster_ips
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", "),
                port.port
            ));
        }
    }
    if found.is_empty() {
        let missing: Vec<String> = service
            .ports
            .iter()
            .filter_map(|port| match &port.target_port {
                PortRef::Name(name) => Some(format!("`{name}`")),
                PortRef::Number(_) => None,
            })
            .collect();
        if missing.is_empty() || selected_pods(snapshot, id).is_empty() {
            return Err(QuestionError::NothingBehind(name));
        }
        return Err(QuestionError::NoTargetPort {
            service: name,
            port: missing.join(" or "),
        });
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

fn no_service_port(service: String, ports: &[ServicePort], asked: &PortWord) -> QuestionError {
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
    QuestionError::NoServicePort {
        service,
        port: asked.to_string(),
        hint,
    }
}
