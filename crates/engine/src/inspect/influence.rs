//! What a rule is good for: what changes when it is left out.
//!
//! The cells of the sides that have the rule are judged again without it. Nothing is
//! compiled again.

use ringfence_model::address::{IpFamily, from_number, public_internet};
use ringfence_model::policy::{Direction, Tier};
use ringfence_model::snapshot::{PodId, PolicyId};
use ringfence_model::tri::Tri;
use roaring::RoaringBitmap;
use rustc_hash::{FxHashMap, FxHashSet};

use super::RuleRef;
use crate::engine::{Engine, direction_index};
use crate::packet::Peer;
use crate::resolve::atoms::FIRST_ATOM;
use crate::resolve::classes::family_index;
use crate::sets::{Outcome, PortSet};
use crate::side::{Cell, Side, SideKey};

/// What one rule does to the connections between some pods and one kind of peer, as
/// against the same cluster without the rule. One side of the connections alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Influence {
    /// The pods that the policy applies to, ascending, never empty.
    pub pods: Vec<PodId>,
    /// The other end, or one of several that are alike.
    pub other: Peer,
    /// The family.
    pub family: IpFamily,
    /// Allowed for certain with the rule, and denied for certain without it.
    pub opens: PortSet,
    /// Denied for certain with the rule, and allowed for certain without it.
    pub closes: PortSet,
}

/// Two policies of one tier and one priority that say opposite things, so that it
/// depends on the implementation which of them counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tie {
    /// The policy that accepts, or hands over to what accepts.
    pub accepting: PolicyId,
    /// The policy that denies.
    pub denying: PolicyId,
    /// The direction.
    pub direction: Direction,
    /// The pods that it is about, ascending, never empty.
    pub pods: Vec<PodId>,
    /// The other end, or one of several that are alike.
    pub other: Peer,
    /// The family.
    pub family: IpFamily,
    /// The ports for which it matters.
    pub ports: PortSet,
}

/// Rules that are left out, by direction: (policy, rule).
type Omitted = [FxHashSet<(u32, usize)>; 2];

/// A side with the classes that have it.
struct Used<'a> {
    side: &'a Side,
    family: IpFamily,
    classes: RoaringBitmap,
}

/// The sides in use, and for each policy and direction those that have it.
struct SidesInUse<'a> {
    used: Vec<Used<'a>>,
    of_policy: [FxHashMap<u32, Vec<usize>>; 2],
}

impl<'a> SidesInUse<'a> {
    fn new(engine: &'a Engine) -> Self {
        let mut used: Vec<Used<'a>> = Vec::new();
        let mut position: FxHashMap<u32, usize> = FxHashMap::default();
        for family in IpFamily::ALL {
            for direction in [Direction::Egress, Direction::Ingress] {
                for (class, pods) in (0u32..).zip(&engine.classes.pods) {
                    if pods.is_empty() {
                        continue;
                    }
                    let index = engine.side_index(class, direction, family);
                    let at = *position.entry(index).or_insert_with(|| {
                        used.push(Used {
                            side: engine.side(class, direction, family),
                            family,
                            classes: RoaringBitmap::new(),
                        });
                        used.len() - 1
                    });
                    if let Some(used) = used.get_mut(at) {
                        used.classes.insert(class);
                    }
                }
            }
        }
        let mut of_policy: [FxHashMap<u32, Vec<usize>>; 2] = Default::default();
        for (at, Used { side, .. }) in used.iter().enumerate() {
            #[expect(clippy::indexing_slicing, reason = "two directions")]
            let of_policy = &mut of_policy[direction_index(side.key.direction)];
            for (policy, _) in &side.key.applicable {
                of_policy.entry(*policy).or_default().push(at);
            }
        }
        Self { used, of_policy }
    }

    fn with_policy(&self, policy: u32, direction: Direction) -> impl Iterator<Item = &Used<'a>> {
        #[expect(clippy::indexing_slicing, reason = "two directions")]
        let sides = self.of_policy[direction_index(direction)].get(&policy);
        let sides = sides.into_iter().flatten();
        sides.filter_map(|at| self.used.get(*at))
    }
}

