//! Sets of peers: the pods and addresses that some rules of some pods mean.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ringfence_model::address::{IpFamily, IpRangeSet, from_number, max_address};

use crate::ruleset::{Key, Value, Word, key};

/// The peers of one group: addresses of pods, and addresses of nobody's pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PeerSet {
    /// Ascending.
    pub(super) pods: Vec<IpAddr>,
    /// Ranges, ascending.
    pub(super) blocks: Vec<(u128, u128)>,
}

impl PeerSet {
    pub(super) fn new(mut pods: Vec<IpAddr>, blocks: &IpRangeSet) -> Self {
        pods.sort_unstable();
        pods.dedup();
        Self {
            pods,
            blocks: blocks.ranges().to_vec(),
        }
    }

    /// The same, with ranges that are ascending and apart.
    pub(super) fn from_parts(mut pods: Vec<IpAddr>, blocks: Vec<(u128, u128)>) -> Self {
        pods.sort_unstable();
        pods.dedup();
        Self { pods, blocks }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pods.is_empty() && self.blocks.is_empty()
    }
}

/// Addresses that are in the same sets are one piece; the first address of its first
/// range stands for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces {
    /// Range -> the address that stands for its piece.
    pub(super) of_range: BTreeMap<Key, Value>,
    /// (number of a set, address that stands for a piece of it).
    pub(super) in_set: BTreeMap<Key, Value>,
}

impl Pieces {
    /// Cuts the address space of a family at the bounds of all sets.
    pub(super) fn cut<'a>(
        family: IpFamily,
        sets: impl Iterator<Item = (u32, &'a [(u128, u128)])>,
    ) -> Self {
        // Where a set begins (true) and where it has ended (false).
        let mut bounds: BTreeMap<u128, Vec<(u32, bool)>> = BTreeMap::new();
        let last = max_address(family);
        for (number, blocks) in sets {
            for (start, end) in blocks {
                bounds.entry(*start).or_default().push((number, true));
                if *end < last {
                    bounds.entry(end + 1).or_default().push((number, false));
                }
            }
        }
        let ends: Vec<u128> = bounds
            .keys()
            .skip(1)
            .map(|next| next - 1)
            .chain([last])
            .collect();
        let mut pieces = Self::default();
        let mut stands_for: BTreeMap<Vec<u32>, IpAddr> = BTreeMap::new();
        let mut active = BTreeSet::new();
        for ((start, changes), end) in bounds.into_iter().zip(ends) {
            // A set may end where its next range begins: ends first.
            let (begins, ended): (Vec<_>, Vec<_>) = changes.into_iter().partition(|(_, b)| *b);
            for (number, _) in ended {
                active.remove(&number);
            }
            active.extend(begins.into_iter().map(|(number, _)| number));
            if active.is_empty() {
                continue;
            }
            let first = from_number(family, start);
            let members: Vec<u32> = active.iter().copied().collect();
            let stand_in = match stands_for.get(&members) {
                Some(known) => *known,
                None => {
                    let piece = key::address(first);
                    let in_set = members
                        .iter()
                        .map(|number| (key::peer_set(*number).then(&piece), Value::None));
                    pieces.in_set.extend(in_set);
                    stands_for.insert(members, first);
                    first
                }
            };
            let range = key::addresses(first, from_number(family, end));
            let stand_in = Value::Bytes(Word::address(stand_in));
            pieces.of_range.insert(range, stand_in);
        }
        pieces
    }
}

/// The address that some bytes of a key are.
pub(super) fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(nets: &[&str]) -> Vec<(u128, u128)> {
        let nets: Vec<ipnet::IpNet> = nets.iter().filter_map(|net| net.parse().ok()).collect();
        IpRangeSet::from_nets(IpFamily::V4, &nets).ranges().to_vec()
    }

    #[test]
    fn ranges_in_the_same_sets_are_one_piece_and_uncovered_ones_are_left_out() {
        let (wide, narrow) = (
            blocks(&["10.0.0.0/8"]),
            blocks(&["10.1.0.0/16", "10.3.0.0/16"]),
        );
        let pieces = Pieces::cut(IpFamily::V4, [(1, &*wide), (2, &*narrow)].into_iter());
        assert_eq!(pieces.of_range.len(), 5);
        let stand_ins: BTreeSet<_> = pieces.of_range.values().map(|v| format!("{v:?}")).collect();
        assert_eq!(stand_ins.len(), 2);
        assert_eq!(pieces.in_set.len(), 3);
    }

    #[test]
    fn the_whole_address_space_is_one_range() {
        let all = blocks(&["0.0.0.0/0"]);
        let pieces = Pieces::cut(IpFamily::V4, [(7, &*all)].into_iter());
        assert_eq!(pieces.of_range.len(), 1);
        assert_eq!(pieces.in_set.len(), 1);
    }
}
