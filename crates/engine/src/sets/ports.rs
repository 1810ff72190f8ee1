use std::fmt;

use ringfence_model::protocol::Protocol;
use smallvec::{SmallVec, smallvec};

/// A set of (protocol, destination port) pairs; ICMP is one element.
///
/// Held as sorted, disjoint, non-adjacent inclusive ranges on one line: the
/// protocols' 65,536 numbers one after the other, then ICMP.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct PortSet {
    ranges: SmallVec<[(u32, u32); 4]>,
}

const SPACE: u32 = 1 << 16;
const ICMP: u32 = 3 * SPACE;

fn base(protocol: Protocol) -> u32 {
    match protocol {
        Protocol::Tcp => 0,
        Protocol::Udp => SPACE,
        Protocol::Sctp => 2 * SPACE,
        Protocol::Icmp => ICMP,
    }
}

impl PortSet {
    /// No port.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Ports 1..=65535 of TCP, UDP and SCTP, and ICMP.
    #[must_use]
    pub fn all() -> Self {
        Self {
            ranges: smallvec![
                (1, SPACE - 1),
                (SPACE + 1, 2 * SPACE - 1),
                (2 * SPACE + 1, ICMP - 1),
                (ICMP, ICMP),
            ],
        }
        .normalised()
    }

    /// Ports `start..=end` of one protocol; for ICMP the bounds are ignored. Port 0
    /// does not exist and is left out.
    #[must_use]
    pub fn range(protocol: Protocol, start: u16, end: u16) -> Self {
        let base = base(protocol);
        let (start, end) = match protocol {
            Protocol::Icmp => (0, 0),
            _ => (u32::from(start.max(1)), u32::from(end)),
        };
        if start > end {
            return Self::none();
        }
        Self {
            ranges: smallvec![(base + start, base + end)],
        }
    }

    /// All ports of one protocol.
    #[must_use]
    pub fn protocol(protocol: Protocol) -> Self {
        Self::range(protocol, 1, u16::MAX)
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether it is everything.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::all()
    }

    /// Whether ICMP is in it.
    #[must_use]
    pub fn has_icmp(&self) -> bool {
        self.contains(Protocol::Icmp, 0)
    }

    /// Whether it contains a port. For ICMP the port is ignored.
    #[must_use]
    pub fn contains(&self, protocol: Protocol, port: u16) -> bool {
        let point = match protocol {
            Protocol::Icmp => ICMP,
            _ => base(protocol) + u32::from(port),
        };
        self.ranges
            .iter()
            .any(|(start, end)| *start <= point && point <= *end)
    }

    /// The ranges of one protocol, ascending, bounds inclusive. Empty for ICMP.
    #[must_use]
    pub fn ranges(&self, protocol: Protocol) -> Vec<(u16, u16)> {
        if protocol == Protocol::Icmp {
            return Vec::new();
        }
        let first = base(protocol);
        let last = first + SPACE - 1;
        let low = |point: u32| u16::try_from(point - first).unwrap_or(u16::MAX);
        self.ranges
            .iter()
            .filter(|(start, end)| *start <= last && *end >= first)
            .map(|(start, end)| (low((*start).max(first)), low((*end).min(last))))
            .collect()
    }

