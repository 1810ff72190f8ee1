//! Large sets of peers that many sides have in common.
//!
//! A rule for the whole cluster gives thousands of sides nearly the same large cell:
//! rules of their own take a few peers out of it. The set is held once, and a peer that
//! joins it joins it once.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use roaring::RoaringBitmap;
use rustc_hash::FxHashMap;

use crate::sets::TriSet;

/// Sets smaller than this are not looked for: a copy is as cheap as finding it.
pub(super) const WORTH_SHARING: u64 = 64;

/// A cell is a set less no more peers than this.
const MOST_LEFT_OUT: u64 = 64;

/// No more sets than this of the same size and bounds are compared: sharing is worth
/// something, but not a search through all sides.
const CANDIDATES: usize = 8;

/// The peers of a cell.
#[derive(Clone, Debug, Default)]
pub(crate) struct CellPeers {
    /// Shared by many sides, where it is large.
    set: Arc<RoaringBitmap>,
    /// Members of the set that are not in the cell; sorted.
    left_out: Vec<u32>,
}

impl CellPeers {
    fn has(&self, peer: u32) -> bool {
        self.left_out.binary_search(&peer).is_err()
    }

    /// Whether a peer is among them.
    pub(crate) fn contains(&self, peer: u32) -> bool {
        self.set.contains(peer) && self.has(peer)
    }

    /// How many they are.
    pub(crate) fn len(&self) -> u64 {
        self.set.len() - self.left_out.len() as u64
    }

    /// They, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.set.iter().filter(|peer| self.has(*peer))
    }

    /// Those with numbers in a range, ascending.
    pub(crate) fn range(&self, range: Range<u32>) -> impl Iterator<Item = u32> + '_ {
        self.set.range(range).filter(|peer| self.has(*peer))
    }

    /// How many have numbers in a range.
    pub(crate) fn range_cardinality(&self, range: Range<u32>) -> u64 {
        let left_out = self.left_out.iter().filter(|peer| range.contains(peer));
        let left_out = left_out.count() as u64;
        self.set.range_cardinality(range) - left_out
    }

    /// The one with the highest number.
    pub(crate) fn max(&self) -> Option<u32> {
        self.set.iter().rev().find(|peer| self.has(*peer))
    }

    /// Those that are among `others` as well.
    pub(crate) fn among(&self, others: &RoaringBitmap) -> RoaringBitmap {
        if self.set.is_disjoint(others) {
            return RoaringBitmap::new();
        }
        let mut both = others & &*self.set;
        for peer in &self.left_out {
            both.remove(*peer);
        }
        both
    }

    /// Whether none of them is among `others`.
    pub(crate) fn is_disjoint(&self, others: &RoaringBitmap) -> bool {
        self.among(others).is_empty()
    }

    /// They as a set.
    pub(crate) fn to_set(&self) -> Cow<'_, RoaringBitmap> {
        if self.left_out.is_empty() {
            return Cow::Borrowed(&self.set);
        }
        let mut set = (*self.set).clone();
        for peer in &self.left_out {
            set.remove(*peer);
        }
        Cow::Owned(set)
    }
}

/// The set of a rule, and which of its members a cell is without.
#[derive(Debug)]
pub(super) struct Base {
    set: Arc<TriSet>,
    left_out: Vec<u32>,
}

impl Base {
    /// The certain members of `set` as a base for `peers`, which are some of them;
    /// `None` where they are too few of them.
    pub(super) fn new(set: &Arc<TriSet>, peers: &RoaringBitmap) -> Option<Self> {
        let fewer = set.certain.len().checked_sub(peers.len())?;
        if fewer > MOST_LEFT_OUT {
            return None;
        }
        let left_out = match fewer {
            0 => Vec::new(),
            _ => (&set.certain - peers).iter().collect(),
        };
        let set = Arc::clone(set);
        Some(Self { set, left_out })
    }
}

/// Finds equal sets while sides are built.
#[derive(Debug, Default)]
pub(super) struct SharedPeers {
    by_outline: FxHashMap<(u64, u32, u32), Vec<Arc<RoaringBitmap>>>,
    /// By where the set is, which is kept there.
    bases: FxHashMap<*const TriSet, (Arc<TriSet>, Arc<RoaringBitmap>)>,
}

impl SharedPeers {
    /// The peers of a cell, sharing what they can.
    pub(super) fn share(&mut self, peers: RoaringBitmap, base: Option<Base>) -> CellPeers {
        let Some(base) = base else {
            return CellPeers {
                set: self.equal(peers),
                left_out: Vec::new(),
            };
        };
        let (_, set) = self.bases.entry(Arc::as_ptr(&base.set)).or_insert_with(|| {
            let certain = Arc::new(base.set.certain.clone());
            (base.set, certain)
        });
        CellPeers {
            set: Arc::clone(set),
            left_out: base.left_out,
        }
    }

