//! Namespaces of which the input has policies and no pods, such as a folder of policies
//! alone. What holds of every pod that may be there can be said all the same; the rest is
//! not known, which is not the same as fine.

use std::collections::BTreeSet;

use ringfence_engine::RuleRef;
use ringfence_model::address::IpFamily;
use ringfence_model::policy::{Action, Direction, PolicyBody, Tier, TieredRule};
use ringfence_model::protocol::Protocol;
use ringfence_model::selector::selects_everything;
use ringfence_model::snapshot::{NamespaceId, PodId, PolicyId};
use ringfence_model::tri::Tri;

use super::dns_rules::what_is_wrong;
use super::{Context, DnsRule, WrittenRule};

/// A namespace of which the input has policies and no pods.
#[derive(Clone, Debug, PartialEq)]
pub struct PoliciesAlone {
    /// The namespace.
    pub namespace: NamespaceId,
    /// The policies that isolate every pod for egress.
    pub isolating: Vec<PolicyId>,
    /// Whether its pods can resolve names.
    pub dns: DnsAlone,
    /// Rules that are meant for name servers and miss them.
    pub missing: Vec<DnsRule>,
}

/// Whether the pods of a namespace can resolve names, whatever pods there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsAlone {
    /// They can, or nothing isolates any of them.
    Fine,
    /// All are isolated and no rule lets any of them ask.
    Closed,
    /// It depends on the pods, or on what else there is.
    Unknown,
}

/// By the names of the namespaces.
pub(super) fn of(context: &Context<'_>) -> Vec<PoliciesAlone> {
    let with_pods: BTreeSet<NamespaceId> = context.groups().iter().map(|g| g.namespace).collect();
    let policies = context.snapshot.policy_ids();
    let namespaces: BTreeSet<NamespaceId> = policies
        .filter_map(|(id, _)| context.namespace_of(id))
        .filter(|id| !with_pods.contains(id) && !context.role(*id).is_protected())
        .collect();
    namespaces
        .into_iter()
        .map(|id| alone(context, id))
        .collect()
}

