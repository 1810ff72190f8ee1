use ringfence_engine::{Engine, Packet, Peer, Verdict};
use ringfence_model::address::{IpFamily, IpRangeSet};
use ringfence_model::policy::{Direction, PolicyBody};
use ringfence_model::protocol::Protocol;
use ringfence_model::selector;
use ringfence_model::snapshot::Snapshot;
use ringfence_model::tri::Tri;

use super::internet::HTTPS;
use super::namespaces::Target;
use super::proposed::{self, ProposedPolicy};
use super::request::Request;
use super::{Piece, default_deny};
use crate::context::{Context, Group};

/// What the policies of the input do already, told by the engine: not by their names, and
/// not by their looks.
pub(super) struct InPlace<'c, 'a> {
    context: &'c Context<'a>,
    /// The cluster as it will be with its default denies, so that what is open for want of
    /// one does not count as allowed.
    engine: Engine,
}

const BOTH: [Direction; 2] = [Direction::Ingress, Direction::Egress];

impl<'c, 'a> InPlace<'c, 'a> {
    /// For a cluster in which some namespaces are closed.
    pub(super) fn with_default_deny(context: &'c Context<'a>, targets: &[Target]) -> Self {
        // What a pod may do on its own node is no policy's doing.
        let profile = context.engine.profile().strict_own_node();
        let mut engine = Engine::compile(context.engine.snapshot(), profile);
        for target in targets {
            let mut policy = default_deny::policy(&target.name, &BOTH).policy;
            // No policy of the input can be called so, and be replaced by this one.
            policy.name = "(default deny)".into();
            engine.upsert_policy(policy);
        }
        Self { context, engine }
    }

    /// What of a piece is not in place in a namespace.
    pub(super) fn missing(
        &self,
        target: &Target,
        piece: &Piece,
        request: &Request,
    ) -> Option<Piece> {
        let groups: Vec<&Group> = target
            .groups(self.context)
            .map(|(_, group)| group)
            .collect();
        let is_in_place = match piece {
            Piece::Deny(directions) => {
                let open = directions.iter().copied();
                let open: Vec<_> = open.filter(|d| !self.denies(target, &groups, *d)).collect();
                return (!open.is_empty()).then_some(Piece::Deny(open));
            }
            Piece::NameServers(found) => {
                let dns = &self.context.dns;
                let clients = self.clients(target);
                let is_server = |group: &&Group| dns.is_server(group.first);
                // Pods that resolve names elsewhere need nothing of it.
                let asks_elsewhere = !groups.is_empty() && !groups.iter().any(is_server);
                (clients.is_empty() && asks_elsewhere)
                    || all_of(clients.iter(), |group| {
                        let reach = dns.reach(&self.engine, group);
                        reach.udp == Verdict::Allowed
                            && reach.tcp == Verdict::Allowed
                            && found.cache.iter().all(|cache| {
                                let ends = [Protocol::Udp, Protocol::Tcp];
                                ends.iter().all(|p| self.allows(group, *cache, (*p, 53)))
                            })
                    })
            }
            Piece::KubeApi(found) => all_of(self.chosen(&groups, request), |group| {
                let mut endpoints = found.endpoints.iter();
                endpoints.all(|to| self.allows(group, to.ip(), (Protocol::Tcp, to.port())))
            }),
            Piece::Internet(found) => all_of(self.chosen(&groups, request), |group| {
                found
                    .addresses()
                    .all(|(family, addresses)| self.allows_https(group, family, &addresses))
            }),
            Piece::SameNamespace => all_of(groups.iter(), |from| {
                groups.iter().all(|to| self.allows_all(from, to))
            }),
            // Only the very policy does it: see `has_equal`.
            Piece::AllButMetadata => false,
        };
        (!is_in_place).then(|| piece.clone())
    }

