use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1 as discovery;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::collect::Named;
use super::interner::Interner;
use super::namespaces::NamespaceIds;
use super::notices::{Notices, Subject};
use crate::protocol::Protocol;
use crate::snapshot::{
    EndpointAddress, EndpointPort, EndpointSlice, NamespaceId, PortRef, Service, ServicePort,
    TrafficPolicy,
};
use crate::source::KeyPath;

/// The label that ties a slice to its service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Reads services, sorted by namespace and name.
pub(super) fn read_services(
    objects: Vec<Named<Box<core::Service>>>,
    namespace_ids: &NamespaceIds,
    interner: &mut Interner,
    notices: &mut Notices<'_>,
) -> Vec<Service> {
    let mut services: Vec<Service> = objects
        .into_iter()
        .filter_map(|named| {
            let namespace = *namespace_ids.get(&named.namespace())?;
            Some(service(named, namespace, interner, notices))
        })
        .collect();
    services.sort_by(|a, b| (a.namespace, &a.name).cmp(&(b.namespace, &b.name)));
    services
}

fn service(
    named: Named<Box<core::Service>>,
    namespace: NamespaceId,
    interner: &mut Interner,
    notices: &mut Notices<'_>,
) -> Service {
    let subject = named.subject();
    let no_spec = core::ServiceSpec::default();
    let spec = named.object.spec.as_ref().unwrap_or(&no_spec);
    let root = KeyPath::root().key("spec");

    let mut cluster_ips: Vec<&str> = spec
        .cluster_ips
        .iter()
        .flatten()
        .map(String::as_str)
        .collect();
    if cluster_ips.is_empty() {
        cluster_ips.extend(spec.cluster_ip.as_deref());
    }
    let headless = cluster_ips.contains(&"None");
    let cluster_ips = cluster_ips
        .into_iter()
        .filter(|ip| *ip != "None")
        .filter_map(|ip| notices.address(subject, ip, || root.key("clusterIP")))
        .collect();

    let ports = spec
        .ports
        .iter()
        .flatten()
        .enumerate()
        .filter_map(|(index, port)| {
            service_port(port, subject, &|| root.key("ports").index(index), notices)
        })
        .collect();
    let external_addresses = external_addresses(&named, notices);

    Service {
        namespace,
        service_type: interner.name(spec.type_.as_deref().unwrap_or("ClusterIP")),
        cluster_ips,
        headless,
        external_name: spec
            .external_name
            .as_deref()
            .filter(|name| !name.is_empty())
            .map(Into::into),
        selector: spec.selector.clone().filter(|labels| !labels.is_empty()),
        ports,
        external_addresses,
        // Whatever else is written there, the API server would not take.
        external_traffic: match spec.external_traffic_policy.as_deref() {
            Some("Local") => TrafficPolicy::Local,
            _ => TrafficPolicy::Cluster,
        },
        name: named.id.name,
        origin: named.origin,
    }
}

fn external_addresses(named: &Named<Box<core::Service>>, notices: &mut Notices<'_>) -> Vec<IpAddr> {
    let subject = named.subject();
    let balancers = named
        .object
        .status
        .as_ref()
        .and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref());
    let balancers = balancers
        .into_iter()
        .flatten()
        .enumerate()
        .filter_map(|(index, ingress)| {
            let path = KeyPath::root()
                .key("status")
                .key("loadBalancer")
                .key("ingress");
            Some((ingress.ip.as_ref()?, path.index(index).key("ip")))
        });
    let written = named
        .object
        .spec
        .iter()
        .flat_map(|spec| spec.external_ips.iter().flatten());
    let written = written.enumerate().map(|(index, ip)| {
        (
            ip,
            KeyPath::root().key("spec").key("externalIPs").index(index),
        )
    });
    let mut addresses: Vec<IpAddr> = balancers
        .chain(written)
        .filter_map(|(ip, path)| notices.address(subject, ip, || path))
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

fn service_port(
    port: &core::ServicePort,
    subject: Subject<'_>,
    path: &dyn Fn() -> KeyPath,
    notices: &mut Notices<'_>,
) -> Option<ServicePort> {
    let protocol = read_protocol(port.protocol.as_deref(), subject, path, notices)?;
    let number = notices.port(subject, port.port, || path().key("port"))?;
    let target_port = match &port.target_port {
        None => PortRef::Number(number),
        Some(IntOrString::Int(target)) => {
            PortRef::Number(notices.port(subject, *target, || path().key("targetPort"))?)
        }
        Some(IntOrString::String(name)) if name.is_empty() => PortRef::Number(number),
        Some(IntOrString::String(name)) => PortRef::Name(name.as_str().into()),
    };
    let node_port = port
        .node_port
        .filter(|node_port| *node_port != 0)
        .and_then(|node_port| notices.port(subject, node_port, || path().key("nodePort")));
    Some(ServicePort {
        name: port_name(port.name.as_deref()),
        protocol,
        port: number,
        target_port,
        node_port,
    })
}

