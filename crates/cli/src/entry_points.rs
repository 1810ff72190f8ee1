//! Ways into the cluster, and whether policies let them through.
//!
//! An Ingress route is judged as a connection from each ingress controller to each
//! pod behind the route's service; a service that is exposed on nodes or by a load
//! balancer as connections from outside the cluster.

use std::collections::BTreeMap;

use ipnet::IpNet;
use ringfence_engine::reach::{End, EndId, Reachability, Selection};
use ringfence_engine::{Engine, Packet, Peer, Verdict};
use ringfence_model::address::IpFamily;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{
    IngressRoute, PodId, PortRef, Service, ServiceEndpoint, ServiceId, ServicePort, Snapshot,
    WorkloadId,
};

use crate::output::Names;
use crate::output::address_names::AddressNames;
use crate::output::reach::EntryPointOut;

/// A way into the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryPoint {
    pub(crate) via: Via,
    /// The Ingress or Service.
    pub(crate) object: String,
    /// What clients see: host and path, or address and port.
    pub(crate) exposes: String,
    /// Who connects to the pods.
    pub(crate) from: String,
    /// The service and its port.
    pub(crate) service: String,
    /// Where it ends; `None` when the service leads nowhere.
    pub(crate) to: Option<Behind>,
}

/// What makes it reachable from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Via {
    Ingress,
    LoadBalancer,
    NodePort,
    ExternalIp,
}

/// The pods behind an entry point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Behind {
    pub(crate) workload: String,
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
    pub(crate) verdict: Verdict,
}

impl Via {
    /// As Kubernetes names it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "Ingress",
            Self::LoadBalancer => "LoadBalancer",
            Self::NodePort => "NodePort",
            Self::ExternalIp => "ExternalIP",
        }
    }
}

impl EntryPoint {
    /// For structured output.
    pub(crate) fn out(&self) -> EntryPointOut {
        let behind = self.to.as_ref();
        EntryPointOut {
            via: self.via.as_str().to_owned(),
            object: self.object.clone(),
            exposes: self.exposes.clone(),
            from: self.from.clone(),
            service: self.service.clone(),
            to: behind.map(|to| to.workload.clone()),
            target_port: behind.map(|to| format!("{}/{}", to.port, to.protocol)),
            verdict: behind.map(|to| to.verdict.into()),
        }
    }
}

/// All ways into the cluster that lead to `to` (all of them without a selection),
/// sorted.
pub(crate) fn find(engine: &Engine, to: &Selection) -> Vec<EntryPoint> {
    let snapshot = engine.snapshot();
    let finder = Finder {
        engine,
        snapshot,
        names: Names::new(snapshot),
        wanted: to.workloads.as_deref(),
    };
    let mut found = finder.routes();
    found.extend(finder.exposed_services());
    found.sort();
    found.dedup();
    found
}

struct Finder<'a> {
    engine: &'a Engine,
    snapshot: &'a Snapshot,
    names: Names<'a>,
    wanted: Option<&'a [WorkloadId]>,
}

/// The pods of one workload behind a service port, all at one number.
type Endpoints = BTreeMap<(WorkloadId, u16), Vec<PodId>>;

