//! Changes put together: sources with equal changes, and the destinations of each.

use std::collections::BTreeMap;

use ringfence_engine::Verdict;
use ringfence_engine::diff::{Change, ChangedEnd, Presence, WorkloadName};
use ringfence_engine::sets::PortSet;
use ringfence_model::snapshot::Snapshot;
use rustc_hash::FxHashMap;

use super::Report;
use crate::output::address_names::{AddressNames, Place};

/// One end, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Node {
    Workload(usize),
    Place(usize),
}

/// What has changed between two ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Transition {
    pub(super) before: Verdict,
    pub(super) after: Verdict,
    pub(super) ports: PortSet,
    pub(super) presence: Presence,
}

/// Sources with the same changes.
#[derive(Debug)]
pub(super) struct Block<'a> {
    pub(super) from: Vec<Word>,
    pub(super) rows: Vec<Row<'a>>,
}

/// Destinations with the same change.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) to: Vec<Word>,
    pub(super) transition: Transition,
    /// One of the changes that are meant.
    pub(super) example: &'a Change,
    /// How many are meant, of all sources.
    pub(super) count: usize,
}

/// One end in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) is_metadata: bool,
    pub(super) is_internet: bool,
}

impl Word {
    fn plain(text: String) -> Self {
        Self {
            text,
            is_metadata: false,
            is_internet: false,
        }
    }
}

/// Groups those changes for which `wanted` holds.
pub(super) fn blocks<'a>(report: &Report<'a>, wanted: impl Fn(&Change) -> bool) -> Vec<Block<'a>> {
    let mut grouping = Grouping::new(report);
    for change in report.diff.changes.iter().filter(|change| wanted(change)) {
        grouping.add(change);
    }
    grouping.blocks()
}

/// Names a workload as the command line does.
pub(super) fn workload(name: &WorkloadName) -> String {
    format!("{}/{}", name.namespace, name.name)
}

struct Grouping<'a> {
    /// The workloads of both clusters, sorted.
    workloads: Vec<WorkloadName>,
    /// How many of them each namespace has.
    sizes: BTreeMap<String, usize>,
    addresses: AddressNames,
    places: Vec<Place>,
    /// source -> what has changed, and one change for each.
    rows: BTreeMap<Node, Vec<(Node, Transition, &'a Change)>>,
}

impl<'a> Grouping<'a> {
    fn new(report: &Report<'a>) -> Self {
        let snapshots = [&*report.old.0.snapshot, &*report.new.0.snapshot];
        let mut workloads: Vec<WorkloadName> = snapshots.into_iter().flat_map(names).collect();
        workloads.sort();
        workloads.dedup();
        let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
        for name in &workloads {
            *sizes.entry(name.namespace.to_string()).or_default() += 1;
        }
        Self {
            workloads,
            sizes,
            addresses: AddressNames::new(&report.new.0.snapshot),
            places: Vec::new(),
            rows: BTreeMap::new(),
        }
    }

    fn add(&mut self, change: &'a Change) {
        let transition = Transition {
            before: change.before,
            after: change.after,
            ports: change.ports.clone(),
            presence: change.presence,
        };
        let to = self.nodes(&change.to);
        for from in self.nodes(&change.from) {
            // Nobody connects from a metadata endpoint.
            if matches!(from, Node::Place(index) if self.places.get(index).is_some_and(Place::is_metadata))
            {
                continue;
            }
            let row = self.rows.entry(from).or_default();
            row.extend(to.iter().map(|node| (*node, transition.clone(), change)));
        }
    }

    fn nodes(&mut self, end: &ChangedEnd) -> Vec<Node> {
        match end {
            ChangedEnd::Workload(name) => {
                let index = self.workloads.binary_search(name);
                index.map(Node::Workload).into_iter().collect()
            }
            ChangedEnd::Addresses(nets) => {
                let places = self.addresses.places(nets);
                places.into_iter().map(|place| self.place(place)).collect()
            }
        }
    }

    fn place(&mut self, place: Place) -> Node {
        let known = self.places.iter().position(|known| *known == place);
        Node::Place(known.unwrap_or_else(|| {
            self.places.push(place);
            self.places.len() - 1
        }))
    }

    fn blocks(mut self) -> Vec<Block<'a>> {
        type Entries<'a> = Vec<(Node, Transition, &'a Change)>;
        let mut by_row: FxHashMap<Vec<(Node, Transition)>, usize> = FxHashMap::default();
        let mut blocks: Vec<(Vec<Node>, Entries<'a>)> = Vec::new();
        for (source, mut entries) in std::mem::take(&mut self.rows) {
            entries.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
            let key = entries
                .iter()
                .map(|(node, t, _)| (*node, t.clone()))
                .collect();
            let index = *by_row.entry(key).or_insert(blocks.len());
            match blocks.get_mut(index) {
                Some((sources, _)) => sources.push(source),
                None => blocks.push((vec![source], entries)),
            }
        }
        blocks
            .into_iter()
            .map(|(sources, entries)| Block {
                rows: self.rows_of(entries, sources.len()),
                from: self.words(&sources),
            })
            .collect()
    }

    fn rows_of(
        &self,
        entries: Vec<(Node, Transition, &'a Change)>,
        sources: usize,
    ) -> Vec<Row<'a>> {
        let mut rows: Vec<(Transition, Vec<Node>, &'a Change)> = Vec::new();
        for (node, transition, change) in entries {
            match rows.iter_mut().find(|(known, ..)| *known == transition) {
                Some((_, nodes, _)) => nodes.push(node),
                None => rows.push((transition, vec![node], change)),
            }
        }
        rows.into_iter()
            .map(|(transition, nodes, example)| Row {
                to: self.words(&nodes),
                transition,
                example,
                count: nodes.len() * sources,
            })
            .collect()
    }

    fn words(&self, nodes: &[Node]) -> Vec<Word> {
        let mut words = Vec::new();
        let named: Vec<&WorkloadName> = nodes
            .iter()
            .filter_map(|node| match node {
                Node::Workload(index) => self.workloads.get(*index),
                Node::Place(_) => None,
            })
            .collect();
        if named.len() > 1 && named.len() == self.workloads.len() {
            words.push(Word::plain("every workload".to_owned()));
        } else {
            for group in named.chunk_by(|a, b| a.namespace == b.namespace) {
                let Some(first) = group.first() else { continue };
                let size = self.sizes.get(&*first.namespace);
                if group.len() > 1 && size == Some(&group.len()) {
                    words.push(Word::plain(format!(
                        "every workload in {}",
                        first.namespace
                    )));
                } else {
                    words.extend(group.iter().map(|name| Word::plain(workload(name))));
                }
            }
        }
        for node in nodes {
            if let Node::Place(index) = node
                && let Some(place) = self.places.get(*index)
            {
                words.push(Word {
                    text: place.to_string(),
                    is_metadata: place.is_metadata(),
                    is_internet: place.is_internet(),
                });
            }
        }
        words
    }
}

fn names(snapshot: &Snapshot) -> Vec<WorkloadName> {
    snapshot
        .workloads
        .iter()
        .map(|workload| WorkloadName {
            namespace: snapshot.namespace(workload.namespace).name.clone(),
            kind: workload.kind.clone(),
            name: workload.name.clone(),
        })
        .collect()
}
