//! What a data plane compiles from: for each pod and direction, which peers get which
//! ports, without asking packet by packet.

use ringfence_model::address::{IpFamily, IpRangeSet};
use ringfence_model::policy::Direction;
use ringfence_model::snapshot::PodId;

use crate::engine::Engine;
use crate::reach::{OpenPorts, open};
use crate::resolve::atoms::FIRST_ATOM;
use crate::resolve::classes::family_index;
use crate::sets::OutcomeId;
use crate::side::{Cell, Side};

/// One side of the connections of some pods: those with equal [`PodTable::id`] share it.
///
/// Traffic between a pod and its own node is not in it: see
/// [`Profile::pod_reaches_own_node`](crate::Profile).
#[derive(Clone, Copy, Debug)]
pub struct PodTable<'a> {
    engine: &'a Engine,
    side: &'a Side,
    family: IpFamily,
    id: u32,
}

/// Peers that get the same ports.
#[derive(Clone, Copy, Debug)]
pub struct PeerGroup<'a> {
    engine: &'a Engine,
    cell: &'a Cell,
    family: IpFamily,
}

/// Stands for what some peers get, in all tables of one engine: equal ones are the same
/// ports. They do not change with the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortsId(OutcomeId);

impl Engine {
    /// The table of a pod; `None` for a host-networked one, to which no policy applies.
    #[must_use]
    pub fn table(
        &self,
        pod: PodId,
        direction: Direction,
        family: IpFamily,
    ) -> Option<PodTable<'_>> {
        if self.snapshot.pod(pod).host_network {
            return None;
        }
        let class = self.class_of(pod);
        Some(PodTable {
            engine: self,
            side: self.side(class, direction, family),
            family,
            id: self.side_index(class, direction, family),
        })
    }
}

impl Engine {
    /// The table with this [`PodTable::id`]; `None` where no table ever had it.
    #[must_use]
    pub fn table_with_id(&self, id: u32, family: IpFamily) -> Option<PodTable<'_>> {
        let side = self.sides.get(id as usize)?;
        Some(PodTable {
            engine: self,
            side,
            family,
            id,
        })
    }

    /// What a pod can open to itself through a Service, after translation: only
    /// cluster-wide policies come between (ClusterNetworkPolicy rule 9).
    #[must_use]
    pub fn ports_to_itself(&self, pod: PodId, family: IpFamily) -> OpenPorts {
        let class = self.class_of(pod);
        let sides = [Direction::Egress, Direction::Ingress]
            .map(|direction| self.side_to_itself(class, direction, family));
        let [egress, ingress] = sides;
        open(&egress.both(&ingress))
    }
}

impl<'a> PodTable<'a> {
    /// A number that tables of one engine have in common when they are the same for the
    /// same direction and family.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What every peer gets that is in no group.
    #[must_use]
    pub fn others(&self) -> OpenPorts {
        self.ports(self.others_id())
    }

    /// What stands for [`PodTable::others`].
    #[must_use]
    pub fn others_id(&self) -> PortsId {
        PortsId(self.side.rest)
    }

    /// What stands for what a pod gets that is the other end, whether it is in a group or
    /// not.
    #[must_use]
    pub fn peer_id(&self, pod: PodId) -> PortsId {
        PortsId(self.side.outcome(self.engine.class_of(pod)))
    }

    /// What an id stands for.
    #[must_use]
    pub fn ports(&self, id: PortsId) -> OpenPorts {
        open(self.engine.outcomes.get(id.0))
    }

    /// The groups; no peer is in two of them.
    pub fn groups(&self) -> impl Iterator<Item = PeerGroup<'a>> + use<'a> {
        let (engine, family) = (self.engine, self.family);
        self.side.cells.iter().map(move |cell| PeerGroup {
            engine,
            cell,
            family,
        })
    }
}

impl<'a> PeerGroup<'a> {
    /// What its peers get.
    #[must_use]
    pub fn ports(&self) -> OpenPorts {
        open(self.engine.outcomes.get(self.cell.outcome))
    }

    /// What stands for it.
    #[must_use]
    pub fn ports_id(&self) -> PortsId {
        PortsId(self.cell.outcome)
    }

    /// The pods among its peers.
    pub fn pods(&self) -> impl Iterator<Item = PodId> + use<'a> {
        let (engine, cell) = (self.engine, self.cell);
        let classes = cell.peers.range(0..FIRST_ATOM);
        classes
            .filter_map(|class| engine.classes.pods.get(class as usize))
            .flatten()
            .copied()
    }

    /// The addresses among its peers. They may be addresses of pods, for which it says
    /// nothing: those are among [`PeerGroup::pods`] of their own group.
    #[must_use]
    pub fn addresses(&self) -> IpRangeSet {
        #[expect(clippy::indexing_slicing, reason = "two families, an array of two")]
        let atoms = &self.engine.atoms[family_index(self.family)];
        atoms.addresses(&self.cell.peers.to_set())
    }
}