    /// The one copy of a set.
    fn equal(&mut self, peers: RoaringBitmap) -> Arc<RoaringBitmap> {
        let (Some(first), Some(last)) = (peers.min(), peers.max()) else {
            return Arc::default();
        };
        if peers.len() < WORTH_SHARING {
            return Arc::new(peers);
        }
        let outline = (peers.len(), first, last);
        let candidates = self.by_outline.entry(outline).or_default();
        if let Some(known) = candidates.iter().find(|known| ***known == peers) {
            return Arc::clone(known);
        }
        let peers = Arc::new(peers);
        if candidates.len() < CANDIDATES {
            candidates.push(Arc::clone(&peers));
        }
        peers
    }
}

/// Peers that join sets, all in one change: a set that is shared is copied once, and
/// stays shared.
#[derive(Debug, Default)]
pub(crate) struct Growth {
    /// (where a set is, who joined) -> the set as it was, which keeps its place from
    /// being used again, and as it is.
    grown: FxHashMap<(*const RoaringBitmap, u32), [Arc<RoaringBitmap>; 2]>,
}

impl Growth {
    /// Adds a peer to a set.
    pub(crate) fn insert(&mut self, peers: &mut CellPeers, peer: u32) {
        let set = &mut peers.set;
        if let Some(own) = Arc::get_mut(set) {
            // A new class has the highest number, and then nothing need be searched.
            if own.try_push(peer).is_err() {
                own.insert(peer);
            }
            return;
        }
        let key = (Arc::as_ptr(set), peer);
        let [_, grown] = self.grown.entry(key).or_insert_with(|| {
            let mut grown = (**set).clone();
            grown.insert(peer);
            [Arc::clone(set), Arc::new(grown)]
        });
        *set = Arc::clone(grown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(range: std::ops::Range<u32>) -> RoaringBitmap {
        range.collect()
    }

    fn own(range: std::ops::Range<u32>) -> CellPeers {
        CellPeers {
            set: Arc::new(peers(range)),
            left_out: Vec::new(),
        }
    }

    #[test]
    fn equal_large_sets_are_one_and_stay_one_when_a_peer_joins_both() {
        let mut shared = SharedPeers::default();
        let mut sides: Vec<_> = (0..3).map(|_| shared.share(peers(0..500), None)).collect();
        let other = shared.share(peers(0..499), None);
        drop(shared);
        let mut growth = Growth::default();
        for side in &mut sides {
            growth.insert(side, 1000);
            growth.insert(side, 1001);
        }
        let mut expected = peers(0..500);
        expected.extend([1000, 1001]);
        for side in &sides {
            assert_eq!(*side.to_set(), expected);
            assert!(sides.iter().all(|other| Arc::ptr_eq(&side.set, &other.set)));
        }
        assert_eq!(*other.to_set(), peers(0..499));
    }

    #[test]
    fn cells_that_lack_few_peers_of_a_set_share_it_and_grow_together() {
        let rule = Arc::new(TriSet::exactly(peers(0..500)));
        let mut shared = SharedPeers::default();
        let mut cells = Vec::new();
        for missing in [3, 499] {
            let mut cell = peers(0..500);
            cell.remove(missing);
            let base = Base::new(&rule, &cell);
            assert!(base.is_some());
            cells.push((missing, shared.share(cell, base)));
        }
        drop(shared);
        assert!(Base::new(&rule, &peers(0..400)).is_none());
        let mut growth = Growth::default();
        for (_, cell) in &mut cells {
            growth.insert(cell, 1000);
        }
        assert!(
            cells
                .windows(2)
                .all(|pair| Arc::ptr_eq(&pair[0].1.set, &pair[1].1.set))
        );
        for (missing, cell) in cells {
            let mut expected = peers(0..500);
            expected.remove(missing);
            expected.insert(1000);
            assert_eq!(*cell.to_set(), expected);
            assert_eq!(cell.iter().collect::<RoaringBitmap>(), expected);
            assert_eq!(cell.len(), expected.len());
            assert_eq!(cell.max(), Some(1000));
            assert!(!cell.contains(missing) && cell.contains(1000));
            assert_eq!(cell.range_cardinality(0..500), 499);
            assert_eq!(cell.range(0..500).count(), 499);
            assert_eq!(cell.among(&peers(2..5)).contains(3), missing != 3);
            assert!(cell.among(&peers(2000..2001)).is_empty());
        }
    }

    #[test]
    fn a_set_that_nobody_shares_grows_in_place() {
        let mut own = own(0..500);
        let mut growth = Growth::default();
        growth.insert(&mut own, 1000);
        assert!(own.contains(1000));
        assert!(growth.grown.is_empty());
    }
}
