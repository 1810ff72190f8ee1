use std::net::IpAddr;

use ringfence_model::address::{
    IpBlock, IpFamily, IpRangeSet, from_number, max_address, to_number,
};
use roaring::RoaringBitmap;

/// The first id of an atom: classes and atoms share one id space, so that one bitmap
/// holds all peers of a rule.
pub(crate) const FIRST_ATOM: u32 = 1 << 31;

/// The address space of one family, cut where any block begins or ends: two addresses
/// of one atom are in exactly the same blocks.
#[derive(Clone, Debug)]
pub(crate) struct Atoms {
    family: IpFamily,
    /// The first address of each atom, ascending; the first is 0.
    starts: Vec<u128>,
    /// The id of each atom.
    ids: Vec<u32>,
    /// Whether ids ascend with addresses: at first they do, after [`Atoms::cut`] not.
    in_order: bool,
}

impl Atoms {
    /// The atoms for these sets of addresses. Sets of the other family are ignored.
    pub(crate) fn new<'a>(
        family: IpFamily,
        sets: impl IntoIterator<Item = &'a IpRangeSet>,
    ) -> Self {
        let mut starts: Vec<u128> = sets
            .into_iter()
            .filter(|set| set.family() == family)
            .flat_map(boundaries)
            .chain([0])
            .collect();
        starts.sort_unstable();
        starts.dedup();
        let ids = (FIRST_ATOM..).take(starts.len()).collect();
        Self {
            family,
            starts,
            ids,
            in_order: true,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The atom that an address of this family is in.
    pub(crate) fn of(&self, address: IpAddr) -> u32 {
        let number = to_number(address);
        let after = self.starts.partition_point(|start| *start <= number);
        let position = after.saturating_sub(1);
        self.ids.get(position).copied().unwrap_or(FIRST_ATOM)
    }

    /// The atoms that a block consists of.
    pub(crate) fn in_block(&self, block: &IpBlock) -> RoaringBitmap {
        if block.family() != self.family {
            return RoaringBitmap::new();
        }
        self.in_set(&block.addresses())
    }

    /// The atoms that a set of addresses consists of; its bounds must have been cut.
    pub(crate) fn in_set(&self, set: &IpRangeSet) -> RoaringBitmap {
        let mut atoms = RoaringBitmap::new();
        for (start, end) in set.ranges() {
            let first = self.starts.partition_point(|s| s < start);
            let last = self.starts.partition_point(|s| s <= end);
            let ids = self.ids.get(first..last).unwrap_or_default();
            match ids {
                [first, .., _] if self.in_order => {
                    atoms.insert_range(*first..*first + u32::try_from(ids.len()).unwrap_or(0));
                }
                ids => atoms.extend(ids),
            }
        }
        atoms
    }

    /// Every atom.
    pub(crate) fn all(&self) -> RoaringBitmap {
        self.ids.iter().copied().collect()
    }

    /// The addresses of some atoms; ids of classes are passed over.
    pub(crate) fn addresses(&self, atoms: &RoaringBitmap) -> IpRangeSet {
        let last = max_address(self.family);
        let range = |position: usize| {
            let start = *self.starts.get(position)?;
            let next = self.starts.get(position + 1);
            Some((start, next.map_or(last, |next| next - 1)))
        };
        let ranges: Vec<(u128, u128)> = if self.in_order {
            atoms
                .range(FIRST_ATOM..)
                .filter_map(|id| range((id - FIRST_ATOM) as usize))
                .collect()
        } else {
            let positions = self.ids.iter().enumerate();
            positions
                .filter(|(_, id)| atoms.contains(**id))
                .filter_map(|(position, _)| range(position))
                .collect()
        };
        IpRangeSet::from_ranges(self.family, ranges)
    }

    /// The addresses that are an atom of their own, ascending.
    pub(crate) fn single_addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let next = self.starts.iter().skip(1);
        let singles = self.starts.iter().zip(next).filter(|(a, b)| **a + 1 == **b);
        singles.map(|(start, _)| from_number(self.family, *start))
    }

    /// Cuts at the bounds of `set`. Gives each new atom with the one it was part of.
    pub(crate) fn cut(&mut self, set: &IpRangeSet) -> Vec<(u32, u32)> {
        let mut made = Vec::new();
        if set.family() != self.family {
            return made;
        }
        for bound in boundaries(set) {
            if let Err(position) = self.starts.binary_search(&bound) {
                let id = FIRST_ATOM + u32::try_from(self.ids.len()).unwrap_or(u32::MAX >> 1);
                let parent = position
                    .checked_sub(1)
                    .and_then(|p| self.ids.get(p).copied())
                    .unwrap_or(FIRST_ATOM);
                self.starts.insert(position, bound);
                self.ids.insert(position, id);
                self.in_order = false;
                made.push((parent, id));
            }
        }
        made
    }
}

fn boundaries(set: &IpRangeSet) -> impl Iterator<Item = u128> {
    let last = max_address(set.family());
    set.ranges()
        .iter()
        .flat_map(|(start, end)| [Some(*start), end.checked_add(1)])
        .flatten()
        .filter(move |bound| *bound <= last)
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(cidr: &str, except: &[&str]) -> IpBlock {
        let except: Vec<String> = except.iter().map(ToString::to_string).collect();
        IpBlock::parse(cidr, &except).unwrap()
    }

    #[test]
    fn a_block_with_an_exception_is_the_atoms_around_it() {
        let open = block("0.0.0.0/0", &["10.0.0.0/8"]);
        let ten = block("10.0.0.0/8", &[]);
        let sets = [open.addresses(), ten.addresses()];
        let atoms = Atoms::new(IpFamily::V4, &sets);
        assert_eq!(atoms.len(), 3);
        assert!(atoms.in_block(&open).is_disjoint(&atoms.in_block(&ten)));
        assert!(
            atoms
                .in_block(&ten)
                .contains(atoms.of("10.1.2.3".parse().unwrap()))
        );
        let around = atoms.addresses(&atoms.in_block(&open));
        assert_eq!(around, open.addresses());
    }

    #[test]
    fn cutting_later_gives_the_same_addresses_as_cutting_at_once() {
        let ten = block("10.0.0.0/8", &["10.9.0.0/16"]).addresses();
        let mut atoms = Atoms::new(IpFamily::V4, []);
        let made = atoms.cut(&ten);
        assert_eq!(made.len(), 4);
        assert_eq!(atoms.addresses(&atoms.in_set(&ten)), ten);
        assert!(atoms.cut(&ten).is_empty());
    }
}
