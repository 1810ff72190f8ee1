//! Services with addresses, the API server, and the cluster DNS.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ringfence_model::address::IpFamily;
use ringfence_model::k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use ringfence_model::k8s_openapi::api::core::v1::{
    Container, ContainerPort, PodSpec, PodTemplateSpec, Service, ServicePort, ServiceSpec,
};
use ringfence_model::k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use ringfence_model::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ringfence_model::labels::LabelValue;
use ringfence_model::parse::{Object, TypedObject};
use ringfence_model::snapshot::builder::BuildOptions;
use ringfence_model::snapshot::{Pod, Snapshot};

use super::ScheduleError;
use super::addresses::Addresses;
use super::objects::metadata;
use crate::world::API_SERVER_PORT;

/// The namespace, name and label of the cluster DNS as most clusters have it.
pub(crate) const DNS_NAMESPACE: &str = "kube-system";
pub(crate) const DNS_SERVICE: &str = "kube-dns";
const DNS_LABEL: (&str, &str) = ("k8s-app", "kube-dns");
const SLICE_LABEL: &str = "kubernetes.io/service-name";

/// Whether names are answered by this pod: it has the label of the cluster DNS, or is in
/// the namespace in which OpenShift has its own.
pub(crate) fn is_name_server(snapshot: &Snapshot, pod: &Pod) -> bool {
    match &*snapshot.namespace(pod.namespace).name {
        DNS_NAMESPACE => matches!(
            pod.labels.get(DNS_LABEL.0),
            LabelValue::Present(value) if value == DNS_LABEL.1
        ),
        "openshift-dns" => pod.ports.iter().any(|port| matches!(port.port, 53 | 5353)),
        _ => false,
    }
}

/// The objects that every cluster has and manifests leave out.
pub(super) fn system(snapshot: &Snapshot) -> Vec<Object> {
    let mut objects = Vec::new();
    let has_dns = snapshot
        .pods
        .iter()
        .any(|pod| is_name_server(snapshot, pod));
    if !has_dns {
        objects.push(TypedObject::Deployment(Box::new(dns_deployment())));
    }
    let has_service = ["kube-dns", "coredns", "rke2-coredns-rke2-coredns"]
        .iter()
        .any(|name| snapshot.find_service(DNS_NAMESPACE, name).is_some())
        || snapshot
            .find_service("openshift-dns", "dns-default")
            .is_some();
    if !has_service {
        let service = with_usual_addresses(dns_service(), DNS_ADDRESSES, snapshot);
        objects.push(TypedObject::Service(Box::new(service)));
    }
    if snapshot.find_service("default", "kubernetes").is_none() {
        let service = with_usual_addresses(api_server_service(), API_ADDRESSES, snapshot);
        objects.push(TypedObject::Service(Box::new(service)));
    }
    let of_lab = objects.into_iter().map(|typed| Object {
        origin: None,
        typed,
    });
    of_lab.collect()
}

/// The addresses of these Services in most clusters.
const DNS_ADDRESSES: [&str; 2] = ["10.96.0.10", "fd00:10:96::a"];
const API_ADDRESSES: [&str; 2] = ["10.96.0.1", "fd00:10:96::1"];

/// The Service with its usual addresses, unless the manifests gave one to somebody else.
fn with_usual_addresses(mut service: Service, usual: [&str; 2], snapshot: &Snapshot) -> Service {
    let parsed = usual.iter().filter_map(|text| text.parse::<IpAddr>().ok());
    let taken = parsed.clone().any(|address| {
        let mut services = snapshot.services.iter();
        services.any(|other| other.cluster_ips.contains(&address))
            || snapshot.pod_with_address(address).is_some()
    });
    if let Some(spec) = service.spec.as_mut().filter(|_| !taken) {
        spec.cluster_ips = Some(usual.map(ToOwned::to_owned).to_vec());
    }
    service
}

pub(super) fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    owned.collect()
}