impl Engine {
    /// The rules that change nothing: no outcome of any pod towards any peer would be
    /// another without all of them together. Of two rules that say the same, the one
    /// further down is listed.
    ///
    /// A rule is left out of the list where that is not certain, and where it matches
    /// nothing at all: then something else is wrong with it. Rules for addresses count by
    /// what they say about addresses, whether or not a pod has one of them.
    ///
    /// None for egress under a profile that judges Services on their own address: a rule
    /// may matter there alone, and cells are not about Services.
    #[must_use]
    pub fn redundant_rules(&self) -> Vec<RuleRef> {
        let sides = SidesInUse::new(self);
        let mut omitted = Omitted::default();
        let mut found = Vec::new();
        let count = u32::try_from(self.policies.len()).unwrap_or(u32::MAX);
        for policy in (0..count).rev() {
            let Some(resolved) = self.policies.get(policy as usize) else {
                continue;
            };
            for direction in [Direction::Egress, Direction::Ingress] {
                if direction == Direction::Egress && self.profile.judges_before_dnat {
                    continue;
                }
                let count = resolved.rules(direction).unwrap_or_default().len();
                #[expect(clippy::indexing_slicing, reason = "two directions")]
                let omitted = &mut omitted[direction_index(direction)];
                for index in (0..count).rev() {
                    let rule = RuleRef {
                        policy: PolicyId(policy),
                        direction,
                        rule: index,
                    };
                    if self.is_redundant(rule, &sides, omitted) {
                        omitted.insert((policy, index));
                        found.push(rule);
                    }
                }
            }
        }
        found.sort_unstable();
        found
    }

    fn is_redundant(
        &self,
        rule: RuleRef,
        sides: &SidesInUse<'_>,
        omitted: &FxHashSet<(u32, usize)>,
    ) -> bool {
        let Some(resolved) = self.rule(rule) else {
            return false;
        };
        let mut without = omitted.clone();
        without.insert((rule.policy.0, rule.rule));
        let mut matches_something = false;
        let tier = self.policies.get(rule.policy.0 as usize).map(|p| p.tier);
        for Used { side, classes, .. } in sides.with_policy(rule.policy.0, rule.direction) {
            let (sets, names) = (&side.sets, &side.names);
            let applies = side.key.applicable.iter();
            let applies = applies.filter(|(policy, _)| *policy == rule.policy.0);
            if applies.clone().any(|(_, certain)| !certain) {
                return false;
            }
            let Ok(position) = sets.binary_search(&resolved.peers) else {
                continue;
            };
            for cell in &side.cells {
                match cell.signature.members.get(position) {
                    None | Some(Tri::No) => continue,
                    Some(Tri::Unknown) => return false,
                    Some(Tri::Yes) => {}
                }
                let (certain, possible) =
                    self.with_judge(&side.key, sets, names, omitted, |judge| {
                        judge.ports(resolved, &cell.signature)
                    });
                if certain != possible {
                    return false;
                }
                matches_something |= !certain.is_empty();
                let judge = |key, omitted| {
                    self.with_judge(key, sets, names, omitted, |judge| {
                        judge.outcome(&cell.signature)
                    })
                };
                let with = judge(&*side.key, omitted);
                let unknown = with.allow.intersection(&with.deny);
                if !unknown.intersection(&possible).is_empty()
                    || with != judge(&*side.key, &without)
                {
                    return false;
                }
                // To itself through a Service a pod is judged by cluster-wide policies alone.
                if tier != Some(Tier::NetworkPolicy) && !cell.peers.is_disjoint(classes) {
                    let key = self.cluster_wide_only(&side.key);
                    if judge(&key, omitted) != judge(&key, &without) {
                        return false;
                    }
                }
            }
        }
        matches_something
    }

    /// What a rule opens and closes, as against the same cluster without it. Peers that
    /// are in blocks come as one of their addresses. In the order of the pods.
    #[must_use]
    pub fn influence(&self, rules: &[RuleRef]) -> Vec<Vec<Influence>> {
        let sides = SidesInUse::new(self);
        let of = |rule: &RuleRef| {
            let omitted = FxHashSet::from_iter([(rule.policy.0, rule.rule)]);
            let mut found = Vec::new();
            for used in sides.with_policy(rule.policy.0, rule.direction) {
                for cell in &used.side.cells {
                    let with = self.outcomes.get(cell.outcome);
                    let without = self.outcome_without(used.side, cell, &omitted);
                    let opens = with.certain().difference(&without.allow);
                    let closes = without.certain().difference(&with.allow);
                    if opens.is_empty() && closes.is_empty() {
                        continue;
                    }
                    found.extend(self.some_of(cell, used.family).map(|other| Influence {
                        pods: self.pods_in_classes(&used.classes),
                        other,
                        family: used.family,
                        opens: opens.clone(),
                        closes: closes.clone(),
                    }));
                }
            }
            found.sort_by(|a, b| (&a.pods, a.family, a.other).cmp(&(&b.pods, b.family, b.other)));
            found
        };
        rules.iter().map(of).collect()
    }

