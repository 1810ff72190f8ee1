//! One IP family of a node: the tables of its pods, and the sets and chains made of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ringfence_engine::{Engine, EngineChanges};
use ringfence_model::address::{IpFamily, to_number};
use ringfence_model::metadata;
use ringfence_model::policy::Direction;
use ringfence_model::snapshot::PodId;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::chains::{self, Content, Half, Needed};
use super::endpoints::{NO_TABLE, Slot};
use super::itself::ToItself;
use super::judges::Judges;
use super::moving::{Found, Owner};
use super::named;
use super::node::Settings;
use super::peers::PeerSet;
use super::ports::PortSets;
use super::sets::{PeerSets, SetNames};
use super::tables::{Group, NOBODY, Said, Table, peer_address};
use crate::ruleset::{Edit, Name, Ruleset, Value, key};

/// The index of egress in arrays by direction.
const EGRESS: usize = 0;

/// A table: the index of its direction, and its number.
pub(super) type TableKey = (usize, u32);

/// What one family of a node is compiled to.
#[derive(Clone, Debug)]
pub(super) struct Family {
    pub(super) family: IpFamily,
    /// For egress and ingress, by their numbers.
    tables: [BTreeMap<u32, Table>; 2],
    sets: PeerSets,
    pub(super) judges: [Judges; 2],
    pub(super) to_itself: ToItself,
    /// The pods that have an address, wherever they are.
    pods_at: FxHashMap<IpAddr, SmallVec<[PodId; 2]>>,
    pods: Name,
    /// The endpoints of this node that have an address.
    pub(super) claims: FxHashMap<IpAddr, SmallVec<[Slot; 2]>>,
    /// The addresses that may not lead to a table any more after this change.
    left: BTreeMap<TableKey, Vec<IpAddr>>,
}

/// Tables whose pods are to be looked at again, for egress and ingress.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    /// They have another chain.
    pub(super) chains: [BTreeSet<u32>; 2],
    /// What they say became certain, or uncertain.
    pub(super) unknown: [BTreeSet<u32>; 2],
}

impl Family {
    pub(super) fn new(family: IpFamily, settings: &Settings) -> Self {
        let judges = [Direction::Egress, Direction::Ingress].map(|direction| {
            let half = Half { direction, family };
            Judges::new(half, settings.judge_untracked)
        });
        let names = SetNames {
            peers: named("peers", family),
            blocks: named("blocks", family),
            pieces: named("pieces", family),
        };
        Self {
            family,
            tables: Default::default(),
            sets: PeerSets::new(family, names),
            judges,
            to_itself: ToItself::new(family),
            pods_at: FxHashMap::default(),
            pods: named("pods", family),
            claims: FxHashMap::default(),
            left: BTreeMap::new(),
        }
    }

    /// Reads what the numbers of the ruleset before meant.
    pub(super) fn follow(&mut self, previous: &Ruleset) {
        self.sets.follow(previous);
        for judges in &mut self.judges {
            judges.follow(previous);
        }
        self.to_itself.follow(previous);
    }

    /// An address that led to a table may lead elsewhere from now on.
    pub(super) fn leads_elsewhere(&mut self, direction: usize, table: u32, address: IpAddr) {
        if table != NO_TABLE {
            let left = self.left.entry((direction, table)).or_default();
            left.push(address);
        }
    }

    /// The endpoint with an address is judged by another table from now on.
    pub(super) fn judge_by(
        &mut self,
        direction: usize,
        address: Option<IpAddr>,
        (old, new): (u32, u32),
    ) {
        if old == new {
            return;
        }
        if let Some(address) = address {
            self.leads_elsewhere(direction, old, address);
        }
        let Some(tables) = self.tables.get_mut(direction) else {
            return;
        };
        if new != NO_TABLE {
            tables.entry(new).or_default().endpoints += 1;
        }
        if let Some(table) = tables.get_mut(&old) {
            table.endpoints = table.endpoints.saturating_sub(1);
        }
    }

