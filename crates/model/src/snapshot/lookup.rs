//! Finding things by the names that people and manifests use.

use std::net::IpAddr;
use std::ops::Range;

use super::{
    Namespace, NamespaceId, Node, Pod, PodId, PodKind, Service, ServiceId, Snapshot, Workload,
    WorkloadId,
};
use crate::metadata;

impl Snapshot {
    /// The namespace called `name`.
    #[must_use]
    pub fn find_namespace(&self, name: &str) -> Option<NamespaceId> {
        let position = self
            .namespaces
            .binary_search_by(|namespace| (*namespace.name).cmp(name))
            .ok()?;
        u32::try_from(position).ok().map(NamespaceId)
    }

    /// The workloads called `name`: one at most of each kind, sorted by kind.
    #[must_use]
    pub fn find_workload(
        &self,
        namespace: &str,
        kind: Option<&str>,
        name: &str,
    ) -> Vec<WorkloadId> {
        let Some(namespace) = self.find_namespace(namespace) else {
            return Vec::new();
        };
        let range = self.workloads_in(namespace);
        self.workloads
            .get(range.start as usize..range.end as usize)
            .unwrap_or_default()
            .iter()
            .zip(range.map(WorkloadId))
            .filter(|(workload, _)| {
                &*workload.name == name && kind.is_none_or(|kind| kind == &*workload.kind)
            })
            .map(|(_, id)| id)
            .collect()
    }

    /// The live pod called `name`.
    #[must_use]
    pub fn find_pod(&self, namespace: &str, name: &str) -> Option<PodId> {
        self.live_pod(self.find_namespace(namespace)?, name)
    }

    /// The service called `name`.
    #[must_use]
    pub fn find_service(&self, namespace: &str, name: &str) -> Option<ServiceId> {
        let namespace = self.find_namespace(namespace)?;
        let position = self
            .services
            .binary_search_by(|service| (service.namespace, &*service.name).cmp(&(namespace, name)))
            .ok()?;
        u32::try_from(position).ok().map(ServiceId)
    }

    /// The pod that has this address, host-networked pods aside (they share their
    /// node's).
    #[must_use]
    pub fn pod_with_address(&self, address: IpAddr) -> Option<PodId> {
        self.pods_by_address.get(&address).copied()
    }

    /// The node that has this address, if its `Node` object is known.
    #[must_use]
    pub fn node_with_address(&self, address: IpAddr) -> Option<&Node> {
        let index = self.nodes_by_address.get(&address)?;
        self.nodes.get(*index as usize)
    }

    /// The name of the node that has this address: from its `Node` object, otherwise
    /// from the live pods that run on it and give the address as their host's.
    #[must_use]
    pub fn node_name_with_address(&self, address: IpAddr) -> Option<&str> {
        match self.node_with_address(address) {
            Some(node) => Some(&node.name),
            None => self.hosts_by_address.get(&address).map(|name| &**name),
        }
    }

    /// The addresses that are known to be nodes', ascending.
    #[must_use]
    pub fn node_addresses(&self) -> Vec<IpAddr> {
        let declared = self.nodes_by_address.keys();
        let mut addresses: Vec<IpAddr> = declared
            .chain(self.hosts_by_address.keys())
            .copied()
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    /// All namespaces with their indices.
    pub fn namespace_ids(&self) -> impl Iterator<Item = (NamespaceId, &Namespace)> {
        (0u32..).map(NamespaceId).zip(&self.namespaces)
    }

    /// All workloads with their indices.
    pub fn workload_ids(&self) -> impl Iterator<Item = (WorkloadId, &Workload)> {
        (0u32..).map(WorkloadId).zip(&self.workloads)
    }

    /// All services with their indices.
    pub fn service_ids(&self) -> impl Iterator<Item = (ServiceId, &Service)> {
        (0u32..).map(ServiceId).zip(&self.services)
    }

    /// The indices of the workloads of a namespace.
    pub(super) fn workloads_in(&self, namespace: NamespaceId) -> Range<u32> {
        let start = self.workloads.partition_point(|w| w.namespace < namespace);
        let end = self.workloads.partition_point(|w| w.namespace <= namespace);
        let index = |position| u32::try_from(position).unwrap_or(u32::MAX);
        index(start)..index(end)
    }

    /// The pods of a namespace with their indices.
    pub fn pods_in(&self, namespace: NamespaceId) -> impl Iterator<Item = (PodId, &Pod)> {
        let start = self.pods.partition_point(|pod| pod.namespace < namespace);
        let pods = self.pods.get(start..).unwrap_or_default();
        (u32::try_from(start).unwrap_or(u32::MAX)..)
            .map(PodId)
            .zip(pods)
            .take_while(move |(_, pod)| pod.namespace == namespace)
    }

    pub(super) fn live_pod(&self, namespace: NamespaceId, name: &str) -> Option<PodId> {
        self.pods_by_name.get(&namespace)?.get(name).copied()
    }

    /// Fills the indices from the lists.
    pub(super) fn index(&mut self) {
        for (id, pod) in (0u32..).map(PodId).zip(&self.pods) {
            if pod.kind != PodKind::Single {
                continue;
            }
            self.pods_by_name
                .entry(pod.namespace)
                .or_default()
                .insert(pod.name.clone(), id);
            if !pod.host_network {
                let addresses = pod.addresses.iter().map(|address| (*address, id));
                self.pods_by_address.extend(addresses);
            }
        }
        for (index, node) in (0u32..).zip(&self.nodes) {
            // A metadata service stays one, whichever node says that the address is its own.
            let own = node.addresses.iter();
            for address in own.filter(|address| !metadata::gives_secrets(**address)) {
                self.nodes_by_address.entry(*address).or_insert(index);
            }
        }
        for (index, slice) in (0u32..).zip(&self.endpoint_slices) {
            if let Some(service) = &slice.service {
                self.slices_by_service
                    .entry(slice.namespace)
                    .or_default()
                    .entry(service.clone())
                    .or_default()
                    .push(index);
            }
        }
    }
}
