//! What a compiled policy selects and matches, for those who say what is wrong with it.
//!
//! Everything here is looked up in the tables that verdicts are computed from, so that
//! what is said about a policy is what the policy does.

mod influence;

pub use influence::{Influence, Tie};

use ringfence_model::address::IpFamily;
use ringfence_model::policy::{Action, Direction, Tier};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodId, PolicyId};
use ringfence_model::tri::Tri;

use crate::engine::{Engine, direction_index};
use crate::packet::Peer;
use crate::reach::OpenPorts;
use crate::resolve::classes::ClassId;
use crate::resolve::policies::ResolvedRule;
use crate::sets::{PortSet, TriSet};

/// One rule of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleRef {
    /// The policy.
    pub policy: PolicyId,
    /// The list that the rule is in.
    pub direction: Direction,
    /// Its index in that list, from 0.
    pub rule: usize,
}

/// A rule that matches, or may match, a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MatchingRule {
    /// The rule.
    pub rule: RuleRef,
    /// The tier of its policy.
    pub tier: Tier,
    /// What it does.
    pub action: Action,
    /// Whether it does so for certain.
    pub matches: Tri,
}

impl Engine {
    /// Pods that no policy of this cluster can tell apart, together: each list ascending
    /// and not empty. A verdict about one is a verdict about all of its list, except for
    /// traffic with its own node and with itself.
    pub fn alike(&self) -> impl Iterator<Item = &[PodId]> {
        let lists = self.classes.pods.iter().map(Vec::as_slice);
        lists.filter(|pods| !pods.is_empty())
    }

    /// The policies that apply to a pod in one direction, in the order of the snapshot,
    /// and whether they do for certain. None for a host-networked pod.
    pub fn policies_for(
        &self,
        pod: PodId,
        direction: Direction,
    ) -> impl Iterator<Item = (PolicyId, Tri)> {
        let class = self.class_of(pod);
        let list = match self.classes.get(class).host_network {
            true => None,
            false => self
                .applicable
                .get(direction_index(direction))
                .and_then(|lists| lists.get(class as usize)),
        };
        let list = list.into_iter().flatten();
        list.map(|(index, certain)| {
            let applies = if *certain { Tri::Yes } else { Tri::Unknown };
            (PolicyId(*index), applies)
        })
    }

    /// Whether some `NetworkPolicy` isolates a pod in one direction.
    #[must_use]
    pub fn isolated(&self, pod: PodId, direction: Direction) -> Tri {
        let policies = self.policies_for(pod, direction);
        Tri::any(policies.filter_map(|(id, applies)| {
            let is_network_policy = self.snapshot.policy(id).tier() == Tier::NetworkPolicy;
            is_network_policy.then_some(applies)
        }))
    }

    /// Whether a policy covers one direction, so that it isolates its pods there or has
    /// rules that count.
    #[must_use]
    pub fn covers(&self, policy: PolicyId, direction: Direction) -> bool {
        let resolved = self.policies.get(policy.0 as usize);
        resolved.is_some_and(|resolved| resolved.rules(direction).is_some())
    }

    /// The pods that a policy applies to, ascending, whatever directions it covers.
    #[must_use]
    pub fn subjects_of(&self, policy: PolicyId) -> Vec<(PodId, Tri)> {
        let resolved = self.policies.get(policy.0 as usize);
        resolved.map_or_else(Vec::new, |resolved| self.members_of(&resolved.subject))
    }

    /// The pods that the peers of a rule match in one family, ascending. Empty for a
    /// rule of a direction that its policy does not cover.
    #[must_use]
    pub fn peers_of(&self, rule: RuleRef, family: IpFamily) -> Vec<(PodId, Tri)> {
        let Some(resolved) = self.rule(rule) else {
            return Vec::new();
        };
        self.members_of(self.peers.members(resolved.peers, family))
    }

