use std::collections::BTreeMap;
use std::net::IpAddr;

use ringfence_model::k8s_openapi::api::apps::v1::{
    DaemonSet, DaemonSetSpec, Deployment, DeploymentSpec, StatefulSet, StatefulSetSpec,
};
use ringfence_model::k8s_openapi::api::batch::v1::{
    CronJob, CronJobSpec, Job, JobSpec, JobTemplateSpec,
};
use ringfence_model::k8s_openapi::api::core::v1::{
    Container, ContainerPort, Namespace, Node, NodeAddress, NodeStatus, Pod, PodIP, PodSpec,
    PodStatus, PodTemplateSpec,
};
use ringfence_model::k8s_openapi::api::networking::v1::{
    Ingress, IngressBackend, IngressServiceBackend, IngressSpec, ServiceBackendPort,
};
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, ObjectMeta, OwnerReference,
};
use ringfence_model::parse::TypedObject;

use super::selectors::{Of, labels};
use super::{Dice, NAMESPACES, addresses};

/// Some namespaces are declared; the others are only mentioned.
pub(super) fn namespaces(dice: &mut Dice) -> Vec<TypedObject> {
    let mut objects = Vec::new();
    for name in NAMESPACES {
        if dice.chance(50) {
            objects.push(TypedObject::Namespace(Box::new(Namespace {
                metadata: ObjectMeta {
                    name: Some(name.to_owned()),
                    labels: Some(labels(dice, Of::Namespaces)),
                    ..ObjectMeta::default()
                },
                ..Namespace::default()
            })));
        }
    }
    objects
}

/// Up to two nodes; the addresses of one may not be known.
pub(super) fn nodes(dice: &mut Dice) -> Vec<TypedObject> {
    let count = dice.pick(&[0u16, 0, 1, 2, 2]);
    (1..=count)
        .map(|number| {
            let known = if dice.chance(80) {
                some_families(dice, addresses::of_node(number))
            } else {
                Vec::new()
            };
            let address = |address: IpAddr| NodeAddress {
                type_: "InternalIP".to_owned(),
                address: address.to_string(),
            };
            TypedObject::Node(Box::new(Node {
                metadata: ObjectMeta {
                    name: Some(format!("n{number}")),
                    labels: Some(labels(dice, Of::Nodes)),
                    ..ObjectMeta::default()
                },
                status: Some(NodeStatus {
                    addresses: Some(known.into_iter().map(address).collect()),
                    ..NodeStatus::default()
                }),
                ..Node::default()
            }))
        })
        .collect()
}

/// IPv4, IPv6 or both.
fn some_families(dice: &mut Dice, [v4, v6]: [IpAddr; 2]) -> Vec<IpAddr> {
    match dice.below(5) {
        0 | 1 => vec![v4],
        2 => vec![v6],
        _ => vec![v4, v6],
    }
}

const KINDS: [&str; 8] = [
    "Deployment",
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "CronJob",
    "Pod",
    "Sandbox",
];

/// Up to five workloads, with or without live pods.
pub(super) fn workloads(dice: &mut Dice) -> Vec<TypedObject> {
    let mut objects = Vec::new();
    let mut pods = 0;
    for number in 0..dice.between(2, 5) {
        let kind = dice.pick(&KINDS);
        let about = Workload {
            kind,
            namespace: dice.pick(&NAMESPACES),
            name: format!("w{number}"),
            labels: labels(dice, Of::Pods),
            spec: spec(dice),
        };
        let live = match kind {
            "Pod" => 1,
            _ => dice.pick(&[0, 0, 0, 1, 2]),
        };
        if live == 0 || dice.chance(80) {
            objects.extend(about.object(dice));
        }
        for replica in 0..live {
            pods += 1;
            objects.push(about.pod(dice, replica, pods));
        }
    }
    objects
}

struct Workload {
    kind: &'static str,
    namespace: &'static str,
    name: String,
    labels: BTreeMap<String, String>,
    spec: PodSpec,
}

