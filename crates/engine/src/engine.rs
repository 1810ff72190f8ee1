//! The fast path: a snapshot compiled into tables that answer at once.

use std::sync::{Arc, OnceLock};

use ringfence_model::address::{IpFamily, IpRangeSet};
use ringfence_model::policy::Direction;
use ringfence_model::snapshot::{PodId, PodKind, Snapshot};
use ringfence_model::tri::Tri;
use rustc_hash::FxHashMap;

use crate::journal::Journal;
use crate::packet::{Packet, Peer, Verdict};
use crate::profile::Profile;
use crate::reach::IngressIndex;
use crate::resolve::atoms::Atoms;
use crate::resolve::classes::{ClassId, Classes, family_index};
use crate::resolve::peers::{Context, Peers};
use crate::resolve::policies::{self, ResolvedPolicy};
use crate::sets::{Interner, Outcome, OutcomeId, PortSet};
use crate::side::{Applicable, NamedPortIndex, Side, SideKey, SidesWith};

/// A snapshot, compiled for one profile.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) profile: Profile,
    pub(crate) atoms: [Atoms; 2],
    pub(crate) classes: Classes,
    pub(crate) peers: Peers,
    pub(crate) named_ports: NamedPortIndex,
    /// Index for index the snapshot's policies.
    pub(crate) policies: Vec<ResolvedPolicy>,
    /// For egress and ingress, the policies that apply to each class.
    pub(crate) applicable: [Vec<Applicable>; 2],
    pub(crate) sides: Vec<Side>,
    /// Slots of `sides` that no class has any more.
    pub(crate) free_sides: Vec<u32>,
    pub(crate) side_ids: FxHashMap<Arc<SideKey>, u32>,
    pub(crate) sides_with: SidesWith,
    /// For egress and ingress, IPv4 and IPv6: the side of each class.
    pub(crate) side_of: [[Vec<u32>; 2]; 2],
    pub(crate) outcomes: Interner,
    /// For IPv4 and IPv6; made when it is asked for, forgotten with every change.
    pub(crate) addresses_of_pods: OnceLock<[IpRangeSet; 2]>,
    /// The same.
    pub(crate) ingress_indices: OnceLock<Arc<[IngressIndex; 2]>>,
    pub(crate) journal: Journal,
}

/// How large a compiled snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Classes of pods that no policy could tell apart.
    pub classes: usize,
    /// Pieces of address space that no block cuts, IPv4 and IPv6 together.
    pub atoms: usize,
    /// Different egress and ingress tables.
    pub sides: usize,
}

pub(crate) fn direction_index(direction: Direction) -> usize {
    match direction {
        Direction::Egress => 0,
        Direction::Ingress => 1,
    }
}

impl Engine {
    /// Compiles a snapshot.
    #[must_use]
    pub fn compile(snapshot: &Arc<Snapshot>, profile: Profile) -> Self {
        let snapshot = Arc::clone(snapshot);
        let atoms = cut_address_space(&snapshot, profile);
        let classes = Classes::new(&snapshot, &atoms);
        let mut peers = Peers::new(&snapshot, &classes);
        let context = Context {
            snapshot: &snapshot,
            profile,
            atoms: &atoms,
            classes: &classes,
        };
        let policies: Vec<ResolvedPolicy> = snapshot
            .policies
            .iter()
            .map(|policy| policies::resolve(policy, &mut peers, context))
            .collect();
        let named_ports = NamedPortIndex::new(&classes);
        let applicable = [Direction::Egress, Direction::Ingress]
            .map(|direction| applicable(&policies, classes.len(), direction));
        let mut engine = Self {
            snapshot,
            profile,
            atoms,
            classes,
            peers,
            named_ports,
            policies,
            applicable,
            sides: Vec::new(),
            free_sides: Vec::new(),
            side_ids: FxHashMap::default(),
            sides_with: SidesWith::default(),
            side_of: Default::default(),
            outcomes: Interner::default(),
            addresses_of_pods: OnceLock::new(),
            ingress_indices: OnceLock::new(),
            journal: Journal::default(),
        };
        engine.build_sides(0..engine.classes.len());
        engine.leave_room();
        engine
    }

    /// Begins a change: what was made from the tables is forgotten, and what happens to
    /// them is written down.
    pub(crate) fn begin_change(&mut self) {
        self.journal.begin();
        self.addresses_of_pods.take();
        self.ingress_indices.take();
    }

