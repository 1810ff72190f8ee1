//! Sets of peers by number: which exist, and what the tables of the kernel hold of them.
//!
//! Equal sets have one number, whoever asks for them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ringfence_model::address::{IpFamily, IpRangeSet, to_number};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::numbers::Numbers;
use super::peers::{PeerSet, Pieces, address_of};
use crate::ruleset::{Edit, Key, Name, Ruleset, Value, key};

/// Addresses of pods, and ranges of others.
type Ends = (Vec<IpAddr>, Vec<(u128, u128)>);

/// Addresses of pods that join a set (`true`) or leave it, ascending.
pub(super) type Delta = Vec<(IpAddr, bool)>;

/// The names of the sets of the kernel that hold them.
#[derive(Clone, Debug)]
pub(super) struct SetNames {
    /// (number, address of a pod).
    pub(super) peers: Name,
    /// (number, piece).
    pub(super) blocks: Name,
    /// Address -> piece.
    pub(super) pieces: Name,
}

/// All sets of peers of a family.
#[derive(Clone, Debug)]
pub(super) struct PeerSets {
    family: IpFamily,
    names: SetNames,
    held: BTreeMap<u32, Held>,
    /// Sets by the hash of what is in them; some may be different.
    by_hash: FxHashMap<u64, SmallVec<[u32; 2]>>,
    /// The sets that each address of a pod is in, ascending.
    of_address: FxHashMap<IpAddr, SmallVec<[u32; 4]>>,
    numbers: Numbers,
    /// What numbers meant in the ruleset before, of which nothing else is known.
    before: FxHashMap<u64, Vec<(u32, PeerSet)>>,
    /// Sets that may have nobody who asks for them any more.
    doubtful: BTreeSet<u32>,
    blocks_changed: bool,
}

/// One set. Its pods are in the ruleset.
#[derive(Clone, Debug)]
struct Held {
    /// How many groups of tables ask for it.
    owners: u32,
    pods: u32,
    /// The sum of the hashes of its pods: it follows them one by one.
    hash: u64,
    blocks: Box<[(u128, u128)]>,
}

impl Held {
    fn hash(&self) -> u64 {
        self.blocks.iter().fold(self.hash, |hash, (first, last)| {
            mixed(hash ^ mixed_number(*first)).wrapping_add(mixed_number(*last))
        })
    }
}

