//! What leads to a Service on one node, and where to.

use std::net::IpAddr;

use ringfence_engine::Peer;
use ringfence_model::address::IpFamily;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{
    Service, ServiceEndpoint, ServiceId, ServicePort, Snapshot, TrafficPolicy,
};

/// What clients connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Entry {
    /// The address that the Service has in the cluster.
    ClusterAddress,
    /// A port of this node.
    NodePort,
    /// The address of a load balancer, or one of `externalIPs`.
    External,
}

/// Who connects, as the node sees it that translates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// A pod of this node.
    OwnPod,
    /// The node itself, and its host-networked pods.
    Node,
    /// Anybody else.
    Elsewhere,
}

impl Origin {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OwnPod, Self::Node, Self::Elsewhere];
}

/// One that a Service leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Who it is.
    pub peer: Peer,
    /// Its address.
    pub address: IpAddr,
    /// The port there.
    pub port: u16,
    /// The node that it is on, if it is on one.
    pub node: Option<String>,
}

/// A port of an address that leads to a Service on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// What clients connect to.
    pub entry: Entry,
    /// The address that they use.
    pub address: IpAddr,
    /// The protocol.
    pub protocol: Protocol,
    /// The port that they use.
    pub port: u16,
    /// The Service.
    pub service: ServiceId,
    /// The port of the Service itself.
    pub service_port: u16,
    /// The endpoints of the same family, by address and port.
    pub endpoints: Vec<Endpoint>,
    /// Which of them are reached from outside, and as whom.
    traffic: TrafficPolicy,
    /// The node; `None` for what holds on all.
    node: Option<String>,
}

impl Way {
    /// The endpoints that a connection from there may reach.
    ///
    /// What a node or its own pods open to an external address goes to all endpoints under
    /// `externalTrafficPolicy: Local`, too: kube-proxy takes it for traffic inside the
    /// cluster.
    #[must_use]
    pub fn endpoints_for(&self, from: Origin) -> Vec<&Endpoint> {
        let only_here = self.entry != Entry::ClusterAddress
            && self.traffic == TrafficPolicy::Local
            && from == Origin::Elsewhere;
        let all = self.endpoints.iter();
        all.filter(|end| !only_here || end.node == self.node && end.node.is_some())
            .collect()
    }

    /// Whether the endpoint sees the address of the node in the place of who connects.
    #[must_use]
    pub fn hides(&self, from: Origin) -> bool {
        match (self.entry, self.traffic) {
            (Entry::ClusterAddress, _) => false,
            (_, TrafficPolicy::Cluster) => true,
            (_, TrafficPolicy::Local) => from == Origin::Node,
        }
    }
}

/// Everything that leads to a Service on a node, in the order of Services; without a node,
/// what does on all.
#[must_use]
pub fn ways(snapshot: &Snapshot, node: Option<&str>) -> Vec<Way> {
    let mut nodes = snapshot.nodes.iter();
    let own = node.and_then(|name| nodes.find(|node| &*node.name == name));
    let own = own.map(|node| &node.addresses[..]).unwrap_or_default();
    let mut all = Vec::new();
    for (id, service) in snapshot.service_ids() {
        if service.headless {
            continue;
        }
        for port in &service.ports {
            for family in IpFamily::ALL {
                let mut entries = entries(service, port, own);
                entries.retain(|(_, address, _)| IpFamily::of(*address) == family);
                // Of a family that the Service is not in, kube-proxy knows nothing of it.
                if entries.iter().all(|(e, ..)| *e != Entry::ClusterAddress) {
                    continue;
                }
                let endpoints = endpoints(snapshot, id, port, family);
                all.extend(entries.into_iter().map(|(entry, address, number)| Way {
                    entry,
                    address,
                    protocol: port.protocol,
                    port: number,
                    service: id,
                    service_port: port.port,
                    endpoints: endpoints.clone(),
                    traffic: service.external_traffic,
                    node: node.map(ToOwned::to_owned),
                }));
            }
        }
    }
    all
}

/// What clients may connect to for a port of a Service.
fn entries(service: &Service, port: &ServicePort, own: &[IpAddr]) -> Vec<(Entry, IpAddr, u16)> {
    let mut all: Vec<(Entry, IpAddr, u16)> = Vec::new();
    let in_cluster = service.cluster_ips.iter();
    all.extend(in_cluster.map(|address| (Entry::ClusterAddress, *address, port.port)));
    let has_node_ports = matches!(&*service.service_type, "NodePort" | "LoadBalancer");
    if let Some(number) = port.node_port.filter(|_| has_node_ports) {
        all.extend(
            own.iter()
                .map(|address| (Entry::NodePort, *address, number)),
        );
    }
    let external = service.external_addresses.iter();
    all.extend(external.map(|address| (Entry::External, *address, port.port)));
    all
}

/// The endpoints of a port in a family, by address and port.
fn endpoints(
    snapshot: &Snapshot,
    id: ServiceId,
    port: &ServicePort,
    family: IpFamily,
) -> Vec<Endpoint> {
    let ends = snapshot.service_endpoints(id, port).into_iter();
    let mut endpoints: Vec<Endpoint> = ends
        .filter_map(|end| match end {
            ServiceEndpoint::Pod { pod, port, .. } => {
                let found = snapshot.pod(pod);
                Some(Endpoint {
                    peer: Peer::Pod(pod),
                    address: found.address(family)?,
                    port,
                    node: found.node.as_deref().map(ToOwned::to_owned),
                })
            }
            ServiceEndpoint::Address { address, port } => Some(Endpoint {
                peer: Peer::Address(address),
                address,
                port,
                node: snapshot
                    .node_name_with_address(address)
                    .map(ToOwned::to_owned),
            }),
        })
        .filter(|end| IpFamily::of(end.address) == family)
        .collect();
    endpoints.sort_unstable_by_key(|end| (end.address, end.port));
    endpoints.dedup_by_key(|end| (end.address, end.port));
    endpoints
}
