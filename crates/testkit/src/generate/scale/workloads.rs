use std::net::Ipv4Addr;

use ringfence_model::k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use ringfence_model::k8s_openapi::api::core::v1::{
    Container, ContainerPort, Namespace, Node, NodeAddress, NodeStatus, Pod, PodIP, PodSpec,
    PodStatus, PodTemplateSpec, Service, ServicePort, ServiceSpec,
};
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, ObjectMeta, OwnerReference,
};
use ringfence_model::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ringfence_model::parse::TypedObject;

use super::{Name, Shape, metadata};

const HASH: &str = "5d4f8c7b9";
const PODS_PER_NODE: usize = 100;
const TIERS: [&str; 5] = ["web", "api", "worker", "cache", "store"];

/// Namespaces, nodes, DNS and monitoring.
pub(super) fn infrastructure(shape: &Shape) -> Vec<TypedObject> {
    let mut objects = vec![
        namespace("kube-system", &[("purpose", "system")]),
        namespace("monitoring", &[("purpose", "monitoring")]),
        made_by_hand(
            "kube-system",
            "coredns",
            &[("k8s-app", "kube-dns")],
            53,
            "UDP",
        ),
        made_by_hand(
            "monitoring",
            "prometheus",
            &[("app", "prometheus")],
            9090,
            "TCP",
        ),
    ];
    for number in 0..shape.namespaces {
        let name = shape.namespace(number);
        let environment = ["prod", "prod", "test", "dev"].get(number % 4);
        let labels = [
            ("team", name.as_str()),
            ("env", environment.copied().unwrap_or_default()),
        ];
        objects.push(namespace(&name, &labels));
    }
    let pods = shape.deployments * shape.replicas;
    objects.extend((0..pods.div_ceil(PODS_PER_NODE)).map(node));
    objects
}

fn namespace(name: &str, labels: &[(&str, &str)]) -> TypedObject {
    TypedObject::Namespace(Box::new(Namespace {
        metadata: metadata("", name, labels),
        ..Namespace::default()
    }))
}

fn node_name(number: usize) -> String {
    format!("node-{number:04}")
}

fn node(number: usize) -> TypedObject {
    TypedObject::Node(Box::new(Node {
        metadata: metadata("", node_name(number), &[("kubernetes.io/os", "linux")]),
        status: Some(NodeStatus {
            addresses: Some(vec![NodeAddress {
                type_: "InternalIP".to_owned(),
                address: address([192, 168, 0, 10], number).to_string(),
            }]),
            ..NodeStatus::default()
        }),
        ..Node::default()
    }))
}

/// The address `offset` after `first`.
fn address(first: [u8; 4], offset: usize) -> Ipv4Addr {
    let offset = u32::try_from(offset).unwrap_or_default();
    Ipv4Addr::from(u32::from(Ipv4Addr::from(first)).wrapping_add(offset))
}

fn container(ports: &[(&str, i32, &str)]) -> Container {
    let port = |(name, number, protocol): &(&str, i32, &str)| ContainerPort {
        name: Some((*name).to_owned()),
        container_port: *number,
        protocol: Some((*protocol).to_owned()),
        ..ContainerPort::default()
    };
    Container {
        name: "main".to_owned(),
        image: Some("registry.example.org/main:1".to_owned()),
        ports: Some(ports.iter().map(port).collect()),
        ..Container::default()
    }
}

fn app_spec() -> PodSpec {
    PodSpec {
        containers: vec![container(&[
            ("http", 8080, "TCP"),
            ("metrics", 9090, "TCP"),
        ])],
        ..PodSpec::default()
    }
}

fn tier(name: &Name) -> &'static str {
    TIERS
        .get(name.number % TIERS.len())
        .copied()
        .unwrap_or_default()
}

fn template_of(labels: &[(&str, &str)], spec: PodSpec) -> DeploymentSpec {
    let labels = metadata("", "", labels).labels;
    DeploymentSpec {
        selector: LabelSelector {
            match_labels: labels.clone(),
            match_expressions: None,
        },
        template: PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels,
                ..ObjectMeta::default()
            }),
            spec: Some(spec),
        },
        ..DeploymentSpec::default()
    }
}

fn made_by_hand(
    namespace: &str,
    name: &str,
    labels: &[(&str, &str)],
    port: i32,
    protocol: &str,
) -> TypedObject {
    let spec = PodSpec {
        containers: vec![container(&[("main", port, protocol)])],
        ..PodSpec::default()
    };
    TypedObject::Deployment(Box::new(Deployment {
        metadata: metadata(namespace, name, &[]),
        spec: Some(template_of(labels, spec)),
        status: None,
    }))
}

pub(super) fn deployment(name: &Name) -> TypedObject {
    let labels = [("app", name.app.as_str()), ("tier", tier(name))];
    TypedObject::Deployment(Box::new(Deployment {
        metadata: metadata(&name.namespace, &name.app, &labels),
        spec: Some(template_of(&labels, app_spec())),
        status: None,
    }))
}

pub(super) fn service(name: &Name) -> TypedObject {
    let selector = metadata("", "", &[("app", name.app.as_str())]).labels;
    TypedObject::Service(Box::new(Service {
        metadata: metadata(&name.namespace, &name.app, &[]),
        spec: Some(ServiceSpec {
            selector,
            ports: Some(vec![ServicePort {
                port: 80,
                target_port: Some(IntOrString::String("http".to_owned())),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }))
}

pub(super) fn pod(shape: &Shape, name: &Name, replica: usize) -> TypedObject {
    let number = name.number * shape.replicas + replica;
    let labels = [
        ("app", name.app.as_str()),
        ("pod-template-hash", HASH),
        ("tier", tier(name)),
    ];
    let mut metadata = metadata(
        &name.namespace,
        format!("{}-{HASH}-{replica:05}", name.app),
        &labels,
    );
    metadata.owner_references = Some(vec![OwnerReference {
        api_version: "apps/v1".to_owned(),
        kind: "ReplicaSet".to_owned(),
        name: format!("{}-{HASH}", name.app),
        uid: format!("{}-{HASH}", name.app),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }]);
    let ip = address([10, 0, 0, 1], number).to_string();
    TypedObject::Pod(Box::new(Pod {
        metadata,
        spec: Some(PodSpec {
            node_name: Some(node_name(number / PODS_PER_NODE)),
            ..app_spec()
        }),
        status: Some(PodStatus {
            phase: Some("Running".to_owned()),
            pod_ips: Some(vec![PodIP { ip: ip.clone() }]),
            pod_ip: Some(ip),
            ..PodStatus::default()
        }),
    }))
}
