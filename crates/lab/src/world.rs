//! What is outside the cluster: a small internet, in which every address answers, and a
//! few of them have names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ringfence_model::address::IpFamily;

/// A host of the lab's internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: &'static str,
    /// Its IPv4 address.
    pub v4: Ipv4Addr,
    /// Its IPv6 address.
    pub v6: Ipv6Addr,
}

impl Host {
    /// Its address in a family.
    #[must_use]
    pub fn address(&self, family: IpFamily) -> IpAddr {
        match family {
            IpFamily::V4 => self.v4.into(),
            IpFamily::V6 => self.v6.into(),
        }
    }
}

/// The web server that examples ask for.
pub const WEB: Host = Host {
    name: "www.example.com",
    v4: Ipv4Addr::new(203, 0, 113, 10),
    v6: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10),
};

/// The public name server that everybody pings.
pub const NAME_SERVER: Host = Host {
    name: "dns.google",
    v4: Ipv4Addr::new(8, 8, 8, 8),
    v6: Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888),
};

/// The hosts of the lab's internet that have names.
pub const HOSTS: [Host; 6] = [
    WEB,
    Host {
        name: "example.com",
        ..WEB
    },
    Host {
        name: "api.example.com",
        v4: Ipv4Addr::new(203, 0, 113, 20),
        v6: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x20),
    },
    // What people look up to see whether names are answered.
    Host {
        name: "google.com",
        v4: Ipv4Addr::new(203, 0, 113, 30),
        v6: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x30),
    },
    NAME_SERVER,
    Host {
        name: "one.one.one.one",
        v4: Ipv4Addr::new(1, 1, 1, 1),
        v6: Ipv6Addr::new(0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1111),
    },
];

/// The addresses of all hosts with names.
pub fn named_addresses() -> impl Iterator<Item = IpAddr> {
    HOSTS
        .iter()
        .flat_map(|host| [IpAddr::from(host.v4), IpAddr::from(host.v6)])
}

/// The port on which the API server answers, behind its Service.
pub const API_SERVER_PORT: u16 = 6443;

/// The ports on which every address of the lab's internet answers, over TCP.
pub const TCP_PORTS: [u16; 6] = [22, 53, 80, 443, 8080, API_SERVER_PORT];

/// The same over UDP.
pub const UDP_PORTS: [u16; 2] = [53, 443];