fn dns_deployment() -> Deployment {
    let port = |name: &str, number: i32, protocol: &str| ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some(protocol.to_owned()),
        ..ContainerPort::default()
    };
    let container = Container {
        name: "coredns".to_owned(),
        ports: Some(vec![
            port("dns", 53, "UDP"),
            port("dns-tcp", 53, "TCP"),
            port("metrics", 9153, "TCP"),
        ]),
        ..Container::default()
    };
    let own = labels(&[DNS_LABEL]);
    Deployment {
        metadata: metadata(Some(DNS_NAMESPACE), "coredns"),
        spec: Some(DeploymentSpec {
            replicas: Some(1),
            selector: LabelSelector {
                match_labels: Some(own.clone()),
                match_expressions: None,
            },
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(own),
                    ..ObjectMeta::default()
                }),
                spec: Some(PodSpec {
                    containers: vec![container],
                    ..PodSpec::default()
                }),
            },
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

fn dns_service() -> Service {
    let port = |name: &str, protocol: &str| ServicePort {
        name: Some(name.to_owned()),
        port: 53,
        protocol: Some(protocol.to_owned()),
        target_port: Some(IntOrString::Int(53)),
        ..ServicePort::default()
    };
    Service {
        metadata: metadata(Some(DNS_NAMESPACE), DNS_SERVICE),
        spec: Some(ServiceSpec {
            selector: Some(labels(&[DNS_LABEL])),
            ports: Some(vec![port("dns", "UDP"), port("dns-tcp", "TCP")]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn api_server_service() -> Service {
    Service {
        metadata: metadata(Some("default"), "kubernetes"),
        spec: Some(ServiceSpec {
            ports: Some(vec![ServicePort {
                name: Some("https".to_owned()),
                port: 443,
                protocol: Some("TCP".to_owned()),
                target_port: Some(IntOrString::Int(i32::from(API_SERVER_PORT))),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// Where the Service of the API server leads, unless the manifests say it.
pub(super) fn api_server_slices(snapshot: &Snapshot, addresses: &[IpAddr]) -> Vec<Object> {
    let known = snapshot.endpoint_slices.iter().any(|slice| {
        &*snapshot.namespace(slice.namespace).name == "default"
            && slice.service.as_deref() == Some("kubernetes")
    });
    if known {
        return Vec::new();
    }
    let slices = addresses.iter().map(|address| {
        let family = IpFamily::of(*address);
        let name = format!("kubernetes-{}", family.to_string().to_lowercase());
        EndpointSlice {
            address_type: family.to_string(),
            endpoints: vec![Endpoint {
                addresses: vec![address.to_string()],
                ..Endpoint::default()
            }],
            metadata: ObjectMeta {
                labels: Some(labels(&[(SLICE_LABEL, "kubernetes")])),
                ..metadata(Some("default"), &name)
            },
            ports: Some(vec![EndpointPort {
                name: Some("https".to_owned()),
                port: Some(i32::from(API_SERVER_PORT)),
                protocol: Some("TCP".to_owned()),
                ..EndpointPort::default()
            }]),
        }
    });
    let objects = slices.map(|slice| Object {
        origin: None,
        typed: TypedObject::EndpointSlice(Box::new(slice)),
    });
    objects.collect()
}

/// Whether the endpoints of a Service follow from its selector, so that what the
/// manifests say of them is of another time.
pub(super) fn is_implied(
    namespace: Option<&str>,
    service: Option<&str>,
    snapshot: &Snapshot,
    build: &BuildOptions,
) -> bool {
    let namespace = namespace.unwrap_or(&build.default_namespace);
    let found = service.and_then(|name| snapshot.find_service(namespace, name));
    let service = found.map(|id| snapshot.service(id));
    service.is_some_and(|service| {
        let selector = service.selector.as_ref();
        let mut pods = snapshot.pods_in(service.namespace);
        selector.is_some_and(|selector| {
            pods.any(|(_, pod)| {
                selector.iter().all(|(key, value)| {
                    pod.labels.get(key) != LabelValue::Absent && {
                        !matches!(pod.labels.get(key), LabelValue::Present(found) if found != value)
                    }
                })
            })
        })
    })
}

pub(super) fn is_implied_slice(
    slice: &EndpointSlice,
    snapshot: &Snapshot,
    build: &BuildOptions,
) -> bool {
    let labels = slice.metadata.labels.as_ref();
    let service = labels.and_then(|labels| labels.get(SLICE_LABEL));
    is_implied(
        slice.metadata.namespace.as_deref(),
        service.map(String::as_str),
        snapshot,
        build,
    )
}

/// The Service with addresses of the cluster's families: its own where they can be used.
pub(super) fn addressed(
    mut service: Service,
    default_namespace: &str,
    addresses: &mut Addresses,
    notes: &mut Vec<String>,
) -> Result<Service, ScheduleError> {
    let namespace = service.metadata.namespace.as_deref();
    let name = format!(
        "Service {}/{}",
        namespace.unwrap_or(default_namespace),
        service.metadata.name.as_deref().unwrap_or_default()
    );
    let spec = service.spec.get_or_insert_default();
    let mut written: Vec<String> = spec.cluster_ips.clone().unwrap_or_default();
    if written.is_empty() {
        written.extend(spec.cluster_ip.clone());
    }
    let headless = written.iter().any(|text| text == "None");
    if headless || spec.type_.as_deref() == Some("ExternalName") {
        return Ok(service);
    }
    let known: Vec<IpAddr> = written
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect();
    let mut own: Vec<IpAddr> = known
        .iter()
        .copied()
        .filter(|address| addresses.is_usable(*address))
        .collect();
    if own.is_empty() {
        for family in addresses.families.clone() {
            own.push(addresses.for_service(family, &name)?);
        }
        if let Some(old) = known.first() {
            notes.push(format!(
                "{name}: its address {old} cannot be used in the lab, it has another"
            ));
        }
    }
    let texts: Vec<String> = own.iter().map(ToString::to_string).collect();
    spec.cluster_ip = texts.first().cloned();
    spec.cluster_ips = Some(texts);
    give_node_ports(spec, &name, addresses);
    leave_out_balancers(&mut service, &name, notes);
    Ok(service)
}

/// A Service of a type with node ports has one for each port, its own where it names one.
fn give_node_ports(spec: &mut ServiceSpec, name: &str, addresses: &mut Addresses) {
    let wanted = match spec.type_.as_deref() {
        Some("NodePort") => true,
        Some("LoadBalancer") => spec.allocate_load_balancer_node_ports != Some(false),
        _ => false,
    };
    for port in spec.ports.iter_mut().flatten().filter(|_| wanted) {
        if port.node_port.is_none_or(|number| number == 0) {
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            let of = format!("{name} {}/{protocol}", port.port);
            port.node_port = addresses.for_node_port(&of).map(i32::from);
        }
    }
}

/// Addresses of load balancers that nodes translate for everybody are left; others are said.
fn leave_out_balancers(service: &mut Service, name: &str, notes: &mut Vec<String>) {
    let spec = service.spec.as_ref();
    let ranges = spec.and_then(|spec| spec.load_balancer_source_ranges.as_ref());
    let is_limited = ranges.is_some_and(|ranges| !ranges.is_empty());
    let balancer = service.status.as_mut();
    let balancer = balancer.and_then(|status| status.load_balancer.as_mut());
    let Some(ingress) = balancer.and_then(|balancer| balancer.ingress.as_mut()) else {
        return;
    };
    ingress.retain(|entry| {
        let is_proxy = entry.ip_mode.as_deref() == Some("Proxy");
        let why = match (is_limited, is_proxy) {
            (true, _) => "its loadBalancerSourceRanges are not built",
            (_, true) => "its ipMode is Proxy, so nodes do not translate it",
            _ => return true,
        };
        if let Some(address) = &entry.ip {
            notes.push(format!(
                "{name}: the address {address} of its load balancer is left out: {why}"
            ));
        }
        false
    });
}
