//! How closed each namespace is, in one line.

use std::collections::BTreeSet;
use std::sync::Arc;

use ringfence_engine::{Packet, Verdict};
use ringfence_model::protocol::Protocol;
use ringfence_model::tri::Tri;

use crate::context::{Asked, Context, DnsReach, Exposure, Group, InternetReach, Unseen};
use crate::not_counted::{Doubt, NotCountedPolicy, Outside};

/// How closed one namespace is. Pods are counted as the input has them: a template is
/// one, whatever its replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespacePosture {
    /// Its name.
    pub namespace: Arc<str>,
    /// Its pods.
    pub pods: usize,
    /// Those that some policy isolates for egress, for certain.
    pub egress_isolated: usize,
    /// Those that some policy isolates for ingress, for certain.
    pub ingress_isolated: usize,
    /// Those that bypass every policy.
    pub host_network: usize,
    /// Whether its pods reach the name servers.
    pub dns: Openness,
    /// Whether its pods reach a cloud metadata endpoint.
    pub metadata: Openness,
    /// Whether its pods reach the public internet.
    pub internet: Openness,
}

/// How much of something the pods of a namespace reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Openness {
    /// No pod reaches any of it.
    Closed,
    /// Some pods do, or all do and reach only a part.
    Partly,
    /// Every pod reaches it.
    Open,
    /// It depends on something that the input does not say.
    Unknown,
}

impl Openness {
    /// The word for it in output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Partly => "partly",
            Self::Open => "open",
            Self::Unknown => "unknown",
        }
    }

    /// What a namespace reaches, from what its groups reach.
    fn of(groups: impl Iterator<Item = Self>) -> Self {
        groups
            .reduce(|a, b| match (a, b) {
                (a, b) if a == b => a,
                // What is open for certain is worth more than what is not known.
                (Self::Open | Self::Partly, _) | (_, Self::Open | Self::Partly) => Self::Partly,
                _ => Self::Unknown,
            })
            .unwrap_or(Self::Closed)
    }
}

/// The posture of each namespace that has pods, or may have some that the input does not
/// have, in the order of names.
#[must_use]
pub fn of(context: &Context<'_>) -> Vec<NamespacePosture> {
    let mut postures = Vec::new();
    for (id, namespace) in context.snapshot.namespace_ids() {
        let numbered = context.groups().iter().enumerate();
        let groups: Vec<(usize, &Group)> = numbered
            .filter(|(_, group)| group.namespace == id)
            .collect();
        if groups.is_empty() {
            continue;
        }
        let count = |wanted: &dyn Fn(&Group) -> bool| {
            let wanted = groups.iter().filter(|(_, group)| wanted(group));
            wanted.map(|(_, group)| group.pods.len()).sum()
        };
        let openness = |of: &dyn Fn(usize, &Group) -> Openness| {
            Openness::of(groups.iter().map(|(index, group)| of(*index, group)))
        };
        postures.push(NamespacePosture {
            namespace: Arc::clone(&namespace.name),
            pods: count(&|_| true),
            egress_isolated: count(&|group| group.egress_isolated == Tri::Yes),
            ingress_isolated: count(&|group| group.ingress_isolated == Tri::Yes),
            host_network: count(&|group| group.host_network),
            dns: openness(&|_, group| dns(context, group)),
            metadata: openness(&|index, group| {
                let [metadata, _] = outside(context, index, group);
                metadata.doubted
            }),
            internet: openness(&|index, group| {
                let [_, internet] = outside(context, index, group);
                internet.doubted
            }),
        });
    }
    let with_pods: BTreeSet<Arc<str>> = postures.iter().map(|p| p.namespace.clone()).collect();
    let unseen = context.namespaces_with_unseen().into_iter();
    let unseen = unseen.filter(|name| !with_pods.contains(*name));
    postures.extend(unseen.map(NamespacePosture::unknown));
    postures.sort_by(|a, b| a.namespace.cmp(&b.namespace));
    postures
}

impl NamespacePosture {
    /// That of a namespace of whose pods the input has none.
    fn unknown(namespace: &str) -> Self {
        Self {
            namespace: namespace.into(),
            pods: 0,
            egress_isolated: 0,
            ingress_isolated: 0,
            host_network: 0,
            dns: Openness::Unknown,
            metadata: Openness::Unknown,
            internet: Openness::Unknown,
        }
    }
}

/// What the pods of a group can ask the name servers that they are told to ask. They may
/// be told different ones.
fn dns(context: &Context<'_>, group: &Group) -> Openness {
    if group.host_network {
        return Openness::Open;
    }
    let mut asked: Vec<Asked> = Vec::new();
    for pod in &group.pods {
        let of_pod = context.asked_by(*pod);
        if !asked.contains(&of_pod) {
            asked.push(of_pod);
        }
    }
    Openness::of(asked.iter().map(|asked| match asked {
        Asked::Cluster => cluster_dns(context, group),
        Asked::Others(_) => {
            let not_counted = &context.not_counted;
            let mut policies = not_counted.about(context.snapshot, group.namespace);
            match context.reach_of_others(group, asked) {
                Some(reach) if policies.next().is_none() => by_protocol(reach),
                _ => Openness::Unknown,
            }
        }
    }))
}

