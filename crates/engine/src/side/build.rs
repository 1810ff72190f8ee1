//! Building the sides of classes.

use std::sync::Arc;

use rayon::prelude::*;
use ringfence_model::address::IpFamily;
use ringfence_model::policy::Direction;
use roaring::RoaringBitmap;
use rustc_hash::FxHashSet;

use super::shared::{Base, SharedPeers, WORTH_SHARING};
use super::{Applicable, Cell, Judge, NamedPorts, Side, SideKey, Signature, meaning_of, partition};
use crate::engine::{Engine, direction_index};
use crate::resolve::classes::{ClassId, family_index};
use crate::resolve::peers::PeerSetId;
use crate::resolve::policies::ResolvedRule;
use crate::sets::Outcome;

/// The parts of a [`Side`], before outcomes are interned.
struct BuiltSide {
    sets: Vec<PeerSetId>,
    names: Vec<String>,
    cells: Vec<(BuiltCell, Outcome)>,
    rest: Outcome,
}

/// A [`Cell`], before its peers are shared.
struct BuiltCell {
    signature: Signature,
    peers: RoaringBitmap,
    base: Option<Base>,
}

impl Engine {
    /// Gives each of `classes` its sides, building those that do not exist yet.
    pub(crate) fn build_sides(&mut self, classes: impl IntoIterator<Item = ClassId>) {
        let mut todo: Vec<(Arc<SideKey>, u32)> = Vec::new();
        let mut next = u32::try_from(self.sides.len()).unwrap_or(u32::MAX);
        for class in classes {
            self.journal.placed(class);
            for direction in [Direction::Egress, Direction::Ingress] {
                for family in IpFamily::ALL {
                    let key = self.side_key(class, direction, family);
                    let id = match self.side_ids.get(&key) {
                        Some(id) => *id,
                        None => {
                            let key = Arc::new(key);
                            let id = self.free_sides.pop().unwrap_or_else(|| {
                                next += 1;
                                next - 1
                            });
                            self.side_ids.insert(Arc::clone(&key), id);
                            todo.push((key, id));
                            id
                        }
                    };
                    #[expect(clippy::indexing_slicing, reason = "two directions, two families")]
                    let side_of =
                        &mut self.side_of[direction_index(direction)][family_index(family)];
                    match side_of.get_mut(class as usize) {
                        Some(slot) => *slot = id,
                        None => side_of.push(id),
                    }
                }
            }
        }
        let built: Vec<_> = todo.par_iter().map(|(key, _)| self.cells_of(key)).collect();
        let mut shared = SharedPeers::default();
        for ((key, id), built) in todo.into_iter().zip(built) {
            self.journal.built(id);
            self.sides_with.insert(id, &built.sets);
            let rest = self.outcomes.intern(built.rest);
            let cells = built
                .cells
                .into_iter()
                .map(|(cell, outcome)| Cell {
                    signature: cell.signature,
                    peers: shared.share(cell.peers, cell.base),
                    outcome: self.outcomes.intern(outcome),
                })
                .collect();
            let side = Side::new(key, built.sets, built.names, cells, rest);
            match self.sides.get_mut(id as usize) {
                Some(slot) => *slot = side,
                None => self.sides.push(side),
            }
        }
    }

    fn side_key(&self, class: ClassId, direction: Direction, family: IpFamily) -> SideKey {
        let features = self.classes.get(class);
        #[expect(
            clippy::indexing_slicing,
            reason = "two directions; every class is listed"
        )]
        let applicable = match features.host_network {
            true => Applicable::new(),
            false => self.applicable[direction_index(direction)][class as usize].clone(),
        };
        let mut by_family = false;
        let mut by_port = false;
        for rule in self.rules(&applicable, direction) {
            by_family |= !self.peers.same_in_both_families(rule.peers);
            by_port |= !rule.ports.named.is_empty();
        }
        SideKey {
            direction,
            applicable,
            family: by_family.then_some(family),
            ports: (by_port && direction == Direction::Ingress)
                .then(|| (features.outside, Arc::clone(&features.ports))),
        }
    }

    fn rules<'a>(
        &'a self,
        applicable: &'a Applicable,
        direction: Direction,
    ) -> impl Iterator<Item = &'a ResolvedRule> {
        applicable
            .iter()
            .filter_map(|(index, _)| self.policies.get(*index as usize))
            .filter_map(move |policy| policy.rules(direction))
            .flatten()
    }

    fn cells_of(&self, key: &SideKey) -> BuiltSide {
        let mut sets = Vec::new();
        let mut names = Vec::new();
        for rule in self.rules(&key.applicable, key.direction) {
            sets.push(rule.peers);
            if key.direction == Direction::Egress {
                names.extend(rule.ports.named.iter().map(|named| named.name.clone()));
            }
        }
        sets.sort_unstable();
        sets.dedup();
        names.sort_unstable();
        names.dedup();
        let cells = partition(&sets, &names, key.family(), &self.peers, &self.named_ports);
        let signatures = cells.iter().map(|(signature, _)| signature);
        let outcomes = self.judge(key, &sets, &names, signatures);
        let cells = cells.into_iter().map(|(signature, peers)| {
            let base = self.base_of(&signature, &peers, &sets, key.family());
            BuiltCell {
                signature,
                peers,
                base,
            }
        });
        let cells = cells.zip(outcomes).collect();
        let rest = self.judge(key, &sets, &names, [&Signature::default()]);
        BuiltSide {
            sets,
            names,
            cells,
            rest: rest.into_iter().next().unwrap_or_else(Outcome::allowed),
        }
    }

    /// The outcomes of one side for peers with these signatures.
    pub(crate) fn judge<'a>(
        &self,
        key: &SideKey,
        sets: &[PeerSetId],
        names: &[String],
        signatures: impl IntoIterator<Item = &'a Signature>,
    ) -> Vec<Outcome> {
        let omitted = FxHashSet::default();
        self.with_judge(key, sets, names, &omitted, |judge| {
            signatures.into_iter().map(|s| judge.outcome(s)).collect()
        })
    }

    /// Asks the judge of one side, with some of its rules left out.
    pub(crate) fn with_judge<T>(
        &self,
        key: &SideKey,
        sets: &[PeerSetId],
        names: &[String],
        omitted: &FxHashSet<(u32, usize)>,
        ask: impl FnOnce(&Judge<'_>) -> T,
    ) -> T {
        let own_ports = |name: &str| match &key.ports {
            Some((outside, ports)) => meaning_of(*outside, ports, name),
            None => NamedPorts::default(),
        };
        ask(&Judge {
            direction: key.direction,
            policies: &self.policies,
            applicable: &key.applicable,
            sets,
            names,
            own_ports: &own_ports,
            omitted,
        })
    }

    /// The set of a rule that a large cell is, but for a few peers.
    fn base_of(
        &self,
        signature: &Signature,
        peers: &RoaringBitmap,
        sets: &[PeerSetId],
        family: IpFamily,
    ) -> Option<Base> {
        if peers.len() < WORTH_SHARING {
            return None;
        }
        let members = sets.iter().zip(&signature.members);
        let set = members
            .filter(|(_, member)| member.certain())
            .map(|(set, _)| self.peers.members(*set, family))
            .min_by_key(|set| set.certain.len())?;
        Base::new(set, peers)
    }
}
