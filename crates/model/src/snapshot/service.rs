use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::NamespaceId;
use crate::labels::Labels;
use crate::protocol::Protocol;
use crate::source::Origin;

/// The index of a service in [`Snapshot::services`](super::Snapshot::services).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId(pub u32);

/// A port by number or by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PortRef {
    /// A number.
    Number(u16),
    /// A name, to be looked up on the object that it points to.
    Name(Arc<str>),
}

/// Which endpoints of a Service a node leads to, and as whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum TrafficPolicy {
    /// All of them; they see the node.
    #[default]
    Cluster,
    /// Those on this node; they see who opened the connection.
    Local,
}

/// A `Service`.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its namespace.
    pub namespace: NamespaceId,
    /// Its name.
    pub name: Arc<str>,
    /// `spec.type`: `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    pub service_type: Arc<str>,
    /// `spec.clusterIPs`, as far as they are known.
    pub cluster_ips: Vec<IpAddr>,
    /// `clusterIP: None`: clients connect to the endpoints themselves.
    pub headless: bool,
    /// `spec.externalName` of an `ExternalName` service.
    pub external_name: Option<Arc<str>>,
    /// `spec.selector`; `None` for a service whose endpoints are written by hand.
    pub selector: Option<BTreeMap<String, String>>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// Addresses from outside the cluster that lead to it: `status.loadBalancer`,
    /// `spec.externalIPs`.
    pub external_addresses: Vec<IpAddr>,
    /// `externalTrafficPolicy`: what becomes of connections to its node ports and external
    /// addresses.
    pub external_traffic: TrafficPolicy,
    /// Where it was read from.
    pub origin: Option<Origin>,
}

/// One port of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// Its protocol.
    pub protocol: Protocol,
    /// The port that clients use.
    pub port: u16,
    /// The port on the pods; by default the same number.
    pub target_port: PortRef,
    /// The port on every node, if there is one and it is known.
    pub node_port: Option<u16>,
}

/// An `EndpointSlice`, or one subset of an `Endpoints` object.
#[derive(Clone, Debug)]
pub struct EndpointSlice {
    /// Its namespace.
    pub namespace: NamespaceId,
    /// Its name.
    pub name: Arc<str>,
    /// The service it belongs to (`kubernetes.io/service-name`).
    pub service: Option<Arc<str>>,
    /// Its endpoints.
    pub addresses: Vec<EndpointAddress>,
    /// Its ports; they apply to each endpoint.
    pub ports: Vec<EndpointPort>,
    /// Where it was read from.
    pub origin: Option<Origin>,
}

/// One endpoint of a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointAddress {
    /// Its address.
    pub address: IpAddr,
    /// The pod it stands for, when `targetRef` names one of the slice's namespace.
    pub pod: Option<Arc<str>>,
}

/// One port of a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointPort {
    /// The name of the service port it belongs to, if it has one.
    pub name: Option<Arc<str>>,
    /// Its protocol.
    pub protocol: Protocol,
    /// Its number.
    pub port: u16,
}

/// A `Node`.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: Arc<str>,
    /// Its labels.
    pub labels: Labels,
    /// `status.addresses` of type `InternalIP` and `ExternalIP`; empty when not known.
    pub addresses: Vec<IpAddr>,
    /// Where it was read from.
    pub origin: Option<Origin>,
}

/// One backend of an `Ingress`: a way into the cluster from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressRoute {
    /// The namespace of the Ingress and of its backend.
    pub namespace: NamespaceId,
    /// The name of the Ingress.
    pub ingress: Arc<str>,
    /// The host it answers for; `None` for all.
    pub host: Option<Arc<str>>,
    /// The path it answers for; `None` for the default backend.
    pub path: Option<Arc<str>>,
    /// The service behind it.
    pub service: Arc<str>,
    /// The port of that service.
    pub port: PortRef,
    /// Where the Ingress was read from.
    pub origin: Option<Origin>,
}
