use std::collections::BTreeMap;
use std::hash::Hash;

use ipnet::IpNet;
use rayon::prelude::*;
use ringfence_model::address::{IpFamily, IpRangeSet};
use ringfence_model::policy::Direction;
use ringfence_model::snapshot::{Pod, PodKind, Workload, WorkloadId};
use rustc_hash::{FxHashMap, FxHashSet};

use super::all_pairs::{IngressIndex, PairOutcome};
use super::external::{self, Region};
use super::own_node::{self, Group};
use super::reachability::Draft;
use super::{EndId, OpenId, OpenPorts, Reachability, Row, Selection};
use crate::engine::{Engine, both};
use crate::resolve::classes::{ClassId, Presence};
use crate::sets::{Outcome, OutcomeId, PortSet};

/// What is allowed for certain, and what is possible.
#[derive(Clone, Default)]
pub(super) struct Ports {
    certain: PortSet,
    possible: PortSet,
}

impl Ports {
    pub(super) fn add(&mut self, outcome: &Outcome) {
        self.certain = self.certain.union(&outcome.certain());
        self.possible = self.possible.union(&outcome.allow);
    }
}

impl Ports {
    fn open(&self) -> OpenPorts {
        OpenPorts {
            allow: self.certain.clone(),
            maybe: self.possible.difference(&self.certain),
        }
    }
}

/// Sources of which so many differ are asked about at once, side by side.
const AT_ONCE: usize = 256;

/// The workloads that one can connect to, sorted, with a number for the ports.
#[derive(Default)]
pub(super) struct Destinations {
    pub(super) entries: Vec<(WorkloadId, u32)>,
    opens: Vec<Ports>,
}

impl Destinations {
    /// A number for some ports. Equal ones may get several.
    pub(super) fn number(&mut self, ports: Ports) -> u32 {
        self.opens.push(ports);
        u32::try_from(self.opens.len() - 1).unwrap_or(u32::MAX)
    }

    pub(super) fn ports(&self, number: u32) -> Ports {
        self.opens.get(number as usize).cloned().unwrap_or_default()
    }
}

/// Gives each different value once, in the order in which they come, and for each of
/// `values` the position of its equal.
fn alike<T: Clone + Eq + Hash>(values: Vec<T>) -> (Vec<T>, Vec<usize>) {
    let mut positions: FxHashMap<T, usize> = FxHashMap::default();
    let mut different = Vec::new();
    let of_each = values
        .into_iter()
        .map(|value| match positions.get(&value) {
            Some(position) => *position,
            None => {
                different.push(value.clone());
                positions.insert(value, different.len() - 1);
                different.len() - 1
            }
        })
        .collect();
    (different, of_each)
}

/// The classes and workloads of an engine, related both ways.
pub(super) struct Workloads<'a> {
    pub(super) engine: &'a Engine,
    indices: &'a [IngressIndex; 2],
    /// class -> the workloads that have pods of it.
    of_class: Vec<Vec<WorkloadId>>,
    /// The workloads with host-networked pods.
    pub(super) host_networked: Vec<WorkloadId>,
    /// class -> the first class that can connect to the same ends.
    stand_ins: Vec<ClassId>,
}

/// Of classes with equal keys the first one, for each class in order.
fn stand_ins<K: Eq + Hash>(keys: impl Iterator<Item = K>) -> Vec<ClassId> {
    let mut first: FxHashMap<K, ClassId> = FxHashMap::default();
    keys.zip(0..)
        .map(|(key, class)| *first.entry(key).or_insert(class))
        .collect()
}

fn stand_in(stand_ins: &[ClassId], class: ClassId) -> ClassId {
    stand_ins.get(class as usize).copied().unwrap_or(class)
}

