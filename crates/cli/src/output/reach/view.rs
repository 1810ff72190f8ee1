//! Connections put together so that a person can read them.
//!
//! Sources with equal rows become one block, destinations with equal ports one row,
//! and all workloads of a namespace one word. The cost is linear in the number of
//! connections.

use ringfence_engine::reach::Reachability;
use ringfence_engine::sets::PortSet;
use ringfence_model::snapshot::{NamespaceId, Snapshot, WorkloadId};

use super::grouping;
use crate::output::Names;
use crate::output::address_names::Place;

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

impl<'a> View<'a> {
    /// Groups `reachability`. `sources` are the workloads that were asked about.
    pub(crate) fn new(
        snapshot: &'a Snapshot,
        reachability: &Reachability,
        sources: &[WorkloadId],
    ) -> Self {
        let mut sizes = vec![0; snapshot.namespaces.len()];
        for workload in &snapshot.workloads {
            if let Some(size) = sizes.get_mut(workload.namespace.0 as usize) {
                *size += 1;
            }
        }
        let (places, blocks) = grouping::blocks(snapshot, reachability, sources);
        Self {
            names: Names::new(snapshot),
            places,
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
