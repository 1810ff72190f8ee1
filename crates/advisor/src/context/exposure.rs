use std::net::IpAddr;

use ringfence_engine::reach::{OpenPorts, OutsideRegion};
use ringfence_engine::sets::PortSet;
use ringfence_engine::{Engine, Packet, Peer};
use ringfence_model::address::{IpFamily, IpRangeSet, public_internet};
use ringfence_model::policy::Direction;
use ringfence_model::protocol::Protocol;

use super::internet::is_the_internet;
use super::{Context, Group};

/// What a group of pods can open to one metadata address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// The address.
    pub address: IpAddr,
    /// The ports of TCP and UDP that are open, and those that may be. ICMP is left out:
    /// nobody serves credentials over it.
    pub open: OpenPorts,
    /// The ports on which the platform serves, as far as that is known; never empty.
    pub served_on: Vec<u16>,
}

impl Exposure {
    /// A port on which the platform serves and which is open for certain.
    #[must_use]
    pub fn served_and_open(&self) -> Option<u16> {
        let mut served = self.served_on.iter().copied();
        served.find(|port| self.open.allow.contains(Protocol::Tcp, *port))
    }

    /// A port that shows it: one that is served and open, else one that is open, else one
    /// that may be.
    #[must_use]
    pub fn telling_port(&self) -> (Protocol, u16) {
        let first = |ports: &PortSet| {
            [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
                .into_iter()
                .find_map(|protocol| {
                    let (start, _) = *ports.ranges(protocol).first()?;
                    // The first of all ports is one that nobody uses.
                    let served = self.served_on.iter().copied();
                    let mut known = served.filter(|port| ports.contains(protocol, *port));
                    Some((protocol, known.next().unwrap_or(start)))
                })
        };
        let served_or_maybe = || {
            let mut served = self.served_on.iter().copied();
            served.find(|port| self.open.maybe.contains(Protocol::Tcp, *port))
        };
        self.served_and_open()
            .map(|port| (Protocol::Tcp, port))
            .or_else(|| first(&self.open.allow))
            .or_else(|| served_or_maybe().map(|port| (Protocol::Tcp, port)))
            .or_else(|| first(&self.open.maybe))
            .unwrap_or((Protocol::Tcp, 80))
    }

    /// The packet from a group that shows it.
    #[must_use]
    pub fn packet(&self, group: &Group) -> Packet {
        let (protocol, port) = self.telling_port();
        Packet {
            source: Peer::Pod(group.first),
            destination: Peer::Address(self.address),
            family: IpFamily::of(self.address),
            protocol,
            port,
            through_service: None,
        }
    }
}

/// What a group of pods can open to the public internet.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct InternetReach {
    /// Public addresses of either family by what is open to them; what is closed is left
    /// out.
    pub regions: Vec<OutsideRegion>,
}

impl InternetReach {
    /// Whether something is open for certain.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.regions
            .iter()
            .any(|r| !without_icmp(&r.open.allow).is_empty())
    }

    /// Whether something may be open and nothing is for certain.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        !self.is_open() && !self.regions.is_empty()
    }

    /// Whether so many public addresses of a family are open on some port that it is the
    /// internet: an eighth, or more.
    #[must_use]
    pub fn is_wide(&self) -> bool {
        IpFamily::ALL.into_iter().any(|family| {
            let open = self.regions.iter().filter(|r| !r.open.allow.is_empty());
            let nets = open.flat_map(|region| &region.addresses);
            is_the_internet(&IpRangeSet::from_nets(family, nets))
        })
    }
}

fn without_icmp(ports: &PortSet) -> PortSet {
    ports.difference(&PortSet::protocol(Protocol::Icmp))
}

/// For each group, the metadata addresses that are not closed, as an engine says.
pub(super) fn metadata(context: &Context<'_>, engine: &Engine) -> Vec<Vec<Exposure>> {
    let mut endpoints: Vec<(IpAddr, Vec<u16>)> = Vec::new();
    for endpoint in context.metadata_endpoints() {
        let port = endpoint.port.unwrap_or(80);
        match endpoints
            .iter_mut()
            .find(|(address, _)| *address == endpoint.address)
        {
            Some((_, ports)) => {
                if !ports.contains(&port) {
                    ports.push(port);
                }
            }
            None => endpoints.push((endpoint.address, vec![port])),
        }
    }
    endpoints.sort();
    let exposures = |group: &Group| {
        let families = context
            .snapshot
            .families_of(context.snapshot.pod(group.first));
        let reachable = endpoints
            .iter()
            .filter(|(address, _)| families.contains(&IpFamily::of(*address)));
        reachable
            .filter_map(|(address, served_on)| {
                let family = IpFamily::of(*address);
                let (from, to) = (Peer::Pod(group.first), Peer::Address(*address));
                let open = engine.ports(from, to, family);
                let open = OpenPorts {
                    allow: without_icmp(&open.allow),
                    maybe: without_icmp(&open.maybe),
                };
                let is_closed = open.allow.is_empty() && open.maybe.is_empty();
                (!is_closed).then(|| Exposure {
                    address: *address,
                    open,
                    served_on: served_on.clone(),
                })
            })
            .collect()
    };
    context.groups().iter().map(exposures).collect()
}

/// For each group, what is open to public addresses, as an engine says.
pub(super) fn internet(context: &Context<'_>, engine: &Engine) -> Vec<InternetReach> {
    let public = IpFamily::ALL.map(|family| (family, public_internet(family).to_nets()));
    let reach = |group: &Group| {
        let families = context
            .snapshot
            .families_of(context.snapshot.pod(group.first));
        let mut regions = Vec::new();
        for (family, nets) in &public {
            if families.contains(family) {
                let found = engine.outside(group.first, Direction::Egress, *family, nets);
                regions.extend(found.into_iter().filter(|region| {
                    !without_icmp(&region.open.allow).is_empty()
                        || !without_icmp(&region.open.maybe).is_empty()
                }));
            }
        }
        InternetReach { regions }
    };
    context.groups().iter().map(reach).collect()
}
