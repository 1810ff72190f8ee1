//! How closed each namespace is, in one line.

use std::sync::Arc;

use ringfence_engine::Verdict;
use ringfence_model::tri::Tri;

use crate::context::{Asked, Context, DnsReach, Group};

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

/// The posture of each namespace that has pods, in the order of names.
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
            metadata: openness(&|index, _| metadata(context, index)),
            internet: openness(&|index, _| internet(context, index)),
        });
    }
    postures
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
        Asked::Others(_) => match context.reach_of_others(group, asked) {
            Some(reach) => by_protocol(reach),
            None => Openness::Unknown,
        },
    }))
}

fn cluster_dns(context: &Context<'_>, group: &Group) -> Openness {
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

fn metadata(context: &Context<'_>, index: usize) -> Openness {
    let exposures = context.exposures().get(index);
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

fn internet(context: &Context<'_>, index: usize) -> Openness {
    match context.internet().get(index) {
        Some(reach) if reach.is_wide() => Openness::Open,
        Some(reach) if reach.is_open() => Openness::Partly,
        Some(reach) if reach.is_unknown() => Openness::Unknown,
        _ => Openness::Closed,
    }
}
