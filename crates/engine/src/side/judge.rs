//! From rules that match to possible outcomes, for all ports at once.

use ringfence_model::policy::{Action, Direction, Tier};
use ringfence_model::protocol::Protocol;
use ringfence_model::tri::Tri;
use rustc_hash::FxHashSet;

use super::{Applicable, Signature};
use crate::resolve::peers::PeerSetId;
use crate::resolve::policies::{NamedPort, ResolvedPolicy, ResolvedRule};
use crate::sets::{Outcome, PortSet};

/// What a port name stands for on some pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct NamedPorts {
    /// These for sure.
    pub(crate) certain: PortSet,
    /// These cannot be ruled out.
    pub(crate) possible: PortSet,
}

/// What rules are asked about: a cell of peers, or a Service.
pub(crate) trait Matching {
    /// Whether it is among the peers of a rule.
    fn member(&self, rule: &ResolvedRule) -> Tri;

    /// The ports that a rule matches for it: for sure, and possibly.
    fn ports(&self, rule: &ResolvedRule) -> (PortSet, PortSet);
}

/// The ports for which each outcome of a stage is possible.
#[derive(Clone, Debug)]
struct Possible {
    accept: PortSet,
    deny: PortSet,
    pass: PortSet,
    undecided: PortSet,
}

impl Possible {
    fn undecided() -> Self {
        Self {
            accept: PortSet::none(),
            deny: PortSet::none(),
            pass: PortSet::none(),
            undecided: PortSet::all(),
        }
    }
}

/// A policy that applies to the side, with its index.
#[derive(Clone, Copy)]
struct Selecting<'a> {
    index: u32,
    policy: &'a ResolvedPolicy,
}

/// Judges the cells of one side.
pub(crate) struct Judge<'a> {
    pub(crate) direction: Direction,
    pub(crate) policies: &'a [ResolvedPolicy],
    pub(crate) applicable: &'a Applicable,
    /// The sets that signatures are about, ascending.
    pub(crate) sets: &'a [PeerSetId],
    /// The names that signatures are about.
    pub(crate) names: &'a [String],
    /// What names stand for where that does not depend on the peer (ingress).
    pub(crate) own_ports: &'a dyn Fn(&str) -> NamedPorts,
    /// Rules to leave out, to see what they are good for: (policy, rule).
    pub(crate) omitted: &'a FxHashSet<(u32, usize)>,
}

