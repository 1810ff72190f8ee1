use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use rustc_hash::FxHashMap;

use super::collect::Named;
use super::templates::WorkloadObject;

/// Controllers that other controllers put between themselves and the pods.
const INTERMEDIATE: [&str; 3] = ["Job", "ReplicaSet", "ReplicationController"];

/// Owner references form no circle in a cluster, but may in a file: an object of a
/// longer chain counts as its own workload.
const LONGEST_CHAIN: usize = 8;

/// The kind and name of a workload; its namespace is that of the pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct OwnerName {
    pub(super) kind: Arc<str>,
    pub(super) name: Arc<str>,
}

impl OwnerName {
    fn of(owner: &OwnerReference) -> Self {
        Self::new(&owner.kind, &owner.name)
    }

    pub(super) fn new(kind: &str, name: &str) -> Self {
        Self {
            kind: kind.into(),
            name: name.into(),
        }
    }
}

/// Which object of the input is managed by which.
#[derive(Debug, Default)]
pub(super) struct Owners {
    /// By namespace and own name.
    controllers: FxHashMap<Arc<str>, FxHashMap<OwnerName, Option<OwnerName>>>,
}

impl Owners {
    pub(super) fn of(objects: &[Named<Box<WorkloadObject>>]) -> Self {
        let mut owners = Self::default();
        for named in objects {
            owners
                .controllers
                .entry(named.namespace())
                .or_default()
                .insert(
                    OwnerName {
                        kind: Arc::clone(&named.id.kind),
                        name: Arc::clone(&named.id.name),
                    },
                    named.object.controller.as_ref().map(OwnerName::of),
                );
        }
        owners
    }

    /// The workload behind a pod that is managed by `owner`. `None` for a static pod,
    /// whose owner is its node, and for one that another pod started, as a Spark
    /// driver does: such pods are workloads of their own.
    pub(super) fn workload(
        &self,
        namespace: &str,
        owner: &OwnerReference,
        pod_labels: &BTreeMap<String, String>,
    ) -> Option<OwnerName> {
        if matches!(owner.kind.as_str(), "Node" | "Pod") {
            return None;
        }
        let direct = OwnerName::of(owner);
        if self.declares(namespace, &direct) {
            return Some(self.outermost(namespace, direct));
        }
        Some(
            match &*direct.kind {
                "ReplicaSet" => behind_replica_set(&direct, pod_labels),
                "Job" => self.behind_job(namespace, &direct),
                _ => None,
            }
            .unwrap_or(direct),
        )
    }

    /// The workload that `object` belongs to: itself, unless another controller made
    /// it as a step on the way to pods.
    pub(super) fn outermost(&self, namespace: &str, object: OwnerName) -> OwnerName {
        let mut current = object.clone();
        for _ in 0..LONGEST_CHAIN {
            if !INTERMEDIATE.contains(&&*current.kind) {
                return current;
            }
            match self
                .controllers
                .get(namespace)
                .and_then(|objects| objects.get(&current))
            {
                Some(Some(above)) => current = above.clone(),
                _ => return current,
            }
        }
        object
    }

    pub(super) fn declares(&self, namespace: &str, object: &OwnerName) -> bool {
        self.controllers
            .get(namespace)
            .is_some_and(|objects| objects.contains_key(object))
    }

    /// A CronJob names its jobs after itself and the minute they were due.
    fn behind_job(&self, namespace: &str, job: &OwnerName) -> Option<OwnerName> {
        let (name, minute) = job.name.rsplit_once('-')?;
        let is_minute = minute.len() >= 8 && minute.bytes().all(|b| b.is_ascii_digit());
        let cron_job = OwnerName::new("CronJob", name);
        (is_minute && self.declares(namespace, &cron_job)).then_some(cron_job)
    }
}

/// A Deployment names its ReplicaSets after itself and the hash of their template,
/// which it also writes on the pods. An Argo Rollout does so with a label of its own.
fn behind_replica_set(
    replica_set: &OwnerName,
    pod_labels: &BTreeMap<String, String>,
) -> Option<OwnerName> {
    [
        ("pod-template-hash", "Deployment"),
        ("rollouts-pod-template-hash", "Rollout"),
    ]
    .into_iter()
    .find_map(|(label, kind)| {
        let hash = pod_labels.get(label).filter(|hash| !hash.is_empty())?;
        let name = replica_set
            .name
            .strip_suffix(hash.as_str())?
            .strip_suffix('-')?;
        (!name.is_empty()).then(|| OwnerName::new(kind, name))
    })
}
