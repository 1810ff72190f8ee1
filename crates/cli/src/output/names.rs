//! What things are called in output: the same words that the command line takes.

use std::borrow::Cow;

use super::visible;
use ringfence_model::snapshot::{NamespaceId, PodId, PodKind, ServiceId, Snapshot, WorkloadId};

/// The names of a snapshot's workloads.
#[derive(Clone, Debug)]
pub(crate) struct Names<'a> {
    snapshot: &'a Snapshot,
    /// By workload: whether another kind in the namespace has the same name.
    ambiguous: Vec<bool>,
}

impl<'a> Names<'a> {
    /// The names of `snapshot`.
    pub(crate) fn new(snapshot: &'a Snapshot) -> Self {
        let mut keys: Vec<(NamespaceId, &str, usize)> = snapshot
            .workloads
            .iter()
            .enumerate()
            .map(|(index, workload)| (workload.namespace, &*workload.name, index))
            .collect();
        keys.sort_unstable();
        let mut ambiguous = vec![false; snapshot.workloads.len()];
        let same = |a: &(NamespaceId, &str, usize), b: &(NamespaceId, &str, usize)| {
            (a.0, a.1) == (b.0, b.1)
        };
        for group in keys.chunk_by(same).filter(|group| group.len() > 1) {
            for (_, _, index) in group {
                if let Some(flag) = ambiguous.get_mut(*index) {
                    *flag = true;
                }
            }
        }
        Self {
            snapshot,
            ambiguous,
        }
    }

    /// The snapshot that is named.
    pub(crate) fn snapshot(&self) -> &'a Snapshot {
        self.snapshot
    }

    /// `namespace/name`, or `namespace/Kind/name` where that is needed to tell.
    pub(crate) fn workload(&self, id: WorkloadId) -> String {
        let namespace = visible::line(self.namespace_of(id));
        format!("{namespace}/{}", self.workload_alone(id))
    }

    /// The name without its namespace.
    pub(crate) fn workload_alone(&self, id: WorkloadId) -> Cow<'a, str> {
        let workload = self.snapshot.workload(id);
        if self.ambiguous.get(id.0 as usize).copied().unwrap_or(false) {
            let name = format!("{}/{}", workload.kind, workload.name);
            return Cow::Owned(visible::line(&name).into_owned());
        }
        visible::line(&workload.name)
    }

    /// The name of the namespace of a workload.
    pub(crate) fn namespace_of(&self, id: WorkloadId) -> &'a str {
        &self
            .snapshot
            .namespace(self.snapshot.workload(id).namespace)
            .name
    }

    /// The workload of a pod, and the pod itself where it is one of several.
    pub(crate) fn pod(&self, id: PodId) -> String {
        let pod = self.snapshot.pod(id);
        let workload = self.workload(pod.workload);
        let one_of_several = self.snapshot.workload(pod.workload).pods.len() > 1;
        if pod.kind == PodKind::Single && one_of_several {
            return format!("{workload} (pod {})", visible::line(&pod.name));
        }
        workload
    }

    /// `namespace/name` of a service.
    pub(crate) fn service(&self, id: ServiceId) -> String {
        let service = self.snapshot.service(id);
        let namespace = &self.snapshot.namespace(service.namespace).name;
        visible::line(&format!("{namespace}/{}", service.name)).into_owned()
    }
}