    /// A table that endpoints are judged by.
    pub(super) fn table(&self, direction: usize, id: u32) -> Option<&Table> {
        self.tables.get(direction)?.get(&id)
    }

    /// Reads the addresses of all pods, the first time.
    pub(super) fn read_pods(&mut self, engine: &Engine, edit: &mut Edit<'_>) {
        for (pod, _) in engine.snapshot().pod_ids() {
            if let Some(address) = peer_address(engine, pod, self.family) {
                self.pods_at.entry(address).or_default().push(pod);
                edit.set_element(&self.pods, key::address(address), Value::None);
            }
        }
    }

    /// Moves pods to the addresses that they have now. Gives all addresses that they have
    /// or had, with the pods that have them now.
    pub(super) fn move_pods(
        &mut self,
        engine: &Engine,
        changes: &EngineChanges,
        edit: &mut Edit<'_>,
    ) -> Vec<(IpAddr, SmallVec<[PodId; 2]>)> {
        let mut touched = BTreeSet::new();
        for (pod, before) in &changes.moved {
            let mut before = before.iter().copied();
            while let Some(address) = before.find(|address| IpFamily::of(*address) == self.family) {
                touched.insert(address);
                if let Some(pods) = self.pods_at.get_mut(&address) {
                    pods.retain(|other| other != pod);
                }
            }
        }
        for pod in changes.moved.keys() {
            if let Some(address) = peer_address(engine, *pod, self.family) {
                touched.insert(address);
                let pods = self.pods_at.entry(address).or_default();
                if !pods.contains(pod) {
                    pods.push(*pod);
                }
            }
        }
        let with_pods = touched.into_iter().map(|address| {
            let pods = self.pods_at.get(&address).cloned().unwrap_or_default();
            let value = (!pods.is_empty()).then_some(Value::None);
            if value.is_none() {
                self.pods_at.remove(&address);
            }
            edit.put(&self.pods, key::address(address), value);
            (address, pods)
        });
        with_pods.collect()
    }

    /// Compiles the tables anew that changed. `touched` are the addresses of pods that
    /// moved. Says whose pods are to be looked at again.
    pub(super) fn compile(
        &mut self,
        engine: &Engine,
        changes: &EngineChanges,
        touched: &[(IpAddr, SmallVec<[PodId; 2]>)],
        ports: &mut PortSets,
        edit: &mut Edit<'_>,
    ) -> Dirty {
        let mut dirty = Dirty::default();
        let found = self.look(engine, changes, touched, &mut dirty);
        // Tables that say something else than before.
        let mut changed: BTreeSet<TableKey> = BTreeSet::new();
        let parted = self.move_sets(&found, &mut changed, edit);
        // Sets are as they will be from here on: what is looked for may be equal to one.
        for (owner, peers) in parted {
            self.ask_for(owner, &peers, edit);
            changed.insert(owner.table);
        }
        for (table, ports, peers) in found.joining {
            let set = self.sets.intern(&peers, edit);
            if let Some(said) = self.said_mut(table) {
                said.add_group(ports, set);
            }
            changed.insert(table);
        }
        for table in found.anew {
            self.read_table(engine, table, &mut dirty, edit);
            changed.insert(table);
        }
        for table in changed {
            if let Some(said) = self.said_mut(table) {
                said.drop_empty_groups();
            }
            self.write_chain(table, ports, &mut dirty, edit);
        }
        dirty
    }

