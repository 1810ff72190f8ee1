//! Pods that are in other networks besides the cluster's, where no policy applies to them.

use ringfence_model::snapshot::{NamespaceId, WorkloadId};

use super::Context;

/// The annotation of a pod that Multus, and what does the same, reads.
pub(crate) const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";

impl Context<'_> {
    /// The workloads whose pods have interfaces in other networks, ascending.
    #[must_use]
    pub fn in_other_networks(&self) -> &[WorkloadId] {
        self.in_other_networks.get_or_init(|| {
            let workloads = self.snapshot.workload_ids().map(|(id, _)| id);
            workloads.filter(|id| self.has_networks(*id)).collect()
        })
    }

    /// Whether one of them is in a namespace.
    pub(crate) fn has_other_networks(&self, namespace: NamespaceId) -> bool {
        let mut workloads = self.in_other_networks().iter();
        workloads.any(|id| self.snapshot.workload(*id).namespace == namespace)
    }

    fn has_networks(&self, id: WorkloadId) -> bool {
        let annotations = self.inventory.pod_annotations(&self.workload_ref(id));
        let networks = annotations.and_then(|all| all.get(NETWORKS));
        networks.is_some_and(|networks| !matches!(networks.trim(), "" | "[]"))
    }
}
