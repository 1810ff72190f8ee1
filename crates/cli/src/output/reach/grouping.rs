//! Which sources open the same connections.
//!
//! Sources share lists of destinations, so that equal rows are found without reading
//! them, and the cost follows what is different, not the number of connections.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use ipnet::IpNet;
use ringfence_engine::reach::{End, EndId, Entry, ListId, OpenId, Reachability, Row};
use ringfence_model::snapshot::{NamespaceId, Snapshot, WorkloadId};
use rustc_hash::{FxHashMap, FxHasher};

use super::view::{self, Block, Node, Open};
use crate::output::address_names::{AddressNames, Place};

/// What one source opens: destinations, sorted, each with a number for its ports.
type Entries = Vec<(Node, u32)>;

/// The places there are, and the blocks, sorted by their first source.
pub(super) fn blocks(
    snapshot: &Snapshot,
    reachability: &Reachability,
    sources: &[WorkloadId],
) -> (Vec<Place>, Vec<Block>) {
    let mut grouping = Grouping {
        snapshot,
        reachability,
        address_names: AddressNames::new(snapshot),
        places: Vec::new(),
        place_ids: FxHashMap::default(),
        places_of: FxHashMap::default(),
        open_numbers: vec![None; reachability.opens().len()],
        opens: Vec::new(),
        seen: FxHashMap::default(),
        outside: Vec::new(),
        outside_ids: FxHashMap::default(),
        workloads: BTreeMap::new(),
        of_places: BTreeMap::new(),
    };
    let nothing = grouping.outside(Vec::new());
    for source in sources {
        let opened = Opened {
            workloads: Destinations::None,
            outside: nothing,
        };
        grouping.workloads.insert(*source, opened);
    }
    for row in reachability.rows() {
        grouping.read(row);
    }
    let blocks = grouping.blocks();
    (grouping.places, blocks)
}

/// The workloads that a source reaches. Equal ones are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Destinations {
    None,
    /// Those of a list, the source itself aside where it is a bare pod.
    Listed(ListId),
    /// Those that a place reaches by several rows together, by the place.
    Joined(u32),
}

/// What a source opens. Equal sources open the same, bare pods themselves aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Opened {
    workloads: Destinations,
    /// An index into [`Grouping::outside`].
    outside: usize,
}

/// A block that may still grow.
struct Draft {
    sources: Vec<Node>,
    opened: Opened,
    /// Whether the sources are bare pods.
    is_bare: bool,
    /// What other bare pods of the block have for the first of them.
    for_first: Option<u32>,
}

/// Sources that may be in one block with each other, and others that may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Same(Opened),
    /// Bare pods differ in what each of them is to the others of their namespace.
    Bare {
        namespace: NamespaceId,
        outside: usize,
        /// Of the destinations that are not such pods.
        hash: u64,
    },
}

/// The state of grouping.
struct Grouping<'a> {
    snapshot: &'a Snapshot,
    reachability: &'a Reachability,
    address_names: AddressNames,
    places: Vec<Place>,
    place_ids: FxHashMap<Place, u32>,
    places_of: FxHashMap<EndId, Vec<Node>>,
    /// Sets of ports are numbered in the order in which connections have them.
    open_numbers: Vec<Option<u32>>,
    opens: Vec<OpenId>,
    /// The lists that were read, and the entry that was left out, if any.
    seen: FxHashMap<ListId, Option<EndId>>,
    /// Different lists of places.
    outside: Vec<Entries>,
    outside_ids: FxHashMap<Entries, usize>,
    /// What each workload opens.
    workloads: BTreeMap<WorkloadId, Opened>,
    /// The lists of what each place opens.
    of_places: BTreeMap<u32, Vec<ListId>>,
}