fn cluster_dns(context: &Context<'_>, group: &Group) -> Openness {
    if queries_in_doubt(context, group) {
        return Openness::Unknown;
    }
    let reach = context.dns.resolves(context.engine, group);
    let cache = context.dns.reach_of_cache(context.engine, group);
    let past_the_cache = cache.is_some_and(|cache| cache != reach);
    match by_protocol(reach) {
        // Not the cache on their nodes, that they ask first.
        Openness::Open if past_the_cache => Openness::Partly,
        openness => openness,
    }
}

fn by_protocol(reach: DnsReach) -> Openness {
    match (reach.udp, reach.tcp) {
        (Verdict::Allowed, Verdict::Allowed) => Openness::Open,
        (Verdict::Denied, Verdict::Denied) => Openness::Closed,
        (Verdict::Allowed, _) | (_, Verdict::Allowed) => Openness::Partly,
        _ => Openness::Unknown,
    }
}

/// How open something outside the cluster is to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// As far as policies count.
    pub(crate) without_doubt: Openness,
    /// Whether there are others that may change it.
    pub(crate) is_doubted: bool,
    /// All told.
    pub(crate) doubted: Openness,
}

/// How open cloud metadata and the internet are to the group with an index.
pub(crate) fn outside(context: &Context<'_>, index: usize, group: &Group) -> [Known; 2] {
    [
        known(
            context,
            (index, group),
            metadata(context.exposures().get(index)),
            Unseen::is_metadata,
            |outside| metadata(outside.exposures.get(index)),
        ),
        known(
            context,
            (index, group),
            internet(context.internet().get(index)),
            |way| !way.is_metadata(),
            |outside| internet(outside.internet.get(index)),
        ),
    ]
}

fn known(
    context: &Context<'_>,
    (index, group): (usize, &Group),
    without_doubt: Openness,
    leads_there: impl Fn(&Unseen) -> bool,
    of: impl Fn(&Outside) -> Openness,
) -> Known {
    let doubt = context.doubt(group);
    let doubted = match doubt {
        Doubt::No => without_doubt,
        Doubt::Total => Openness::Unknown,
        Doubt::Within => {
            let limits = context.limits();
            match (of(&limits.least), of(&limits.most)) {
                (least, most) if least == most => least,
                // What is open for certain is worth more than what is not known.
                (Openness::Partly | Openness::Open, _) => Openness::Partly,
                _ => Openness::Unknown,
            }
        }
    };
    let mut ways = context.unseen_ways().get(index).into_iter().flatten();
    let may_have_a_way = ways.any(leads_there);
    Known {
        without_doubt,
        is_doubted: doubt != Doubt::No,
        doubted: match doubted {
            Openness::Closed if may_have_a_way => Openness::Unknown,
            doubted => doubted,
        },
    }
}

/// Whether a policy that is not counted could change how a query is answered.
fn queries_in_doubt(context: &Context<'_>, group: &Group) -> bool {
    let (dns, engine) = (&context.dns, context.engine);
    let could_change = |packet: &Packet| {
        let profile = engine.profile();
        let policies = &context.not_counted;
        !policies
            .could_change(context.snapshot, &profile, packet, true)
            .is_empty()
    };
    let may_come_first = || {
        let mut policies = context.not_counted.about(context.snapshot, group.namespace);
        policies.any(NotCountedPolicy::is_before_namespaces)
    };
    if context.not_counted.is_empty() || group.host_network {
        return false;
    }
    may_come_first()
        || [Protocol::Udp, Protocol::Tcp].into_iter().any(|protocol| {
            let to_servers = dns.packets(engine, group, protocol);
            let to_cache = dns.packets_to_cache(engine, group, protocol);
            to_servers.iter().chain(&to_cache).any(could_change)
        })
}

fn metadata(exposures: Option<&Vec<Exposure>>) -> Openness {
    let exposures = exposures.map_or(&[][..], Vec::as_slice);
    if exposures.is_empty() {
        Openness::Closed
    } else if exposures.iter().any(|e| e.served_and_open().is_some()) {
        Openness::Open
    } else if exposures.iter().any(|e| !e.open.allow.is_empty()) {
        Openness::Partly
    } else {
        Openness::Unknown
    }
}

fn internet(reach: Option<&InternetReach>) -> Openness {
    match reach {
        Some(reach) if reach.is_wide() => Openness::Open,
        Some(reach) if reach.is_open() => Openness::Partly,
        Some(reach) if reach.is_unknown() => Openness::Unknown,
        _ => Openness::Closed,
    }
}
