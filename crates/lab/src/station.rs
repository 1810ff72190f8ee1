//! What stands in a namespace: listeners that answer, ears that note what arrives, and
//! the sockets that probes are sent from.
//!
//! All of them are sockets of this one process, made in their namespace, so that both ends
//! of a probe are ours and no process has to be started in it.

mod arrivals;
mod datagram;
mod ears;
mod icmp;
mod sctp;
mod tcp;
mod udp;

pub use arrivals::{Arrivals, Trace};
pub use icmp::Pinger;
pub use sctp::{Answer, SctpSocket};

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ringfence_model::address::IpFamily;
use ringfence_model::protocol::Protocol;
use tokio::task::JoinSet;

use crate::dns::Names;
use crate::error::LabError;
use crate::namespace::Namespace;
use crate::on_link::AtInterface;

/// What one namespace is to answer on.
#[derive(Clone, Debug, Default)]
pub struct Listening {
    /// The ports with a listener.
    pub ports: BTreeSet<(Protocol, u16)>,
    /// Those of them, of TCP and UDP, on which names are answered.
    pub dns: BTreeSet<u16>,
    /// What the other end of its link listens on, which may be in another namespace.
    pub at_interfaces: Vec<AtInterface>,
}

/// A namespace with everything in it, until it is dropped.
#[derive(Debug)]
pub struct Station {
    namespace: Namespace,
    /// Its number among all.
    index: usize,
    pingers: Vec<(IpFamily, Arc<Pinger>)>,
    sctp: Vec<(IpFamily, Arc<SctpSocket>)>,
    /// Ended with the station.
    tasks: JoinSet<()>,
}

impl Station {
    /// Opens all sockets of a namespace. It answers when this returns.
    ///
    /// # Errors
    /// If the kernel refuses one of them.
    pub fn open(
        namespace: &Namespace,
        index: usize,
        families: &[IpFamily],
        listening: &Listening,
        names: &Arc<Names>,
        arrivals: &Arc<Arrivals>,
    ) -> Result<Self, LabError> {
        let mut station = Self {
            namespace: namespace.clone(),
            index,
            pingers: Vec::new(),
            sctp: Vec::new(),
            tasks: JoinSet::new(),
        };
        for at in &listening.at_interfaces {
            let name = at.namespace.name().to_owned();
            let listener = tcp::listen_at(at)?;
            station.tasks.spawn(tcp::serve(listener, name, None));
        }
        for family in families.iter().copied() {
            for (protocol, port) in &listening.ports {
                let names = listening.dns.contains(port).then(|| Arc::clone(names));
                match protocol {
                    Protocol::Tcp => {
                        let listener = tcp::listen(namespace, family, *port)?;
                        let name = namespace.name().to_owned();
                        station.tasks.spawn(tcp::serve(listener, name, names));
                    }
                    Protocol::Udp => {
                        let socket = udp::listen(namespace, family, *port)?;
                        station.tasks.spawn(udp::serve(socket, names));
                    }
                    Protocol::Sctp | Protocol::Icmp => {}
                }
            }
            ears::open(namespace, index, family, arrivals, &mut station.tasks)?;
            let answers = listening.ports.iter();
            let answers = answers
                .filter(|(protocol, _)| *protocol == Protocol::Sctp)
                .map(|(_, port)| *port)
                .collect();
            let socket = SctpSocket::open(
                namespace,
                index,
                family,
                answers,
                arrivals,
                &mut station.tasks,
            )?;
            station.sctp.push((family, socket));
            let pinger = Pinger::open(namespace, index, family, arrivals, &mut station.tasks)?;
            station.pingers.push((family, pinger));
        }
        Ok(station)
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its number among all.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// What sends echo requests from here to an address.
    #[must_use]
    pub fn pinger(&self, to: IpAddr) -> Option<&Arc<Pinger>> {
        let mut all = self.pingers.iter();
        let found = all.find(|(family, _)| *family == IpFamily::of(to));
        found.map(|(_, pinger)| pinger)
    }

    /// What opens SCTP associations from here to an address.
    #[must_use]
    pub fn sctp(&self, to: IpAddr) -> Option<&Arc<SctpSocket>> {
        let mut all = self.sctp.iter();
        let found = all.find(|(family, _)| *family == IpFamily::of(to));
        found.map(|(_, socket)| socket)
    }
}

/// The domain of sockets of a family.
pub(crate) fn domain(family: IpFamily) -> socket2::Domain {
    match family {
        IpFamily::V4 => socket2::Domain::IPV4,
        IpFamily::V6 => socket2::Domain::IPV6,
    }
}

/// The address that stands for all of a family.
pub(crate) fn any(family: IpFamily) -> IpAddr {
    match family {
        IpFamily::V4 => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        IpFamily::V6 => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
    }
}
