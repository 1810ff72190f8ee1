//! New answers after one change, without compiling everything again.
//!
//! The snapshot that an engine holds changes with it; other holders of that snapshot
//! keep the old value.

use std::sync::Arc;

use ringfence_model::address::IpFamily;
use ringfence_model::policy::{Direction, Policy};
use ringfence_model::snapshot::{Pod, PodId};
use roaring::RoaringBitmap;

use crate::engine::{Engine, direction_index, node_addresses};
use crate::resolve::classes::{self, AddressFeature, ClassId, family_index};
use crate::resolve::peers::Context;
use crate::resolve::policies;
use crate::side::{Applicable, Growth, signature};

/// The classes whose answers may have changed, as sources or as destinations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Affected {
    pub(crate) classes: RoaringBitmap,
}

impl Affected {
    /// How many classes are affected.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.classes.len()
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }
}

impl Engine {
    /// Puts `policy` in the place of the one with the same family, namespace and name,
    /// or adds it.
    pub fn upsert_policy(&mut self, policy: Policy) -> Affected {
        self.begin_change();
        let mut affected = self.cut_for(&policy);
        let (position, exists) = match self
            .snapshot
            .policies
            .binary_search_by(|p| policy_key(p).cmp(&policy_key(&policy)))
        {
            Ok(position) => (position, true),
            Err(position) => (position, false),
        };
        let index = u32::try_from(position).unwrap_or(u32::MAX);
        if exists {
            self.retire(index, &mut affected);
        } else {
            self.renumber(|i| if i >= index { i + 1 } else { i });
        }
        let context = Context {
            snapshot: &self.snapshot,
            profile: self.profile,
            atoms: &self.atoms,
            classes: &self.classes,
        };
        let resolved = policies::resolve(&policy, &mut self.peers, context);
        affected.classes |= &resolved.subject.possible;
        for direction in [Direction::Egress, Direction::Ingress] {
            if resolved.rules(direction).is_none() {
                continue;
            }
            #[expect(clippy::indexing_slicing, reason = "two directions")]
            let lists = &mut self.applicable[direction_index(direction)];
            for class in &resolved.subject.possible {
                if let Some(list) = lists.get_mut(class as usize) {
                    let at = list.partition_point(|(i, _)| *i < index);
                    list.insert(at, (index, resolved.subject.certain.contains(class)));
                }
            }
        }
        let snapshot = Arc::make_mut(&mut self.snapshot);
        if exists {
            if let Some(slot) = snapshot.policies.get_mut(position) {
                *slot = policy;
            }
            if let Some(slot) = self.policies.get_mut(position) {
                *slot = resolved;
            }
        } else {
            snapshot.policies.insert(position, policy);
            self.policies.insert(position, resolved);
        }
        self.build_sides(&affected.classes);
        affected
    }

    /// Removes the policy with the family, namespace and name of `policy`; nothing is
    /// affected if there is none.
    pub fn remove_policy(&mut self, policy: &Policy) -> Affected {
        self.begin_change();
        let mut affected = Affected::default();
        let found = self
            .snapshot
            .policies
            .binary_search_by(|p| policy_key(p).cmp(&policy_key(policy)));
        let Ok(position) = found else {
            return affected;
        };
        let index = u32::try_from(position).unwrap_or(u32::MAX);
        self.retire(index, &mut affected);
        Arc::make_mut(&mut self.snapshot).policies.remove(position);
        self.policies.remove(position);
        self.renumber(|i| if i > index { i - 1 } else { i });
        self.build_sides(&affected.classes);
        affected
    }

    /// Puts `pod` in the place of the one with this index: other labels, ports, node or
    /// addresses. It must be of the same namespace and workload, and may not change
    /// between host network and its own.
    pub fn replace_pod(&mut self, id: PodId, pod: Pod) -> Affected {
        self.begin_change();
        let snapshot = Arc::make_mut(&mut self.snapshot);
        self.journal.moved(id, snapshot.pod(id));
        let families = snapshot.default_families.clone();
        snapshot.replace_pod(id, pod);
        if snapshot.default_families == families {
            return self.reclassify(id);
        }
        let mut affected = self.reclassify(id);
        let without_address: Vec<PodId> = self
            .snapshot
            .pod_ids()
            .filter(|(_, pod)| pod.addresses.is_empty())
            .map(|(id, _)| id)
            .collect();
        for id in without_address {
            affected.classes |= self.reclassify(id).classes;
        }
        affected
    }

    /// Takes a policy out of every list; its slot stays.
    fn retire(&mut self, index: u32, affected: &mut Affected) {
        if let Some(old) = self.policies.get(index as usize) {
            affected.classes |= &old.subject.possible;
        }
        for lists in &mut self.applicable {
            for class in &affected.classes {
                if let Some(list) = lists.get_mut(class as usize) {
                    list.retain(|(i, _)| *i != index);
                }
            }
        }
        // A side that was built with the old rules must not be found again. The classes
        // that have it are the affected ones, and they get new sides.
        let mut retired = Vec::new();
        self.side_ids.retain(|key, id| {
            let keep = !key.applicable.iter().any(|(i, _)| *i == index);
            if !keep {
                retired.push(*id);
            }
            keep
        });
        for id in &retired {
            if let Some(side) = self.sides.get_mut(*id as usize) {
                self.sides_with.remove(*id, &side.sets);
                side.clear();
            }
        }
        self.free_sides.extend(retired);
    }