impl Workload {
    /// The object that makes the pods; a bare pod has none.
    fn object(&self, dice: &mut Dice) -> Option<TypedObject> {
        let metadata = ObjectMeta {
            namespace: Some(self.namespace.to_owned()),
            name: Some(self.name.clone()),
            ..ObjectMeta::default()
        };
        let template = PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(self.labels.clone()),
                ..ObjectMeta::default()
            }),
            spec: Some(self.spec.clone()),
        };
        let selector = LabelSelector {
            match_labels: Some(self.labels.clone()),
            match_expressions: None,
        };
        let job = |dice: &mut Dice| JobSpec {
            completion_mode: dice.chance(50).then(|| "Indexed".to_owned()),
            template: template.clone(),
            ..JobSpec::default()
        };
        Some(match self.kind {
            "Deployment" => TypedObject::Deployment(Box::new(Deployment {
                metadata,
                spec: Some(DeploymentSpec {
                    replicas: Some(2),
                    selector,
                    template,
                    ..DeploymentSpec::default()
                }),
                status: None,
            })),
            "StatefulSet" => TypedObject::StatefulSet(Box::new(StatefulSet {
                metadata,
                spec: Some(StatefulSetSpec {
                    selector,
                    template,
                    ..StatefulSetSpec::default()
                }),
                status: None,
            })),
            "DaemonSet" => TypedObject::DaemonSet(Box::new(DaemonSet {
                metadata,
                spec: Some(DaemonSetSpec {
                    selector,
                    template,
                    ..DaemonSetSpec::default()
                }),
                status: None,
            })),
            "Job" => TypedObject::Job(Box::new(Job {
                metadata,
                spec: Some(job(dice)),
                status: None,
            })),
            "CronJob" => TypedObject::CronJob(Box::new(CronJob {
                metadata,
                spec: Some(CronJobSpec {
                    schedule: "0 3 * * *".to_owned(),
                    job_template: JobTemplateSpec {
                        metadata: None,
                        spec: Some(job(dice)),
                    },
                    ..CronJobSpec::default()
                }),
                status: None,
            })),
            "Pod" => return None,
            kind => TypedObject::OtherWorkload {
                kind: kind.to_owned(),
                metadata: Box::new(metadata),
                replicas: None,
                template: Box::new(template),
            },
        })
    }

    /// A live pod; `number` is its own among all pods of the cluster.
    fn pod(&self, dice: &mut Dice, replica: usize, number: u16) -> TypedObject {
        let mut labels = self.labels.clone();
        if self.kind == "StatefulSet" {
            let key = "statefulset.kubernetes.io/pod-name".to_owned();
            labels.insert(key, format!("db-{replica}"));
        }
        let mut spec = self.spec.clone();
        if dice.chance(60) {
            // n3 is never declared.
            spec.node_name = Some(dice.pick(&["n1", "n2", "n3"]).to_owned());
        }
        let host = spec.host_network == Some(true);
        let known = if !host && dice.chance(60) {
            some_families(dice, addresses::of_pod(number))
        } else {
            Vec::new()
        };
        let addresses: Vec<PodIP> = known
            .iter()
            .map(|ip| PodIP { ip: ip.to_string() })
            .collect();
        let owner = (self.kind != "Pod").then(|| OwnerReference {
            api_version: "v1".to_owned(),
            kind: self.kind.to_owned(),
            name: self.name.clone(),
            uid: self.name.clone(),
            controller: Some(true),
            block_owner_deletion: None,
        });
        TypedObject::Pod(Box::new(Pod {
            metadata: ObjectMeta {
                namespace: Some(self.namespace.to_owned()),
                name: Some(format!("{}-{replica}", self.name)),
                labels: Some(labels),
                owner_references: owner.map(|owner| vec![owner]),
                ..ObjectMeta::default()
            },
            spec: Some(spec),
            status: Some(PodStatus {
                phase: Some("Running".to_owned()),
                pod_ip: known.first().map(ToString::to_string),
                pod_ips: (!addresses.is_empty()).then_some(addresses),
                ..PodStatus::default()
            }),
        }))
    }
}

fn spec(dice: &mut Dice) -> PodSpec {
    let ports = dice.several(0, 2, |dice| {
        let (name, number, protocol) = dice.pick(&[
            (Some("http"), 80, None),
            (Some("http"), 8080, Some("TCP")),
            (Some("web"), 80, None),
            (Some("web"), 443, Some("UDP")),
            (Some("dns"), 53, Some("UDP")),
            (Some("dns"), 53, None),
            (None, 81, Some("SCTP")),
        ]);
        ContainerPort {
            name: name.map(ToOwned::to_owned),
            container_port: number,
            protocol: protocol.map(ToOwned::to_owned),
            ..ContainerPort::default()
        }
    });
    PodSpec {
        host_network: dice.chance(12).then_some(true),
        containers: vec![Container {
            name: "main".to_owned(),
            ports: Some(ports),
            ..Container::default()
        }],
        ..PodSpec::default()
    }
}

/// Sometimes an Ingress, which brings in an endpoint of which nothing is known.
pub(super) fn ingress(dice: &mut Dice) -> Option<TypedObject> {
    dice.chance(20).then(|| {
        let backend = IngressBackend {
            service: Some(IngressServiceBackend {
                name: "front".to_owned(),
                port: Some(ServiceBackendPort {
                    name: None,
                    number: Some(80),
                }),
            }),
            resource: None,
        };
        TypedObject::Ingress(Box::new(Ingress {
            metadata: ObjectMeta {
                namespace: Some(dice.pick(&NAMESPACES).to_owned()),
                name: Some("entry".to_owned()),
                ..ObjectMeta::default()
            },
            spec: Some(IngressSpec {
                default_backend: Some(backend),
                ..IngressSpec::default()
            }),
            status: None,
        }))
    })
}
