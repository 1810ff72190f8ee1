//! A cluster at one moment, as a value.
//!
//! Built once by [`SnapshotBuilder`](builder::SnapshotBuilder), never changed:
//! everything else is derived from it. Every list is sorted, so that the same
//! objects in another order give the same snapshot.

mod addresses;
pub mod builder;
mod endpoint;
mod ingress_controller;
mod lookup;
mod service;
mod service_endpoints;

pub use addresses::{PossibleAddresses, assignable_addresses};
pub use endpoint::{
    ContainerPort, Namespace, NamespaceId, Pod, PodId, PodKind, Workload, WorkloadId,
};
pub use service::{
    EndpointAddress, EndpointPort, EndpointSlice, IngressRoute, Node, PortRef, Service, ServiceId,
    ServicePort, TrafficPolicy,
};
pub use service_endpoints::ServiceEndpoint;

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use rustc_hash::FxHashMap;

use crate::address::{IpFamily, IpRangeSet};
use crate::policy::Policy;

/// The index of a policy in [`Snapshot::policies`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyId(pub u32);

/// A cluster at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Sorted by name.
    pub namespaces: Vec<Namespace>,
    /// Sorted by namespace, kind, name.
    pub workloads: Vec<Workload>,
    /// What policies select and what connects: live pods, and one stand-in for each
    /// workload of which no live pod is known. Sorted by workload, then name.
    pub pods: Vec<Pod>,
    /// Sorted by namespace, name.
    pub services: Vec<Service>,
    /// Sorted by namespace, name.
    pub endpoint_slices: Vec<EndpointSlice>,
    /// Sorted by name.
    pub nodes: Vec<Node>,
    /// Backends of Ingress objects, sorted by namespace, Ingress name, host, path.
    pub ingress_routes: Vec<IngressRoute>,
    /// Sorted by family, namespace, name.
    pub policies: Vec<Policy>,
    /// Ranges that are known to be for pods (options, `spec.podCIDRs` of nodes). Empty:
    /// not known.
    pub pod_cidrs: Vec<IpNet>,
    /// The families of pods whose addresses are not known.
    pub default_families: Vec<IpFamily>,
    /// Whether `default_families` were told from the addresses of pods, and follow them.
    families_follow_pods: bool,
    /// `pod_cidrs` of each family as a set; `None` where there is none.
    pod_ranges: (Option<IpRangeSet>, Option<IpRangeSet>),
    /// The ranges in which all pods are.
    all_pods_ranges: (Option<IpRangeSet>, Option<IpRangeSet>),
    /// The same without the addresses of Services; `None` where it is the same.
    free_for_pods: (Option<IpRangeSet>, Option<IpRangeSet>),
    /// What anything in the cluster can have for an address; `None` where Services take
    /// nothing from it.
    assignable: (Option<IpRangeSet>, Option<IpRangeSet>),
    pods_by_address: FxHashMap<IpAddr, PodId>,
    /// Live pods only.
    pods_by_name: FxHashMap<NamespaceId, FxHashMap<Arc<str>, PodId>>,
    nodes_by_address: FxHashMap<IpAddr, u32>,
    /// The nodes of live pods by the host addresses in the status of those pods.
    hosts_by_address: FxHashMap<IpAddr, Arc<str>>,
    slices_by_service: FxHashMap<NamespaceId, FxHashMap<Arc<str>, Vec<u32>>>,
}

impl Snapshot {
    /// The namespace with this index; indices come from this snapshot.
    #[must_use]
    pub fn namespace(&self, id: NamespaceId) -> &Namespace {
        #[expect(clippy::indexing_slicing, reason = "ids are issued by the builder")]
        &self.namespaces[id.0 as usize]
    }

    /// The workload with this index; indices come from this snapshot.
    #[must_use]
    pub fn workload(&self, id: WorkloadId) -> &Workload {
        #[expect(clippy::indexing_slicing, reason = "ids are issued by the builder")]
        &self.workloads[id.0 as usize]
    }

    /// The pod with this index; indices come from this snapshot.
    #[must_use]
    pub fn pod(&self, id: PodId) -> &Pod {
        #[expect(clippy::indexing_slicing, reason = "ids are issued by the builder")]
        &self.pods[id.0 as usize]
    }

    /// The policy with this index; indices come from this snapshot.
    #[must_use]
    pub fn policy(&self, id: PolicyId) -> &Policy {
        #[expect(clippy::indexing_slicing, reason = "ids are issued by the builder")]
        &self.policies[id.0 as usize]
    }

    /// The service with this index; indices come from this snapshot.
    #[must_use]
    pub fn service(&self, id: ServiceId) -> &Service {
        #[expect(clippy::indexing_slicing, reason = "ids are issued by the builder")]
        &self.services[id.0 as usize]
    }

    /// All pods with their indices.
    pub fn pod_ids(&self) -> impl Iterator<Item = (PodId, &Pod)> {
        (0u32..).map(PodId).zip(&self.pods)
    }

    /// All policies with their indices.
    pub fn policy_ids(&self) -> impl Iterator<Item = (PolicyId, &Policy)> {
        (0u32..).map(PolicyId).zip(&self.policies)
    }

    /// The families that a pod is taken not to have though nothing says so: pods without a
    /// known address have the families of the cluster, which are those that addresses in
    /// the input show. None where somebody said which families there are.
    ///
    /// A pod with an IPv4 address and no IPv6 address has no IPv6. One with IPv6 alone may
    /// be given a way to IPv4 by its node.
    #[must_use]
    pub fn unseen_families(&self, pod: &Pod) -> Vec<IpFamily> {
        if !self.families_follow_pods {
            return Vec::new();
        }
        let known = self.families_of(pod);
        let has_v4_alone = !pod.addresses.is_empty() && known.contains(&IpFamily::V4);
        IpFamily::ALL
            .into_iter()
            .filter(|family| !known.contains(family) && !has_v4_alone)
            .collect()
    }

    /// The families a pod can use: those of its addresses, or the cluster's when no
    /// address is known.
    #[must_use]
    pub fn families_of(&self, pod: &Pod) -> Vec<IpFamily> {
        if pod.addresses.is_empty() {
            return self.default_families.clone();
        }
        IpFamily::ALL
            .into_iter()
            .filter(|family| pod.address(*family).is_some())
            .collect()
    }
}