impl Grouping<'_> {
    fn read(&mut self, row: &Row) {
        let reachability = self.reachability;
        let from = match reachability.end(row.from) {
            End::Workload(id) => Some(*id),
            End::Addresses(nets) => {
                for node in self.nodes(row.from, nets) {
                    if let Node::Place(place) = node
                        && !self.is_metadata(place)
                    {
                        self.of_places.entry(place).or_default().push(row.workloads);
                    }
                }
                None
            }
        };
        self.number_opens(row);
        let mut outside = Entries::new();
        for entry in reachability.list(row.outside) {
            let open = self.open_number(entry.open);
            if let End::Addresses(nets) = reachability.end(entry.to) {
                let nodes = self.nodes(entry.to, nets);
                outside.extend(nodes.into_iter().map(|node| (node, open)));
            }
        }
        if let Some(id) = from {
            outside.sort_unstable();
            let outside = self.outside(outside);
            let workloads = match reachability.list(row.workloads).is_empty() {
                true => Destinations::None,
                false => Destinations::Listed(row.workloads),
            };
            self.workloads.insert(id, Opened { workloads, outside });
        }
    }

    /// Numbers the ports of a row's workloads, as far as they have none.
    fn number_opens(&mut self, row: &Row) {
        let reachability = self.reachability;
        let itself = row.without_itself.then_some(row.from);
        match self.seen.get(&row.workloads).copied() {
            None => {
                for entry in reachability.list(row.workloads) {
                    if Some(entry.to) != itself {
                        self.open_number(entry.open);
                    }
                }
                self.seen.insert(row.workloads, itself);
            }
            Some(Some(left_out)) if Some(left_out) != itself => {
                if let Some(open) = reachability.find(row.workloads, left_out) {
                    self.open_number(open);
                }
                self.seen.insert(row.workloads, None);
            }
            Some(_) => {}
        }
    }

    fn open_number(&mut self, open: OpenId) -> u32 {
        let number = u32::try_from(self.opens.len()).unwrap_or(u32::MAX);
        match self.open_numbers.get_mut(open.index()) {
            Some(Some(known)) => *known,
            Some(unknown) => {
                *unknown = Some(number);
                self.opens.push(open);
                number
            }
            None => number,
        }
    }

    fn number_of(&self, open: OpenId) -> u32 {
        let number = self.open_numbers.get(open.index());
        number.copied().flatten().unwrap_or(u32::MAX)
    }

    /// The number of a list of places.
    fn outside(&mut self, entries: Entries) -> usize {
        if let Some(id) = self.outside_ids.get(&entries) {
            return *id;
        }
        let id = self.outside.len();
        self.outside.push(entries.clone());
        self.outside_ids.insert(entries, id);
        id
    }

    fn nodes(&mut self, end: EndId, nets: &[IpNet]) -> Vec<Node> {
        if let Some(nodes) = self.places_of.get(&end) {
            return nodes.clone();
        }
        let places = self.address_names.places(nets);
        let nodes: Vec<Node> = places
            .into_iter()
            .map(|place| Node::Place(self.place_id(place)))
            .collect();
        self.places_of.insert(end, nodes.clone());
        nodes
    }

    fn place_id(&mut self, place: Place) -> u32 {
        if let Some(id) = self.place_ids.get(&place) {
            return *id;
        }
        let id = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.places.push(place.clone());
        self.place_ids.insert(place, id);
        id
    }

    /// Nobody connects from a metadata endpoint.
    fn is_metadata(&self, place: u32) -> bool {
        let place = self.places.get(place as usize);
        place.is_some_and(Place::is_metadata)
    }

    /// Equal rows together.
    fn blocks(&mut self) -> Vec<Block> {
        let mut drafts: Vec<Draft> = Vec::new();
        let mut by_key: FxHashMap<Key, Vec<usize>> = FxHashMap::default();
        let mut hashes: FxHashMap<(Destinations, NamespaceId), u64> = FxHashMap::default();
        let mut differences = Differences::default();
        for (id, opened) in &self.workloads {
            let workload = self.snapshot.workload(*id);
            // One pod alone, whose connection to itself is no connection.
            let is_bare = !workload.may_have_peers_of_its_own();
            let key = if is_bare {
                let namespace = workload.namespace;
                let hash = *hashes
                    .entry((opened.workloads, namespace))
                    .or_insert_with(|| self.hash_of_others(opened.workloads, namespace));
                Key::Bare {
                    namespace,
                    outside: opened.outside,
                    hash,
                }
            } else {
                Key::Same(*opened)
            };
            let candidates = by_key.entry(key).or_default();
            let taken = candidates.iter().any(|index| {
                let draft = drafts.get_mut(*index);
                draft.is_some_and(|draft| self.take(draft, *id, *opened, &mut differences))
            });
            if !taken {
                candidates.push(drafts.len());
                drafts.push(Draft {
                    sources: vec![Node::Workload(*id)],
                    opened: *opened,
                    is_bare,
                    for_first: None,
                });
            }
        }
        let mut joined: FxHashMap<u32, Entries> = FxHashMap::default();
        let mut first_with: FxHashMap<Entries, Destinations> = FxHashMap::default();
        for (place, lists) in &self.of_places {
            let workloads = match lists.as_slice() {
                [list] => Destinations::Listed(*list),
                lists => {
                    let lists = lists
                        .iter()
                        .map(|list| self.listed(Destinations::Listed(*list)));
                    let mut entries: Entries = lists.flatten().collect();
                    entries.sort_unstable();
                    let same = self.list_with(&entries);
                    let same = same.or_else(|| first_with.get(&entries).copied());
                    same.unwrap_or_else(|| {
                        first_with.insert(entries.clone(), Destinations::Joined(*place));
                        joined.insert(*place, entries);
                        Destinations::Joined(*place)
                    })
                }
            };
            let outside = self.outside_ids.get(&Entries::new()).copied().unwrap_or(0);
            let opened = Opened { workloads, outside };
            let candidates = by_key.entry(Key::Same(opened)).or_default();
            match candidates.first().and_then(|index| drafts.get_mut(*index)) {
                Some(draft) => draft.sources.push(Node::Place(*place)),
                None => {
                    candidates.push(drafts.len());
                    drafts.push(Draft {
                        sources: vec![Node::Place(*place)],
                        opened,
                        is_bare: false,
                        for_first: None,
                    });
                }
            }
        }
        drafts
            .into_iter()
            .map(|draft| {
                let entries = self.entries(&draft, &joined);
                Block {
                    rows: self.rows_of(&entries),
                    sources: draft.sources,
                }
            })
            .collect()
    }

    /// Takes `source` into a block if it opens the same.
    ///
    /// Bare pods are alike when they open the same to everything else, and to each
    /// other. None of them has an entry for itself; in the block each gets the one that
    /// the others have for it. That is true as well: a pod reaches itself.
    fn take(
        &self,
        draft: &mut Draft,
        source: WorkloadId,
        opened: Opened,
        differences: &mut Differences,
    ) -> bool {
        if draft.is_bare {
            let Some(Node::Workload(first)) = draft.sources.first() else {
                return false;
            };
            let (first, itself) = (EndId::workload(*first), EndId::workload(source));
            let there = self.find(draft.opened.workloads, itself);
            let back = self.find(opened.workloads, first);
            if there != back {
                return false;
            }
            if draft.opened.workloads != opened.workloads {
                let lists = [draft.opened.workloads, opened.workloads];
                let only = differences.between(lists, |list| self.list(list));
                let between_them = |end: &EndId| *end == first || *end == itself;
                if !only.is_some_and(|ends| ends.iter().all(between_them)) {
                    return false;
                }
            }
            if draft.for_first.is_none() {
                draft.for_first = back.map(|open| self.number_of(open));
            }
        }
        draft.sources.push(Node::Workload(source));
        true
    }

    fn list(&self, destinations: Destinations) -> &[Entry] {
        match destinations {
            Destinations::Listed(list) => self.reachability.list(list),
            Destinations::None | Destinations::Joined(_) => &[],
        }
    }

    fn find(&self, destinations: Destinations, to: EndId) -> Option<OpenId> {
        match destinations {
            Destinations::Listed(list) => self.reachability.find(list, to),
            Destinations::None | Destinations::Joined(_) => None,
        }
    }

    /// A hash of the destinations that are no bare pods of a namespace.
    fn hash_of_others(&self, destinations: Destinations, namespace: NamespaceId) -> u64 {
        let mut hasher = FxHasher::default();
        for entry in self.list(destinations) {
            if let End::Workload(id) = self.reachability.end(entry.to) {
                let workload = self.snapshot.workload(*id);
                if workload.namespace != namespace || workload.may_have_peers_of_its_own() {
                    entry.hash(&mut hasher);
                }
            }
        }
        hasher.finish()
    }

    fn listed(&self, destinations: Destinations) -> impl Iterator<Item = (Node, u32)> {
        self.list(destinations)
            .iter()
            .filter_map(|entry| match self.reachability.end(entry.to) {
                End::Workload(id) => Some((Node::Workload(*id), self.number_of(entry.open))),
                End::Addresses(_) => None,
            })
    }

    /// The list that has these entries, if there is one.
    fn list_with(&self, entries: &Entries) -> Option<Destinations> {
        let lists = self.seen.keys().map(|list| Destinations::Listed(*list));
        let mut alike = lists.filter(|list| self.list(*list).len() == entries.len());
        alike.find(|list| self.listed(*list).eq(entries.iter().copied()))
    }

    /// All that the sources of a block open.
    fn entries(&self, draft: &Draft, joined: &FxHashMap<u32, Entries>) -> Entries {
        let mut entries: Entries = match draft.opened.workloads {
            Destinations::Joined(place) => joined.get(&place).cloned().unwrap_or_default(),
            listed => self.listed(listed).collect(),
        };
        if let Some(&first) = draft.sources.first()
            && draft.is_bare
            && let Ok(position) | Err(position) = entries.binary_search_by_key(&first, |e| e.0)
        {
            if entries
                .get(position)
                .is_some_and(|(node, _)| *node == first)
            {
                entries.remove(position);
            }
            if let Some(open) = draft.for_first {
                entries.insert(position, (first, open));
            }
        }
        let outside = self.outside.get(draft.opened.outside);
        entries.extend(outside.into_iter().flatten());
        entries
    }

    fn rows_of(&self, entries: &Entries) -> Vec<view::Row> {
        let mut rows: Vec<(u32, Vec<Node>)> = Vec::new();
        let mut by_open: FxHashMap<u32, usize> = FxHashMap::default();
        for (node, open) in entries {
            let index = *by_open.entry(*open).or_insert(rows.len());
            match rows.get_mut(index) {
                Some((_, nodes)) => nodes.push(*node),
                None => rows.push((*open, vec![*node])),
            }
        }
        rows.into_iter()
            .map(|(open, to)| view::Row {
                to,
                open: self.open(open),
            })
            .collect()
    }

    fn open(&self, number: u32) -> Open {
        let Some(id) = self.opens.get(number as usize) else {
            return Open::default();
        };
        let open = self.reachability.open(*id);
        Open {
            allow: open.allow.clone(),
            maybe: open.maybe.clone(),
        }
    }
}

/// Two sources differ in no more than what they are to each other.
const MOST_DIFFERENCES: usize = 2;

/// The ends in which two lists differ, as far as they were compared; `None` where they
/// are too many.
#[derive(Default)]
struct Differences(FxHashMap<[Destinations; 2], Option<Vec<EndId>>>);

impl Differences {
    fn between<'a>(
        &mut self,
        lists: [Destinations; 2],
        entries: impl Fn(Destinations) -> &'a [Entry],
    ) -> Option<&[EndId]> {
        let found = self.0.entry(lists).or_insert_with(|| {
            let [mut left, mut right] = lists.map(|list| entries(list).iter().peekable());
            let mut ends = Vec::new();
            loop {
                let next = [left.peek(), right.peek()].into_iter().flatten();
                let Some(end) = next.map(|entry| entry.to).min() else {
                    return Some(ends);
                };
                if left.next_if(|e| e.to == end) != right.next_if(|e| e.to == end) {
                    ends.push(end);
                    if ends.len() > MOST_DIFFERENCES {
                        return None;
                    }
                }
            }
        });
        found.as_deref()
    }
}
