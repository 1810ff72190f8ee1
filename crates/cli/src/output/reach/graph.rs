//! The connections as a graph with few edges, for the three picture formats.
//!
//! An edge from or to a namespace stands for all of its workloads: what every pair of
//! two namespaces has in common is one edge, and only what goes beyond it is drawn
//! for each workload. Connections of a workload with itself are not drawn.

use std::collections::{BTreeMap, BTreeSet};

use ringfence_engine::sets::PortSet;
use ringfence_model::snapshot::{NamespaceId, WorkloadId};

use super::human::port_words;
use super::likeness::Likeness;
use super::view::{Node, Open, View};
use super::{Report, bypassing};
use crate::output::address_names::Place;
use crate::output::visible;

/// What an edge begins or ends at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Vertex {
    /// Every workload there is.
    Everything,
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
    /// The places that each vertex outside the cluster stands for.
    outside: BTreeMap<Vertex, Vec<u32>>,
}

/// The ends that an edge may stand for together: a namespace, or one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Party {
    Namespace(NamespaceId),
    Place(u32),
}

/// What is open between nodes that stand for all those like them.
type Matrix = BTreeMap<(Node, Node), Open>;

impl<'a> Graph<'a> {
    /// The graph of a report.
    pub(crate) fn new(report: &Report<'a>) -> Self {
        let snapshot = report.snapshot;
        let view = View::new(snapshot, report.reachability, report.sources);
        let mut drawn: Vec<WorkloadId> = report.sources.to_vec();
        let bypassing = bypassing(snapshot);
        let bypasses = |node: Node| match node {
            Node::Workload(id) => bypassing.binary_search(&id).is_ok(),
            Node::Place(_) => false,
        };
        let party = |node: Node| match node {
            Node::Workload(id) => Party::Namespace(snapshot.workload(id).namespace),
            Node::Place(index) => Party::Place(index),
        };
        let likeness = Likeness::new(&view.blocks, |node| (party(node), bypasses(node)));
        let mut matrix = Matrix::new();
        for block in &view.blocks {
            let sources = likeness.representatives(&block.sources);
            for row in &block.rows {
                let is_certain = !row.open.allow.is_empty();
                let destinations = likeness.representatives(&row.to);
                for &from in &sources {
                    for &to in &destinations {
                        if likeness.pairs(from, to) == 0 {
                            continue;
                        }
                        // That a host-networked pod may be on the node of any other is
                        // said once, at the pod: as edges it would hide everything else.
                        if !is_certain && (bypasses(from) || bypasses(to)) {
                            continue;
                        }
                        matrix.insert((from, to), row.open.clone());
                    }
                }
            }
        }
        let ends: BTreeSet<Node> = matrix.keys().flat_map(|(from, to)| [*from, *to]).collect();
        for node in ends.into_iter().flat_map(|end| likeness.like(end)) {
            if let Node::Workload(id) = node {
                drawn.push(*id);
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
                    name: visible::line(&snapshot.namespace(namespace).name).into_owned(),
                    workloads: vec![id],
                }),
            }
        }
        let mut edges = Vec::new();
        everything(&mut matrix, &likeness, snapshot.workloads.len(), &mut edges);
        let mut matrices: BTreeMap<(Party, Party), Matrix> = BTreeMap::new();
        for ((from, to), open) in matrix {
            let between = matrices.entry((party(from), party(to))).or_default();
            between.insert((from, to), open);
        }
        for ((from, to), matrix) in matrices {
            Bundler {
                view: &view,
                likeness: &likeness,
                from,
                to,
                matrix,
            }
            .edges(&mut edges);
        }
        let outside = join_places(&view, &mut edges);
        edges.sort_unstable();
        Self {
            view,
            clusters,
            edges,
            bypassing,
            outside,
        }
    }

    fn places(&self, vertex: Vertex) -> impl Iterator<Item = &Place> {
        let indices = self.outside.get(&vertex).into_iter().flatten();
        indices.filter_map(|index| self.view.place(*index))
    }

    /// The vertices outside the cluster, sorted, with their names.
    pub(crate) fn outside(&self) -> impl Iterator<Item = (Vertex, String)> {
        self.outside
            .keys()
            .map(|vertex| (*vertex, self.outside_name(*vertex)))
    }

    /// What a vertex outside the cluster is called.
    pub(crate) fn outside_name(&self, vertex: Vertex) -> String {
        let names: Vec<String> = self.places(vertex).map(ToString::to_string).collect();
        names.join(", ")
    }

    /// The colour of a vertex.
    pub(crate) fn vertex_mark(&self, vertex: Vertex) -> Mark {
        if self.places(vertex).any(Place::is_metadata) {
            Mark::Metadata
        } else if self.places(vertex).any(Place::is_internet) {
            Mark::Internet
        } else {
            Mark::Plain
        }
    }

    /// Whether an edge begins or ends at a vertex.
    pub(crate) fn uses(&self, vertex: Vertex) -> bool {
        let ends = self.edges.iter().flat_map(|edge| [edge.from, edge.to]);
        ends.into_iter().any(|end| end == vertex)
    }

    /// What the workloads of a vertex can open to each other.
    pub(crate) fn among_itself(&self, vertex: Vertex) -> Option<&Open> {
        let own = |edge: &&Edge| edge.from == vertex && edge.to == vertex;
        self.edges.iter().find(own).map(|edge| &edge.open)
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
        self.vertex_mark(edge.from).max(self.vertex_mark(edge.to))
    }
}

