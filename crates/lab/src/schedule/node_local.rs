//! NodeLocal DNSCache: a name server on every node, at an address of the link that pods ask
//! instead of the Service of the cluster DNS. A policy that allows the cluster DNS does not
//! allow it.

use std::net::{IpAddr, Ipv4Addr};

use ringfence_model::k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetSpec};
use ringfence_model::k8s_openapi::api::core::v1::{
    Container, ContainerPort, PodSpec, PodTemplateSpec,
};
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use ringfence_model::labels::LabelValue;
use ringfence_model::parse::{Object, TypedObject};
use ringfence_model::snapshot::{Pod, Snapshot};

use super::objects::metadata;
use super::services::{DNS_NAMESPACE, labels};

/// Where it answers on every node.
pub(crate) const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 20, 10));
const NAME: &str = "node-local-dns";
const LABEL: (&str, &str) = ("k8s-app", NAME);

/// Whether a pod is one of them.
pub(crate) fn is_cache(snapshot: &Snapshot, pod: &Pod) -> bool {
    &*snapshot.namespace(pod.namespace).name == DNS_NAMESPACE
        && pod.host_network
        && matches!(pod.labels.get(LABEL.0), LabelValue::Present(value) if value == LABEL.1)
}

/// The caches, unless the manifests have them.
pub(super) fn caches(snapshot: &Snapshot) -> Option<Object> {
    let there = snapshot.pods.iter().any(|pod| is_cache(snapshot, pod));
    (!there).then(|| Object {
        origin: None,
        typed: TypedObject::DaemonSet(Box::new(daemon_set())),
    })
}

fn daemon_set() -> DaemonSet {
    let port = |name: &str, protocol: &str| ContainerPort {
        name: Some(name.to_owned()),
        container_port: 53,
        protocol: Some(protocol.to_owned()),
        ..ContainerPort::default()
    };
    let own = labels(&[LABEL]);
    DaemonSet {
        metadata: metadata(Some(DNS_NAMESPACE), NAME),
        spec: Some(DaemonSetSpec {
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
                    host_network: Some(true),
                    containers: vec![Container {
                        name: "node-cache".to_owned(),
                        ports: Some(vec![port("dns", "UDP"), port("dns-tcp", "TCP")]),
                        ..Container::default()
                    }],
                    ..PodSpec::default()
                }),
            },
            ..DaemonSetSpec::default()
        }),
        status: None,
    }
}
