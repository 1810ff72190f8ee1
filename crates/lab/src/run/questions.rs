//! What is asked of a cluster: every pair and port, and the ways out of it.

mod entries;

use std::net::IpAddr;

use ringfence_engine::{Engine, Frontend, Packet, Peer, Verdict};
use ringfence_model::address::IpFamily;
use ringfence_model::metadata;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{Pod, PodId, ServiceEndpoint, ServiceId, ServicePort};

use entries::Entries;

use crate::lab::Lab;
use crate::on_link::is_on_link;
use crate::probe::{Kind, Probe};
use crate::world;

/// One end of a question.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    /// Its name: `namespace/pod`, a Service, a host, an address.
    pub name: String,
    /// What it is one of: `namespace/workload`, or `metadata`; otherwise its name.
    pub group: String,
    /// The station behind it, if it is one.
    pub station: Option<usize>,
}

/// Why a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// A pod to a port of another, or an echo request to it.
    Pod,
    /// A pod to a Service.
    Service,
    /// A pod to a Service, by a port of a node.
    NodePort,
    /// A pod to a Service, by an address that it has outside the cluster.
    External,
    /// A name, at the cluster's own name server.
    Dns,
    /// The API server, through its Service.
    ApiServer,
    /// A host of the internet.
    Internet,
    /// The metadata of a cloud.
    Metadata,
    /// An echo request to a host of the internet.
    Ping,
}

impl Purpose {
    /// In one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Service => "service",
            Self::NodePort => "nodeport",
            Self::External => "external",
            Self::Dns => "dns",
            Self::ApiServer => "apiserver",
            Self::Internet => "internet",
            Self::Metadata => "metadata",
            Self::Ping => "ping",
        }
    }
}

/// A connection to predict and to try.
#[derive(Clone, Debug)]
pub struct Question {
    /// Why it is asked.
    pub purpose: Purpose,
    /// Who opens it.
    pub from: End,
    /// Who accepts it.
    pub to: End,
    /// How it is tried.
    pub probe: Probe,
}

/// Pods that declare no port are asked at this one.
const ANY_PORT: (Protocol, u16) = (Protocol::Tcp, 80);

/// Every pod answers an echo request, and ICMP has no ports.
const ECHO: (Protocol, u16) = (Protocol::Icmp, 0);

/// What is asked of a lab.
#[derive(Clone, Debug, Default)]
pub struct Questions {
    /// The questions, each with what the policies say.
    pub asked: Vec<(Question, Verdict)>,
    /// How many ways to node ports and external addresses are not asked, because one like
    /// them is.
    pub left_out: usize,
}

/// All questions to a lab.
#[must_use]
pub fn questions(lab: &Lab, engine: &Engine) -> Questions {
    let mut asking = Asking {
        lab,
        engine,
        asked: Vec::new(),
    };
    let mut entries = Entries::new(lab.schedule());
    let snapshot = &lab.schedule().snapshot;
    for (id, pod) in snapshot.pod_ids() {
        for family in IpFamily::ALL {
            let (Some(address), Some(station)) = (pod.address(family), lab.station_of(id)) else {
                continue;
            };
            let source = Source {
                id,
                pod,
                family,
                address,
                station,
            };
            asking.pods(&source);
            asking.services(&source);
            asking.entries(&source, &mut entries);
            asking.outside(&source);
            asking.by_name(&source);
            asking.node_local_dns(&source);
        }
    }
    Questions {
        asked: asking.asked,
        left_out: entries.left_out,
    }
}

struct Asking<'a> {
    lab: &'a Lab,
    engine: &'a Engine,
    asked: Vec<(Question, Verdict)>,
}

/// Who asks, in one family.
struct Source<'a> {
    id: PodId,
    pod: &'a Pod,
    family: IpFamily,
    address: IpAddr,
    station: usize,
}

/// What is asked of it.
struct Target {
    purpose: Purpose,
    name: String,
    group: String,
    station: Option<usize>,
    address: IpAddr,
    protocol: Protocol,
    port: u16,
}