/// The text of an edge.
pub(crate) fn label(open: &Open) -> String {
    let words = |ports: &PortSet| port_words(ports).join(", ");
    match (open.allow.is_empty(), open.maybe.is_empty()) {
        (false, true) => words(&open.allow),
        (true, _) => format!("{}?", words(&open.maybe)),
        (false, false) if open.maybe == open.allow.complement() => {
            format!("{}; others?", words(&open.allow))
        }
        (false, false) => format!("{}; {}?", words(&open.allow), words(&open.maybe)),
    }
}

/// Draws what every workload has in common as one edge: with every other workload, and
/// with each place and each workload. Removes the pairs that have nothing else.
fn everything(matrix: &mut Matrix, likeness: &Likeness, workloads: usize, edges: &mut Vec<Edge>) {
    let is_workload = |node: Node| matches!(node, Node::Workload(_));
    let (from_all, to_all) = (Vertex::Everything, Vertex::Everything);
    let to_one = |to| (from_all, vertex(to, false));
    let from_one = |from| (vertex(from, true), to_all);
    let all = || (from_all, to_all);
    let mut bundle = |expected, by, among: &dyn Fn(Node, Node) -> bool| {
        Bundle {
            expected,
            by,
            likeness,
        }
        .draw(matrix, edges, among);
    };
    let whole = workloads * workloads.saturating_sub(1);
    bundle(whole, By::Nothing(&all), &|from, to| {
        is_workload(from) && is_workload(to)
    });
    bundle(workloads, By::Destination(&to_one), &|from, to| {
        is_workload(from) && !is_workload(to)
    });
    bundle(workloads, By::Source(&from_one), &|from, to| {
        !is_workload(from) && is_workload(to)
    });
    let others = workloads.saturating_sub(1);
    bundle(others, By::Destination(&to_one), &|from, to| {
        is_workload(from) && is_workload(to)
    });
}

/// Places that the same edges begin or end at become one vertex; metadata endpoints
/// stay apart. Returns which places each vertex stands for.
fn join_places(view: &View<'_>, edges: &mut Vec<Edge>) -> BTreeMap<Vertex, Vec<u32>> {
    type Seen = (Vertex, Open);
    let mut seen: BTreeMap<Vertex, Vec<Seen>> = BTreeMap::new();
    for edge in edges.iter() {
        for (end, other) in [(edge.from, edge.to), (edge.to, edge.from)] {
            if matches!(end, Vertex::Source(_) | Vertex::Destination(_)) {
                seen.entry(end)
                    .or_default()
                    .push((other, edge.open.clone()));
            }
        }
    }
    let mut first: BTreeMap<(bool, bool, Vec<Seen>), Vertex> = BTreeMap::new();
    let mut outside: BTreeMap<Vertex, Vec<u32>> = BTreeMap::new();
    let mut renamed: BTreeMap<Vertex, Vertex> = BTreeMap::new();
    for (end, mut others) in seen {
        let (Vertex::Source(index) | Vertex::Destination(index)) = end else {
            continue;
        };
        others.sort_unstable();
        let is_metadata = view.place(index).is_some_and(Place::is_metadata);
        let key = (matches!(end, Vertex::Source(_)), is_metadata, others);
        let name = *first.entry(key).or_insert(end);
        outside.entry(name).or_default().push(index);
        renamed.insert(end, name);
    }
    for edge in edges.iter_mut() {
        edge.from = renamed.get(&edge.from).copied().unwrap_or(edge.from);
        edge.to = renamed.get(&edge.to).copied().unwrap_or(edge.to);
    }
    edges.sort_unstable();
    edges.dedup();
    outside
}

