use ringfence_engine::Engine;
use ringfence_model::policy::Direction;
use ringfence_model::snapshot::{NamespaceId, PodId, PodKind};
use ringfence_model::tri::Tri;

use super::Dns;

/// Pods that no policy can tell apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its pods, ascending, never empty.
    pub pods: Vec<PodId>,
    /// The first of them: a verdict about it is one about all.
    pub first: PodId,
    /// Their namespace.
    pub namespace: NamespaceId,
    /// Whether they use their node's network, so that no policy applies to them.
    pub host_network: bool,
    /// Whether a `NetworkPolicy` isolates them for egress.
    pub egress_isolated: Tri,
    /// Whether a `NetworkPolicy` isolates them for ingress.
    pub ingress_isolated: Tri,
}

/// The groups of a cluster in the order of their first pods.
pub(super) fn of(engine: &Engine, dns: &Dns) -> Vec<Group> {
    let snapshot = engine.snapshot();
    let mut groups: Vec<Group> = engine
        .alike()
        .filter_map(|pods| {
            let first = *pods.first()?;
            let pod = snapshot.pod(first);
            let is_real = pod.kind != PodKind::Outside && !dns.is_assumed(first);
            is_real.then(|| Group {
                pods: pods.to_vec(),
                first,
                namespace: pod.namespace,
                host_network: pod.host_network,
                egress_isolated: engine.isolated(first, Direction::Egress),
                ingress_isolated: engine.isolated(first, Direction::Ingress),
            })
        })
        .collect();
    groups.sort_by_key(|group| group.first);
    groups
}
