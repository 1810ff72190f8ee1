use std::net::IpAddr;
use std::sync::Arc;

use crate::address::IpFamily;
use crate::labels::Labels;
use crate::protocol::Protocol;
use crate::source::Origin;

/// The index of a namespace in [`Snapshot::namespaces`](super::Snapshot::namespaces).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamespaceId(pub u32);

/// The index of a workload in [`Snapshot::workloads`](super::Snapshot::workloads).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkloadId(pub u32);

/// The index of a pod in [`Snapshot::pods`](super::Snapshot::pods).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodId(pub u32);

/// A namespace, declared or only mentioned.
#[derive(Clone, Debug)]
pub struct Namespace {
    /// Its name. For the namespace of an endpoint outside the input it is a
    /// description in parentheses, which no real namespace can be called.
    pub name: Arc<str>,
    /// Its labels. A namespace that is only mentioned has labels that are not known.
    pub labels: Labels,
    /// Whether it is known which namespace this is. `false` only for the stand-in of
    /// an endpoint outside the input: it may be any namespace of the cluster.
    pub identity_known: bool,
    /// Where its `Namespace` object was read from.
    pub origin: Option<Origin>,
}

/// A thing that makes pods, or a bare pod.
#[derive(Clone, Debug)]
pub struct Workload {
    /// `Deployment`, `StatefulSet`, ..., `Pod`; `IngressController` for the stand-in
    /// of an ingress controller outside the input.
    pub kind: Arc<str>,
    /// Its namespace.
    pub namespace: NamespaceId,
    /// Its name.
    pub name: Arc<str>,
    /// `spec.replicas`, where the kind has it and the manifest says it.
    pub replicas: Option<u32>,
    /// `spec.selector.matchLabels`, where the kind has it.
    pub selector_labels: Option<Labels>,
    /// Where it was read from.
    pub origin: Option<Origin>,
    /// Its pods: a range of [`Snapshot::pods`](super::Snapshot::pods), never empty.
    pub pods: std::ops::Range<u32>,
}

impl Workload {
    /// The indices of its pods.
    pub fn pod_ids(&self) -> impl Iterator<Item = PodId> + use<> {
        self.pods.clone().map(PodId)
    }

    /// Whether two different pods of this workload can exist, so that traffic
    /// between them is real traffic.
    #[must_use]
    pub fn may_have_peers_of_its_own(&self) -> bool {
        &*self.kind != "Pod" && &*self.kind != "IngressController"
    }
}

/// What a [`Pod`] value stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PodKind {
    /// One pod.
    Single,
    /// All pods that a workload's template would make; none of them is known.
    Template,
    /// An endpoint outside the input, such as an ingress controller.
    Outside,
}

/// An endpoint that policies can select.
#[derive(Clone, Debug)]
pub struct Pod {
    /// The pod's name; the workload's for a template.
    pub name: Arc<str>,
    /// Its namespace.
    pub namespace: NamespaceId,
    /// Its workload.
    pub workload: WorkloadId,
    /// What it stands for.
    pub kind: PodKind,
    /// Its labels.
    pub labels: Labels,
    /// Declared container ports in the order of declaration, those of restartable init
    /// containers after those of containers.
    pub ports: Arc<[ContainerPort]>,
    /// `spec.hostNetwork`: the pod has its node's address and bypasses policy.
    pub host_network: bool,
    /// Its addresses, at most one of each family; empty when not known. For a
    /// host-networked pod, its node's.
    pub addresses: Vec<IpAddr>,
    /// The node it runs on, when known.
    pub node: Option<Arc<str>>,
    /// Where it, or the workload it stands for, was read from.
    pub origin: Option<Origin>,
}

impl Pod {
    /// Its address in `family`, when known.
    #[must_use]
    pub fn address(&self, family: IpFamily) -> Option<IpAddr> {
        self.addresses
            .iter()
            .copied()
            .find(|address| IpFamily::of(*address) == family)
    }

    /// The numbers that `name` stands for on this pod, with their protocols.
    pub fn ports_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a ContainerPort> {
        self.ports
            .iter()
            .filter(move |port| port.name.as_deref() == Some(name))
    }
}

/// A port that a container declares.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerPort {
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// Its protocol.
    pub protocol: Protocol,
    /// Its number.
    pub port: u16,
}
