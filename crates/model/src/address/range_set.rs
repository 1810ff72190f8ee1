use std::net::IpAddr;

use ipnet::IpNet;

use super::IpFamily;

/// A set of addresses of one family: sorted, disjoint, non-adjacent ranges.
///
/// Addresses are numbers (`u32` widened, or `u128`), bounds inclusive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IpRangeSet {
    family: IpFamily,
    ranges: Vec<(u128, u128)>,
}

impl IpRangeSet {
    /// No address.
    #[must_use]
    pub fn empty(family: IpFamily) -> Self {
        Self {
            family,
            ranges: Vec::new(),
        }
    }

    /// Every address of the family.
    #[must_use]
    pub fn full(family: IpFamily) -> Self {
        Self {
            family,
            ranges: vec![(0, max_address(family))],
        }
    }

    /// The union of those `nets` that are of the family.
    #[must_use]
    pub fn from_nets<'a>(family: IpFamily, nets: impl IntoIterator<Item = &'a IpNet>) -> Self {
        let ranges = nets
            .into_iter()
            .filter(|net| IpFamily::of(net.addr()) == family)
            .map(|net| (to_number(net.network()), to_number(net.broadcast())));
        Self::from_ranges(family, ranges)
    }

    /// The union of inclusive ranges of address numbers.
    #[must_use]
    pub fn from_ranges(family: IpFamily, ranges: impl IntoIterator<Item = (u128, u128)>) -> Self {
        let mut sorted: Vec<(u128, u128)> = ranges.into_iter().filter(|(a, b)| a <= b).collect();
        sorted.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(sorted.len());
        for (start, end) in sorted {
            match merged.last_mut() {
                Some(last) if start <= last.1.saturating_add(1) => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        Self {
            family,
            ranges: merged,
        }
    }

    /// The family of all its addresses.
    #[must_use]
    pub fn family(&self) -> IpFamily {
        self.family
    }

    /// The ranges, ascending, bounds inclusive.
    #[must_use]
    pub fn ranges(&self) -> &[(u128, u128)] {
        &self.ranges
    }

    /// Whether there is no address in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether `address` is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        if IpFamily::of(address) != self.family {
            return false;
        }
        let number = to_number(address);
        let after = self.ranges.partition_point(|(start, _)| *start <= number);
        after
            .checked_sub(1)
            .and_then(|i| self.ranges.get(i))
            .is_some_and(|(_, end)| number <= *end)
    }

    /// The addresses of `self` that are not in `other`. Sets of different families
    /// have nothing in common.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        if self.family != other.family {
            return self.clone();
        }
        let mut left = Vec::new();
        let mut cuts = other.ranges.iter().peekable();
        for &(start, end) in &self.ranges {
            let mut from = Some(start);
            while let Some(&&(cut_start, cut_end)) = cuts.peek() {
                let Some(begin) = from else { break };
                if cut_end < begin {
                    cuts.next();
                    continue;
                }
                if cut_start > end {
                    break;
                }
                if cut_start > begin {
                    left.push((begin, cut_start - 1));
                }
                from = cut_end.checked_add(1).filter(|next| *next <= end);
                if from.is_some() {
                    cuts.next();
                }
            }
            if let Some(begin) = from {
                left.push((begin, end));
            }
        }
        Self {
            family: self.family,
            ranges: left,
        }
    }

    /// The addresses in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        if self.family != other.family {
            return Self::empty(self.family);
        }
        self.difference(&self.difference(other))
    }

    /// The addresses in either; `other` must be of the same family to count.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if self.family != other.family {
            return self.clone();
        }
        Self::from_ranges(
            self.family,
            self.ranges.iter().chain(&other.ranges).copied(),
        )
    }

    /// Whether every address of `self` is in `other`.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.difference(other).is_empty()
    }

    /// Whether no address is in both.
    #[must_use]
    pub fn is_disjoint(&self, other: &Self) -> bool {
        self.intersection(other).is_empty()
    }

    /// The fewest CIDR blocks that cover exactly this set, ascending.
    #[must_use]
    pub fn to_nets(&self) -> Vec<IpNet> {
        let mut nets = Vec::new();
        for &(start, end) in &self.ranges {
            let mut next = Some(start);
            while let Some(begin) = next.filter(|begin| *begin <= end) {
                let (net, last) = largest_block(self.family, begin, end);
                nets.extend(net);
                next = last.checked_add(1);
            }
        }
        nets
    }
}