impl Engine {
    /// What connections from the ends of `from` to the ends of `to` are possible.
    ///
    /// Connections between two addresses outside the cluster, of a bare pod with
    /// itself, and from a node to pods it runs (always allowed) are not listed.
    #[must_use]
    pub fn reach(&self, from: &Selection, to: &Selection) -> Reachability {
        let workloads = Workloads::new(self);
        let mut draft = Draft::new(self.snapshot.workloads.len());
        workloads.outwards(&self.selected(from), to, &mut draft);
        workloads.inwards(&self.selected(to), from, &mut draft);
        draft.finish()
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

/// What decides where pods of a class can connect to.
#[derive(PartialEq, Eq, Hash)]
enum SourceKey {
    /// Its egress, its families, and for each family what may let it in: pods whose
    /// labels differ, and whom no policy tells apart, have these in common.
    Shared([u32; 2], [Presence; 2], [Vec<(u32, OutcomeId)>; 2]),
    /// It has few destinations, or is in the network of its node: nobody else's.
    Own(ClassId),
}

impl SourceKey {
    fn of(engine: &Engine, indices: &[IngressIndex; 2], class: ClassId) -> Self {
        let own = Self::Own(class);
        // A class that its pods have left reaches nothing, and stands for nobody.
        let has_pods = || {
            let mut families = IpFamily::ALL.into_iter();
            families.any(|family| engine.classes.present(family).contains(class))
        };
        if engine.classes.get(class).host_network || !has_pods() {
            return own;
        }
        let [v4, v6] = indices;
        match (v4.doors(engine, class), v6.doors(engine, class)) {
            (Some(v4), Some(v6)) => Self::Shared(
                engine.side_indices(class, Direction::Egress),
                engine.classes.families(class),
                [v4, v6],
            ),
            _ => own,
        }
    }
}

/// What decides where the pods of a workload can connect to. Workloads for which it is
/// the same can connect to the same ends.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Likeness<'a> {
    pub(super) groups: Vec<Group<'a>>,
    /// The workload, where one of its pods has no peer in its class, as others have.
    alone: Option<WorkloadId>,
}

impl Likeness<'_> {
    fn classes(&self) -> Vec<ClassId> {
        self.groups.iter().map(|group| group.class).collect()
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
        let indices = engine.ingress_indices();
        let keys: Vec<SourceKey> = (0..engine.classes.len())
            .into_par_iter()
            .map(|class| SourceKey::of(engine, indices, class))
            .collect();
        Self {
            engine,
            indices,
            of_class,
            host_networked,
            stand_ins: stand_ins(keys.into_iter()),
        }
    }

    /// What the sources can open.
    fn outwards(&self, sources: &[WorkloadId], to: &Selection, draft: &mut Draft) {
        let wanted = to.workloads.as_ref();
        let wanted: Option<FxHashSet<WorkloadId>> =
            wanted.map(|list| list.iter().copied().collect());
        let (likenesses, of_source) =
            alike(sources.par_iter().map(|id| self.likeness(*id)).collect());
        let mut lists = Vec::with_capacity(likenesses.len());
        for some in likenesses.chunks(AT_ONCE) {
            let found: Vec<_> = some
                .par_iter()
                .map(|likeness| {
                    let workloads = self.to_workloads(likeness, wanted.as_ref());
                    let outside = self.external(&likeness.classes(), Direction::Egress, to);
                    (workloads, outside)
                })
                .collect();
            for (workloads, outside) in found {
                let opens: Vec<OpenId> = workloads
                    .opens
                    .iter()
                    .map(|ports| draft.open(ports.open()))
                    .collect();
                let entries = workloads.entries.into_iter().filter_map(|(id, open)| {
                    let open = opens.get(open as usize)?;
                    Some((EndId::workload(id), *open))
                });
                let workloads = draft.list(entries);
                let entries: Vec<_> = outside
                    .into_iter()
                    .map(|(nets, open)| (draft.addresses(nets), draft.open(open)))
                    .collect();
                lists.push((workloads, draft.list(entries)));
            }
        }
        for (source, likeness) in sources.iter().zip(of_source) {
            let Some((workloads, outside)) = lists.get(likeness) else {
                continue;
            };
            let workload = self.engine.snapshot.workload(*source);
            draft.row(Row {
                from: EndId::workload(*source),
                workloads: *workloads,
                outside: *outside,
                without_itself: !workload.may_have_peers_of_its_own(),
            });
        }
    }

