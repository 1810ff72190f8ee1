//! What is possible only because two pods are, or may be, on one node.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use ringfence_model::address::IpFamily;
use ringfence_model::snapshot::WorkloadId;
use ringfence_model::tri::Tri;
use rustc_hash::FxHashSet;

use super::connections::{Destinations, Likeness, Ports, Workloads};
use crate::engine::with_own_node;
use crate::resolve::classes::ClassId;
use crate::sets::Outcome;

/// The pods that a workload has of one class.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Group<'a> {
    pub(super) class: ClassId,
    pub(super) host_network: bool,
    /// The nodes that some of them are known to run on.
    nodes: BTreeSet<&'a str>,
    /// Whether the node of some of them is not known.
    some_unknown: bool,
}

impl Group<'_> {
    /// The same pods under another class, which stands for theirs.
    pub(super) fn with_class(self, class: ClassId) -> Self {
        Self { class, ..self }
    }

    /// Whether a pod of the one and a pod of the other are on one node: each answer
    /// that some pair of them gives.
    fn relations(&self, other: &Self) -> Vec<Tri> {
        let mut relations = Vec::new();
        if self.some_unknown || other.some_unknown {
            relations.push(Tri::Unknown);
        }
        if !self.nodes.is_disjoint(&other.nodes) {
            relations.push(Tri::Yes);
        }
        let differ = match (self.nodes.len(), other.nodes.len()) {
            (0, _) | (_, 0) => false,
            (1, 1) => self.nodes != other.nodes,
            _ => true,
        };
        if differ {
            relations.push(Tri::No);
        }
        relations
    }
}

/// Groups with those of one class put together, by class.
pub(super) fn merged<'a>(groups: impl Iterator<Item = Group<'a>>) -> Vec<Group<'a>> {
    let mut merged: BTreeMap<ClassId, Group<'a>> = BTreeMap::new();
    for group in groups {
        match merged.entry(group.class) {
            Entry::Vacant(entry) => {
                entry.insert(group);
            }
            Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                known.nodes.extend(group.nodes);
                known.some_unknown |= group.some_unknown;
            }
        }
    }
    merged.into_values().collect()
}

impl<'a> Workloads<'a> {
    /// Adds what is possible only because two pods are, or may be, on one node.
    pub(super) fn add_own_node(
        &self,
        source: &Likeness<'_>,
        wanted: Option<&FxHashSet<WorkloadId>>,
        destinations: &mut Destinations,
    ) {
        let from_host = source.groups.iter().any(|group| group.host_network);
        let candidates: Vec<WorkloadId> = if from_host {
            let all = self.engine.snapshot.workload_ids();
            all.map(|(id, _)| id).collect()
        } else {
            self.host_networked.clone()
        };
        let listed = destinations.entries.len();
        for destination in candidates {
            if wanted.is_some_and(|wanted| !wanted.contains(&destination)) {
                continue;
            }
            let known = destinations.entries.get(..listed).and_then(|listed| {
                let position = listed.binary_search_by_key(&destination, |(id, _)| *id);
                position.ok()
            });
            let mut ports = match known.and_then(|position| destinations.entries.get(position)) {
                Some((_, open)) => destinations.ports(*open),
                None => Ports::default(),
            };
            for pair in self.representative_pairs(&source.groups, destination) {
                ports.add(&pair);
            }
            let open = destinations.number(ports);
            match known.and_then(|position| destinations.entries.get_mut(position)) {
                Some(entry) => entry.1 = open,
                None => destinations.entries.push((destination, open)),
            }
        }
        destinations.entries.sort();
    }

    /// The outcomes between pods of two workloads of which one is host-networked, own
    /// nodes taken into account: one for each pair of classes, family, and relation
    /// that their nodes can have.
    fn representative_pairs(&self, sources: &[Group<'_>], destination: WorkloadId) -> Vec<Outcome> {
        let engine = self.engine;
        let destinations = self.groups(destination);
        let mut outcomes = Vec::new();
        for from in sources {
            for to in &destinations {
                for family in IpFamily::ALL {
                    if !engine.classes.has_family(from.class, family)
                        || !engine.classes.has_family(to.class, family)
                    {
                        continue;
                    }
                    let (egress, ingress) = engine.pair(from.class, to.class, family);
                    let (egress, ingress) =
                        (engine.outcomes.get(egress), engine.outcomes.get(ingress));
                    for relation in from.relations(to) {
                        let to_own_node = if to.host_network && engine.profile.pod_reaches_own_node
                        {
                            relation
                        } else {
                            Tri::No
                        };
                        let from_own_node = if from.host_network { relation } else { Tri::No };
                        outcomes.push(
                            with_own_node(egress.clone(), to_own_node)
                                .both(&with_own_node(ingress.clone(), from_own_node)),
                        );
                    }
                }
            }
        }
        outcomes
    }

    /// The pods of a workload by class. Where no pod is host-networked it matters to
    /// nobody where they run, and their nodes are left out.
    pub(super) fn groups(&self, workload: WorkloadId) -> Vec<Group<'a>> {
        let engine = self.engine;
        let mut groups: BTreeMap<ClassId, Group<'a>> = BTreeMap::new();
        for id in engine.snapshot.workload(workload).pod_ids() {
            let pod = engine.snapshot.pod(id);
            let class = engine.classes.class_of(id);
            let group = groups.entry(class).or_insert_with(|| Group {
                class,
                host_network: pod.host_network,
                nodes: BTreeSet::new(),
                some_unknown: false,
            });
            match pod.node.as_deref() {
                _ if self.host_networked.is_empty() => {}
                Some(node) => {
                    group.nodes.insert(node);
                }
                None => group.some_unknown = true,
            }
        }
        groups.into_values().collect()
    }
}