/// Reads `EndpointSlice` objects, and `Endpoints` of services that have no slice:
/// where there is a slice, the control plane made it from the `Endpoints` or instead
/// of them. Sorted by namespace and name.
pub(super) fn read_endpoint_slices(
    slices: Vec<Named<Box<discovery::EndpointSlice>>>,
    endpoints: Vec<Named<Box<core::Endpoints>>>,
    namespace_ids: &NamespaceIds,
    interner: &mut Interner,
    notices: &mut Notices<'_>,
) -> Vec<EndpointSlice> {
    let mut list = Vec::new();
    let mut sliced: BTreeSet<(NamespaceId, Arc<str>)> = BTreeSet::new();
    for named in slices {
        let Some(namespace) = namespace_ids.get(&named.namespace()) else {
            continue;
        };
        let slice = endpoint_slice(named, *namespace, interner, notices);
        if let Some(service) = &slice.service {
            sliced.insert((*namespace, Arc::clone(service)));
        }
        list.push(slice);
    }
    for named in endpoints {
        let Some(namespace) = namespace_ids.get(&named.namespace()) else {
            continue;
        };
        if !sliced.contains(&(*namespace, Arc::clone(&named.id.name))) {
            list.extend(subsets(&named, *namespace, notices));
        }
    }
    // Stable: the subsets of one Endpoints object stay in order.
    list.sort_by(|a, b| (a.namespace, &a.name).cmp(&(b.namespace, &b.name)));
    list
}

/// Endpoints count whether ready or not: readiness comes and goes, and what is asked
/// is what can be reached.
fn endpoint_slice(
    named: Named<Box<discovery::EndpointSlice>>,
    namespace: NamespaceId,
    interner: &mut Interner,
    notices: &mut Notices<'_>,
) -> EndpointSlice {
    let subject = named.subject();
    let slice = &named.object;
    let service = slice
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(SERVICE_NAME))
        .map(|name| interner.name(name));

    let mut addresses = Vec::new();
    // Slices of type FQDN hold names, which only a resolver could turn into addresses.
    let readable = slice.address_type != "FQDN";
    for (index, endpoint) in slice.endpoints.iter().enumerate().filter(|_| readable) {
        let pod = pod_name(endpoint.target_ref.as_ref(), named.id.namespace.as_deref());
        for (position, text) in endpoint.addresses.iter().enumerate() {
            let path = || {
                let endpoint = KeyPath::root().key("endpoints").index(index);
                endpoint.key("addresses").index(position)
            };
            addresses.extend(
                notices
                    .address(subject, text, path)
                    .map(|address| EndpointAddress {
                        address,
                        pod: pod.clone(),
                    }),
            );
        }
    }
    let ports = slice.ports.iter().flatten().enumerate();
    let ports = ports
        .filter_map(|(index, port)| {
            let path = || KeyPath::root().key("ports").index(index);
            Some(EndpointPort {
                name: port_name(port.name.as_deref()),
                protocol: read_protocol(port.protocol.as_deref(), subject, &path, notices)?,
                port: notices.port(subject, port.port?, || path().key("port"))?,
            })
        })
        .collect();
    EndpointSlice {
        namespace,
        service,
        addresses,
        ports,
        name: named.id.name,
        origin: named.origin,
    }
}

/// `Endpoints` carry the name of their service.
fn subsets(
    named: &Named<Box<core::Endpoints>>,
    namespace: NamespaceId,
    notices: &mut Notices<'_>,
) -> Vec<EndpointSlice> {
    let subject = named.subject();
    let mut slices = Vec::new();
    for (index, subset) in named.object.subsets.iter().flatten().enumerate() {
        let root = || KeyPath::root().key("subsets").index(index);
        let mut addresses = Vec::new();
        for (list, key) in [
            (&subset.addresses, "addresses"),
            (&subset.not_ready_addresses, "notReadyAddresses"),
        ] {
            for (position, entry) in list.iter().flatten().enumerate() {
                let path = || root().key(key).index(position).key("ip");
                addresses.extend(notices.address(subject, &entry.ip, path).map(|address| {
                    EndpointAddress {
                        address,
                        pod: pod_name(entry.target_ref.as_ref(), named.id.namespace.as_deref()),
                    }
                }));
            }
        }
        let ports = subset.ports.iter().flatten().enumerate();
        let ports = ports
            .filter_map(|(position, port)| {
                let path = || root().key("ports").index(position);
                Some(EndpointPort {
                    name: port_name(port.name.as_deref()),
                    protocol: read_protocol(port.protocol.as_deref(), subject, &path, notices)?,
                    port: notices.port(subject, port.port, || path().key("port"))?,
                })
            })
            .collect();
        slices.push(EndpointSlice {
            namespace,
            name: Arc::clone(&named.id.name),
            service: Some(Arc::clone(&named.id.name)),
            addresses,
            ports,
            origin: named.origin.clone(),
        });
    }
    slices
}

/// The pod that an endpoint stands for, if it is one of the endpoint's namespace.
fn pod_name(target: Option<&core::ObjectReference>, namespace: Option<&str>) -> Option<Arc<str>> {
    let target = target?;
    let same_namespace = target.namespace.is_none() || target.namespace.as_deref() == namespace;
    let is_pod = target.kind.as_deref() == Some("Pod");
    (is_pod && same_namespace)
        .then_some(target.name.as_deref()?)
        .map(Into::into)
}

/// A port without a name and a port named by the empty text are the same.
fn port_name(name: Option<&str>) -> Option<Arc<str>> {
    name.filter(|name| !name.is_empty()).map(Into::into)
}

fn read_protocol(
    text: Option<&str>,
    subject: Subject<'_>,
    path: &dyn Fn() -> KeyPath,
    notices: &mut Notices<'_>,
) -> Option<Protocol> {
    let protocol = Protocol::from_field(text);
    if protocol.is_none() {
        notices.unknown_protocol(subject, text.unwrap_or_default(), &path().key("protocol"));
    }
    protocol
}