impl Finder<'_> {
    fn routes(&self) -> Vec<EntryPoint> {
        let controllers = self.snapshot.ingress_controllers();
        let mut found = Vec::new();
        for route in &self.snapshot.ingress_routes {
            let namespace = &*self.snapshot.namespace(route.namespace).name;
            let service = self.snapshot.find_service(namespace, &route.service);
            let port = service.and_then(|id| port_of(self.snapshot.service(id), &route.port));
            let number = match (&port, &route.port) {
                (Some(port), _) => port.port.to_string(),
                (None, PortRef::Number(number)) => number.to_string(),
                (None, PortRef::Name(name)) => name.to_string(),
            };
            let entry = |from: String, to| EntryPoint {
                via: Via::Ingress,
                object: format!("{namespace}/{}", route.ingress),
                exposes: exposed_route(route),
                from,
                service: format!("{namespace}/{}:{number}", route.service),
                to,
            };
            let endpoints = match (service, &port) {
                (Some(service), Some(port)) => self.endpoints(service, port),
                _ => Endpoints::new(),
            };
            let protocol = port.as_ref().map_or(Protocol::Tcp, |port| port.protocol);
            for controller in &controllers {
                let from = self.names.workload(*controller);
                if endpoints.is_empty() && self.wanted.is_none() {
                    found.push(entry(from, None));
                    continue;
                }
                for ((workload, port), pods) in &endpoints {
                    let to = self.behind(*workload, protocol, *port, || {
                        self.verdict_from(*controller, pods, protocol, *port)
                    });
                    found.extend(to.map(|to| entry(from.clone(), Some(to))));
                }
            }
        }
        found
    }

    fn exposed_services(&self) -> Vec<EntryPoint> {
        type Exposed<'a> = (ServiceId, &'a ServicePort, Vec<(Via, String)>);
        let exposed: Vec<Exposed<'_>> = self
            .snapshot
            .service_ids()
            .flat_map(|(id, service)| {
                let ports = service.ports.iter();
                ports.map(move |port| (id, port, exposures(service, port)))
            })
            .filter(|(.., exposures)| !exposures.is_empty())
            .collect();
        if exposed.is_empty() {
            return Vec::new();
        }
        let mut workloads: Vec<WorkloadId> = exposed
            .iter()
            .flat_map(|(id, port, _)| self.endpoints(*id, port).into_keys())
            .map(|(workload, _)| workload)
            .collect();
        workloads.sort_unstable();
        workloads.dedup();
        let from_outside = self.engine.reach(
            &Selection {
                workloads: Some(Vec::new()),
                ..Selection::default()
            },
            &Selection {
                workloads: Some(workloads),
                addresses: Some(Vec::new()),
                ..Selection::default()
            },
        );
        let names = AddressNames::new(self.snapshot);
        let mut found = Vec::new();
        for (id, port, exposures) in exposed {
            for ((workload, number), _) in self.endpoints(id, port) {
                let sides = outside(&from_outside, &names, workload, port.protocol, number);
                for (via, exposes) in &exposures {
                    for (from, verdict) in &sides {
                        let to = self.behind(workload, port.protocol, number, || *verdict);
                        found.extend(to.map(|to| EntryPoint {
                            via: *via,
                            object: self.names.service(id),
                            exposes: exposes.clone(),
                            from: from.clone(),
                            service: format!("{}:{}", self.names.service(id), port.port),
                            to: Some(to),
                        }));
                    }
                }
            }
        }
        found
    }

    fn behind(
        &self,
        workload: WorkloadId,
        protocol: Protocol,
        port: u16,
        verdict: impl FnOnce() -> Verdict,
    ) -> Option<Behind> {
        let is_wanted = self.wanted.is_none_or(|wanted| wanted.contains(&workload));
        is_wanted.then(|| Behind {
            workload: self.names.workload(workload),
            protocol,
            port,
            verdict: verdict(),
        })
    }

    fn endpoints(&self, service: ServiceId, port: &ServicePort) -> Endpoints {
        let mut endpoints = Endpoints::new();
        for endpoint in self.snapshot.service_endpoints(service, port) {
            if let ServiceEndpoint::Pod { pod, port, .. } = endpoint {
                let workload = self.snapshot.pod(pod).workload;
                endpoints.entry((workload, port)).or_default().push(pod);
            }
        }
        endpoints
    }

    /// Whether some pod of the controller reaches some pod of the service.
    fn verdict_from(
        &self,
        controller: WorkloadId,
        pods: &[PodId],
        protocol: Protocol,
        port: u16,
    ) -> Verdict {
        let mut best = Verdict::Denied;
        for source in self.snapshot.workload(controller).pod_ids() {
            for destination in pods {
                for family in IpFamily::ALL {
                    let speaks = |pod| {
                        let pod = self.snapshot.pod(pod);
                        self.snapshot.families_of(pod).contains(&family)
                    };
                    if !speaks(source) || !speaks(*destination) {
                        continue;
                    }
                    let verdict = self.engine.can(&Packet {
                        // Ingress controllers connect to the endpoints themselves.
                        through_service: None,
                        source: Peer::Pod(source),
                        destination: Peer::Pod(*destination),
                        family,
                        protocol,
                        port,
                    });
                    match verdict {
                        Verdict::Allowed => return Verdict::Allowed,
                        Verdict::Unknown => best = Verdict::Unknown,
                        Verdict::Denied => {}
                    }
                }
            }
        }
        best
    }
}