/// What pairs must have in common to be drawn as one edge, and its ends.
#[derive(Clone, Copy)]
enum By<'a> {
    Nothing(&'a dyn Fn() -> (Vertex, Vertex)),
    Source(&'a dyn Fn(Node) -> (Vertex, Vertex)),
    Destination(&'a dyn Fn(Node) -> (Vertex, Vertex)),
}

/// Draws what pairs have in common as one edge, where there are `expected` of them, and
/// removes the pairs that have nothing else.
struct Bundle<'a> {
    expected: usize,
    by: By<'a>,
    likeness: &'a Likeness,
}

impl Bundle<'_> {
    fn draw(self, matrix: &mut Matrix, edges: &mut Vec<Edge>, among: &dyn Fn(Node, Node) -> bool) {
        if self.expected < 2 {
            return;
        }
        let mut common: BTreeMap<Option<Node>, (usize, Open)> = BTreeMap::new();
        for ((from, to), open) in matrix.iter() {
            if !among(*from, *to) {
                continue;
            }
            let pairs = self.pairs(*from, *to);
            common
                .entry(self.key(*from, *to))
                .and_modify(|(all, shared)| {
                    *all += pairs;
                    if shared != open {
                        *shared = intersection(shared, open);
                    }
                })
                .or_insert_with(|| (pairs, open.clone()));
        }
        common.retain(|_, (pairs, open)| *pairs == self.expected && *open != Open::default());
        matrix.retain(|(from, to), open| {
            let key = among(*from, *to).then(|| self.key(*from, *to));
            let shared = key.and_then(|key| common.get(&key));
            shared.is_none_or(|(_, shared)| shared != open)
        });
        for (key, (_, open)) in common {
            let mut add = |(from, to)| {
                let open = open.clone();
                edges.push(Edge { from, to, open });
            };
            match (self.by, key) {
                (By::Nothing(ends), _) => add(ends()),
                (By::Source(ends) | By::Destination(ends), Some(node)) => {
                    let alike = self.likeness.like(node).iter();
                    alike.for_each(|node| add(ends(*node)));
                }
                (_, None) => {}
            }
        }
    }

    fn key(&self, from: Node, to: Node) -> Option<Node> {
        match self.by {
            By::Nothing(_) => None,
            By::Source(_) => Some(from),
            By::Destination(_) => Some(to),
        }
    }

    /// How many pairs with one key ends like these make.
    fn pairs(&self, from: Node, to: Node) -> usize {
        let itself = usize::from(from == to);
        match self.by {
            By::Nothing(_) => self.likeness.pairs(from, to),
            By::Source(_) => self.likeness.like(to).len().saturating_sub(itself),
            By::Destination(_) => self.likeness.like(from).len().saturating_sub(itself),
        }
    }
}

/// What is between two parties, taken apart into edges.
struct Bundler<'a> {
    view: &'a View<'a>,
    likeness: &'a Likeness,
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

        let to_one = |to| (whole_from, vertex(to, false));
        let from_one = |from| (vertex(from, true), whole_to);
        let all = || (whole_from, whole_to);
        let (likeness, matrix) = (self.likeness, &mut self.matrix);
        let mut bundle = |expected, by| {
            Bundle {
                expected,
                by,
                likeness,
            }
            .draw(matrix, edges, &|_, _| true);
        };
        let pairs = sources * destinations - own;
        bundle(pairs, By::Nothing(&all));
        if sources > 1 {
            let expected = sources - usize::from(own > 0);
            bundle(expected, By::Destination(&to_one));
        }
        if destinations > 1 {
            let expected = destinations - usize::from(own > 0);
            bundle(expected, By::Source(&from_one));
        }
        for ((from, to), open) in self.matrix {
            for source in likeness.like(from) {
                let destinations = likeness.like(to).iter();
                edges.extend(destinations.filter(|to| *to != source).map(|to| Edge {
                    from: vertex(*source, true),
                    to: vertex(*to, false),
                    open: open.clone(),
                }));
            }
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

/// What is open in both in the same way.
fn intersection(a: &Open, b: &Open) -> Open {
    Open {
        allow: a.allow.intersection(&b.allow),
        maybe: a.maybe.intersection(&b.maybe),
    }
}