    /// Where an outcome depends on which of two policies of one tier and priority is
    /// asked first. In the order of policies, then pods.
    #[must_use]
    pub fn ties(&self) -> Vec<Tie> {
        let sides = SidesInUse::new(self);
        let mut found = Vec::new();
        for used in &sides.used {
            for (first, second) in self.equals_on(used.side) {
                for cell in &used.side.cells {
                    let both = self.outcomes.get(cell.outcome);
                    let unknown = both.allow.intersection(&both.deny);
                    if unknown.is_empty() {
                        continue;
                    }
                    let only_second = self.outcome_without_policy(used.side, cell, first);
                    let only_first = self.outcome_without_policy(used.side, cell, second);
                    for (accepting, denying, accepted, denied) in [
                        (first, second, &only_first, &only_second),
                        (second, first, &only_second, &only_first),
                    ] {
                        let certainly_denied = denied.deny.difference(&denied.allow);
                        let ports = accepted.certain().intersection(&certainly_denied);
                        let ports = ports.intersection(&unknown);
                        if ports.is_empty() {
                            continue;
                        }
                        found.extend(self.some_of(cell, used.family).map(|other| Tie {
                            accepting: PolicyId(accepting),
                            denying: PolicyId(denying),
                            direction: used.side.key.direction,
                            pods: self.pods_in_classes(&used.classes),
                            other,
                            family: used.family,
                            ports: ports.clone(),
                        }));
                    }
                }
            }
        }
        let key = |tie: &Tie| {
            let pods = tie.pods.first().copied();
            (tie.accepting, tie.denying, tie.direction, pods, tie.family)
        };
        found.sort_by_key(|tie| (key(tie), tie.other));
        found
    }

    /// What makes up a side, without network policies.
    pub(crate) fn cluster_wide_only(&self, key: &SideKey) -> SideKey {
        let mut key = key.clone();
        key.applicable.retain(|(index, _)| {
            let policy = self.policies.get(*index as usize);
            policy.is_some_and(|policy| policy.tier != Tier::NetworkPolicy)
        });
        key
    }

    /// Pairs of policies of one side that no priority puts in order.
    fn equals_on(&self, side: &Side) -> Vec<(u32, u32)> {
        let ordered: Vec<(u32, Tier, u16)> = side
            .key
            .applicable
            .iter()
            .filter_map(|(index, certain)| {
                let policy = self.policies.get(*index as usize)?;
                let counts = *certain && policy.tier != Tier::NetworkPolicy && !policy.unordered;
                counts.then_some((*index, policy.tier, policy.priority))
            })
            .collect();
        let mut pairs = Vec::new();
        for (at, (first, tier, priority)) in ordered.iter().enumerate() {
            let later = ordered.iter().skip(at + 1);
            let equals = later.filter(|(_, t, p)| (t, p) == (tier, priority));
            pairs.extend(equals.map(|(second, _, _)| (*first, *second)));
        }
        pairs
    }

    fn outcome_without_policy(&self, side: &Side, cell: &Cell, policy: u32) -> Outcome {
        let resolved = self.policies.get(policy as usize);
        let rules = resolved.and_then(|resolved| resolved.rules(side.key.direction));
        let count = rules.unwrap_or_default().len();
        let omitted = (0..count).map(|rule| (policy, rule)).collect();
        self.outcome_without(side, cell, &omitted)
    }

    fn outcome_without(
        &self,
        side: &Side,
        cell: &Cell,
        omitted: &FxHashSet<(u32, usize)>,
    ) -> Outcome {
        self.with_judge(&side.key, &side.sets, &side.names, omitted, |judge| {
            judge.outcome(&cell.signature)
        })
    }

    /// Some of the peers of a cell, one of each kind: a pod that is written somewhere, or
    /// else one that was assumed, and an address.
    fn some_of(&self, cell: &Cell, family: IpFamily) -> impl Iterator<Item = Peer> {
        let classes = cell.peers.range(0..FIRST_ATOM);
        let pods = classes.filter_map(|class| self.classes.pods.get(class as usize)?.first());
        let is_assumed = |pod: &&PodId| {
            let workload = self.snapshot.pod(**pod).workload;
            self.snapshot.workload(workload).origin.is_none()
        };
        let pod = pods.min_by_key(is_assumed).map(|pod| Peer::Pod(*pod));
        #[expect(clippy::indexing_slicing, reason = "two families, an array of two")]
        let addresses = self.atoms[family_index(family)].addresses(&cell.peers.to_set());
        // A public one where there is one: nobody expects an address of 0.0.0.0/8.
        let public = addresses.intersection(public_internet(family));
        let addresses = match public.is_empty() {
            true => addresses,
            false => public,
        };
        let address = addresses.ranges().first().map(|(start, end)| {
            // The first address of a block is its network's: nobody has it.
            let number = if start < end { start + 1 } else { *start };
            Peer::Address(from_number(family, number))
        });
        pod.into_iter().chain(address)
    }

    fn pods_in_classes(&self, classes: &RoaringBitmap) -> Vec<PodId> {
        let pods = classes
            .iter()
            .filter_map(|class| self.classes.pods.get(class as usize));
        let mut pods: Vec<PodId> = pods.flatten().copied().collect();
        pods.sort_unstable();
        pods
    }
}
