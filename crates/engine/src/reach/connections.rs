use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use rayon::prelude::*;
use ringfence_model::address::{IpFamily, IpRangeSet};
use ringfence_model::policy::Direction;
use ringfence_model::snapshot::{Pod, PodKind, Workload, WorkloadId};
use ringfence_model::tri::Tri;
use rustc_hash::{FxHashMap, FxHashSet};

use super::all_pairs::{IngressIndex, PairOutcome};
use super::external::{self, Region};
use super::{Connection, End, Reachability, Selection};
use crate::engine::{Engine, both, with_own_node};
use crate::resolve::classes::ClassId;
use crate::sets::{Outcome, PortSet};

/// What is allowed for certain, and what is possible.
#[derive(Clone, Default)]
struct Ports {
    certain: PortSet,
    possible: PortSet,
}

impl Ports {
    fn add(&mut self, outcome: &Outcome) {
        self.certain = self.certain.union(&outcome.certain());
        self.possible = self.possible.union(&outcome.allow);
    }
}

/// The classes and workloads of an engine, related both ways.
struct Workloads<'a> {
    engine: &'a Engine,
    indices: &'a [IngressIndex; 2],
    /// class -> the workloads that have pods of it.
    of_class: Vec<Vec<WorkloadId>>,
    /// The workloads with host-networked pods.
    host_networked: Vec<WorkloadId>,
}

impl Engine {
    /// What connections from the ends of `from` to the ends of `to` are possible.
    ///
    /// Connections between two addresses outside the cluster, of a bare pod with
    /// itself, and from a node to pods it runs (always allowed) are not listed.
    #[must_use]
    pub fn reach(&self, from: &Selection, to: &Selection) -> Reachability {
        let workloads = Workloads::new(self);
        let wanted_to = to
            .workloads
            .as_ref()
            .map(|list| list.iter().copied().collect());
        let sources = self.selected(from);
        let mut connections: Vec<Connection> = sources
            .par_iter()
            .flat_map_iter(|source| {
                let mut found = workloads.to_workloads(*source, wanted_to.as_ref());
                found.extend(workloads.external(*source, Direction::Egress, to));
                found.sort_unstable_by(|a, b| a.to.cmp(&b.to));
                found
            })
            .collect();
        let destinations = self.selected(to);
        let mut inwards: Vec<Connection> = destinations
            .par_iter()
            .flat_map_iter(|workload| workloads.external(*workload, Direction::Ingress, from))
            .collect();
        inwards.sort_unstable();
        connections.extend(inwards);
        Reachability { connections }
    }

    fn selected(&self, selection: &Selection) -> Vec<WorkloadId> {
        match &selection.workloads {
            Some(list) => {
                let mut list = list.clone();
                list.sort_unstable();
                list.dedup();
                list
            }
            None => (0u32..)
                .take(self.snapshot.workloads.len())
                .map(WorkloadId)
                .collect(),
        }
    }

    /// The classes of a workload's pods, ascending.
    fn classes_of(&self, workload: &Workload) -> Vec<ClassId> {
        let mut classes: Vec<ClassId> = workload
            .pod_ids()
            .map(|pod| self.classes.class_of(pod))
            .collect();
        classes.sort_unstable();
        classes.dedup();
        classes
    }

    fn pods_of<'a>(&'a self, workload: &'a Workload) -> impl Iterator<Item = &'a Pod> {
        workload.pod_ids().map(|id| self.snapshot.pod(id))
    }
}

/// The pods that a workload has of one class.
struct Group<'a> {
    class: ClassId,
    host_network: bool,
    /// The nodes that some of them are known to run on.
    nodes: BTreeSet<&'a str>,
    /// Whether the node of some of them is not known.
    some_unknown: bool,
}

impl Group<'_> {
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

impl<'a> Workloads<'a> {
    fn new(engine: &'a Engine) -> Self {
        let mut of_class = vec![Vec::new(); engine.classes.features.len()];
        let mut host_networked = Vec::new();
        for (id, workload) in (0u32..).map(WorkloadId).zip(&engine.snapshot.workloads) {
            for class in engine.classes_of(workload) {
                if let Some(list) = of_class.get_mut(class as usize) {
                    list.push(id);
                }
            }
            if engine.pods_of(workload).any(|pod| pod.host_network) {
                host_networked.push(id);
            }
        }
        Self {
            engine,
            indices: engine.ingress_indices(),
            of_class,
            host_networked,
        }
    }