fn alone(context: &Context<'_>, namespace: NamespaceId) -> PoliciesAlone {
    let policies = context.snapshot.policy_ids();
    let egress: Vec<(PolicyId, bool)> = policies
        .filter(|(id, _)| context.namespace_of(*id) == Some(namespace))
        .filter(|(id, _)| context.engine.covers(*id, Direction::Egress))
        .filter_map(|(id, policy)| match &policy.body {
            PolicyBody::Network(spec) => {
                let selector = spec.pod_selector.as_ref();
                Some((id, selector.is_none_or(selects_everything)))
            }
            PolicyBody::Tiered(_) => None,
        })
        .collect();
    let rules: Vec<(&WrittenRule<'_>, bool)> = egress
        .iter()
        .flat_map(|(id, for_all)| context.written_rules_of(*id).iter().map(|r| (r, *for_all)))
        .filter(|(rule, _)| rule.id.direction == Direction::Egress)
        .collect();
    let isolating: Vec<PolicyId> = egress
        .iter()
        .filter(|(_, all)| *all)
        .map(|(id, _)| *id)
        .collect();
    let dns = match egress.is_empty() {
        true => DnsAlone::Fine,
        false => resolves(context, &rules, !isolating.is_empty()),
    };
    let missing = match dns {
        DnsAlone::Fine => Vec::new(),
        DnsAlone::Closed | DnsAlone::Unknown => {
            let rules = rules.iter().map(|(rule, _)| *rule);
            rules
                .filter_map(|rule| what_is_wrong(context, rule))
                .collect()
        }
    };
    PoliciesAlone {
        namespace,
        isolating,
        dns,
        missing,
    }
}

fn resolves(
    context: &Context<'_>,
    rules: &[(&WrittenRule<'_>, bool)],
    all_isolated: bool,
) -> DnsAlone {
    let protocols = [Protocol::Udp, Protocol::Tcp];
    let matches = protocols.map(|protocol| {
        let of_rules = rules.iter();
        let of_rules = of_rules.map(|(rule, for_all)| match lets_ask(context, rule, protocol) {
            // Whom it is for is not known.
            Tri::Yes if !for_all => Tri::Unknown,
            matches => matches,
        });
        Tri::any(of_rules)
    });
    let mut servers = context.dns.servers.iter().map(|(pod, _)| *pod);
    let has_nobody = servers.len() == 0 && context.dns.cache.is_empty();
    let lets_in = |pod| context.engine.isolated(pod, Direction::Ingress) == Tri::No;
    match matches {
        _ if has_nobody => DnsAlone::Unknown,
        // What else there is can only deny more.
        [Tri::No, Tri::No] if all_isolated && !accepts_cluster_wide(context) => DnsAlone::Closed,
        [Tri::Yes, Tri::Yes] if !has_cluster_wide_egress(context) && servers.all(lets_in) => {
            DnsAlone::Fine
        }
        _ => DnsAlone::Unknown,
    }
}

/// Whether a rule lets the pods it is for ask the name servers over a protocol: each of
/// them, or the cache in front of them.
fn lets_ask(context: &Context<'_>, rule: &WrittenRule<'_>, protocol: Protocol) -> Tri {
    let servers = &context.dns.servers;
    let asked = servers
        .iter()
        .map(|(server, port)| matches(context, rule.id, *server, (protocol, *port)));
    let asked: Vec<Tri> = asked.collect();
    let of_servers = match asked.as_slice() {
        [] => Tri::No,
        all if all.iter().all(|m| *m == Tri::Yes) => Tri::Yes,
        all if all.iter().any(|m| m.possible()) => Tri::Unknown,
        _ => Tri::No,
    };
    let mut cache = context.dns.asked_cache().into_iter();
    let of_cache = cache.any(|address| {
        let mut blocks = rule.blocks.iter();
        let covered =
            rule.is_for_everybody() || blocks.any(|block| block.addresses.contains(address));
        covered && rule.ports.contains(protocol, 53)
    });
    of_servers.or(Tri::from(of_cache))
}

fn matches(
    context: &Context<'_>,
    rule: RuleRef,
    server: PodId,
    (protocol, port): (Protocol, u16),
) -> Tri {
    let families = context.snapshot.families_of(context.snapshot.pod(server));
    let is_peer = |family: IpFamily| {
        let peers = context.engine.peers_of(rule, family);
        let found = peers.iter().find(|(pod, _)| *pod == server);
        found.map_or(Tri::No, |(_, is_peer)| *is_peer)
    };
    let is_peer = Tri::any(families.into_iter().map(is_peer));
    let open = context.engine.ports_of(rule, Some(server));
    let is_open = match (
        open.allow.contains(protocol, port),
        open.maybe.contains(protocol, port),
    ) {
        (true, _) => Tri::Yes,
        (false, true) => Tri::Unknown,
        (false, false) => Tri::No,
    };
    is_peer.and(is_open)
}

/// The rules of cluster-wide policies that decide before the policies of namespaces.
fn decided_before<'c>(context: &'c Context<'_>) -> impl Iterator<Item = &'c TieredRule> {
    let policies = context.snapshot.policies.iter();
    policies.flat_map(|policy| match &policy.body {
        PolicyBody::Tiered(body) if body.tier == Tier::Admin => body.egress.as_slice(),
        PolicyBody::Tiered(_) | PolicyBody::Network(_) => &[],
    })
}

fn has_cluster_wide_egress(context: &Context<'_>) -> bool {
    decided_before(context).next().is_some()
}

fn accepts_cluster_wide(context: &Context<'_>) -> bool {
    decided_before(context).any(|rule| rule.action == Action::Accept)
}

impl Context<'_> {
    /// Whether a cluster-wide policy may decide about the egress of pods that are not in
    /// the input, before the policies of their namespaces do.
    #[must_use]
    pub fn may_be_decided_cluster_wide(&self) -> bool {
        has_cluster_wide_egress(self)
    }
}
