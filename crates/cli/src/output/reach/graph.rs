//! The connections as a graph with few edges, for the three picture formats.
//!
//! An edge from or to a namespace stands for all of its workloads: what every pair of
//! two namespaces has in common is one edge, and only what goes beyond it is drawn
//! for each workload. Connections of a workload with itself are not drawn.

use std::collections::BTreeMap;

use ringfence_engine::sets::PortSet;
use ringfence_model::snapshot::{NamespaceId, WorkloadId};
use rustc_hash::FxHashMap;

use super::human::port_words;
use super::view::{Node, Open, View};
use super::{Report, bypassing};
use crate::output::address_names::Place;

/// What an edge begins or ends at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Vertex {
    /// Every workload of a namespace.
    Namespace(NamespaceId),
    Workload(WorkloadId),
    /// Addresses outside the cluster that connect to it.
    Source(u32),
    /// Addresses outside the cluster that it connects to.
    Destination(u32),
}

/// What is open between two vertices.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Edge {
    pub(crate) from: Vertex,
    pub(crate) to: Vertex,
    pub(crate) open: Open,
}

/// What deserves a colour of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Mark {
    Plain,
    /// To or from the internet.
    Internet,
    /// To a metadata endpoint.
    Metadata,
    /// Nothing of it is certain.
    Unknown,
}

/// A namespace and those of its workloads that are drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cluster {
    pub(crate) namespace: NamespaceId,
    pub(crate) name: String,
    pub(crate) workloads: Vec<WorkloadId>,
}

/// The picture, without positions.
#[derive(Debug)]
pub(crate) struct Graph<'a> {
    pub(crate) view: View<'a>,
    pub(crate) clusters: Vec<Cluster>,
    /// Sorted.
    pub(crate) edges: Vec<Edge>,
    /// Workloads that no policy applies to; sorted.
    pub(crate) bypassing: Vec<WorkloadId>,
}

/// The ends that an edge may stand for together: a namespace, or one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Party {
    Namespace(NamespaceId),
    Place(u32),
}

type Matrix = BTreeMap<(Node, Node), Open>;

impl<'a> Graph<'a> {
    /// The graph of a report.
    pub(crate) fn new(report: &Report<'a>) -> Self {
        let snapshot = report.snapshot;
        let view = View::new(snapshot, report.reachability, report.sources);
        let mut drawn: Vec<WorkloadId> = report.sources.to_vec();
        let mut matrices: BTreeMap<(Party, Party), Matrix> = BTreeMap::new();
        let party = |node: Node| match node {
            Node::Workload(id) => Party::Namespace(snapshot.workload(id).namespace),
            Node::Place(index) => Party::Place(index),
        };
        for block in &view.blocks {
            for row in &block.rows {
                for from in &block.sources {
                    for to in row.to.iter().filter(|to| *to != from) {
                        let matrix = matrices.entry((party(*from), party(*to))).or_default();
                        matrix.insert((*from, *to), row.open.clone());
                        for end in [from, to] {
                            if let Node::Workload(id) = end {
                                drawn.push(*id);
                            }
                        }
                    }
                }
            }
        }
        drawn.sort_unstable();
        drawn.dedup();
        let mut clusters: Vec<Cluster> = Vec::new();
        for id in drawn {
            let namespace = snapshot.workload(id).namespace;
            match clusters.last_mut() {
                Some(cluster) if cluster.namespace == namespace => cluster.workloads.push(id),
                _ => clusters.push(Cluster {
                    namespace,
                    name: snapshot.namespace(namespace).name.to_string(),
                    workloads: vec![id],
                }),
            }
        }
        let mut edges = Vec::new();
        for ((from, to), matrix) in matrices {
            Bundler {
                view: &view,
                from,
                to,
                matrix,
            }
            .edges(&mut edges);
        }
        edges.sort_unstable();
        Self {
            view,
            clusters,
            edges,
            bypassing: bypassing(snapshot),
        }
    }

    /// The place that a vertex stands for.
    pub(crate) fn place(&self, vertex: Vertex) -> Option<&Place> {
        match vertex {
            Vertex::Source(index) | Vertex::Destination(index) => self.view.place(index),
            Vertex::Namespace(_) | Vertex::Workload(_) => None,
        }
    }

