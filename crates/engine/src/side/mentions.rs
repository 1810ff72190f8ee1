//! Which sides mention a set of peers.

use crate::resolve::peers::PeerSetId;

/// For each set of peers, the sides that mention it: those that a new member of the set
/// joins.
#[derive(Clone, Debug, Default)]
pub(crate) struct SidesWith {
    /// Sorted; while an engine is compiled, each side comes after all others.
    sides: Vec<Vec<u32>>,
}

impl SidesWith {
    /// Adds a side with the sets it mentions.
    pub(crate) fn insert(&mut self, side: u32, sets: &[PeerSetId]) {
        for set in sets {
            let index = set.0 as usize;
            if self.sides.len() <= index {
                self.sides.resize_with(index + 1, Vec::new);
            }
            let Some(sides) = self.sides.get_mut(index) else {
                continue;
            };
            if sides.last().is_none_or(|last| *last < side) {
                sides.push(side);
            } else if let Err(position) = sides.binary_search(&side) {
                sides.insert(position, side);
            }
        }
    }

    /// Takes a side out that is no more.
    pub(crate) fn remove(&mut self, side: u32, sets: &[PeerSetId]) {
        for set in sets {
            if let Some(sides) = self.sides.get_mut(set.0 as usize)
                && let Ok(position) = sides.binary_search(&side)
            {
                sides.remove(position);
            }
        }
    }

    /// The sides that mention a set, sorted.
    pub(crate) fn sides(&self, set: PeerSetId) -> &[u32] {
        self.sides.get(set.0 as usize).map_or(&[], Vec::as_slice)
    }
}
