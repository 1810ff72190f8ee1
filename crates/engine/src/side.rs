//! One side of the connections of one class: which peers, which ports, which outcome.
//!
//! The peers are cut into cells that the rules cannot tell apart, and each cell is
//! judged once, for all ports together. Peers that no rule mentions are the rest and
//! are not listed.

mod judge;
mod partition;

pub(crate) use judge::{Judge, NamedPorts};
pub(crate) use partition::{NamedPortIndex, Signature, meaning_of, partition, signature};

use roaring::RoaringBitmap;
use rustc_hash::FxHashMap;

use crate::resolve::peers::PeerSetId;
use crate::sets::OutcomeId;

/// The policies that apply to a class in one direction, and whether they do for sure.
/// In the order of the snapshot's policies.
pub(crate) type Applicable = Vec<(u32, bool)>;

/// One side, judged.
#[derive(Clone, Debug)]
pub(crate) struct Side {
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
    pub(crate) peers: RoaringBitmap,
    pub(crate) outcome: OutcomeId,
}

/// Cells with more peers than this are not indexed peer by peer.
const NARROW: u64 = 64;

impl Side {
    pub(crate) fn new(
        sets: Vec<PeerSetId>,
        names: Vec<String>,
        cells: Vec<Cell>,
        rest: OutcomeId,
    ) -> Self {
        let mut side = Self {
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

    /// Adds a peer to the cell at `index`, in which it is not yet.
    pub(crate) fn add(&mut self, index: usize, peer: u32) {
        if let Some(cell) = self.cells.get_mut(index) {
            cell.peers.insert(peer);
        }
        if let Ok(index) = u32::try_from(index)
            && !self.wide.contains(&index)
        {
            self.narrow.insert(peer, index);
        }
    }
}
