//! Ranges with a meaning of their own: the public internet and private networks.

use std::sync::LazyLock;

use ipnet::IpNet;

use super::{IpFamily, IpRangeSet};
use crate::metadata;

/// Blocks that are not reachable across the internet, from the IANA special-purpose
/// address registries.
const NOT_PUBLIC_V4: [&str; 15] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
];

/// Of IPv6 only 2000::/3 is given out for global unicast.
const PUBLIC_V6: [&str; 1] = ["2000::/3"];

/// Documentation blocks inside it.
const NOT_PUBLIC_V6: [&str; 2] = ["2001:db8::/32", "3fff::/20"];

/// The blocks of private networks: RFC 1918, RFC 6598 (shared address space) and RFC 4193
/// (unique local).
pub const PRIVATE_BLOCKS: [&str; 5] = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
];

/// The addresses that lie on the public internet: those that registries give out,
/// without cloud metadata endpoints.
#[must_use]
pub fn public_internet(family: IpFamily) -> &'static IpRangeSet {
    static V4: LazyLock<IpRangeSet> = LazyLock::new(|| {
        IpRangeSet::full(IpFamily::V4)
            .difference(&set(IpFamily::V4, &NOT_PUBLIC_V4))
            .difference(&metadata_endpoints(IpFamily::V4))
    });
    static V6: LazyLock<IpRangeSet> = LazyLock::new(|| {
        set(IpFamily::V6, &PUBLIC_V6).difference(&set(IpFamily::V6, &NOT_PUBLIC_V6))
    });
    match family {
        IpFamily::V4 => &V4,
        IpFamily::V6 => &V6,
    }
}

/// The addresses of private networks, without cloud metadata endpoints.
#[must_use]
pub fn private_networks(family: IpFamily) -> &'static IpRangeSet {
    static V4: LazyLock<IpRangeSet> = LazyLock::new(|| private(IpFamily::V4));
    static V6: LazyLock<IpRangeSet> = LazyLock::new(|| private(IpFamily::V6));
    match family {
        IpFamily::V4 => &V4,
        IpFamily::V6 => &V6,
    }
}

/// The addresses of cloud metadata endpoints that give secrets away.
#[must_use]
pub fn metadata_endpoints(family: IpFamily) -> IpRangeSet {
    let nets: Vec<IpNet> = metadata::secret_addresses()
        .into_iter()
        .map(IpNet::from)
        .collect();
    IpRangeSet::from_nets(family, &nets)
}

fn private(family: IpFamily) -> IpRangeSet {
    set(family, &PRIVATE_BLOCKS).difference(&metadata_endpoints(family))
}

fn set(family: IpFamily, nets: &[&str]) -> IpRangeSet {
    let nets: Vec<IpNet> = nets.iter().filter_map(|net| net.parse().ok()).collect();
    IpRangeSet::from_nets(family, &nets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_constant_is_a_block() {
        for net in NOT_PUBLIC_V4
            .iter()
            .chain(&PUBLIC_V6)
            .chain(&NOT_PUBLIC_V6)
            .chain(&PRIVATE_BLOCKS)
        {
            assert!(net.parse::<IpNet>().is_ok(), "{net}");
        }
    }

    #[test]
    fn the_internet_has_public_resolvers_and_no_private_or_metadata_address() {
        let v4 = public_internet(IpFamily::V4);
        for address in ["1.1.1.1", "8.8.8.8", "223.255.255.255"] {
            assert!(v4.contains(address.parse().unwrap()), "{address}");
        }
        for address in ["10.0.0.1", "169.254.169.254", "168.63.129.16", "224.0.0.1"] {
            assert!(!v4.contains(address.parse().unwrap()), "{address}");
        }
        let v6 = public_internet(IpFamily::V6);
        assert!(v6.contains("2606:4700:4700::1111".parse().unwrap()));
        assert!(!v6.contains("fd00:ec2::254".parse().unwrap()));
    }

    #[test]
    fn private_networks_the_internet_and_metadata_are_disjoint() {
        for family in IpFamily::ALL {
            let metadata = metadata_endpoints(family);
            assert!(public_internet(family).is_disjoint(private_networks(family)));
            assert!(metadata.is_disjoint(private_networks(family)));
            assert!(metadata.is_disjoint(public_internet(family)));
        }
    }
}