    /// The places that edges begin or end at, as vertices, sorted.
    pub(crate) fn outside(&self) -> Vec<Vertex> {
        let ends = self.edges.iter().flat_map(|edge| [edge.from, edge.to]);
        let mut places: Vec<Vertex> = ends.filter(|end| self.place(*end).is_some()).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Whether no policy applies to a workload.
    pub(crate) fn bypasses(&self, id: WorkloadId) -> bool {
        self.bypassing.binary_search(&id).is_ok()
    }

    /// The colour of an edge.
    pub(crate) fn mark(&self, edge: &Edge) -> Mark {
        if edge.open.allow.is_empty() {
            return Mark::Unknown;
        }
        let place = self.place(edge.to).or_else(|| self.place(edge.from));
        match place {
            Some(place) if place.is_metadata() => Mark::Metadata,
            Some(place) if place.is_internet() => Mark::Internet,
            _ => Mark::Plain,
        }
    }
}

/// The text of an edge.
pub(crate) fn label(open: &Open) -> String {
    let words = |ports: &PortSet| port_words(ports).join(", ");
    match (open.allow.is_empty(), open.maybe.is_empty()) {
        (false, true) => words(&open.allow),
        (true, _) => format!("{}?", words(&open.maybe)),
        (false, false) => format!("{}; {}?", words(&open.allow), words(&open.maybe)),
    }
}

/// What is between two parties, taken apart into edges.
struct Bundler<'a> {
    view: &'a View<'a>,
    from: Party,
    to: Party,
    matrix: Matrix,
}

impl Bundler<'_> {
    fn edges(mut self, edges: &mut Vec<Edge>) {
        let (sources, destinations) = (self.size(self.from), self.size(self.to));
        let own = if self.from == self.to { sources } else { 0 };
        let whole_from = self.vertex_of_party(self.from, true);
        let whole_to = self.vertex_of_party(self.to, false);

        // Everything to everything.
        self.bundle(
            edges,
            sources * destinations - own,
            |_| (),
            |()| (whole_from, whole_to),
        );
        // Everything to one.
        if sources > 1 {
            let expected = sources - usize::from(own > 0);
            self.bundle(
                edges,
                expected,
                |pair| pair.1,
                |to| (whole_from, vertex(to, false)),
            );
        }
        // One to everything.
        if destinations > 1 {
            let expected = destinations - usize::from(own > 0);
            self.bundle(
                edges,
                expected,
                |pair| pair.0,
                |from| (vertex(from, true), whole_to),
            );
        }
        edges.extend(self.matrix.into_iter().map(|((from, to), open)| Edge {
            from: vertex(from, true),
            to: vertex(to, false),
            open,
        }));
    }

    /// Draws what all pairs with the same key have in common as one edge, for each key
    /// that has `expected` pairs, and removes the pairs that have nothing else.
    fn bundle<K: Copy + Eq + std::hash::Hash + Ord>(
        &mut self,
        edges: &mut Vec<Edge>,
        expected: usize,
        key: impl Fn(&(Node, Node)) -> K,
        ends: impl Fn(K) -> (Vertex, Vertex),
    ) {
        if expected < 2 {
            return;
        }
        let mut common: FxHashMap<K, (usize, Open)> = FxHashMap::default();
        for (pair, open) in &self.matrix {
            common
                .entry(key(pair))
                .and_modify(|(pairs, shared)| {
                    *pairs += 1;
                    *shared = intersection(shared, open);
                })
                .or_insert_with(|| (1, open.clone()));
        }
        common.retain(|_, (pairs, open)| *pairs == expected && *open != Open::default());
        self.matrix.retain(|pair, open| {
            common
                .get(&key(pair))
                .is_none_or(|(_, shared)| shared != open)
        });
        for (key, (_, open)) in common {
            let (from, to) = ends(key);
            edges.push(Edge { from, to, open });
        }
    }

    fn size(&self, party: Party) -> usize {
        match party {
            Party::Namespace(id) => self.view.size_of(id),
            Party::Place(_) => 1,
        }
    }

    /// The vertex of a whole party.
    fn vertex_of_party(&self, party: Party, is_source: bool) -> Vertex {
        match (party, is_source) {
            (Party::Place(index), true) => Vertex::Source(index),
            (Party::Place(index), false) => Vertex::Destination(index),
            (Party::Namespace(id), _) => {
                let mut pairs = self.matrix.keys();
                let member = pairs
                    .next()
                    .map(|(from, to)| if is_source { *from } else { *to });
                match member {
                    Some(node) if self.view.size_of(id) == 1 => vertex(node, is_source),
                    _ => Vertex::Namespace(id),
                }
            }
        }
    }
}

fn vertex(node: Node, is_source: bool) -> Vertex {
    match (node, is_source) {
        (Node::Workload(id), _) => Vertex::Workload(id),
        (Node::Place(index), true) => Vertex::Source(index),
        (Node::Place(index), false) => Vertex::Destination(index),
    }
}

/// What is open in both: certain where both are, unknown where one is.
fn intersection(a: &Open, b: &Open) -> Open {
    let allow = a.allow.intersection(&b.allow);
    let possible = |open: &Open| open.allow.union(&open.maybe);
    let maybe = possible(a).intersection(&possible(b)).difference(&allow);
    Open { allow, maybe }
}