fn mixed(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

fn mixed_number(number: u128) -> u64 {
    let [high, low] = [number >> 64, number & u128::from(u64::MAX)];
    let half = |half: u128| u64::try_from(half).unwrap_or_default();
    mixed(half(low).wrapping_add(mixed(half(high).wrapping_add(0x9e37_79b9_7f4a_7c15))))
}

fn hash_of(address: IpAddr) -> u64 {
    mixed_number(to_number(address))
}

impl PeerSets {
    pub(super) fn new(family: IpFamily, names: SetNames) -> Self {
        Self {
            family,
            names,
            held: BTreeMap::new(),
            by_hash: FxHashMap::default(),
            of_address: FxHashMap::default(),
            numbers: Numbers::default(),
            before: FxHashMap::default(),
            doubtful: BTreeSet::new(),
            blocks_changed: false,
        }
    }

    /// Reads what numbers meant in the ruleset before: an equal set gets its number
    /// again, and no other does in this change.
    pub(super) fn follow(&mut self, previous: &Ruleset) {
        let mut sets: BTreeMap<u32, Ends> = BTreeMap::new();
        let elements = |name: &Name| {
            let set = previous.sets.get(name).into_iter();
            set.flat_map(|set| &set.elements)
        };
        for (key, _) in elements(&self.names.peers) {
            if let Some((number, address)) = numbered(key) {
                sets.entry(number)
                    .or_default()
                    .0
                    .extend(address_of(address));
            }
        }
        let mut ranges: BTreeMap<&[u8], Vec<(u128, u128)>> = BTreeMap::new();
        for (key, value) in elements(&self.names.pieces) {
            let (first, last) = key.bounds();
            let bounds = (address_of(&first.bytes), address_of(&last.bytes));
            if let (Value::Bytes(piece), (Some(first), Some(last))) = (value, bounds) {
                let of_piece = ranges.entry(&**piece).or_default();
                of_piece.push((to_number(first), to_number(last)));
            }
        }
        for (key, _) in elements(&self.names.blocks) {
            if let Some((number, piece)) = numbered(key) {
                let of_piece = ranges.get(piece).into_iter().flatten();
                sets.entry(number).or_default().1.extend(of_piece);
            }
        }
        self.numbers.reserve(sets.keys().copied());
        for (number, (pods, blocks)) in sets {
            let blocks = IpRangeSet::from_ranges(self.family, blocks);
            let set = PeerSet::new(pods, &blocks);
            let of_hash = self.before.entry(held(&set).hash()).or_default();
            of_hash.push((number, set));
        }
    }

    /// The number of a set that somebody asks for who did not ask for it before.
    pub(super) fn intern(&mut self, set: &PeerSet, edit: &mut Edit<'_>) -> u32 {
        let mut held = held(set);
        let hash = held.hash();
        let known = self.by_hash.get(&hash).into_iter().flatten().copied();
        let known = known.filter(|number| self.is_equal(*number, set, edit));
        // One that nobody asks for goes if it may.
        let is_left = |number: &u32| self.held.get(number).is_none_or(|held| held.owners == 0);
        let known = known.min_by_key(|number| (is_left(number), *number));
        if let Some(number) = known {
            if let Some(held) = self.held.get_mut(&number) {
                held.owners += 1;
            }
            return number;
        }
        let before = self.before.get(&hash).into_iter().flatten();
        let before = before.filter(|(_, before)| before == set);
        let number = match before.map(|(number, _)| *number).min() {
            Some(number) => {
                self.before.remove(&hash);
                self.numbers.take(number);
                number
            }
            None => self.numbers.fresh(),
        };
        for address in &set.pods {
            self.join(number, *address, edit);
        }
        held.owners = 1;
        self.blocks_changed |= !held.blocks.is_empty();
        self.held.insert(number, held);
        self.by_hash.entry(hash).or_default().push(number);
        number
    }

    fn is_equal(&self, number: u32, set: &PeerSet, edit: &Edit<'_>) -> bool {
        let Some(held) = self.held.get(&number) else {
            return false;
        };
        held.pods as usize == set.pods.len()
            && *held.blocks == *set.blocks
            && self
                .pods(number, edit.ruleset())
                .eq(set.pods.iter().copied())
    }

    /// The addresses of pods in a set, ascending.
    fn pods<'a>(&self, number: u32, ruleset: &'a Ruleset) -> impl Iterator<Item = IpAddr> + 'a {
        let number = number.to_ne_bytes();
        let peers = ruleset.sets.get(&self.names.peers);
        let from = key::bytes(&number);
        let elements = peers
            .into_iter()
            .flat_map(move |set| set.elements.range(from.clone()..));
        elements
            .take_while(move |(key, _)| key.bytes.starts_with(&number))
            .filter_map(|(key, _)| address_of(key.bytes.get(4..)?))
    }

    /// Somebody asks for a set no longer. It goes at the end of the change, if nobody does
    /// until then.
    pub(super) fn release(&mut self, number: u32) {
        if let Some(held) = self.held.get_mut(&number) {
            held.owners = held.owners.saturating_sub(1);
            self.doubtful.insert(number);
        }
    }

    /// Whether so many who ask for a set are all of them.
    pub(super) fn is_asked_by(&self, number: u32, owners: usize) -> bool {
        let held = self.held.get(&number);
        held.is_some_and(|held| held.owners as usize == owners)
    }

    /// A set as it would be after a change.
    pub(super) fn changed(&self, number: u32, delta: &Delta, edit: &Edit<'_>) -> PeerSet {
        let pods = self.pods(number, edit.ruleset());
        let leaves = |address: &IpAddr| delta.contains(&(*address, false));
        let joined = delta.iter().filter(|(_, joins)| *joins);
        let pods = pods
            .filter(|address| !leaves(address))
            .chain(joined.map(|(address, _)| *address));
        let blocks = self.held.get(&number).map(|held| held.blocks.to_vec());
        PeerSet::from_parts(pods.collect(), blocks.unwrap_or_default())
    }

    /// Changes a set for all who ask for it.
    pub(super) fn change(&mut self, number: u32, delta: &Delta, edit: &mut Edit<'_>) {
        self.unlist(number);
        for (address, joins) in delta {
            let hash = hash_of(*address);
            match joins {
                true => self.join(number, *address, edit),
                false => self.leave(number, *address, edit),
            }
            if let Some(held) = self.held.get_mut(&number) {
                (held.hash, held.pods) = match joins {
                    true => (held.hash.wrapping_add(hash), held.pods.saturating_add(1)),
                    false => (held.hash.wrapping_sub(hash), held.pods.saturating_sub(1)),
                };
            }
        }
        if let Some(held) = self.held.get(&number) {
            self.by_hash.entry(held.hash()).or_default().push(number);
        }
    }

    /// Another set that became equal to one that changed, and that somebody asks for.
    pub(super) fn equal_to(&self, number: u32, edit: &Edit<'_>) -> Option<u32> {
        let held = self.held.get(&number)?;
        let same_hash = self.by_hash.get(&held.hash())?.iter().copied();
        let equal = same_hash.filter(|other| {
            let Some(found) = self.held.get(other).filter(|found| found.owners > 0) else {
                return false;
            };
            let ruleset = edit.ruleset();
            *other != number
                && (found.pods, &found.blocks) == (held.pods, &held.blocks)
                && self.pods(*other, ruleset).eq(self.pods(number, ruleset))
        });
        equal.min()
    }

    /// One who asks for a set asks for an equal one instead.
    pub(super) fn pass_on(&mut self, number: u32, into: u32) {
        self.release(number);
        if let Some(held) = self.held.get_mut(&into) {
            held.owners += 1;
        }
    }

    /// The numbers of the sets that an address of a pod is in.
    pub(super) fn of_address(&self, address: IpAddr) -> &[u32] {
        self.of_address
            .get(&address)
            .map_or(&[], SmallVec::as_slice)
    }

    pub(super) fn has_pods(&self, number: u32) -> bool {
        self.held.get(&number).is_some_and(|held| held.pods > 0)
    }

    /// Whether there are pods in a set after a change.
    pub(super) fn has_pods_after(&self, number: u32, delta: &Delta) -> bool {
        let pods = self.held.get(&number).map_or(0, |held| held.pods as usize);
        let leave = delta.iter().filter(|(_, joins)| !joins).count();
        pods + delta.len() - leave > leave
    }

    pub(super) fn has_blocks(&self, number: u32) -> bool {
        let held = self.held.get(&number);
        held.is_some_and(|held| !held.blocks.is_empty())
    }

    /// Whether an address, as a number, is in one of the blocks of a set.
    pub(super) fn has_block_with(&self, number: u32, address: u128) -> bool {
        let blocks = self.held.get(&number).map_or(&[][..], |held| &held.blocks);
        let after = blocks.partition_point(|(start, _)| *start <= address);
        let range = after.checked_sub(1).and_then(|at| blocks.get(at));
        range.is_some_and(|(_, end)| address <= *end)
    }

    /// Ends a change: sets that nobody asks for go, and blocks are cut anew where some
    /// came or went.
    pub(super) fn end(&mut self, edit: &mut Edit<'_>) {
        for number in std::mem::take(&mut self.doubtful) {
            if self.held.get(&number).is_none_or(|held| held.owners > 0) {
                continue;
            }
            self.unlist(number);
            let pods: Vec<IpAddr> = self.pods(number, edit.ruleset()).collect();
            for address in pods {
                self.leave(number, address, edit);
            }
            let held = self.held.remove(&number);
            self.blocks_changed |= held.is_some_and(|held| !held.blocks.is_empty());
            self.numbers.release(number);
        }
        if std::mem::take(&mut self.blocks_changed) {
            let sets = self.held.iter();
            let blocks = sets.map(|(number, held)| (*number, &*held.blocks));
            let pieces = Pieces::cut(self.family, blocks);
            edit.set_elements(&self.names.blocks, pieces.in_set);
            edit.set_elements(&self.names.pieces, pieces.of_range);
        }
        self.before = FxHashMap::default();
        self.numbers.end();
    }

    /// Takes a set out of those that are found by what is in them.
    fn unlist(&mut self, number: u32) {
        let Some(hash) = self.held.get(&number).map(Held::hash) else {
            return;
        };
        if let Some(numbers) = self.by_hash.get_mut(&hash) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.by_hash.remove(&hash);
            }
        }
    }

    fn join(&mut self, number: u32, address: IpAddr, edit: &mut Edit<'_>) {
        let sets = self.of_address.entry(address).or_default();
        if let Err(position) = sets.binary_search(&number) {
            sets.insert(position, number);
        }
        edit.set_element(&self.names.peers, member(number, address), Value::None);
    }

    fn leave(&mut self, number: u32, address: IpAddr, edit: &mut Edit<'_>) {
        if let Some(sets) = self.of_address.get_mut(&address) {
            sets.retain(|other| *other != number);
            if sets.is_empty() {
                self.of_address.remove(&address);
            }
        }
        edit.remove_element(&self.names.peers, &member(number, address));
    }
}

fn held(set: &PeerSet) -> Held {
    let hashes = set.pods.iter().map(|address| hash_of(*address));
    Held {
        owners: 0,
        pods: u32::try_from(set.pods.len()).unwrap_or(u32::MAX),
        hash: hashes.fold(0, u64::wrapping_add),
        blocks: set.blocks.as_slice().into(),
    }
}

fn member(number: u32, address: IpAddr) -> Key {
    key::peer_set(number).then(&key::address(address))
}

fn numbered(key: &Key) -> Option<(u32, &[u8])> {
    let (number, rest) = key.bytes.split_at_checked(4)?;
    Some((u32::from_ne_bytes(number.try_into().ok()?), rest))
}