    /// The pods of a namespace that ask the name servers.
    fn clients(&self, target: &Target) -> Vec<&'c Group> {
        let clients = self.context.dns_clients().iter();
        clients
            .filter(|group| Some(group.namespace) == target.id)
            .collect()
    }

    /// Why the policy for the name servers would let nobody of a namespace ask who cannot
    /// ask without it; `None` where it does.
    pub(super) fn why_useless(&self, target: &Target, policy: &ProposedPolicy) -> Option<String> {
        let dns = &self.context.dns;
        let mut engine = self.engine.clone();
        let mut policy = policy.policy.clone();
        policy.name = "(name servers)".into();
        engine.upsert_policy(policy);
        let clients = self.clients(target);
        let can = |engine: &Engine, group: &Group| {
            let cache = dns.reach_of_cache(engine, group);
            (dns.reach(engine, group), cache)
        };
        let closed: Vec<&Group> = clients
            .iter()
            .copied()
            .filter(|group| {
                let reach = dns.reach(&self.engine, group);
                (reach.udp, reach.tcp) != (Verdict::Allowed, Verdict::Allowed)
            })
            .collect();
        let changes = |group: &&Group| can(&engine, group) != can(&self.engine, group);
        let first = closed.first()?;
        if clients.iter().any(changes) {
            return None;
        }
        let protocols = [Protocol::Udp, Protocol::Tcp].into_iter();
        let mut queries =
            protocols.flat_map(|protocol| dns.packets(self.context.engine, first, protocol));
        let denying = queries.find_map(|query| self.context.denied_cluster_wide(&query));
        let why = match denying {
            Some(reason) => {
                let policy = self.context.snapshot.policy(reason.policy);
                format!(
                    "{} denies the queries, and no policy of a namespace can allow them",
                    policy.display_name()
                )
            }
            None => {
                "what keeps the queries out is not in this namespace (`ringfence explain` says \
                     what it is)"
                    .to_owned()
            }
        };
        let name = &target.name;
        Some(format!(
            "allow-dns was left out for `{name}`, where it would change nothing: {why}"
        ))
    }

    /// Whether a policy isolates every pod that the namespace has or may get, and allows
    /// nothing itself.
    fn denies(&self, target: &Target, groups: &[&Group], direction: Direction) -> bool {
        let engine = self.context.engine;
        let is_default_deny = |body: &PolicyBody| match body {
            PolicyBody::Network(spec) => {
                let everything = spec
                    .pod_selector
                    .as_ref()
                    .is_none_or(selector::selects_everything);
                let no_rule = match direction {
                    Direction::Egress => spec.egress.iter().flatten().next().is_none(),
                    Direction::Ingress => spec.ingress.iter().flatten().next().is_none(),
                };
                everything && no_rule
            }
            PolicyBody::Tiered(_) => false,
        };
        let Some(group) = groups.first() else {
            return false;
        };
        engine
            .policies_for(group.first, direction)
            .any(|(id, applies)| {
                let policy = self.context.snapshot.policy(id);
                applies == Tri::Yes
                    && policy.namespace.as_ref() == Some(&target.name)
                    && is_default_deny(&policy.body)
            })
    }

    /// The pods that something is opened for.
    fn chosen<'g>(
        &self,
        groups: &'g [&'g Group],
        request: &Request,
    ) -> impl Iterator<Item = &'g &'g Group> {
        let wanted = proposed::selector(&request.pods);
        let snapshot = self.context.snapshot;
        groups.iter().filter(move |group| {
            let labels = &snapshot.pod(group.first).labels;
            selector::matches(&wanted, labels) == Tri::Yes
        })
    }

    fn has_family(&self, group: &Group, family: IpFamily) -> bool {
        let snapshot = self.context.snapshot;
        let families = snapshot.families_of(snapshot.pod(group.first));
        families.contains(&family)
    }

    fn allows(
        &self,
        group: &Group,
        address: std::net::IpAddr,
        (protocol, port): (Protocol, u16),
    ) -> bool {
        let family = IpFamily::of(address);
        let packet = Packet {
            source: Peer::Pod(group.first),
            destination: Peer::Address(address),
            family,
            protocol,
            port,
            through_service: None,
        };
        !self.has_family(group, family) || self.engine.can(&packet) == Verdict::Allowed
    }

    fn allows_https(&self, group: &Group, family: IpFamily, addresses: &IpRangeSet) -> bool {
        if !self.has_family(group, family) {
            return true;
        }
        let nets = addresses.to_nets();
        let regions = self
            .engine
            .outside(group.first, Direction::Egress, family, &nets);
        let open = regions
            .iter()
            .filter(|region| region.open.allow.contains(Protocol::Tcp, HTTPS))
            .flat_map(|region| &region.addresses);
        addresses.is_subset(&IpRangeSet::from_nets(family, open))
    }

    fn allows_all(&self, from: &Group, to: &Group) -> bool {
        // Of pods that are alike the last: a pod always reaches itself.
        let to_pod = to.pods.last().copied().unwrap_or(to.first);
        IpFamily::ALL.into_iter().all(|family| {
            let ends = self.has_family(from, family) && self.has_family(to, family);
            let (source, destination) = (Peer::Pod(from.first), Peer::Pod(to_pod));
            let open = |engine: &Engine| engine.ports(source, destination, family);
            !ends || open(&self.engine).allow.is_all()
        })
    }
}

/// Whether a policy of the input says exactly the same.
pub(super) fn has_equal(snapshot: &Snapshot, proposed: &ProposedPolicy) -> bool {
    let wanted = &proposed.policy;
    snapshot.policies.iter().any(|policy| {
        policy.family == wanted.family
            && policy.namespace == wanted.namespace
            && policy.body == wanted.body
    })
}

/// Whether there is one, and it holds for each: nothing is known of no pods.
fn all_of<'g>(groups: impl Iterator<Item = &'g &'g Group>, holds: impl Fn(&Group) -> bool) -> bool {
    let mut groups = groups.peekable();
    groups.peek().is_some() && groups.all(|group| holds(group))
}
