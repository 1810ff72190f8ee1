//! Which sets of peers may change as they are when pods move.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ringfence_engine::sets::PortSet;

use super::family::TableKey;
use super::peers::PeerSet;
use super::sets::{Delta, PeerSets};

/// A group of a table, which asks for a set of peers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) table: TableKey,
    /// Its position in the table.
    pub(super) group: usize,
}

/// Groups of tables that ask for one set, by how it changes for them.
pub(super) type Owners = BTreeMap<Delta, Vec<Owner>>;

/// What changed in tables.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Sets that groups ask for in which pods moved.
    pub(super) moving: BTreeMap<u32, Owners>,
    /// Peers that get what nobody in the table got.
    pub(super) joining: Vec<(TableKey, PortSet, PeerSet)>,
    /// Tables that are new or became others.
    pub(super) anew: Vec<TableKey>,
    /// Sets that tables asked for that no endpoint has any more.
    pub(super) given_back: Vec<u32>,
    /// Sets that tables ask for, or asked for, that endpoints with these addresses left.
    pub(super) left: BTreeMap<u32, BTreeSet<IpAddr>>,
}

impl Found {
    /// The sets that may change as they are, under the number that they have.
    ///
    /// A packet may have been led to a chain of the ruleset before and ask for sets of the one
    /// after. So all who asked for the set have it changed alike, and by that alone: a table
    /// that is to be judged by another chain leaves all sets as they were to the chain that it
    /// had. Nor does anybody see another pod than himself come or go in a set who is not led
    /// to a table any more that asks for it.
    pub(super) fn movable(&self, sets: &PeerSets) -> BTreeSet<u32> {
        let joining = self.joining.iter().map(|(table, _, _)| *table);
        let mut rewritten: BTreeSet<TableKey> = joining.collect();
        let alike = self.moving.iter().filter_map(|(number, by_delta)| {
            let mut by_delta = by_delta.iter();
            match (by_delta.next(), by_delta.next()) {
                (Some((delta, owners)), None) => Some((*number, (delta, owners))),
                _ => None,
            }
        });
        let mut movable: BTreeMap<u32, (&Delta, &Vec<Owner>)> = alike
            .filter(|(number, (delta, owners))| self.can_move(*number, delta, owners.len(), sets))
            .collect();
        for (_, by_delta) in self.moving.iter().filter(|it| !movable.contains_key(it.0)) {
            rewritten.extend(by_delta.values().flatten().map(|owner| owner.table));
        }
        // Who parts from a set is rewritten, which others may have to part for.
        loop {
            let parts = movable.iter().find(|(_, (_, owners))| {
                let mut owners = owners.iter();
                owners.any(|owner| rewritten.contains(&owner.table))
            });
            let Some(number) = parts.map(|(number, _)| *number) else {
                return movable.into_keys().collect();
            };
            if let Some((_, owners)) = movable.remove(&number) {
                rewritten.extend(owners.iter().map(|owner| owner.table));
            }
        }
    }

    fn can_move(&self, number: u32, delta: &Delta, owners: usize, sets: &PeerSets) -> bool {
        let gone = self.given_back.iter().filter(|set| **set == number).count();
        let mut left = self.left.get(&number).into_iter().flatten();
        sets.is_asked_by(number, owners + gone)
            && sets.has_pods_after(number, delta) == sets.has_pods(number)
            && left.all(|who| delta.iter().all(|(address, _)| address == who))
    }
}
