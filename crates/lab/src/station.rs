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
mod tap;
mod tcp;
mod udp;

pub use arrivals::{Arrivals, Trace};
pub use icmp::Pinger;
pub use sctp::{Answer, SctpSocket};
pub use tap::Tap;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// What the other end of its link listens on, which may be in another namespace. It is
    /// there as long as the link is, and does not change.
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
    names: Arc<Names>,
    /// Ended with the station.
    listeners: Mutex<BTreeMap<Listener, JoinSet<()>>>,
    /// Ended with the station.
    tasks: JoinSet<()>,
}

/// A socket that answers, of TCP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Listener {
    family: IpFamily,
    protocol: Protocol,
    port: u16,
    /// Whether it answers for names.
    names: bool,
}

impl Station {
    /// Opens all sockets of a namespace. It answers when this returns.
    ///
    /// # Errors
    /// If the kernel refuses one of them.
    pub async fn open(
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
            names: Arc::clone(names),
            listeners: Mutex::default(),
            tasks: JoinSet::new(),
        };
        for at in &listening.at_interfaces {
            let name = at.namespace.name().to_owned();
            let listener = tcp::listen_at(at)?;
            station.tasks.spawn(tcp::serve(listener, name, None));
        }
        for family in families.iter().copied() {
            ears::open(namespace, index, family, arrivals, &mut station.tasks)?;
            let socket = SctpSocket::open(namespace, index, family, arrivals, &mut station.tasks)?;
            station.sctp.push((family, socket));
            let pinger = Pinger::open(namespace, index, family, arrivals, &mut station.tasks)?;
            station.pingers.push((family, pinger));
        }
        station.listen(listening).await?;
        Ok(station)
    }

    /// Answers on these ports from now on, and on no others.
    ///
    /// # Errors
    /// If the kernel refuses a socket.
    pub async fn listen(&self, listening: &Listening) -> Result<(), LabError> {
        let families = self.sctp.iter().map(|(family, _)| *family);
        let wanted: BTreeSet<Listener> = families
            .flat_map(|family| {
                let ports = listening.ports.iter();
                ports.map(move |(protocol, port)| Listener {
                    family,
                    protocol: *protocol,
                    port: *port,
                    names: listening.dns.contains(port),
                })
            })
            .collect();
        let there: BTreeSet<Listener> = self.listeners().keys().copied().collect();
        for listener in there.difference(&wanted) {
            let task = self.listeners().remove(listener);
            if let Some(mut task) = task {
                // Its port is free when this returns.
                task.shutdown().await;
            }
        }
        for listener in wanted {
            if !there.contains(&listener) {
                let task = self.answer(listener)?;
                self.listeners().insert(listener, task);
            }
        }
        for (_, socket) in &self.sctp {
            let ports = listening.ports.iter();
            let ports = ports.filter(|(protocol, _)| *protocol == Protocol::Sctp);
            socket.listen(ports.map(|(_, port)| *port).collect());
        }
        Ok(())
    }

    fn answer(&self, listener: Listener) -> Result<JoinSet<()>, LabError> {
        let namespace = &self.namespace;
        let names = listener.names.then(|| Arc::clone(&self.names));
        let mut task = JoinSet::new();
        match listener.protocol {
            Protocol::Tcp => {
                let socket = tcp::listen(namespace, listener.family, listener.port)?;
                task.spawn(tcp::serve(socket, namespace.name().to_owned(), names));
            }
            Protocol::Udp => {
                let socket = udp::listen(namespace, listener.family, listener.port)?;
                task.spawn(udp::serve(socket, names));
            }
            Protocol::Sctp | Protocol::Icmp => {}
        }
        Ok(task)
    }

    fn listeners(&self) -> MutexGuard<'_, BTreeMap<Listener, JoinSet<()>>> {
        // A map is whole between any two calls, whoever panicked.
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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
