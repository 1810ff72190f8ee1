//! Which sides mention a set of peers.

use roaring::RoaringBitmap;

use crate::resolve::peers::PeerSetId;

/// For each set of peers, the sides that mention it: those that a new member of the set
/// joins.
#[derive(Clone, Debug, Default)]
pub(crate) struct SidesWith {
    sides: Vec<RoaringBitmap>,
    none: RoaringBitmap,
}

impl SidesWith {
    /// Adds a side with the sets it mentions.
    pub(crate) fn insert(&mut self, side: u32, sets: &[PeerSetId]) {
        for set in sets {
            let index = set.0 as usize;
            if self.sides.len() <= index {
                self.sides.resize(index + 1, RoaringBitmap::new());
            }
            if let Some(sides) = self.sides.get_mut(index) {
                sides.insert(side);
            }
        }
    }

    /// Takes a side out that is no more.
    pub(crate) fn remove(&mut self, side: u32, sets: &[PeerSetId]) {
        for set in sets {
            if let Some(sides) = self.sides.get_mut(set.0 as usize) {
                sides.remove(side);
            }
        }
    }

    /// The sides that mention a set.
    pub(crate) fn sides(&self, set: PeerSetId) -> &RoaringBitmap {
        self.sides.get(set.0 as usize).unwrap_or(&self.none)
    }
}