    /// Looks what changed in which table, and changes nothing but what is known of them.
    fn look(
        &mut self,
        engine: &Engine,
        changes: &EngineChanges,
        touched: &[(IpAddr, SmallVec<[PodId; 2]>)],
        dirty: &mut Dirty,
    ) -> Found {
        let mut found = Found::default();
        for ((direction, id), addresses) in std::mem::take(&mut self.left) {
            let said = self
                .table(direction, id)
                .and_then(|table| table.said.as_ref());
            for group in said.into_iter().flat_map(|said| &said.groups) {
                found.left.entry(group.set).or_default().extend(&addresses);
            }
        }
        for (direction, tables) in self.tables.iter_mut().enumerate() {
            let judges = &mut self.judges;
            tables.retain(|_, table| {
                if table.endpoints > 0 {
                    return true;
                }
                let groups = table.said.iter().flat_map(|said| &said.groups);
                found.given_back.extend(groups.map(|group| group.set));
                if let (Some(chain), Some(judges)) = (table.chain, judges.get_mut(direction)) {
                    judges.release(chain);
                }
                false
            });
            for (id, table) in tables.iter_mut() {
                let key = (direction, *id);
                let is_anew = changes.tables.contains(id);
                let Some(said) = table.said.as_mut().filter(|_| !is_anew) else {
                    found.anew.push(key);
                    continue;
                };
                let grown = changes.grown.contains(id);
                if touched.is_empty() && !grown {
                    continue;
                }
                let Some(now) = engine.table_with_id(*id, self.family) else {
                    continue;
                };
                if grown && said.unknown != Said::is_unknown(&now) {
                    said.unknown = !said.unknown;
                    mark(&mut dirty.unknown, key);
                }
                let moves = said.moves(&now, &self.sets, touched);
                for (group, delta) in moves.of_groups {
                    if let Some(Group { set, .. }) = said.groups.get(group) {
                        let owners = found.moving.entry(*set).or_default();
                        let owner = Owner { table: key, group };
                        owners.entry(delta).or_default().push(owner);
                    }
                }
                for (ports, pods) in moves.new_groups {
                    let peers = PeerSet::from_parts(pods, Vec::new());
                    found.joining.push((key, ports, peers));
                }
            }
        }
        found
    }

    /// Changes sets by what moved. Where all who ask for a set move alike it keeps its
    /// number. The others are given back, with what they are to ask for.
    fn move_sets(
        &mut self,
        found: &Found,
        changed: &mut BTreeSet<TableKey>,
        edit: &mut Edit<'_>,
    ) -> Vec<(Owner, PeerSet)> {
        let mut parted = Vec::new();
        let mut moved = Vec::new();
        let movable = found.movable(&self.sets);
        // Before anybody looks for an equal set: all who ask for a set that moved may pass on
        // to another. With one who is gone it would look asked for, and be found by others
        // under the number that those who passed on had asked for.
        for set in &found.given_back {
            self.sets.release(*set);
        }
        for (number, by_delta) in &found.moving {
            for (delta, owners) in by_delta {
                if movable.contains(number) {
                    moved.push((*number, delta, owners));
                    continue;
                }
                let peers = self.sets.changed(*number, delta, edit);
                parted.extend(owners.iter().map(|owner| (*owner, peers.clone())));
            }
        }
        for (number, delta, _) in &moved {
            self.sets.change(*number, delta, edit);
        }
        for (number, _, owners) in moved {
            let Some(same) = self.sets.equal_to(number, edit) else {
                continue;
            };
            for owner in owners {
                self.sets.pass_on(number, same);
                changed.insert(owner.table);
                if let Some(group) = self.group_mut(*owner) {
                    group.set = same;
                }
            }
        }
        parted
    }

    /// A group of a table asks for another set from now on.
    fn ask_for(&mut self, owner: Owner, peers: &PeerSet, edit: &mut Edit<'_>) {
        let set = match peers.is_empty() {
            true => NOBODY,
            false => self.sets.intern(peers, edit),
        };
        if let Some(group) = self.group_mut(owner) {
            let old = std::mem::replace(&mut group.set, set);
            self.sets.release(old);
        }
    }