impl Judge<'_> {
    /// The outcome for peers with this signature.
    pub(crate) fn outcome(&self, signature: &Signature) -> Outcome {
        self.outcome_for(&Cell {
            judge: self,
            signature,
        })
    }

    /// The ports that a rule matches for peers with this signature: for sure, and
    /// possibly.
    pub(crate) fn ports(&self, rule: &ResolvedRule, signature: &Signature) -> (PortSet, PortSet) {
        let cell = Cell {
            judge: self,
            signature,
        };
        cell.ports(rule)
    }

    /// The outcome for anything that rules can be asked about.
    pub(crate) fn outcome_for(&self, other: &dyn Matching) -> Outcome {
        let mut allow = PortSet::none();
        let mut deny = PortSet::none();
        let mut open = PortSet::all();
        for tier in [Tier::Admin, Tier::NetworkPolicy, Tier::Baseline] {
            let possible = match tier {
                Tier::NetworkPolicy => self.network_policies(other),
                Tier::Admin | Tier::Baseline => self.tier(tier, other),
            };
            allow = allow.union(&open.intersection(&possible.accept));
            deny = deny.union(&open.intersection(&possible.deny));
            open = open.intersection(&possible.pass.union(&possible.undecided));
        }
        Outcome {
            allow: allow.union(&open),
            deny,
        }
    }

    fn of_tier(&self, tier: Tier) -> impl Iterator<Item = (Selecting<'_>, bool)> {
        self.applicable.iter().filter_map(move |(index, certain)| {
            let policy = self.policies.get(*index as usize)?;
            let index = *index;
            (policy.tier == tier).then_some((Selecting { index, policy }, *certain))
        })
    }

    fn rules<'p>(&'p self, of: Selecting<'p>) -> impl Iterator<Item = &'p ResolvedRule> {
        let rules = of.policy.rules(self.direction).unwrap_or_default();
        rules
            .iter()
            .enumerate()
            .filter(move |(rule, _)| !self.omitted.contains(&(of.index, *rule)))
            .map(|(_, rule)| rule)
    }

    fn network_policies(&self, other: &dyn Matching) -> Possible {
        let mut allowed = PortSet::none();
        let mut accept = PortSet::none();
        let mut not_by_all = PortSet::none();
        let mut isolated = false;
        for (policy, certain) in self.of_tier(Tier::NetworkPolicy) {
            let mut surely = PortSet::none();
            for rule in self.rules(policy) {
                let (rule_certain, rule_possible) = other.ports(rule);
                surely = surely.union(&rule_certain);
                accept = accept.union(&rule_possible);
            }
            if certain {
                allowed = allowed.union(&surely);
                isolated = true;
            }
            not_by_all = not_by_all.union(&surely.complement());
        }
        Possible {
            accept,
            deny: not_by_all.difference(&allowed),
            pass: PortSet::none(),
            undecided: if isolated {
                PortSet::none()
            } else {
                allowed.complement()
            },
        }
    }

    fn tier(&self, tier: Tier, other: &dyn Matching) -> Possible {
        // Policies of which no rule can match decide nothing, wherever they stand.
        let mut ordered: Vec<_> = self
            .of_tier(tier)
            .filter(|(of, _)| !of.policy.unordered && self.may_match(*of, other))
            .collect();
        ordered.sort_by_key(|(of, _)| of.policy.priority);
        let mut in_order = Possible::undecided();
        for equals in ordered.chunk_by(|(a, _), (b, _)| a.policy.priority == b.policy.priority) {
            let outcomes = equals
                .iter()
                .map(|(of, certain)| self.policy(*of, *certain, other));
            let next = any_order(outcomes);
            let open = &in_order.undecided;
            in_order = Possible {
                accept: in_order.accept.union(&open.intersection(&next.accept)),
                deny: in_order.deny.union(&open.intersection(&next.deny)),
                pass: in_order.pass.union(&open.intersection(&next.pass)),
                undecided: open.intersection(&next.undecided),
            };
        }
        let unordered = self
            .of_tier(tier)
            .filter(|(of, _)| of.policy.unordered && self.may_match(*of, other))
            .map(|(of, certain)| self.policy(of, certain, other));
        any_order(std::iter::once(in_order).chain(unordered))
    }

    fn may_match(&self, of: Selecting<'_>, other: &dyn Matching) -> bool {
        self.rules(of).any(|rule| other.member(rule).possible())
    }

    fn policy(&self, of: Selecting<'_>, certain: bool, other: &dyn Matching) -> Possible {
        let mut possible = Possible::undecided();
        for rule in self.rules(of) {
            let (surely, maybe) = other.ports(rule);
            let reached = possible.undecided.intersection(&maybe);
            let decided = match rule.action {
                Action::Accept => &mut possible.accept,
                Action::Deny => &mut possible.deny,
                Action::Pass => &mut possible.pass,
            };
            *decided = decided.union(&reached);
            possible.undecided = possible.undecided.difference(&surely);
        }
        if !certain {
            possible.undecided = PortSet::all();
        }
        possible
    }

    fn named(&self, named: &NamedPort, signature: &Signature) -> NamedPorts {
        let ports = match self.direction {
            Direction::Ingress => (self.own_ports)(&named.name),
            Direction::Egress => self
                .names
                .iter()
                .position(|name| *name == named.name)
                .and_then(|position| signature.named.get(position))
                .cloned()
                .unwrap_or_default(),
        };
        let of_protocol = match named.protocol {
            Some(protocol) => PortSet::protocol(protocol),
            None => PortSet::all().difference(&PortSet::protocol(Protocol::Icmp)),
        };
        NamedPorts {
            certain: ports.certain.intersection(&of_protocol),
            possible: ports.possible.intersection(&of_protocol),
        }
    }
}

/// Peers of one signature.
struct Cell<'a> {
    judge: &'a Judge<'a>,
    signature: &'a Signature,
}

impl Matching for Cell<'_> {
    fn member(&self, rule: &ResolvedRule) -> Tri {
        let position = self.judge.sets.binary_search(&rule.peers).ok();
        let member = position.and_then(|position| self.signature.members.get(position));
        member.copied().unwrap_or(Tri::No)
    }

    fn ports(&self, rule: &ResolvedRule) -> (PortSet, PortSet) {
        let member = self.member(rule);
        if member == Tri::No {
            return (PortSet::none(), PortSet::none());
        }
        let mut certain = rule.ports.fixed.clone();
        let mut possible = rule.ports.fixed.clone();
        for named in &rule.ports.named {
            let ports = self.judge.named(named, self.signature);
            certain = certain.union(&ports.certain);
            possible = possible.union(&ports.possible);
        }
        if member.certain() {
            (certain, possible)
        } else {
            (PortSet::none(), possible)
        }
    }
}

/// Any of the policies may be asked first: what one of them decides is possible, and
/// nothing is decided only where none of them decides.
fn any_order(outcomes: impl Iterator<Item = Possible>) -> Possible {
    outcomes
        .reduce(|a, b| Possible {
            accept: a.accept.union(&b.accept),
            deny: a.deny.union(&b.deny),
            pass: a.pass.union(&b.pass),
            undecided: a.undecided.intersection(&b.undecided),
        })
        .unwrap_or_else(Possible::undecided)
}
