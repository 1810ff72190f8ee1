//! What objects of the input are called, and what is noted on them.

use ringfence_model::object::ObjectRef;
use ringfence_model::policy::{Policy, PolicyFamily};
use ringfence_model::snapshot::{NamespaceId, PodId, PolicyId, WorkloadId};
use ringfence_model::source::Origin;

use super::Context;

impl<'a> Context<'a> {
    /// The namespace of a policy; `None` for a cluster-wide one.
    #[must_use]
    pub fn namespace_of(&self, policy: PolicyId) -> Option<NamespaceId> {
        let policy = self.snapshot.policy(policy);
        self.snapshot.find_namespace(policy.namespace.as_deref()?)
    }

    /// A policy by its name.
    #[must_use]
    pub fn policy_ref(&self, id: PolicyId) -> ObjectRef {
        object_of(self.snapshot.policy(id))
    }

    /// Every object of the input with its place, policies last. What is in no namespace
    /// of its own manifest is in the default one.
    pub fn objects(&self) -> impl Iterator<Item = (ObjectRef, Option<&Origin>)> {
        let policies = self.snapshot.policies.iter();
        let policies = policies.map(|policy| (object_of(policy), policy.origin.as_ref()));
        self.inventory.objects().chain(policies)
    }

    /// One annotation of an object.
    #[must_use]
    pub fn annotation(&self, object: &ObjectRef, key: &str) -> Option<&str> {
        // The snapshot keeps those of policies.
        let annotations = match self.find_policy(object) {
            Some(policy) => Some(&policy.annotations),
            None => self.inventory.annotations(object),
        };
        annotations?.get(key).map(String::as_str)
    }

    /// One annotation of the pods of a workload, where its template has it; a pod's own
    /// are those of the object.
    #[must_use]
    pub fn template_annotation(&self, object: &ObjectRef, key: &str) -> Option<&str> {
        let annotations = match &*object.kind {
            "Pod" => None,
            _ => self.inventory.pod_annotations(object),
        };
        annotations?.get(key).map(String::as_str)
    }

    /// The policy of this name.
    fn find_policy(&self, object: &ObjectRef) -> Option<&Policy> {
        let family = PolicyFamily::ALL
            .into_iter()
            .find(|family| family.kind() == &*object.kind)?;
        let policies = &self.snapshot.policies;
        let wanted = (family, object.namespace.as_deref(), &*object.name);
        let key = |policy: &'a Policy| (policy.family, policy.namespace.as_deref(), &*policy.name);
        let position = policies
            .binary_search_by(|policy| key(policy).cmp(&wanted))
            .ok()?;
        policies.get(position)
    }

    /// A workload by its name.
    #[must_use]
    pub fn workload_ref(&self, id: WorkloadId) -> ObjectRef {
        let workload = self.snapshot.workload(id);
        ObjectRef {
            api_version: api_version_of(&workload.kind).into(),
            kind: workload.kind.clone(),
            namespace: Some(self.snapshot.namespace(workload.namespace).name.clone()),
            name: workload.name.clone(),
        }
    }

    /// A namespace by its name.
    #[must_use]
    pub fn namespace_ref(&self, id: NamespaceId) -> ObjectRef {
        ObjectRef {
            api_version: "v1".into(),
            kind: "Namespace".into(),
            namespace: None,
            name: self.snapshot.namespace(id).name.clone(),
        }
    }

    /// `ns/name` of the workload of a pod.
    #[must_use]
    pub fn name_of(&self, pod: PodId) -> String {
        let pod = self.snapshot.pod(pod);
        let workload = self.snapshot.workload(pod.workload);
        let namespace = &self.snapshot.namespace(workload.namespace).name;
        format!("{namespace}/{}", workload.name)
    }

    /// The workloads of some pods, ascending, each once.
    #[must_use]
    pub fn workloads(&self, pods: impl IntoIterator<Item = PodId>) -> Vec<WorkloadId> {
        let mut workloads: Vec<WorkloadId> = pods
            .into_iter()
            .map(|pod| self.snapshot.pod(pod).workload)
            .collect();
        workloads.sort_unstable();
        workloads.dedup();
        workloads
    }

    /// Some workloads for a sentence: `shop/cart`, `shop/cart and shop/db`, or
    /// `shop/cart, shop/db and 7 more workloads`.
    #[must_use]
    pub fn list(&self, workloads: &[WorkloadId]) -> String {
        const SHOWN: usize = 3;
        let name = |id: &WorkloadId| {
            let workload = self.snapshot.workload(*id);
            let namespace = &self.snapshot.namespace(workload.namespace).name;
            format!("{namespace}/{}", workload.name)
        };
        let names: Vec<String> = workloads.iter().take(SHOWN).map(name).collect();
        match (names.as_slice(), workloads.len().saturating_sub(SHOWN)) {
            ([], _) => "no workload".to_owned(),
            ([one], 0) => one.clone(),
            ([first @ .., last], 0) => format!("{} and {last}", first.join(", ")),
            (all, 1) => format!("{} and one more workload", all.join(", ")),
            (all, more) => format!("{} and {more} more workloads", all.join(", ")),
        }
    }
}

/// A policy by its name.
fn object_of(policy: &Policy) -> ObjectRef {
    ObjectRef {
        api_version: policy.family.api_version().into(),
        kind: policy.family.kind().into(),
        namespace: policy.namespace.clone(),
        name: policy.name.clone(),
    }
}

fn api_version_of(kind: &str) -> &'static str {
    match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" => "apps/v1",
        "Job" | "CronJob" => "batch/v1",
        "Pod" | "ReplicationController" => "v1",
        _ => "",
    }
}