    /// Makes room for changes, so that the first of them does not pay for growing tables
    /// that are as large as the cluster.
    fn leave_room(&mut self) {
        let sides = self.sides.len() / 4 + 64;
        self.sides.reserve(sides);
        self.side_ids.reserve(sides);
        self.classes.reserve(self.classes.features.len() / 4 + 64);
    }

    /// The snapshot it was compiled from.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The profile it was compiled for.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// How large it is.
    #[must_use]
    pub fn size(&self) -> Size {
        let [v4, v6] = &self.atoms;
        Size {
            classes: self.classes.features.len(),
            atoms: v4.len() + v6.len(),
            sides: self.sides.len(),
        }
    }

    /// The verdict on one packet.
    #[must_use]
    pub fn can(&self, packet: &Packet) -> Verdict {
        if let Some(id) = self.talks_to_itself(packet) {
            let Some(frontend) = packet.through_service else {
                return Verdict::Allowed;
            };
            let open = self.hairpin(id, packet.family, packet.protocol, frontend);
            let allowed = open.allow.contains(packet.protocol, packet.port);
            let possible = allowed || open.maybe.contains(packet.protocol, packet.port);
            return Verdict::from_possible(possible, !allowed);
        }
        let egress = self.side_of(packet, Direction::Egress);
        egress.both(self.side_of(packet, Direction::Ingress))
    }

    /// The verdict of one side alone: of the source's egress, or of the destination's ingress.
    /// For a connection whose ends do not see the same packet, because a node between them
    /// translates an address. A pod that talks to itself has one verdict for both.
    #[must_use]
    pub fn can_on(&self, packet: &Packet, direction: Direction) -> Verdict {
        match self.talks_to_itself(packet) {
            Some(_) => self.can(packet),
            None => self.side_of(packet, direction),
        }
    }

    /// The verdict of one side, where there are two.
    fn side_of(&self, packet: &Packet, direction: Direction) -> Verdict {
        let (source, destination) = (packet.source, packet.destination);
        match direction {
            Direction::Egress => match self.egress_to_service(packet) {
                Some(verdict) => verdict,
                None => self.one_side(packet, direction, source, destination),
            },
            Direction::Ingress => self.one_side(packet, direction, destination, source),
        }
    }

    /// The pod that is both ends: one, not two of a template.
    fn talks_to_itself(&self, packet: &Packet) -> Option<PodId> {
        match packet.source {
            Peer::Pod(id) if packet.source == packet.destination => {
                (self.snapshot.pod(id).kind != PodKind::Template).then_some(id)
            }
            _ => None,
        }
    }

    fn one_side(&self, packet: &Packet, direction: Direction, end: Peer, other: Peer) -> Verdict {
        let Some((outcome, own_node)) = self.end(direction, end, other, packet.family) else {
            return Verdict::Allowed;
        };
        if own_node.certain() {
            return Verdict::Allowed;
        }
        Verdict::from_possible(
            outcome.allow.contains(packet.protocol, packet.port) || own_node.possible(),
            outcome.deny.contains(packet.protocol, packet.port),
        )
    }

    /// What policies say about one end of a connection, and whether the other is, or has
    /// the address of, its own node. `None` for an end to which no policy applies.
    pub(crate) fn end(
        &self,
        direction: Direction,
        end: Peer,
        other: Peer,
        family: IpFamily,
    ) -> Option<(&Outcome, Tri)> {
        let Peer::Pod(id) = end else {
            return None;
        };
        if self.snapshot.pod(id).host_network {
            return None;
        }
        let side = self.side(self.classes.class_of(id), direction, family);
        let outcome = self.outcomes.get(side.outcome(self.peer_id(other)));
        let own_node = match direction {
            Direction::Egress if !self.profile.pod_reaches_own_node => Tri::No,
            _ => self.on_node_of(id, other),
        };
        Some((outcome, own_node))
    }

    /// Whether an outcome may allow anything.
    pub(crate) fn may_allow(&self, outcome: OutcomeId) -> bool {
        !self.outcomes.get(outcome).allow.is_empty()
    }

    /// The number by which sides know an end.
    pub(crate) fn peer_id(&self, peer: Peer) -> u32 {
        match peer {
            Peer::Pod(id) => self.classes.class_of(id),
            Peer::Address(address) =>
            {
                #[expect(clippy::indexing_slicing, reason = "two families, an array of two")]
                self.atoms[family_index(IpFamily::of(address))].of(address)
            }
        }
    }

    /// The class of a pod.
    pub(crate) fn class_of(&self, pod: PodId) -> ClassId {
        self.classes.class_of(pod)
    }