    /// Gives policies new indices.
    fn renumber(&mut self, new: impl Fn(u32) -> u32) {
        for list in self.applicable.iter_mut().flatten() {
            for (index, _) in list {
                *index = new(*index);
            }
        }
        for (mut key, id) in std::mem::take(&mut self.side_ids) {
            for (index, _) in &mut Arc::make_mut(&mut key).applicable {
                *index = new(*index);
            }
            if let Some(side) = self.sides.get_mut(id as usize) {
                side.key = Arc::clone(&key);
            }
            self.side_ids.insert(key, id);
        }
    }

    /// Cuts the address space where a policy needs it, and moves the pods whose
    /// addresses can be told apart from then on.
    fn cut_for(&mut self, policy: &Policy) -> Affected {
        let mut sets = policies::address_sets(policy);
        if policies::mentions_nodes(policy) {
            sets.extend(node_addresses(&self.snapshot));
        }
        let mut affected = Affected::default();
        for family in IpFamily::ALL {
            for set in &sets {
                #[expect(clippy::indexing_slicing, reason = "two families")]
                let made = self.atoms[family_index(family)].cut(set);
                self.peers.add_atoms(family, &made);
                let mut growth = Growth::default();
                for side in &mut self.sides {
                    if side.key.family == Some(family) {
                        for (parent, atom) in &made {
                            side.add_like(*atom, *parent, &mut growth);
                        }
                    }
                }
                for (parent, _) in made {
                    for pod in self.pods_in_atom(family, parent) {
                        affected.classes |= self.reclassify(pod).classes;
                    }
                }
            }
        }
        affected
    }

    fn pods_in_atom(&self, family: IpFamily, atom: u32) -> Vec<PodId> {
        let in_atom = |class: &&classes::Features| {
            #[expect(clippy::indexing_slicing, reason = "two families")]
            let address = class.address[family_index(family)];
            address == AddressFeature::Atom(atom)
        };
        let features = self.classes.features.iter().zip(&self.classes.pods);
        features
            .filter(|(features, _)| in_atom(features))
            .flat_map(|(_, pods)| pods.iter().copied())
            .collect()
    }

    /// Moves a pod to the class of its features, which may be a new one.
    fn reclassify(&mut self, id: PodId) -> Affected {
        let pod = self.snapshot.pod(id);
        let features = classes::features(&self.snapshot, &self.atoms, pod);
        let from = self.classes.class_of(id);
        let moved = self.classes.move_pod(id, features);
        if moved.to != from {
            self.journal.moved(id, pod);
        }
        if moved.is_new {
            self.introduce(moved.to);
        }
        // Classes that had pods before and have some still answer as they did.
        Affected {
            classes: moved.emptied.into_iter().chain(moved.filled).collect(),
        }
    }

    /// Tells every table of a class that is new.
    fn introduce(&mut self, class: ClassId) {
        let context = Context {
            snapshot: &self.snapshot,
            profile: self.profile,
            atoms: &self.atoms,
            classes: &self.classes,
        };
        let joined = self.peers.add_class(class, context);
        self.named_ports.insert(class, self.classes.get(class));
        let mut lists = [Applicable::new(), Applicable::new()];
        for (index, policy) in (0u32..).zip(&mut self.policies) {
            let applies = policy.add_class(class, &self.peers, context);
            if !applies.possible() {
                continue;
            }
            for direction in [Direction::Egress, Direction::Ingress] {
                if policy.rules(direction).is_some() {
                    #[expect(clippy::indexing_slicing, reason = "two directions")]
                    lists[direction_index(direction)].push((index, applies.certain()));
                }
            }
        }
        for (of_classes, list) in self.applicable.iter_mut().zip(lists) {
            of_classes.push(list);
        }
        let mentioned = joined.sets().flat_map(|set| self.sides_with.sides(set));
        let mut mentioned: Vec<u32> = mentioned.copied().collect();
        mentioned.sort_unstable();
        mentioned.dedup();
        let mut growth = Growth::default();
        let mut sides = std::mem::take(&mut self.sides);
        for index in mentioned {
            let Some(side) = sides.get_mut(index as usize) else {
                continue;
            };
            let family = side.key.family();
            let features = self.classes.get(class);
            let signature = signature(features, &side.sets, &side.names, |set| {
                joined.member(set, family)
            });
            if !signature.members.iter().any(|member| member.possible()) {
                continue;
            }
            side.add(class, signature, &mut growth, |side, signature| {
                self.journal.grown(index);
                let outcome = self.judge(&side.key, &side.sets, &side.names, [signature]);
                let outcome = outcome.into_iter().next();
                self.outcomes
                    .intern(outcome.unwrap_or_else(crate::sets::Outcome::allowed))
            });
        }
        self.sides = sides;
        self.build_sides([class]);
    }
}

fn policy_key(policy: &Policy) -> (ringfence_model::policy::PolicyFamily, Option<&str>, &str) {
    (policy.family, policy.namespace.as_deref(), &policy.name)
}
