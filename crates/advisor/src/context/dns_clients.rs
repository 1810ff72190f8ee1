//! The pods that ask the name servers of the cluster. Others resolve names as well, and no
//! rule for the name servers of the cluster is of use to them.

use std::net::IpAddr;

use ringfence_engine::{Packet, Peer, Verdict};
use ringfence_model::address::IpFamily;
use ringfence_model::object::ObjectRef;
use ringfence_model::policy::PolicyBody;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodId, PodKind};
use ringfence_model::tri::Tri;

use super::dns::{DnsReach, better};
use super::inventory::Resolver;
use super::{Context, Dns, Group};

/// Whom a pod asks for names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The name servers of the cluster.
    Cluster,
    /// These, or where it names none, those that its node asks.
    Others(Vec<IpAddr>),
}

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

    /// Whom a pod asks for names, if it is one that policies apply to. A name server is
    /// looked at like any other pod of the cluster: whether it can ask the others.
    #[must_use]
    pub fn asked_by(&self, id: PodId) -> Asked {
        match self.resolver_of(id) {
            None | Some(Resolver::Cluster) => Asked::Cluster,
            // The cluster's names do not come from itself.
            Some(Resolver::Node) if self.dns.is_server(id) => Asked::Cluster,
            Some(Resolver::Node) => Asked::Others(Vec::new()),
            Some(Resolver::Named(named)) => {
                match named.iter().any(|n| answers_at(self, &self.dns, *n)) {
                    true => Asked::Cluster,
                    false => Asked::Others(named.clone()),
                }
            }
        }
    }

    /// What the pods of a group can ask of name servers outside the cluster: the best of
    /// those that are named, and of those that their nodes ask, which are not known, what
    /// is true of every address. `None` where that is not known.
    #[must_use]
    pub fn reach_of_others(&self, group: &Group, asked: &Asked) -> Option<DnsReach> {
        let Asked::Others(named) = asked else {
            return None;
        };
        let families = self.snapshot.families_of(self.snapshot.pod(group.first));
        let packets = |protocol| {
            let named = named.iter().copied();
            let of_family = named.filter(|a| families.contains(&IpFamily::of(*a)));
            of_family.map(move |address| Packet {
                source: Peer::Pod(group.first),
                destination: Peer::Address(address),
                family: IpFamily::of(address),
                protocol,
                port: 53,
                through_service: None,
            })
        };
        let over = |protocol| {
            let verdicts = packets(protocol).map(|packet| self.engine.can(&packet));
            verdicts.reduce(better)
        };
        if let (Some(udp), Some(tcp)) = (over(Protocol::Udp), over(Protocol::Tcp)) {
            return Some(DnsReach { udp, tcp });
        }
        let mut policies = self.snapshot.policies.iter();
        let decided = policies.any(|policy| match &policy.body {
            PolicyBody::Tiered(body) => !body.egress.is_empty(),
            PolicyBody::Network(_) => false,
        });
        let is_open = group.egress_isolated == Tri::No && !decided;
        is_open.then_some(DnsReach {
            udp: Verdict::Allowed,
            tcp: Verdict::Allowed,
        })
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
