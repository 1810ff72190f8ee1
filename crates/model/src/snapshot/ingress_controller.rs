//! Which workloads let traffic in from outside.

use super::{Snapshot, WorkloadId};
use crate::labels::{LabelValue, Labels};

/// The `kind` of the stand-in for an ingress controller outside the input.
pub(super) const STAND_IN_KIND: &str = "IngressController";

/// Labels under which ingress controllers are installed by their own manifests and
/// charts.
const KNOWN: [(&str, &[&str]); 4] = [
    (
        "app.kubernetes.io/name",
        &[
            "apisix-ingress-controller",
            "contour",
            "emissary-ingress",
            "haproxy-ingress",
            "ingress-nginx",
            "kong",
            "kubernetes-ingress",
            "nginx-ingress",
            "nginx-ingress-controller",
            "rke2-ingress-nginx",
            "skipper-ingress",
            "traefik",
        ],
    ),
    (
        "k8s-app",
        &[
            "haproxy-ingress",
            "ingress-nginx",
            "nginx-ingress-controller",
            "nginx-ingress-microk8s",
            "traefik-ingress-lb",
        ],
    ),
    (
        "app",
        &[
            "haproxy-ingress",
            "ingress-kong",
            "ingress-nginx",
            "istio-ingressgateway",
            "nginx-ingress",
            "nginx-ingress-controller",
            "rke2-ingress-nginx",
            "traefik",
        ],
    ),
    ("istio", &["ingressgateway"]),
];

/// The parts of such an installation that carry traffic. Admission webhooks, default
/// backends and control planes share the name and do not.
const COMPONENTS: [&str; 6] = [
    "app",
    "controller",
    "envoy",
    "gateway",
    "ingress-controller",
    "proxy",
];

/// Whether labels are those of a well-known ingress controller.
pub(super) fn is_one(labels: &Labels) -> bool {
    let has = |key: &str, values: &[&str]| match labels.get(key) {
        LabelValue::Present(value) => values.contains(&value),
        LabelValue::Absent | LabelValue::Unknown => false,
    };
    let carries_traffic = match labels.get("app.kubernetes.io/component") {
        LabelValue::Present(component) => COMPONENTS.contains(&component),
        LabelValue::Absent | LabelValue::Unknown => true,
    };
    let is_nginx_controller = has("app.kubernetes.io/part-of", &["ingress-nginx"])
        && has("app.kubernetes.io/component", &["controller"]);
    is_nginx_controller || carries_traffic && KNOWN.iter().any(|(key, values)| has(key, values))
}

impl Snapshot {
    /// The workloads through which Ingress traffic enters the cluster: the
    /// recognised controllers, or the stand-in for one outside the input.
    #[must_use]
    pub fn ingress_controllers(&self) -> Vec<WorkloadId> {
        self.workload_ids()
            .filter(|(_, workload)| {
                &*workload.kind == STAND_IN_KIND
                    || workload.pod_ids().any(|pod| is_one(&self.pod(pod).labels))
            })
            .map(|(id, _)| id)
            .collect()
    }
}