    /// What addresses outside the cluster can open to the destinations.
    fn inwards(&self, destinations: &[WorkloadId], from: &Selection, draft: &mut Draft) {
        let engine = self.engine;
        // Addresses see no more of a class than its ingress.
        let stand_ins = stand_ins((0..engine.classes.len()).map(|class| {
            let families = engine.classes.families(class);
            (engine.side_indices(class, Direction::Ingress), families)
        }));
        let classes_of = |id: &WorkloadId| {
            let classes = engine.classes_of(engine.snapshot.workload(*id));
            let mut classes: Vec<ClassId> = classes
                .into_iter()
                .map(|class| stand_in(&stand_ins, class))
                .collect();
            classes.sort_unstable();
            classes.dedup();
            classes
        };
        let (classes, of_destination) = alike(destinations.par_iter().map(classes_of).collect());
        let regions: Vec<Vec<(Vec<IpNet>, OpenPorts)>> = classes
            .par_iter()
            .map(|classes| self.external(classes, Direction::Ingress, from))
            .collect();
        let mut sources: BTreeMap<&[IpNet], Vec<(EndId, OpenId)>> = BTreeMap::new();
        for (destination, likeness) in destinations.iter().zip(of_destination) {
            for (nets, open) in regions.get(likeness).into_iter().flatten() {
                let entry = (EndId::workload(*destination), draft.open(open.clone()));
                sources.entry(nets).or_default().push(entry);
            }
        }
        let outside = draft.list([]);
        for (nets, entries) in sources {
            let row = Row {
                from: draft.addresses(nets.to_vec()),
                workloads: draft.list(entries),
                outside,
                without_itself: false,
            };
            draft.row(row);
        }
    }

    /// What decides where pods of a workload can connect to.
    fn likeness(&self, id: WorkloadId) -> Likeness<'a> {
        let workload = self.engine.snapshot.workload(id);
        let groups = self.groups(id);
        let is_alone = groups.len() > 1
            && groups
                .iter()
                .any(|group| self.is_alone(workload, group.class));
        if is_alone {
            return Likeness {
                groups,
                alone: Some(id),
            };
        }
        let groups = groups.into_iter().map(|group| {
            let class = stand_in(&self.stand_ins, group.class);
            group.with_class(class)
        });
        Likeness {
            groups: own_node::merged(groups),
            alone: None,
        }
    }

    fn to_workloads(
        &self,
        source: &Likeness<'_>,
        wanted: Option<&FxHashSet<WorkloadId>>,
    ) -> Destinations {
        let engine = self.engine;
        let mut found: Vec<(WorkloadId, PairOutcome)> = Vec::new();
        for group in &source.groups {
            let class = group.class;
            let alone = source.alone.filter(|id| {
                let workload = engine.snapshot.workload(*id);
                self.is_alone(workload, class)
            });
            for index in self.indices {
                for (outcome, classes) in index.row(engine, class) {
                    for to in &classes {
                        let itself = alone.filter(|_| to == class);
                        let workloads = self.workloads_of(to).filter(|id| {
                            Some(*id) != itself && wanted.is_none_or(|wanted| wanted.contains(id))
                        });
                        found.extend(workloads.map(|id| (id, outcome)));
                    }
                }
            }
        }
        // Mostly in order already, which this sort makes use of.
        found.sort();
        found.dedup();
        let mut memo: FxHashMap<Vec<PairOutcome>, u32> = FxHashMap::default();
        let mut destinations = Destinations::default();
        for pairs in found.chunk_by(|a, b| a.0 == b.0) {
            let Some((destination, _)) = pairs.first() else {
                continue;
            };
            let outcomes: Vec<PairOutcome> = pairs.iter().map(|(_, outcome)| *outcome).collect();
            let open = *memo.entry(outcomes).or_insert_with_key(|outcomes| {
                let mut ports = Ports::default();
                for pair in outcomes {
                    ports.add(&both(&engine.outcomes, *pair));
                }
                destinations.number(ports)
            });
            destinations.entries.push((*destination, open));
        }
        self.add_own_node(source, wanted, &mut destinations);
        destinations
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

    /// What is open between pods of these classes and addresses outside the cluster,
    /// sorted.
    fn external(
        &self,
        classes: &[ClassId],
        direction: Direction,
        selection: &Selection,
    ) -> Vec<(Vec<IpNet>, OpenPorts)> {
        let engine = self.engine;
        let mut regions: Vec<Region> = Vec::new();
        for family in IpFamily::ALL {
            let wanted = self.outside_addresses(family, selection.addresses.as_deref());
            if wanted.is_empty() {
                continue;
            }
            for class in classes {
                let is_left_out = match engine.classes.presence(*class, family) {
                    Presence::Has => false,
                    Presence::AssumedToLack => !selection.any_family,
                    Presence::Lacks => true,
                };
                if is_left_out {
                    continue;
                }
                let side = engine.side(*class, direction, family);
                let more = external::regions(engine, side, family, &wanted);
                regions = external::overlay(regions, more);
            }
        }
        let mut open: Vec<(Vec<IpNet>, OpenPorts)> = external::join_equal(regions)
            .into_iter()
            .map(|(nets, allow, maybe)| (nets, OpenPorts { allow, maybe }))
            .collect();
        open.sort_unstable();
        open
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