    /// The rules of the policies of a pod that match the other end and a port, in the
    /// order of the snapshot's policies. Port 0 of ICMP is ICMP.
    ///
    /// What they come to depends on tiers and priorities: see
    /// [`explain`](crate::explain::explain()) for one packet.
    #[must_use]
    pub fn matching_rules(
        &self,
        pod: PodId,
        direction: Direction,
        other: Peer,
        family: IpFamily,
        (protocol, port): (Protocol, u16),
    ) -> Vec<MatchingRule> {
        let id = self.peer_id(other);
        let destination = match direction {
            Direction::Egress => match other {
                Peer::Pod(other) => Some(other),
                Peer::Address(_) => None,
            },
            Direction::Ingress => Some(pod),
        };
        let mut found = Vec::new();
        for (policy, applies) in self.policies_for(pod, direction) {
            let Some(resolved) = self.policies.get(policy.0 as usize) else {
                continue;
            };
            for (index, rule) in resolved.rules(direction).into_iter().flatten().enumerate() {
                let members = self.peers.members(rule.peers, family);
                let matches = applies.and(members.contains(id)).and(self.port_matches(
                    rule,
                    destination,
                    protocol,
                    port,
                ));
                if matches.possible() {
                    found.push(MatchingRule {
                        rule: RuleRef {
                            policy,
                            direction,
                            rule: index,
                        },
                        tier: resolved.tier,
                        action: rule.action,
                        matches,
                    });
                }
            }
        }
        found
    }

    /// The ports of a rule: those given by number, and what its names stand for on
    /// `destination`. Everything for a rule that gives none; nothing for a rule of a
    /// direction that its policy does not cover.
    #[must_use]
    pub fn ports_of(&self, rule: RuleRef, destination: Option<PodId>) -> OpenPorts {
        let Some(resolved) = self.rule(rule) else {
            return OpenPorts::default();
        };
        let mut open = OpenPorts {
            allow: resolved.ports.fixed.clone(),
            maybe: PortSet::none(),
        };
        if let Some(destination) = destination {
            let features = self.classes.get(self.class_of(destination));
            for named in &resolved.ports.named {
                let of_protocol = named.protocol.map_or_else(PortSet::all, PortSet::protocol);
                let (outside, ports) = (features.outside, &features.ports);
                let numbers = crate::side::meaning_of(outside, ports, &named.name);
                open.allow = open
                    .allow
                    .union(&numbers.certain.intersection(&of_protocol));
                open.maybe = open
                    .maybe
                    .union(&numbers.possible.intersection(&of_protocol));
            }
        }
        open.maybe = open.maybe.difference(&open.allow);
        open
    }

    fn port_matches(
        &self,
        rule: &ResolvedRule,
        destination: Option<PodId>,
        protocol: Protocol,
        port: u16,
    ) -> Tri {
        let fixed = Tri::from(rule.ports.fixed.contains(protocol, port));
        let Some(destination) = destination else {
            return fixed;
        };
        let features = self.classes.get(self.class_of(destination));
        let named = rule.ports.named.iter().map(|named| {
            if named.protocol.is_some_and(|wanted| wanted != protocol) {
                return Tri::No;
            }
            let numbers = crate::side::meaning_of(features.outside, &features.ports, &named.name);
            if numbers.certain.contains(protocol, port) {
                Tri::Yes
            } else if numbers.possible.contains(protocol, port) {
                Tri::Unknown
            } else {
                Tri::No
            }
        });
        fixed.or(Tri::any(named))
    }

    fn rule(&self, rule: RuleRef) -> Option<&ResolvedRule> {
        let policy = self.policies.get(rule.policy.0 as usize)?;
        policy.rules(rule.direction)?.get(rule.rule)
    }

    fn members_of(&self, classes: &TriSet) -> Vec<(PodId, Tri)> {
        let count = self.classes.len();
        // Above the classes are the atoms of the address space.
        let of_pods = classes.possible.iter().take_while(|id| *id < count);
        let mut pods: Vec<(PodId, Tri)> = of_pods
            .flat_map(|class: ClassId| {
                let selected = classes.contains(class);
                let pods = self.classes.pods.get(class as usize);
                pods.into_iter().flatten().map(move |pod| (*pod, selected))
            })
            .collect();
        pods.sort_unstable();
        pods
    }
}
