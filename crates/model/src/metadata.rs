//! The addresses at which clouds serve instance metadata, and with it credentials.
//!
//! A table, so that a correction is one line. No pod and no node has one of these
//! addresses; where a platform serves several things at one address, the row says so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One address of one provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataEndpoint {
    /// Who serves it.
    pub provider: &'static str,
    /// Where.
    pub address: IpAddr,
    /// The only port it is served on; `None` when that is not known (plain HTTP on 80
    /// for nearly all).
    pub port: Option<u16>,
    /// Whether credentials or user data can be had there. A name or time server at a
    /// platform address is worth knowing, but opening it gives nothing away.
    pub gives_secrets: bool,
    /// Where the row comes from.
    pub source: Source,
    /// What else to know about it; may be empty.
    pub note: &'static str,
}

/// How well a row is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The provider's or project's own documentation.
    Documentation,
    /// Public deny-lists that agree with each other.
    DenyList,
    /// Seen once, never confirmed.
    Unconfirmed,
}

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

/// An IPv6 address of two leading and two trailing groups.
const fn v6(first: u16, second: u16, seventh: u16, eighth: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(first, second, 0, 0, 0, 0, seventh, eighth))
}

const fn row(provider: &'static str, address: IpAddr, source: Source) -> MetadataEndpoint {
    MetadataEndpoint {
        provider,
        address,
        port: None,
        gives_secrets: true,
        source,
        note: "",
    }
}

const fn platform(
    provider: &'static str,
    address: IpAddr,
    source: Source,
    note: &'static str,
) -> MetadataEndpoint {
    MetadataEndpoint {
        gives_secrets: false,
        note,
        ..row(provider, address, source)
    }
}

/// The address that most providers share.
pub const COMMON: IpAddr = v4(169, 254, 169, 254);

/// Every known endpoint, by provider.
pub const ENDPOINTS: &[MetadataEndpoint] = &[
    row("AWS EC2", COMMON, Source::Documentation),
    row(
        "AWS EC2",
        v6(0xfd00, 0xec2, 0, 0x254),
        Source::Documentation,
    ),
    platform(
        "AWS DNS",
        v4(169, 254, 169, 253),
        Source::DenyList,
        "resolver of the VPC",
    ),
    platform(
        "AWS DNS",
        v6(0xfd00, 0xec2, 0, 0x253),
        Source::DenyList,
        "resolver of the VPC",
    ),
    platform(
        "AWS NTP",
        v4(169, 254, 169, 123),
        Source::DenyList,
        "time server",
    ),
    platform(
        "AWS NTP",
        v6(0xfd00, 0xec2, 0, 0x123),
        Source::DenyList,
        "time server",
    ),
    row("AWS ECS task", v4(169, 254, 170, 2), Source::Documentation),
    row(
        "AWS EKS Pod Identity",
        v4(169, 254, 170, 23),
        Source::Documentation,
    ),
    row(
        "AWS EKS Pod Identity",
        v6(0xfd00, 0xec2, 0, 0x23),
        Source::Documentation,
    ),
    row("Google Cloud", COMMON, Source::DenyList),
    row("Google Cloud", v6(0xfd20, 0xce, 0, 0x254), Source::DenyList),
    MetadataEndpoint {
        port: Some(988),
        note: "where nodes of GKE redirect metadata requests of pods to",
        ..row(
            "GKE metadata server",
            v4(169, 254, 169, 252),
            Source::Unconfirmed,
        )
    },
    row("Azure", COMMON, Source::DenyList),
    MetadataEndpoint {
        note: "ports 80 and 32526; the same address serves DNS and health probes, \
               so that blocking all of it breaks nodes",
        ..row(
            "Azure WireServer",
            v4(168, 63, 129, 16),
            Source::Documentation,
        )
    },
    row(
        "Alibaba Cloud",
        v4(100, 100, 100, 200),
        Source::Documentation,
    ),
    row(
        "Alibaba Cloud",
        v6(0xfd00, 0x100, 0x100, 0x200),
        Source::DenyList,
    ),
    row("Oracle Cloud", COMMON, Source::DenyList),
    row(
        "Oracle Cloud",
        v6(0xfd00, 0xc1, 0xa9fe, 0xa9fe),
        Source::DenyList,
    ),
    row("Oracle Cloud Classic", v4(192, 0, 0, 192), Source::DenyList),
    row("OpenStack", COMMON, Source::Documentation),
    MetadataEndpoint {
        note: "link-local: no IPv4 exception covers it",
        ..row(
            "OpenStack",
            v6(0xfe80, 0, 0xa9fe, 0xa9fe),
            Source::Documentation,
        )
    },
    row("DigitalOcean", COMMON, Source::Documentation),
    row("Hetzner Cloud", COMMON, Source::DenyList),
    row("IBM Cloud VPC", COMMON, Source::DenyList),
    row("Tencent Cloud", v4(169, 254, 0, 23), Source::DenyList),
    row("Tencent Cloud", v4(169, 254, 10, 10), Source::DenyList),
    row("Akamai", COMMON, Source::Documentation),
    MetadataEndpoint {
        address: IpAddr::V6(Ipv6Addr::new(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1)),
        ..row("Akamai", COMMON, Source::Documentation)
    },
    row("Scaleway", v4(169, 254, 42, 42), Source::Documentation),
    row("Scaleway", v6(0xfd00, 0x42, 0, 0x42), Source::Documentation),
];

/// The distinct addresses at which secrets can be had, IPv4 first, ascending.
#[must_use]
pub fn secret_addresses() -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = ENDPOINTS
        .iter()
        .filter(|endpoint| endpoint.gives_secrets)
        .map(|endpoint| endpoint.address)
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// The rows of one address, in table order.
pub fn endpoints_at(address: IpAddr) -> impl Iterator<Item = &'static MetadataEndpoint> {
    ENDPOINTS
        .iter()
        .filter(move |endpoint| endpoint.address == address)
}

/// Whether secrets can be had at this address.
#[must_use]
pub fn gives_secrets(address: IpAddr) -> bool {
    endpoints_at(address).any(|endpoint| endpoint.gives_secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_distinct_sorted_and_written_as_their_providers_write_them() {
        let shown: Vec<String> = secret_addresses().iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "100.100.100.200",
                "168.63.129.16",
                "169.254.0.23",
                "169.254.10.10",
                "169.254.42.42",
                "169.254.169.252",
                "169.254.169.254",
                "169.254.170.2",
                "169.254.170.23",
                "192.0.0.192",
                "fd00:42::42",
                "fd00:c1::a9fe:a9fe",
                "fd00:100::100:200",
                "fd00:ec2::23",
                "fd00:ec2::254",
                "fd00:a9fe:a9fe::1",
                "fd20:ce::254",
                "fe80::a9fe:a9fe",
            ]
        );
    }

    #[test]
    fn a_name_server_at_a_platform_address_gives_no_secrets() {
        assert!(!gives_secrets("169.254.169.253".parse().unwrap()));
        assert!(gives_secrets(COMMON));
        assert!(endpoints_at(COMMON).count() > 5);
    }

    #[test]
    fn no_provider_lists_an_address_twice() {
        for (position, endpoint) in ENDPOINTS.iter().enumerate() {
            let again = ENDPOINTS[..position]
                .iter()
                .any(|e| (e.provider, e.address) == (endpoint.provider, endpoint.address));
            assert!(!again, "{endpoint:?}");
        }
    }
}