impl Asking<'_> {
    fn pods(&mut self, source: &Source<'_>) {
        let snapshot = &self.lab.schedule().snapshot;
        for (id, pod) in snapshot.pod_ids() {
            let (Some(address), Some(station)) =
                (pod.address(source.family), self.lab.station_of(id))
            else {
                continue;
            };
            // Nothing of what a host sends to itself goes through a node.
            if station == source.station {
                continue;
            }
            let mut ports: Vec<(Protocol, u16)> = pod
                .ports
                .iter()
                .map(|port| (port.protocol, port.port))
                .collect();
            ports.sort_unstable();
            ports.dedup();
            if ports.is_empty() {
                ports.push(ANY_PORT);
            }
            ports.push(ECHO);
            for (protocol, port) in ports {
                let verdict = self.verdict(source, Peer::Pod(id), protocol, port, None);
                let target = Target {
                    purpose: Purpose::Pod,
                    name: self.name_of(pod),
                    group: self.group_of(pod),
                    station: Some(station),
                    address,
                    protocol,
                    port,
                };
                self.ask(source, target, Kind::Connection, verdict);
            }
        }
    }

    fn services(&mut self, source: &Source<'_>) {
        let snapshot = &self.lab.schedule().snapshot;
        for (id, service) in snapshot.service_ids() {
            let namespace = &snapshot.namespace(service.namespace).name;
            let addresses = service.cluster_ips.iter().copied();
            let mut addresses = addresses.filter(|a| IpFamily::of(*a) == source.family);
            let Some(address) = addresses.next().filter(|_| !service.headless) else {
                continue;
            };
            let purpose = match (&**namespace, &*service.name) {
                ("default", "kubernetes") => Purpose::ApiServer,
                ("kube-system" | "openshift-dns", _) => Purpose::Dns,
                _ => Purpose::Service,
            };
            for port in &service.ports {
                let verdict = self.through(source, id, port);
                // The name server is asked a name; over TCP it echoes like any other.
                let asks =
                    purpose == Purpose::Dns && (port.port, port.protocol) == (53, Protocol::Udp);
                let target = Target {
                    purpose: match purpose {
                        Purpose::Dns if !asks => Purpose::Service,
                        purpose => purpose,
                    },
                    name: format!("svc:{namespace}/{}", service.name),
                    group: format!("svc:{namespace}/{}", service.name),
                    station: None,
                    address,
                    protocol: port.protocol,
                    port: port.port,
                };
                let kind = if asks {
                    Kind::Question
                } else {
                    Kind::Connection
                };
                self.ask(source, target, kind, verdict);
            }
        }
    }

    /// The verdict on a Service: that of all its endpoints, unknown where they differ.
    fn through(&self, source: &Source<'_>, id: ServiceId, port: &ServicePort) -> Verdict {
        let snapshot = &self.lab.schedule().snapshot;
        let frontend = Some(Frontend {
            service: id,
            port: port.port,
        });
        let mut verdicts = Vec::new();
        for end in snapshot.service_endpoints(id, port) {
            let (peer, port_there) = match end {
                ServiceEndpoint::Pod { pod, port, .. }
                    if snapshot.pod(pod).address(source.family).is_some() =>
                {
                    (Peer::Pod(pod), port)
                }
                ServiceEndpoint::Address { address, port }
                    if IpFamily::of(address) == source.family =>
                {
                    (Peer::Address(address), port)
                }
                _ => continue,
            };
            verdicts.push(self.verdict(source, peer, port.protocol, port_there, frontend));
        }
        match verdicts.split_first() {
            // Nothing is behind it: every node rejects.
            None => Verdict::Denied,
            Some((first, rest)) if rest.iter().all(|other| other == first) => *first,
            Some(_) => Verdict::Unknown,
        }
    }

    fn outside(&mut self, source: &Source<'_>) {
        let web = world::WEB;
        let resolver = world::NAME_SERVER;
        let mut targets = vec![
            (
                Purpose::Internet,
                web.name.to_owned(),
                web.address(source.family),
                Protocol::Tcp,
                80,
            ),
            (
                Purpose::Internet,
                web.name.to_owned(),
                web.address(source.family),
                Protocol::Tcp,
                443,
            ),
        ];
        let address = resolver.address(source.family);
        targets.push((
            Purpose::Internet,
            resolver.name.to_owned(),
            address,
            Protocol::Udp,
            53,
        ));
        targets.push((
            Purpose::Ping,
            resolver.name.to_owned(),
            address,
            Protocol::Icmp,
            0,
        ));
        let own_node = self.own_node(source);
        for address in metadata::secret_addresses() {
            // What is on the link is the node's, and no node asks itself.
            let is_there = !is_on_link(address) || own_node.is_some();
            if IpFamily::of(address) == source.family && is_there {
                let name = address.to_string();
                targets.push((Purpose::Metadata, name, address, Protocol::Tcp, 80));
            }
        }
        for (purpose, name, address, protocol, port) in targets {
            if self.is_in_cluster(address) {
                continue;
            }
            let verdict = self.verdict(source, Peer::Address(address), protocol, port, None);
            let group = match purpose {
                Purpose::Metadata => purpose.as_str().to_owned(),
                _ => name.clone(),
            };
            let target = Target {
                purpose,
                name,
                group,
                station: match is_on_link(address) {
                    true => own_node,
                    false => Some(self.lab.network().plan.world),
                },
                address,
                protocol,
                port,
            };
            self.ask(source, target, Kind::Connection, verdict);
        }
    }

    /// The station of the node that a pod has a link to.
    fn own_node(&self, source: &Source<'_>) -> Option<usize> {
        let mut nodes = self.lab.schedule().nodes.iter();
        let position = nodes.position(|node| source.pod.node.as_ref() == Some(&node.name))?;
        let station = self.lab.network().plan.nodes.get(position).copied();
        station.filter(|_| !source.pod.host_network)
    }

    /// Whether the manifests gave an address to somebody of the cluster.
    fn is_in_cluster(&self, address: IpAddr) -> bool {
        let snapshot = &self.lab.schedule().snapshot;
        let mut services = snapshot.services.iter();
        snapshot.pod_with_address(address).is_some()
            || services.any(|service| service.external_addresses.contains(&address))
    }

    /// A host of the internet by its name, which is looked up first.
    fn by_name(&mut self, source: &Source<'_>) {
        let web = world::WEB;
        let (address, port) = (web.address(source.family), 80);
        if self.is_in_cluster(address) {
            return;
        }
        let snapshot = &self.lab.schedule().snapshot;
        let services = snapshot.service_ids().find_map(|(id, service)| {
            let namespace = &*snapshot.namespace(service.namespace).name;
            let answers = service.ports.iter();
            let mut answers = answers.filter(|p| (p.port, p.protocol) == (53, Protocol::Udp));
            let mut ips = service.cluster_ips.iter().copied();
            let ip = ips.find(|ip| IpFamily::of(*ip) == source.family)?;
            let is_dns = matches!(namespace, "kube-system" | "openshift-dns") && !service.headless;
            Some((id, answers.next()?, ip)).filter(|_| is_dns)
        });
        let on_node = self.name_server_on_node(source);
        let (looked_up, server) = match (on_node, services) {
            (Some((server, verdict)), _) => (verdict, server),
            (None, Some((id, dns, server))) => (self.through(source, id, dns), server),
            (None, None) => return,
        };
        let to = Peer::Address(address);
        let verdict = match (
            looked_up,
            self.verdict(source, to, Protocol::Tcp, port, None),
        ) {
            (Verdict::Denied, _) | (_, Verdict::Denied) => Verdict::Denied,
            (Verdict::Allowed, Verdict::Allowed) => Verdict::Allowed,
            _ => Verdict::Unknown,
        };
        let name = format!("{} by name", web.name);
        let target = Target {
            purpose: Purpose::Internet,
            name: name.clone(),
            group: name,
            station: Some(self.lab.network().plan.world),
            address,
            protocol: Protocol::Tcp,
            port,
        };
        self.ask(source, target, Kind::Connection, verdict);
        if let Some((question, _)) = self.asked.last_mut() {
            question.probe.name = Some((web.name.to_owned(), server));
        }
    }

    /// The name server on the pod's own node, and what the policies say of it.
    fn name_server_on_node(&self, source: &Source<'_>) -> Option<(IpAddr, Verdict)> {
        let server = self.lab.schedule().node_local_dns?;
        (IpFamily::of(server) == source.family).then(|| {
            let to = Peer::Address(server);
            (server, self.verdict(source, to, Protocol::Udp, 53, None))
        })
    }

    fn node_local_dns(&mut self, source: &Source<'_>) {
        // What a node asks itself goes through no policy.
        let Some((server, verdict)) = self
            .name_server_on_node(source)
            .filter(|_| !source.pod.host_network)
        else {
            return;
        };
        let target = Target {
            purpose: Purpose::Dns,
            name: "node-local-dns".to_owned(),
            group: "node-local-dns".to_owned(),
            station: None,
            address: server,
            protocol: Protocol::Udp,
            port: 53,
        };
        self.ask(source, target, Kind::Question, verdict);
    }

    fn verdict(
        &self,
        source: &Source<'_>,
        destination: Peer,
        protocol: Protocol,
        port: u16,
        through_service: Option<Frontend>,
    ) -> Verdict {
        self.engine.can(&Packet {
            source: Peer::Pod(source.id),
            destination,
            family: source.family,
            protocol,
            port,
            through_service,
        })
    }

    fn name_of(&self, pod: &Pod) -> String {
        let snapshot = &self.lab.schedule().snapshot;
        format!("{}/{}", snapshot.namespace(pod.namespace).name, pod.name)
    }

    fn group_of(&self, pod: &Pod) -> String {
        let snapshot = &self.lab.schedule().snapshot;
        let workload = snapshot.workload(pod.workload);
        let namespace = &snapshot.namespace(pod.namespace).name;
        format!("{namespace}/{}", workload.name)
    }

    fn ask(&mut self, source: &Source<'_>, target: Target, kind: Kind, verdict: Verdict) {
        let question = Question {
            purpose: target.purpose,
            from: End {
                name: self.name_of(source.pod),
                group: self.group_of(source.pod),
                station: Some(source.station),
            },
            to: End {
                name: target.name,
                group: target.group,
                station: target.station,
            },
            probe: Probe {
                from: source.station,
                source: Some(source.address),
                to: target.address,
                name: None,
                protocol: target.protocol,
                port: target.port,
                kind,
            },
        };
        self.asked.push((question, verdict));
    }
}
