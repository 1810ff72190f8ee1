//! Large sets of peers that many sides have in common.
//!
//! A rule for the whole cluster gives thousands of sides the same large cell. It is held
//! once, and a peer that joins it joins it once.

use std::sync::Arc;

use roaring::RoaringBitmap;
use rustc_hash::FxHashMap;

/// Sets smaller than this are not looked for: a copy is as cheap as finding it.
const WORTH_SHARING: u64 = 64;

/// No more sets than this of the same size and bounds are compared: sharing is worth
/// something, but not a search through all sides.
const CANDIDATES: usize = 8;

/// Finds equal sets while sides are built.
#[derive(Debug, Default)]
pub(crate) struct SharedPeers {
    by_outline: FxHashMap<(u64, u32, u32), Vec<Arc<RoaringBitmap>>>,
}

impl SharedPeers {
    /// The one copy of a set.
    pub(crate) fn share(&mut self, peers: RoaringBitmap) -> Arc<RoaringBitmap> {
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
    pub(crate) fn insert(&mut self, peers: &mut Arc<RoaringBitmap>, peer: u32) {
        if let Some(own) = Arc::get_mut(peers) {
            // A new class has the highest number, and then nothing need be searched.
            if own.try_push(peer).is_err() {
                own.insert(peer);
            }
            return;
        }
        let key = (Arc::as_ptr(peers), peer);
        let [_, grown] = self.grown.entry(key).or_insert_with(|| {
            let mut grown = (**peers).clone();
            grown.insert(peer);
            [Arc::clone(peers), Arc::new(grown)]
        });
        *peers = Arc::clone(grown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(range: std::ops::Range<u32>) -> RoaringBitmap {
        range.collect()
    }

    #[test]
    fn equal_large_sets_are_one_and_stay_one_when_a_peer_joins_both() {
        let mut shared = SharedPeers::default();
        let mut sides: Vec<_> = (0..3).map(|_| shared.share(peers(0..500))).collect();
        let other = shared.share(peers(0..499));
        drop(shared);
        let mut growth = Growth::default();
        for side in &mut sides {
            growth.insert(side, 1000);
            growth.insert(side, 1001);
        }
        let mut expected = peers(0..500);
        expected.extend([1000, 1001]);
        for side in &sides {
            assert_eq!(**side, expected);
            assert!(sides.iter().all(|other| Arc::ptr_eq(side, other)));
        }
        assert_eq!(*other, peers(0..499));
    }

    #[test]
    fn a_set_that_nobody_shares_grows_in_place() {
        let mut own = Arc::new(peers(0..500));
        let mut growth = Growth::default();
        growth.insert(&mut own, 1000);
        assert!(own.contains(1000));
        assert!(growth.grown.is_empty());
    }
}