    /// Reads a table that is new, or that became another.
    fn read_table(
        &mut self,
        engine: &Engine,
        (direction, id): TableKey,
        dirty: &mut Dirty,
        edit: &mut Edit<'_>,
    ) {
        let Some(now) = engine.table_with_id(id, self.family) else {
            return;
        };
        let sets = &mut self.sets;
        let said = Said::read(engine, &now, self.family, |peers| sets.intern(&peers, edit));
        let table = self.tables.get_mut(direction);
        let Some(table) = table.and_then(|tables| tables.get_mut(&id)) else {
            return;
        };
        let unknown = said.unknown;
        let old = table.said.replace(said);
        if unknown != old.as_ref().is_some_and(|old| old.unknown) {
            mark(&mut dirty.unknown, (direction, id));
        }
        for group in old.into_iter().flat_map(|old| old.groups) {
            self.sets.release(group.set);
        }
    }

    /// Has a table judged by the chain that says what it says.
    fn write_chain(
        &mut self,
        (direction, id): TableKey,
        ports: &mut PortSets,
        dirty: &mut Dirty,
        edit: &mut Edit<'_>,
    ) {
        let content = self.content((direction, id));
        let Some(judges) = self.judges.get_mut(direction) else {
            return;
        };
        let chain = content.map(|content| judges.intern(content, ports, edit));
        let table = self.tables.get_mut(direction);
        let Some(table) = table.and_then(|tables| tables.get_mut(&id)) else {
            return;
        };
        let old = std::mem::replace(&mut table.chain, chain);
        if let Some(old) = old {
            judges.release(old);
        }
        if old != chain {
            mark(&mut dirty.chains, (direction, id));
        }
    }

    /// What the chain of a table is to judge by; `None` where it leaves everything open.
    fn content(&self, (direction, id): TableKey) -> Option<Content> {
        let said = self.table(direction, id)?.said.as_ref()?;
        if said.groups.is_empty() && said.others.is_all() {
            return None;
        }
        let groups = said.groups.iter().map(|group| chains::Group {
            ports: group.ports.clone(),
            peer_set: group.set,
            has_pods: self.sets.has_pods(group.set),
            has_blocks: self.sets.has_blocks(group.set),
        });
        Some(Content {
            groups: groups.collect(),
            others: said.others.clone(),
            metadata: match direction {
                EGRESS => self.metadata_needs(said),
                _ => Needed::Nothing,
            },
        })
    }

    /// What translated connections to metadata services need.
    fn metadata_needs(&self, said: &Said) -> Needed {
        let mut ports = metadata::secret_addresses()
            .into_iter()
            .filter(|address| IpFamily::of(*address) == self.family)
            .map(|address| {
                let number = to_number(address);
                let mut groups = said.groups.iter();
                let group = groups.find(|group| self.sets.has_block_with(group.set, number));
                group.map_or(&said.others, |group| &group.ports)
            })
            .collect::<Vec<_>>();
        ports.dedup();
        match ports.as_slice() {
            [] => Needed::Nothing,
            [ports] if ports.is_all() => Needed::Nothing,
            [ports] if ports.is_empty() => Needed::Denial,
            _ => Needed::Chain,
        }
    }

    /// Ends a change: what is not used any more goes.
    pub(super) fn end(&mut self, ports: &mut PortSets, edit: &mut Edit<'_>) {
        self.sets.end(edit);
        for judges in &mut self.judges {
            judges.end(ports, edit);
        }
        self.to_itself.end(ports, edit);
    }

    fn said_mut(&mut self, (direction, id): TableKey) -> Option<&mut Said> {
        self.tables.get_mut(direction)?.get_mut(&id)?.said.as_mut()
    }

    fn group_mut(&mut self, owner: Owner) -> Option<&mut Group> {
        self.said_mut(owner.table)?.groups.get_mut(owner.group)
    }
}

fn mark(marked: &mut [BTreeSet<u32>; 2], (direction, id): TableKey) {
    if let Some(tables) = marked.get_mut(direction) {
        tables.insert(id);
    }
}
