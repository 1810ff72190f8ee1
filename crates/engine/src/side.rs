//! One side of the connections of one class: which peers, which ports, which outcome.
//!
//! The peers are cut into cells that the rules cannot tell apart, and each cell is
//! judged once, for all ports together. Peers that no rule mentions are the rest and
//! are not listed.

mod build;
mod judge;
mod mentions;
mod partition;
mod shared;

pub(crate) use judge::{Judge, Matching, NamedPorts};
pub(crate) use mentions::SidesWith;
pub(crate) use partition::{NamedPortIndex, Signature, meaning_of, partition, signature};
pub(crate) use shared::{CellPeers, Growth};

use std::sync::Arc;

use ringfence_model::address::IpFamily;
use ringfence_model::policy::Direction;
use ringfence_model::snapshot::ContainerPort;
use rustc_hash::FxHashMap;

use crate::resolve::peers::PeerSetId;
use crate::sets::OutcomeId;

/// The policies that apply to a class in one direction, and whether they do for sure.
/// In the order of the snapshot's policies.
pub(crate) type Applicable = Vec<(u32, bool)>;

/// What makes two sides equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SideKey {
    pub(crate) direction: Direction,
    pub(crate) applicable: Applicable,
    /// The family, where the rules can tell the families apart.
    pub(crate) family: Option<IpFamily>,
    /// Where ingress rules name ports: the ports they are looked up in, and whether
    /// the subject is outside the input, so that its ports are not known.
    pub(crate) ports: Option<(bool, Arc<[ContainerPort]>)>,
}

impl SideKey {
    /// A family for which the side is right.
    pub(crate) fn family(&self) -> IpFamily {
        self.family.unwrap_or(IpFamily::V4)
    }
}

/// One side, judged.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) key: Arc<SideKey>,
    /// The sets that the rules mention, each once.
    pub(crate) sets: Vec<PeerSetId>,
    /// The port names that the rules mention and that depend on the peer, each once.
    pub(crate) names: Vec<String>,
    /// Cells by signature; their peers are disjoint.
    pub(crate) cells: Vec<Cell>,
    /// The outcome for every peer in no cell.
    pub(crate) rest: OutcomeId,
    /// Peers in small cells -> index of the cell.
    narrow: FxHashMap<u32, u32>,
    /// The large cells, which are asked one after the other.
    wide: Vec<u32>,
}

/// Peers that get the same outcome from the same rules.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) signature: Signature,
    pub(crate) peers: CellPeers,
    pub(crate) outcome: OutcomeId,
}

/// Cells with more peers than this are not indexed peer by peer.
const NARROW: u64 = 64;

impl Side {
    pub(crate) fn new(
        key: Arc<SideKey>,
        sets: Vec<PeerSetId>,
        names: Vec<String>,
        cells: Vec<Cell>,
        rest: OutcomeId,
    ) -> Self {
        let mut side = Self {
            key,
            sets,
            names,
            cells,
            rest,
            narrow: FxHashMap::default(),
            wide: Vec::new(),
        };
        for (index, cell) in (0u32..).zip(&side.cells) {
            if cell.peers.len() <= NARROW {
                side.narrow
                    .extend(cell.peers.iter().map(|peer| (peer, index)));
            } else {
                side.wide.push(index);
            }
        }
        side
    }

    /// Empties a side that no class has any more.
    pub(crate) fn clear(&mut self) {
        self.sets.clear();
        self.names.clear();
        self.cells.clear();
        self.narrow.clear();
        self.wide.clear();
    }

    /// The outcome for one peer.
    pub(crate) fn outcome(&self, peer: u32) -> OutcomeId {
        let cell = match self.narrow.get(&peer) {
            Some(index) => self.cells.get(*index as usize),
            None => self
                .wide
                .iter()
                .filter_map(|index| self.cells.get(*index as usize))
                .find(|cell| cell.peers.contains(peer)),
        };
        cell.map_or(self.rest, |cell| cell.outcome)
    }

    /// Adds a peer that is not in any cell yet to the one with its signature, which is
    /// made with the outcome of `judge` if there is none.
    pub(crate) fn add(
        &mut self,
        peer: u32,
        signature: Signature,
        growth: &mut Growth,
        judge: impl FnOnce(&Self, &Signature) -> OutcomeId,
    ) {
        let known = self.cells.iter().position(|c| c.signature == signature);
        let position = known.unwrap_or_else(|| {
            let outcome = judge(self, &signature);
            self.cells.push(Cell {
                signature,
                peers: CellPeers::default(),
                outcome,
            });
            self.cells.len() - 1
        });
        self.insert(position, peer, growth);
    }

    /// Adds a peer to the cell that another peer is in, if it is in one.
    pub(crate) fn add_like(&mut self, peer: u32, other: u32, growth: &mut Growth) {
        if let Some(position) = self.cells.iter().position(|c| c.peers.contains(other)) {
            self.insert(position, peer, growth);
        }
    }

    fn insert(&mut self, position: usize, peer: u32, growth: &mut Growth) {
        if let Some(cell) = self.cells.get_mut(position) {
            growth.insert(&mut cell.peers, peer);
        }
        if let Ok(index) = u32::try_from(position)
            && !self.wide.contains(&index)
        {
            self.narrow.insert(peer, index);
        }
    }
}