    /// The elements in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if self.is_empty() {
            return other.clone();
        }
        Self {
            ranges: self.ranges.iter().chain(&other.ranges).copied().collect(),
        }
        .normalised()
    }

    /// The elements in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut ranges = SmallVec::new();
        let (mut left, mut right) = (
            self.ranges.iter().peekable(),
            other.ranges.iter().peekable(),
        );
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            let (start, end) = (a.0.max(b.0), a.1.min(b.1));
            if start <= end {
                ranges.push((start, end));
            }
            if a.1 < b.1 {
                left.next();
            } else {
                right.next();
            }
        }
        Self { ranges }
    }

    /// The elements of `self` that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.intersection(&other.complement())
    }

    /// Whether every element of `self` is in `other`.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.intersection(other) == *self
    }

    /// Every element that is not in `self`.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut gaps = SmallVec::<[(u32, u32); 4]>::new();
        let mut next = 0;
        for (start, end) in &self.ranges {
            if *start > next {
                gaps.push((next, start - 1));
            }
            next = end + 1;
        }
        if next <= ICMP {
            gaps.push((next, ICMP));
        }
        Self { ranges: gaps }.intersection(&Self::all())
    }

    fn normalised(mut self) -> Self {
        self.ranges.sort_unstable();
        let mut merged: SmallVec<[(u32, u32); 4]> = SmallVec::new();
        for (start, end) in self.ranges {
            match merged.last_mut() {
                // Ranges of two protocols never touch: each protocol's 0 is absent,
                // except for ICMP, which follows SCTP's last port directly.
                Some(last) if start <= last.1 + 1 && start != ICMP => last.1 = last.1.max(end),
                Some(last) if start == ICMP && last.1 >= ICMP => {}
                _ => merged.push((start, end)),
            }
        }
        Self { ranges: merged }
    }
}

/// Reads as `all`, `none`, or `TCP 80,443,8000-8100 UDP 53 ICMP`.
impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.pad("none");
        }
        if self.is_all() {
            return f.pad("all");
        }
        let mut words = Vec::new();
        for protocol in Protocol::WITH_PORTS {
            let ranges = self.ranges(protocol);
            let numbers: Vec<String> = ranges
                .iter()
                .map(|(start, end)| match (start, end) {
                    (1, &u16::MAX) => "all".to_owned(),
                    (start, end) if start == end => start.to_string(),
                    (start, end) => format!("{start}-{end}"),
                })
                .collect();
            if !numbers.is_empty() {
                words.push(format!("{protocol} {}", numbers.join(",")));
            }
        }
        if self.has_icmp() {
            words.push("ICMP".to_owned());
        }
        f.pad(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(start: u16, end: u16) -> PortSet {
        PortSet::range(Protocol::Tcp, start, end)
    }

    #[test]
    fn complement_is_an_involution_and_never_contains_port_zero() {
        for set in [PortSet::none(), PortSet::all(), tcp(80, 80), tcp(1, 65535)] {
            assert_eq!(set.complement().complement(), set);
            assert!(!set.complement().contains(Protocol::Tcp, 0));
        }
        assert!(PortSet::none().complement().is_all());
        assert!(PortSet::all().complement().is_empty());
    }

    #[test]
    fn icmp_is_one_element_that_no_port_range_reaches() {
        let sctp = PortSet::protocol(Protocol::Sctp);
        assert!(!sctp.has_icmp());
        let both = sctp.union(&PortSet::protocol(Protocol::Icmp));
        assert!(both.has_icmp());
        assert_eq!(both.ranges(Protocol::Sctp), [(1, 65535)]);
        assert_eq!(both.difference(&sctp), PortSet::protocol(Protocol::Icmp));
        assert_eq!(both.difference(&PortSet::protocol(Protocol::Icmp)), sctp);
    }

    #[test]
    fn equal_sets_are_equal_however_they_were_made() {
        let joined = tcp(1, 100).union(&tcp(101, 65535));
        assert_eq!(joined, PortSet::protocol(Protocol::Tcp));
        let all = Protocol::ALL
            .into_iter()
            .map(PortSet::protocol)
            .fold(PortSet::none(), |a, b| a.union(&b));
        assert!(all.is_all());
        assert_eq!(PortSet::all().intersection(&PortSet::all()), PortSet::all());
    }

    #[test]
    fn it_prints_as_people_write_ports() {
        let set = tcp(80, 80)
            .union(&tcp(8000, 8100))
            .union(&PortSet::range(Protocol::Udp, 53, 53));
        assert_eq!(set.to_string(), "TCP 80,8000-8100 UDP 53");
        assert_eq!(PortSet::protocol(Protocol::Tcp).to_string(), "TCP all");
        assert_eq!(PortSet::all().to_string(), "all");
    }
}
