use std::sync::Arc;

use ringfence_model::policy::{Policy, PolicyFamily};
use ringfence_model::snapshot::Snapshot;

/// What has become of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PolicyStatus {
    /// It says the same.
    Same,
    /// It says something else.
    Changed,
    /// Only the new cluster has it.
    Added,
    /// Only the old cluster has it.
    Removed,
}

/// A policy that is not the same in both clusters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChangedPolicy {
    /// The API it was written in.
    pub family: PolicyFamily,
    /// Its namespace; `None` for a cluster-wide one.
    pub namespace: Option<Arc<str>>,
    /// Its name.
    pub name: Arc<str>,
    /// What has become of it.
    pub status: PolicyStatus,
}

/// What has become of `policy`, given the other cluster. `missing` is what it means
/// that the other one does not have it.
pub(super) fn status(policy: &Policy, other: &Snapshot, missing: PolicyStatus) -> PolicyStatus {
    match find(other, policy) {
        None => missing,
        Some(found) if found.body == policy.body => PolicyStatus::Same,
        Some(_) => PolicyStatus::Changed,
    }
}

/// The policy of the same family, namespace and name; policies are sorted by these.
fn find<'a>(snapshot: &'a Snapshot, policy: &Policy) -> Option<&'a Policy> {
    let key = |p: &Policy| (p.family, p.namespace.clone(), Arc::clone(&p.name));
    let wanted = key(policy);
    let position = snapshot.policies.binary_search_by(|p| key(p).cmp(&wanted));
    snapshot.policies.get(position.ok()?)
}

pub(super) fn changed(old: &Snapshot, new: &Snapshot) -> Vec<ChangedPolicy> {
    let mut list = Vec::new();
    let mut add = |policy: &Policy, status: PolicyStatus| {
        list.push(ChangedPolicy {
            family: policy.family,
            namespace: policy.namespace.clone(),
            name: Arc::clone(&policy.name),
            status,
        });
    };
    for policy in &new.policies {
        match status(policy, old, PolicyStatus::Added) {
            PolicyStatus::Same => {}
            other => add(policy, other),
        }
    }
    for policy in &old.policies {
        if status(policy, new, PolicyStatus::Removed) == PolicyStatus::Removed {
            add(policy, PolicyStatus::Removed);
        }
    }
    list.sort_unstable();
    list
}
