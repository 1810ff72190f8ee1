use ringfence_model::labels::LabelValue;
use ringfence_model::snapshot::{NamespaceId, Snapshot};

use super::Dns;

/// What a namespace is for, as far as it matters to a default deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// `kube-system` and its like: what runs there runs the cluster.
    ControlPlane,
    /// Nothing but the name servers of the cluster is in it.
    NameServers,
    /// An ingress controller, or a gateway, is in it.
    IngressController,
    /// It collects metrics.
    Monitoring,
    /// It collects logs.
    Logging,
    /// Anything else.
    Workloads,
}

impl Role {
    /// Whether a default deny may break the cluster, and not only what is in the
    /// namespace.
    #[must_use]
    pub fn is_protected(self) -> bool {
        matches!(self, Self::ControlPlane | Self::NameServers)
    }

    /// The role of a namespace of which only the name is known.
    pub(crate) fn of_name(name: &str) -> Self {
        if CONTROL_PLANE.contains(&name) {
            Self::ControlPlane
        } else if MONITORING.contains(&name) {
            Self::Monitoring
        } else if LOGGING.contains(&name) {
            Self::Logging
        } else {
            Self::Workloads
        }
    }

    /// What the namespace is called in a sentence.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::ControlPlane => "a namespace of the control plane",
            Self::NameServers => "the namespace of the name servers",
            Self::IngressController => "the namespace of an ingress controller",
            Self::Monitoring => "a monitoring namespace",
            Self::Logging => "a logging namespace",
            Self::Workloads => "a namespace of workloads",
        }
    }
}

/// Namespaces that installers make for the cluster itself.
const CONTROL_PLANE: [&str; 12] = [
    "kube-system",
    "kube-public",
    "kube-node-lease",
    "calico-system",
    "calico-apiserver",
    "tigera-operator",
    "cilium-secrets",
    "kube-flannel",
    "gke-managed-system",
    "gmp-system",
    "openshift-dns",
    "openshift-sdn",
];

/// Names of namespaces, and of what runs in them.
const MONITORING: [&str; 8] = [
    "prometheus",
    "alertmanager",
    "grafana",
    "thanos",
    "victoria-metrics",
    "datadog",
    "monitoring",
    "observability",
];

const LOGGING: [&str; 7] = [
    "fluentd",
    "fluent-bit",
    "logstash",
    "loki",
    "vector",
    "filebeat",
    "logging",
];

/// The keys by which workloads say what they are.
const NAME_LABELS: [&str; 3] = ["app.kubernetes.io/name", "app", "k8s-app"];

/// The role of each namespace, by index.
pub(super) fn of(snapshot: &Snapshot, dns: &Dns) -> Vec<Role> {
    let controllers = snapshot.ingress_controllers();
    let with_controller = |id: NamespaceId| {
        let mut workloads = controllers.iter().map(|id| snapshot.workload(*id));
        workloads.any(|w| w.namespace == id && &*w.kind != "IngressController")
    };
    let namespaces = snapshot.namespace_ids();
    namespaces
        .map(|(id, namespace)| {
            let name = &*namespace.name;
            if CONTROL_PLANE.contains(&name) {
                Role::ControlPlane
            } else if has_name_servers_only(snapshot, dns, id) {
                Role::NameServers
            } else if with_controller(id) {
                Role::IngressController
            } else if is_called(snapshot, id, &MONITORING) {
                Role::Monitoring
            } else if is_called(snapshot, id, &LOGGING) {
                Role::Logging
            } else {
                Role::Workloads
            }
        })
        .collect()
}

/// Whether all of what runs in a namespace answers queries for the cluster. Name servers
/// among a shop's workloads do not make the shop a namespace of the cluster.
fn has_name_servers_only(snapshot: &Snapshot, dns: &Dns, id: NamespaceId) -> bool {
    let mut pods = snapshot.pods_in(id).peekable();
    pods.peek().is_some() && pods.all(|(pod, _)| dns.is_server(pod) && !dns.is_assumed(pod))
}

/// Whether the namespace or all of what runs in it has one of these names. One exporter
/// among a shop's workloads does not make the shop a monitoring namespace.
fn is_called(snapshot: &Snapshot, id: NamespaceId, names: &[&str]) -> bool {
    let namespace = &*snapshot.namespace(id).name;
    if names.contains(&namespace) {
        return true;
    }
    let mut pods = snapshot.pods_in(id).peekable();
    pods.peek().is_some()
        && pods.all(|(_, pod)| {
            NAME_LABELS.iter().any(|key| match pod.labels.get(key) {
                LabelValue::Present(value) => names.contains(&value),
                LabelValue::Absent | LabelValue::Unknown => false,
            })
        })
}
