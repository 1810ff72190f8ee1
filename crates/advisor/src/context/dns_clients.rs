//! The pods that ask the name servers of the cluster. Others resolve names as well, and no
//! rule for the name servers of the cluster is of use to them.

use std::net::IpAddr;

use ringfence_model::object::ObjectRef;
use ringfence_model::snapshot::{PodId, PodKind};

use super::inventory::Resolver;
use super::{Context, Dns, Group};

/// The groups of a cluster, with those of their pods that ask the name servers of the
/// cluster and that policies apply to; groups without any are left out.
pub(super) fn of(context: &Context<'_>) -> Vec<Group> {
    let clients = |group: &Group| {
        let pods = group.pods.iter().copied();
        let pods: Vec<PodId> = pods.filter(|pod| context.asks_cluster_dns(*pod)).collect();
        let first = *pods.first()?;
        Some(Group {
            pods,
            first,
            ..group.clone()
        })
    };
    context.groups().iter().filter_map(clients).collect()
}

impl Context<'_> {
    /// The pods that ask the name servers of the cluster and that policies apply to, those
    /// together that no policy can tell apart.
    #[must_use]
    pub fn dns_clients(&self) -> &[Group] {
        self.dns_clients.get_or_init(|| of(self))
    }

    /// Whether a pod asks the name servers of the cluster, and a policy can keep it from
    /// that: it has not its node's network, is none of them, and its `dnsPolicy` does not
    /// send it elsewhere.
    #[must_use]
    pub fn asks_cluster_dns(&self, id: PodId) -> bool {
        let pod = self.snapshot.pod(id);
        if pod.host_network || self.dns.is_server(id) {
            return false;
        }
        match self.resolver_of(id) {
            None | Some(Resolver::Cluster) => true,
            Some(Resolver::Node) => false,
            Some(Resolver::Named(named)) => named.iter().any(|n| answers_at(self, &self.dns, *n)),
        }
    }

    /// What a pod says itself, or the workload that it is of.
    fn resolver_of(&self, id: PodId) -> Option<&Resolver> {
        let pod = self.snapshot.pod(id);
        let itself = ObjectRef {
            api_version: "v1".into(),
            kind: "Pod".into(),
            namespace: Some(self.snapshot.namespace(pod.namespace).name.clone()),
            name: pod.name.clone(),
        };
        let own = (pod.kind == PodKind::Single).then(|| self.inventory.resolver(&itself));
        own.flatten()
            .or_else(|| self.inventory.resolver(&self.workload_ref(pod.workload)))
    }
}

/// Whether the name servers of the cluster, or the cache in front of them, have an address.
fn answers_at(context: &Context<'_>, dns: &Dns, address: IpAddr) -> bool {
    let service = dns.service.map(|id| context.snapshot.service(id));
    let mut frontends = service
        .into_iter()
        .flat_map(|service| &service.cluster_ips)
        .chain(&dns.cache);
    let mut servers = dns.servers.iter();
    frontends.any(|frontend| *frontend == address)
        || servers.any(|(pod, _)| context.snapshot.pod(*pod).addresses.contains(&address))
}
