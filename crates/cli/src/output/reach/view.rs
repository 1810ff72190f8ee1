//! Connections put together so that a person can read them.
//!
//! Sources with equal rows become one block, destinations with equal ports one row,
//! and all workloads of a namespace one word. The cost is linear in the number of
//! connections.

use ipnet::IpNet;
use ringfence_engine::reach::{End, Reachability};
use ringfence_engine::sets::PortSet;
use ringfence_model::snapshot::{NamespaceId, Snapshot, WorkloadId};
use rustc_hash::FxHashMap;

use crate::output::Names;
use crate::output::address_names::{AddressNames, Place};

/// One end as a person sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Node {
    Workload(WorkloadId),
    /// An index into [`View::places`].
    Place(u32),
}

/// What is open between two ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct Open {
    pub(crate) allow: PortSet,
    pub(crate) maybe: PortSet,
}

/// Sources that can open the same connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) sources: Vec<Node>,
    pub(crate) rows: Vec<Row>,
}

/// Destinations that are open in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) to: Vec<Node>,
    pub(crate) open: Open,
}

/// A group of ends, in as few words as possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Every workload there is.
    Everything,
    /// Every workload of a namespace.
    Namespace(NamespaceId),
    One(Node),
}

/// The connections of a report.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) names: Names<'a>,
    pub(crate) places: Vec<Place>,
    /// Sorted by their first source: workloads first, places last. Sources that reach
    /// nothing have a block without rows.
    pub(crate) blocks: Vec<Block>,
    /// How many workloads each namespace has.
    sizes: Vec<usize>,
}

type Entries = Vec<(Node, u32)>;

impl<'a> View<'a> {
    /// Groups `reachability`. `sources` are the workloads that were asked about.
    pub(crate) fn new(
        snapshot: &'a Snapshot,
        reachability: &Reachability,
        sources: &[WorkloadId],
    ) -> Self {
        let mut grouping = Grouping::new(snapshot);
        for source in sources {
            grouping.rows.entry(Node::Workload(*source)).or_default();
        }
        grouping.read(reachability);
        let mut sizes = vec![0; snapshot.namespaces.len()];
        for workload in &snapshot.workloads {
            if let Some(size) = sizes.get_mut(workload.namespace.0 as usize) {
                *size += 1;
            }
        }
        let blocks = grouping.blocks();
        Self {
            names: Names::new(snapshot),
            places: grouping.places,
            blocks,
            sizes,
        }
    }

    /// The place of a node.
    pub(crate) fn place(&self, index: u32) -> Option<&Place> {
        self.places.get(index as usize)
    }

    /// `nodes` (sorted) in as few words as possible: whole namespaces together.
    pub(crate) fn summarised(&self, nodes: &[Node]) -> Vec<Group> {
        let snapshot = self.names.snapshot();
        let workloads: Vec<WorkloadId> = nodes
            .iter()
            .filter_map(|node| match node {
                Node::Workload(id) => Some(*id),
                Node::Place(_) => None,
            })
            .collect();
        let mut groups = Vec::new();
        if workloads.len() == snapshot.workloads.len() && workloads.len() > 1 {
            groups.push(Group::Everything);
        } else {
            let namespace = |id: &WorkloadId| snapshot.workload(*id).namespace;
            for chunk in workloads.chunk_by(|a, b| namespace(a) == namespace(b)) {
                let Some(first) = chunk.first() else { continue };
                let size = self.sizes.get(namespace(first).0 as usize);
                if chunk.len() > 1 && size == Some(&chunk.len()) {
                    groups.push(Group::Namespace(namespace(first)));
                } else {
                    let each = chunk.iter().map(|id| Group::One(Node::Workload(*id)));
                    groups.extend(each);
                }
            }
        }
        let places = nodes.iter().filter(|node| matches!(node, Node::Place(_)));
        groups.extend(places.map(|node| Group::One(*node)));
        groups
    }

    /// How many workloads a namespace has.
    pub(crate) fn size_of(&self, namespace: NamespaceId) -> usize {
        self.sizes.get(namespace.0 as usize).copied().unwrap_or(0)
    }
}

/// A block that may still grow.
struct Draft {
    sources: Vec<Node>,
    /// What the sources open; of bare pods, to each other as well.
    entries: Entries,
    is_bare: bool,
}

impl Draft {
    /// Takes `source` in if it opens the same.
    ///
    /// Bare pods are alike when they open the same to everything else, and to each
    /// other. None of them has an entry for itself; in the block each gets the one that
    /// the others have for it. That is true as well: a pod reaches itself.
    fn take(&mut self, source: Node, entries: &Entries, is_bare: bool) -> bool {
        if self.is_bare != is_bare {
            return false;
        }
        let Some(&first) = self.sources.first() else {
            return false;
        };
        if is_bare {
            let others = |entries: &Entries| -> Entries {
                let is_other = |(node, _): &&(Node, u32)| *node != first && *node != source;
                entries.iter().filter(is_other).copied().collect()
            };
            let to = |entries: &Entries, node: Node| {
                let position = entries.binary_search_by_key(&node, |(to, _)| *to);
                position
                    .ok()
                    .and_then(|p| entries.get(p))
                    .map(|(_, open)| *open)
            };
            let there = to(&self.entries, source);
            let back = to(entries, first);
            if there != back || others(&self.entries) != others(entries) {
                return false;
            }
            if let (Some(open), Err(position)) = (
                back,
                self.entries.binary_search_by_key(&first, |(to, _)| *to),
            ) {
                self.entries.insert(position, (first, open));
            }
        }
        self.sources.push(source);
        true
    }
}

