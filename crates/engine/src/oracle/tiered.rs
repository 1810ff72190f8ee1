//! `ClusterNetworkPolicy`, `AdminNetworkPolicy`, `BaselineAdminNetworkPolicy`.

use ringfence_model::address::IpBlock;
use ringfence_model::policy::{Action, Tier, TieredPeer, TieredPolicy, TieredPort, TieredRule};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::PolicyId;
use ringfence_model::tri::Tri;

use super::{Oracle, Possible, Question, Step};
use crate::explain::Effect;

impl Oracle<'_> {
    /// One tier: lower priorities first; among equals any may come first (rule 2).
    ///
    /// A `BaselineAdminNetworkPolicy` has no priority and no place among
    /// `ClusterNetworkPolicy` of the Baseline tier, so it may come before or after
    /// them: it ties with them as a whole.
    pub(super) fn tier(
        &self,
        tier: Tier,
        question: &Question<'_>,
        steps: &mut Vec<Step>,
    ) -> Possible {
        let ordered = self.tiered_policies(tier, false);
        let in_order = ordered
            .chunk_by(|(_, a), (_, b)| a.priority == b.priority)
            .fold(Possible::UNDECIDED, |before, equals| {
                if !before.undecided {
                    return before;
                }
                let outcomes = equals
                    .iter()
                    .map(|(id, policy)| self.policy(*id, policy, question, steps))
                    .collect::<Vec<_>>();
                then(before, any_order(&outcomes))
            });
        let unordered = self
            .tiered_policies(tier, true)
            .into_iter()
            .map(|(id, policy)| self.policy(id, policy, question, steps));
        let all: Vec<_> = std::iter::once(in_order).chain(unordered).collect();
        any_order(&all)
    }

    /// One policy: its first matching rule.
    fn policy(
        &self,
        id: PolicyId,
        policy: &TieredPolicy,
        question: &Question<'_>,
        steps: &mut Vec<Step>,
    ) -> Possible {
        let selects = self.pod_selected(&policy.subject, question.subject);
        if !selects.possible() {
            return Possible::UNDECIDED;
        }
        let mut possible = Possible::default();
        let mut undecided = true;
        for (index, rule) in policy.rules(question.direction).iter().enumerate() {
            let (action, peers, ports) = self.rule(rule, question);
            let matches = peers.and(ports);
            steps.push(Step {
                policy: id,
                rule: Some(index),
                effect: match (matches, action) {
                    (Tri::No, _) => Effect::NoMatch,
                    (_, Action::Accept) => Effect::Allows,
                    (_, Action::Deny) => Effect::Denies,
                    (_, Action::Pass) => Effect::Passes,
                },
                selects,
                peers,
                ports,
            });
            if matches.possible() {
                match action {
                    Action::Accept => possible.accept = true,
                    Action::Deny => possible.deny = true,
                    Action::Pass => possible.pass = true,
                }
            }
            if matches.certain() {
                undecided = false;
                break;
            }
        }
        possible.undecided = undecided || !selects.certain();
        possible
    }

    /// Rules 5 to 8. A peer without a field that is known here fails closed
    /// (rule 7): the whole rule then accepts nothing, or denies everything.
    fn rule(&self, rule: &TieredRule, question: &Question<'_>) -> (Action, Tri, Tri) {
        if rule.peers.contains(&TieredPeer::Unrecognized) {
            return match rule.action {
                Action::Accept => (Action::Accept, Tri::No, Tri::No),
                Action::Deny | Action::Pass => (Action::Deny, Tri::Yes, Tri::Yes),
            };
        }
        if let Some(seen) = self.service_seen(question) {
            let (peers, ports) = self.tiered_rule_on_service(rule, &seen);
            return (rule.action, peers, ports);
        }
        let peers = Tri::any(rule.peers.iter().map(|peer| self.peer(peer, question)));
        let ports = rule.ports.as_ref().map_or(Tri::Yes, |ports| {
            Tri::any(ports.iter().map(|port| self.port(port, question)))
        });
        (rule.action, peers, ports)
    }

    fn peer(&self, peer: &TieredPeer, question: &Question<'_>) -> Tri {
        match peer {
            TieredPeer::Pods(selection) => self.selected(selection, question.other),
            TieredPeer::Nodes(selector) => self.on_node(selector, question),
            TieredPeer::Networks(cidrs) => Tri::any(cidrs.iter().map(|cidr| {
                IpBlock::parse(cidr, &[]).map_or(Tri::No, |block| self.in_block(&block, question))
            })),
            TieredPeer::DomainNames(_) => self.behind_domain_name(question.other),
            TieredPeer::Unrecognized => Tri::No,
        }
    }

    fn port(&self, port: &TieredPort, question: &Question<'_>) -> Tri {
        let packet = question.packet;
        match port {
            TieredPort::Range {
                protocol,
                start,
                end,
            } => Tri::from(*protocol == packet.protocol && (*start..=*end).contains(&packet.port)),
            TieredPort::Named(_) if packet.protocol == Protocol::Icmp => Tri::No,
            TieredPort::Named(name) => self.named_port(name, packet),
        }
    }
}

/// `first`, and where it is undecided, `second`.
fn then(first: Possible, second: Possible) -> Possible {
    if !first.undecided {
        return first;
    }
    Possible {
        accept: first.accept || second.accept,
        deny: first.deny || second.deny,
        pass: first.pass || second.pass,
        undecided: second.undecided,
    }
}

/// Policies of which any may be asked first: what one of them decides is possible,
/// and nothing is decided only if none of them decides.
fn any_order(outcomes: &[Possible]) -> Possible {
    Possible {
        accept: outcomes.iter().any(|o| o.accept),
        deny: outcomes.iter().any(|o| o.deny),
        pass: outcomes.iter().any(|o| o.pass),
        undecided: outcomes.iter().all(|o| o.undecided),
    }
}
