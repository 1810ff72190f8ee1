//! IPv6 addresses that stand for IPv4 addresses where a network has a translator (NAT64).

use std::sync::LazyLock;

use ipnet::IpNet;

use super::{IpFamily, IpRangeSet, max_address};

/// The well-known prefix of RFC 6052, and the one of RFC 8215 that networks may choose
/// their own from.
pub const TRANSLATION_PREFIXES: [&str; 2] = ["64:ff9b::/96", "64:ff9b:1::/48"];

/// The addresses under [`TRANSLATION_PREFIXES`].
#[must_use]
pub fn translated() -> &'static IpRangeSet {
    static ALL: LazyLock<IpRangeSet> = LazyLock::new(|| {
        let prefixes = TRANSLATION_PREFIXES.iter();
        let nets: Vec<IpNet> = prefixes.filter_map(|net| net.parse().ok()).collect();
        IpRangeSet::from_nets(IpFamily::V6, &nets)
    });
    &ALL
}

/// The IPv4 addresses that IPv6 addresses stand for, where a translator takes the last 32
/// bits: that is how RFC 6052 has it for every prefix of 96 bits.
#[must_use]
pub fn behind_translation(addresses: &IpRangeSet) -> IpRangeSet {
    const ALL: u128 = 1 << 32;
    let last = max_address(IpFamily::V4);
    let found = addresses.intersection(translated());
    let ranges = found.ranges().iter().flat_map(|(start, end)| {
        let (low, high) = (start % ALL, end % ALL);
        match (end - start >= last, low <= high) {
            (true, _) => vec![(0, last)],
            (false, true) => vec![(low, high)],
            (false, false) => vec![(0, high), (low, last)],
        }
    });
    IpRangeSet::from_ranges(IpFamily::V4, ranges.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind(nets: &[&str]) -> Vec<String> {
        let nets: Vec<IpNet> = nets.iter().map(|net| net.parse().unwrap()).collect();
        let behind = behind_translation(&IpRangeSet::from_nets(IpFamily::V6, &nets));
        behind.to_nets().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_last_bits_are_the_ipv4_address() {
        assert_eq!(behind(&["64:ff9b::/96"]), ["0.0.0.0/0"]);
        assert_eq!(behind(&["64:ff9b:1::/48"]), ["0.0.0.0/0"]);
        assert_eq!(behind(&["64:ff9b:1:2::/96"]), ["0.0.0.0/0"]);
        assert_eq!(behind(&["64:ff9b::a9fe:a9fe/128"]), ["169.254.169.254/32"]);
        assert_eq!(
            behind(&["64:ff9b::808:800/120", "64:ff9b:1::102:304/128"]),
            ["1.2.3.4/32", "8.8.8.0/24"]
        );
        assert_eq!(behind(&["::/0"]), ["0.0.0.0/0"]);
        assert!(behind(&["2000::/3", "fd00::/8"]).is_empty());
    }

    #[test]
    fn no_public_private_or_metadata_address_stands_for_another() {
        for set in [
            super::super::public_internet(IpFamily::V6),
            super::super::private_networks(IpFamily::V6),
            &super::super::metadata_endpoints(IpFamily::V6),
        ] {
            assert!(set.is_disjoint(translated()));
        }
    }
}