/// The state of grouping.
struct Grouping<'a> {
    snapshot: &'a Snapshot,
    address_names: AddressNames,
    places: Vec<Place>,
    place_ids: FxHashMap<Place, u32>,
    places_of: FxHashMap<Vec<IpNet>, Vec<Node>>,
    opens: Vec<Open>,
    open_ids: FxHashMap<Open, u32>,
    rows: FxHashMap<Node, Entries>,
}

impl<'a> Grouping<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        Self {
            snapshot,
            address_names: AddressNames::new(snapshot),
            places: Vec::new(),
            place_ids: FxHashMap::default(),
            places_of: FxHashMap::default(),
            opens: Vec::new(),
            open_ids: FxHashMap::default(),
            rows: FxHashMap::default(),
        }
    }

    fn read(&mut self, reachability: &Reachability) {
        for connection in &reachability.connections {
            let open = self.open_id(Open {
                allow: connection.allow.clone(),
                maybe: connection.maybe.clone(),
            });
            let from = self.nodes(&connection.from, true);
            let to = self.nodes(&connection.to, false);
            for source in from {
                let entries = self.rows.entry(source).or_default();
                entries.extend(to.iter().map(|node| (*node, open)));
            }
        }
    }

    fn open_id(&mut self, open: Open) -> u32 {
        if let Some(id) = self.open_ids.get(&open) {
            return *id;
        }
        let id = u32::try_from(self.opens.len()).unwrap_or(u32::MAX);
        self.opens.push(open.clone());
        self.open_ids.insert(open, id);
        id
    }

    fn nodes(&mut self, end: &End, as_source: bool) -> Vec<Node> {
        let nets = match end {
            End::Workload(id) => return vec![Node::Workload(*id)],
            End::Addresses(nets) => nets,
        };
        if !self.places_of.contains_key(nets) {
            let places = self.address_names.places(nets);
            let nodes = places.into_iter().map(|place| self.place_id(place));
            let nodes = nodes.map(Node::Place).collect();
            self.places_of.insert(nets.clone(), nodes);
        }
        let nodes = self.places_of.get(nets).cloned().unwrap_or_default();
        if !as_source {
            return nodes;
        }
        // Nobody connects from a metadata endpoint.
        let is_source = |node: &Node| match node {
            Node::Place(index) => !self
                .places
                .get(*index as usize)
                .is_some_and(Place::is_metadata),
            Node::Workload(_) => true,
        };
        nodes.into_iter().filter(is_source).collect()
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

    /// Equal rows together.
    fn blocks(&mut self) -> Vec<Block> {
        let mut rows: Vec<(Node, Entries)> = std::mem::take(&mut self.rows).into_iter().collect();
        rows.sort_unstable_by_key(|(source, _)| *source);
        let mut by_row: FxHashMap<Entries, Vec<usize>> = FxHashMap::default();
        let mut drafts: Vec<Draft> = Vec::new();
        for (source, mut entries) in rows {
            entries.sort_unstable();
            let is_bare = self.is_bare_pod(source);
            let key = if is_bare {
                self.without_bare_neighbours(source, &entries)
            } else {
                entries.clone()
            };
            let candidates = by_row.entry(key).or_default();
            let found = candidates.iter().copied().find(|index| {
                let draft = drafts.get_mut(*index);
                draft.is_some_and(|draft| draft.take(source, &entries, is_bare))
            });
            if found.is_none() {
                candidates.push(drafts.len());
                drafts.push(Draft {
                    sources: vec![source],
                    entries,
                    is_bare,
                });
            }
        }
        drafts
            .into_iter()
            .map(|draft| Block {
                rows: self.rows_of(&draft.entries),
                sources: draft.sources,
            })
            .collect()
    }

    /// Whether a source is one pod alone, whose connection to itself is no connection.
    fn is_bare_pod(&self, source: Node) -> bool {
        match source {
            Node::Workload(id) => !self.snapshot.workload(id).may_have_peers_of_its_own(),
            Node::Place(_) => false,
        }
    }

    /// The entries that rows of pods which are alike have in common for certain: they
    /// differ in what each of them is to the others.
    fn without_bare_neighbours(&self, source: Node, entries: &Entries) -> Entries {
        let namespace = |node: Node| match node {
            Node::Workload(id) => Some(self.snapshot.workload(id).namespace),
            Node::Place(_) => None,
        };
        let is_neighbour =
            |node: Node| namespace(node) == namespace(source) && self.is_bare_pod(node);
        let mut kept = entries.clone();
        kept.retain(|(node, _)| !is_neighbour(*node));
        // No other row has this entry: bare pods are compared with bare pods only.
        kept.push((
            Node::Place(u32::MAX),
            namespace(source).map_or(0, |id| id.0),
        ));
        kept
    }

    fn rows_of(&self, entries: &Entries) -> Vec<Row> {
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
            .map(|(open, to)| Row {
                to,
                open: self.opens.get(open as usize).cloned().unwrap_or_default(),
            })
            .collect()
    }
}