/// From where outside the cluster a port of a workload is reached: the addresses that
/// are allowed and those that may be, or `anywhere` with `Denied`.
fn outside(
    reachability: &Reachability,
    names: &AddressNames,
    workload: WorkloadId,
    protocol: Protocol,
    port: u16,
) -> Vec<(String, Verdict)> {
    let mut allowed: Vec<IpNet> = Vec::new();
    let mut unknown: Vec<IpNet> = Vec::new();
    let to = EndId::workload(workload);
    for row in reachability.rows() {
        let End::Addresses(nets) = reachability.end(row.from) else {
            continue;
        };
        let Some(open) = reachability.find(row.workloads, to) else {
            continue;
        };
        let open = reachability.open(open);
        if open.allow.contains(protocol, port) {
            allowed.extend(nets);
        } else if open.maybe.contains(protocol, port) {
            unknown.extend(nets);
        }
    }
    let mut sides = Vec::new();
    for (nets, verdict) in [(allowed, Verdict::Allowed), (unknown, Verdict::Unknown)] {
        // Nobody connects from a metadata endpoint.
        let words: Vec<String> = names
            .places(&nets)
            .iter()
            .filter(|place| !place.is_metadata())
            .map(ToString::to_string)
            .collect();
        if !words.is_empty() {
            sides.push((words.join(", "), verdict));
        }
    }
    if sides.is_empty() {
        sides.push(("anywhere outside".to_owned(), Verdict::Denied));
    }
    sides
}

fn exposed_route(route: &IngressRoute) -> String {
    let host = route.host.as_deref().unwrap_or("*");
    match route.path.as_deref() {
        Some(path) => format!("{host}{path}"),
        None => format!("{host} (default backend)"),
    }
}

/// The port of a service that an Ingress backend names.
fn port_of(service: &Service, port: &PortRef) -> Option<ServicePort> {
    let found = service.ports.iter().find(|candidate| match port {
        PortRef::Number(number) => candidate.port == *number,
        PortRef::Name(name) => candidate.name.as_ref() == Some(name),
    });
    found.cloned()
}

/// How one port of a service can be reached from outside the cluster.
fn exposures(service: &Service, port: &ServicePort) -> Vec<(Via, String)> {
    let mut found = Vec::new();
    let is_balanced = &*service.service_type == "LoadBalancer";
    let via_address = if is_balanced {
        Via::LoadBalancer
    } else {
        Via::ExternalIp
    };
    for address in &service.external_addresses {
        let address = match address {
            std::net::IpAddr::V4(v4) => v4.to_string(),
            std::net::IpAddr::V6(v6) => format!("[{v6}]"),
        };
        found.push((via_address, format!("{address}:{}", port.port)));
    }
    if is_balanced && service.external_addresses.is_empty() {
        found.push((Via::LoadBalancer, format!("port {}", port.port)));
    }
    if &*service.service_type == "NodePort" {
        let exposes = match port.node_port {
            Some(number) => format!("nodes, port {number}"),
            None => "nodes, a port assigned by the cluster".to_owned(),
        };
        found.push((Via::NodePort, exposes));
    }
    found
}