    fn to_workloads(
        &self,
        source: WorkloadId,
        wanted: Option<&FxHashSet<WorkloadId>>,
    ) -> Vec<Connection> {
        let engine = self.engine;
        let workload = engine.snapshot.workload(source);
        let mut found: FxHashMap<WorkloadId, Vec<PairOutcome>> = FxHashMap::default();
        for class in engine.classes_of(workload) {
            let alone = self.is_alone(workload, class);
            for index in self.indices {
                for (outcome, classes) in index.row(engine, class) {
                    let destinations = classes.iter().flat_map(|to| {
                        let to_itself = alone && to == class;
                        let workloads = self.workloads_of(to);
                        workloads.filter(move |workload| !(to_itself && *workload == source))
                    });
                    for destination in destinations {
                        let outcomes = found.entry(destination).or_default();
                        if !outcomes.contains(&outcome) {
                            outcomes.push(outcome);
                        }
                    }
                }
            }
        }
        let mut memo: FxHashMap<Vec<PairOutcome>, Ports> = FxHashMap::default();
        let mut ports_of: FxHashMap<WorkloadId, Ports> = FxHashMap::default();
        for (destination, mut outcomes) in found {
            outcomes.sort_unstable();
            let ports = memo.entry(outcomes).or_insert_with_key(|outcomes| {
                let mut ports = Ports::default();
                for pair in outcomes {
                    ports.add(&both(&engine.outcomes, *pair));
                }
                ports
            });
            ports_of.insert(destination, ports.clone());
        }
        self.add_own_node(source, &mut ports_of);
        ports_of
            .into_iter()
            .filter(|(destination, ports)| {
                !ports.possible.is_empty()
                    && wanted.is_none_or(|wanted| wanted.contains(destination))
                    && (*destination != source || workload.may_have_peers_of_its_own())
            })
            .map(|(destination, ports)| Connection {
                from: End::Workload(source),
                to: End::Workload(destination),
                maybe: ports.possible.difference(&ports.certain),
                allow: ports.certain,
            })
            .collect()
    }

    /// Whether one known pod is all that the workload has of a class, while others of
    /// it are known too: it has no peer in the class. A workload of which a single pod
    /// is known may have others at any time, and they would be of that class.
    fn is_alone(&self, workload: &Workload, class: ClassId) -> bool {
        let engine = self.engine;
        let pods = workload
            .pod_ids()
            .filter(|id| engine.classes.class_of(*id) == class);
        let mut kinds = pods.map(|id| engine.snapshot.pod(id).kind);
        workload.pods.len() > 1 && kinds.next() == Some(PodKind::Single) && kinds.next().is_none()
    }

    fn workloads_of(&self, class: ClassId) -> impl Iterator<Item = WorkloadId> + '_ {
        self.of_class
            .get(class as usize)
            .into_iter()
            .flatten()
            .copied()
    }

    /// Adds what is possible only because two pods are, or may be, on one node.
    fn add_own_node(&self, source: WorkloadId, ports_of: &mut FxHashMap<WorkloadId, Ports>) {
        let engine = self.engine;
        let all = (0u32..)
            .map(WorkloadId)
            .take(engine.snapshot.workloads.len());
        let from_host = self.host_networked.binary_search(&source).is_ok();
        let destinations: Vec<WorkloadId> = if from_host {
            all.collect()
        } else {
            self.host_networked.clone()
        };
        for destination in destinations {
            let mut ports = Ports::default();
            for pair in self.representative_pairs(source, destination) {
                ports.add(&pair);
            }
            let known = ports_of.entry(destination).or_default();
            known.certain = known.certain.union(&ports.certain);
            known.possible = known.possible.union(&ports.possible);
        }
    }

    /// The outcomes between pods of two workloads of which one is host-networked, own
    /// nodes taken into account: one for each pair of classes, family, and relation
    /// that their nodes can have.
    fn representative_pairs(&self, source: WorkloadId, destination: WorkloadId) -> Vec<Outcome> {
        let engine = self.engine;
        let destinations = self.groups(destination);
        let mut outcomes = Vec::new();
        for from in self.groups(source) {
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

    /// The pods of a workload by class.
    fn groups(&self, workload: WorkloadId) -> Vec<Group<'_>> {
        let engine = self.engine;
        let mut groups: BTreeMap<ClassId, Group<'_>> = BTreeMap::new();
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
                Some(node) => {
                    group.nodes.insert(node);
                }
                None => group.some_unknown = true,
            }
        }
        groups.into_values().collect()
    }

    /// Connections between a workload and addresses outside the cluster.
    fn external(
        &self,
        id: WorkloadId,
        direction: Direction,
        selection: &Selection,
    ) -> Vec<Connection> {
        let engine = self.engine;
        let workload = engine.snapshot.workload(id);
        let mut regions: Vec<Region> = Vec::new();
        for family in IpFamily::ALL {
            let wanted = self.outside_addresses(family, selection.addresses.as_deref());
            if wanted.is_empty() {
                continue;
            }
            for class in engine.classes_of(workload) {
                if engine.classes.lacks_family(class, family) {
                    continue;
                }
                let side = engine.side(class, direction, family);
                let more = external::regions(engine, side, family, &wanted);
                regions = external::overlay(regions, more);
            }
        }
        let mut connections: Vec<Connection> = external::join_equal(regions)
            .into_iter()
            .map(|(nets, allow, maybe)| {
                let (from, to) = match direction {
                    Direction::Egress => (End::Workload(id), End::Addresses(nets)),
                    Direction::Ingress => (End::Addresses(nets), End::Workload(id)),
                };
                Connection {
                    from,
                    to,
                    allow,
                    maybe,
                }
            })
            .collect();
        connections.sort_unstable();
        connections
    }

    /// The wanted addresses that are outside the cluster.
    fn outside_addresses(&self, family: IpFamily, wanted: Option<&[IpNet]>) -> IpRangeSet {
        let wanted = match wanted {
            None => IpRangeSet::full(family),
            Some(nets) => IpRangeSet::from_nets(family, nets),
        };
        wanted.difference(self.engine.addresses_of_pods(family))
    }
}