/// The largest block that starts at `begin` and ends at or before `end`, with its
/// last address.
fn largest_block(family: IpFamily, begin: u128, end: u128) -> (Option<IpNet>, u128) {
    let width = bits(family);
    let mut host_bits = begin.trailing_zeros().min(width);
    loop {
        let size_minus_one = match host_bits {
            128 => u128::MAX,
            n => (1u128 << n) - 1,
        };
        let last = begin | size_minus_one;
        if last <= end || host_bits == 0 {
            let prefix = u8::try_from(width - host_bits).unwrap_or(u8::MAX);
            return (IpNet::new(from_number(family, begin), prefix).ok(), last);
        }
        host_bits -= 1;
    }
}

fn bits(family: IpFamily) -> u32 {
    match family {
        IpFamily::V4 => 32,
        IpFamily::V6 => 128,
    }
}

/// The number of the last address of a family.
#[must_use]
pub fn max_address(family: IpFamily) -> u128 {
    match family {
        IpFamily::V4 => u128::from(u32::MAX),
        IpFamily::V6 => u128::MAX,
    }
}

/// The number of an address.
#[must_use]
pub fn to_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// The address of a number; numbers beyond IPv4 are cut to 32 bits.
#[must_use]
pub fn from_number(family: IpFamily, number: u128) -> IpAddr {
    match family {
        IpFamily::V4 => {
            let low = u32::try_from(number & u128::from(u32::MAX)).unwrap_or(u32::MAX);
            IpAddr::V4(low.into())
        }
        IpFamily::V6 => IpAddr::V6(number.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(nets: &[&str]) -> IpRangeSet {
        let nets: Vec<IpNet> = nets.iter().map(|n| n.parse().unwrap()).collect();
        let family = nets
            .first()
            .map_or(IpFamily::V4, |n| IpFamily::of(n.addr()));
        IpRangeSet::from_nets(family, &nets)
    }

    fn shown(set: &IpRangeSet) -> Vec<String> {
        set.to_nets().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn subtracting_the_metadata_address_leaves_the_32_blocks_around_it() {
        let open = set(&["0.0.0.0/0"]).difference(&set(&["169.254.169.254/32"]));
        assert!(!open.contains("169.254.169.254".parse().unwrap()));
        assert!(open.contains("169.254.169.253".parse().unwrap()));
        assert!(open.contains("255.255.255.255".parse().unwrap()));
        assert_eq!(open.to_nets().len(), 32);
    }

    #[test]
    fn difference_handles_cuts_that_span_ranges_and_touch_the_ends() {
        let two = set(&["10.0.0.0/24", "10.0.2.0/24"]);
        assert_eq!(
            shown(&two.difference(&set(&["10.0.0.128/25", "10.0.2.0/25"]))),
            ["10.0.0.0/25", "10.0.2.128/25"]
        );
        assert!(two.difference(&set(&["10.0.0.0/8"])).is_empty());
        let high = set(&["255.255.255.0/24"]).difference(&set(&["255.255.255.255/32"]));
        assert!(!high.contains("255.255.255.255".parse().unwrap()));
    }

    #[test]
    fn whole_families_survive_a_round_trip() {
        assert_eq!(shown(&IpRangeSet::full(IpFamily::V4)), ["0.0.0.0/0"]);
        assert_eq!(shown(&IpRangeSet::full(IpFamily::V6)), ["::/0"]);
        let none = IpRangeSet::full(IpFamily::V6).difference(&set(&["::/0"]));
        assert!(none.is_empty());
    }

    #[test]
    fn adjacent_blocks_are_joined() {
        assert_eq!(
            shown(&set(&["10.0.0.0/25", "10.0.0.128/25"])),
            ["10.0.0.0/24"]
        );
    }
}