    /// Whether `other` is on the node that a pod runs on, with that node's address.
    pub(crate) fn on_node_of(&self, pod: PodId, other: Peer) -> Tri {
        let pod = self.snapshot.pod(pod);
        match other {
            Peer::Pod(other) => self.same_node(pod, self.snapshot.pod(other)),
            Peer::Address(address) => match self.snapshot.node_name_with_address(address) {
                Some(node) => same_name(pod.node.as_deref(), Some(node)),
                None => Tri::No,
            },
        }
    }

    /// Whether `other` is host-networked on the node of `pod`.
    pub(crate) fn same_node(
        &self,
        pod: &ringfence_model::snapshot::Pod,
        other: &ringfence_model::snapshot::Pod,
    ) -> Tri {
        if !other.host_network {
            return Tri::No;
        }
        same_name(pod.node.as_deref(), other.node.as_deref())
    }

    /// The side of a class.
    pub(crate) fn side(&self, class: ClassId, direction: Direction, family: IpFamily) -> &Side {
        #[expect(
            clippy::indexing_slicing,
            reason = "two directions, two families, and every class has sides"
        )]
        &self.sides[self.side_index(class, direction, family) as usize]
    }

    pub(crate) fn side_index(&self, class: ClassId, direction: Direction, family: IpFamily) -> u32 {
        #[expect(
            clippy::indexing_slicing,
            reason = "two directions, two families, and every class has sides"
        )]
        self.side_of[direction_index(direction)][family_index(family)][class as usize]
    }

    /// The sides of both families.
    pub(crate) fn side_indices(&self, class: ClassId, direction: Direction) -> [u32; 2] {
        IpFamily::ALL.map(|family| self.side_index(class, direction, family))
    }

    /// The outcome for a pair of classes in one family, own-node traffic aside.
    pub(crate) fn pair(
        &self,
        from: ClassId,
        to: ClassId,
        family: IpFamily,
    ) -> (OutcomeId, OutcomeId) {
        (
            self.side(from, Direction::Egress, family).outcome(to),
            self.side(to, Direction::Ingress, family).outcome(from),
        )
    }
}

fn same_name(a: Option<&str>, b: Option<&str>) -> Tri {
    match (a, b) {
        (Some(a), Some(b)) => Tri::from(a == b),
        _ => Tri::Unknown,
    }
}

/// The address space, cut at every block that a policy mentions, and at nodes'
/// addresses where it matters that they are nodes'.
fn cut_address_space(snapshot: &Snapshot, profile: Profile) -> [Atoms; 2] {
    let mut sets: Vec<IpRangeSet> = snapshot
        .policies
        .iter()
        .flat_map(policies::address_sets)
        .collect();
    let nodes_differ = !profile.blocks_match_cluster_addresses
        || snapshot.policies.iter().any(policies::mentions_nodes);
    if nodes_differ {
        sets.extend(node_addresses(snapshot));
    }
    IpFamily::ALL.map(|family| Atoms::new(family, &sets))
}

/// The address of each node as a set of its own.
pub(crate) fn node_addresses(snapshot: &Snapshot) -> impl Iterator<Item = IpRangeSet> {
    let addresses = snapshot.node_addresses().into_iter();
    addresses
        .map(|address| IpRangeSet::from_nets(IpFamily::of(address), [&ipnet::IpNet::from(address)]))
}

fn applicable(policies: &[ResolvedPolicy], classes: u32, direction: Direction) -> Vec<Applicable> {
    let mut lists = vec![Applicable::new(); classes as usize];
    for (index, policy) in (0u32..).zip(policies) {
        if policy.rules(direction).is_none() {
            continue;
        }
        for class in &policy.subject.possible {
            if let Some(list) = lists.get_mut(class as usize) {
                list.push((index, policy.subject.certain.contains(class)));
            }
        }
    }
    lists
}

/// Both sides together.
pub(crate) fn both(outcomes: &Interner, (egress, ingress): (OutcomeId, OutcomeId)) -> Outcome {
    outcomes.get(egress).both(outcomes.get(ingress))
}

/// What own-node traffic adds to an outcome.
pub(crate) fn with_own_node(outcome: Outcome, own_node: Tri) -> Outcome {
    match own_node {
        Tri::No => outcome,
        Tri::Unknown => Outcome {
            allow: PortSet::all(),
            deny: outcome.deny,
        },
        Tri::Yes => Outcome::allowed(),
    }
}
