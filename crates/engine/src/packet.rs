//! The question, and its three answers.

use std::fmt;
use std::net::IpAddr;

use ringfence_model::address::IpFamily;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodId, ServiceId};

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Peer {
    /// A pod of the snapshot.
    Pod(PodId),
    /// An address that no pod of the snapshot has.
    Address(IpAddr),
}

/// The port of a Service that a source connects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Frontend {
    /// The Service.
    pub service: ServiceId,
    /// The port that clients use; its protocol is the packet's.
    pub port: u16,
}

/// The first packet of a connection: replies are implied.
///
/// Source and destination may be the same pod only if it stands for several
/// (a template): then two different replicas are meant. One pod always reaches
/// itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Packet {
    /// Who opens the connection.
    pub source: Peer,
    /// Who accepts it. Service addresses have been translated already.
    pub destination: Peer,
    /// The family it uses.
    pub family: IpFamily,
    /// Its protocol.
    pub protocol: Protocol,
    /// The destination port, 1..=65535; 0 for ICMP.
    pub port: u16,
    /// The Service that the source connected to, if one led it to the destination. It
    /// matters when both ends are one pod: then cluster-wide policies are asked, which
    /// they are not about a pod and its own address (ClusterNetworkPolicy rule 9). And
    /// it matters where egress is judged before the address is translated
    /// ([`Profile::judges_before_dnat`](crate::Profile)).
    pub through_service: Option<Frontend>,
}

impl Packet {
    /// Whether a pod talks to itself through a Service.
    pub(crate) fn is_hairpin(&self) -> bool {
        self.through_service.is_some() && self.source == self.destination
    }
}

/// Whether a connection is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Certainly.
    Allowed,
    /// Certainly not.
    Denied,
    /// It depends on something that the snapshot does not say.
    Unknown,
}

impl Verdict {
    /// The verdict when `allow` and `deny` say which outcomes are possible.
    ///
    /// At least one outcome is always possible; with none this is `Unknown`.
    #[must_use]
    pub fn from_possible(allow: bool, deny: bool) -> Self {
        match (allow, deny) {
            (true, false) => Self::Allowed,
            (false, true) => Self::Denied,
            _ => Self::Unknown,
        }
    }

    /// The verdict on a connection that needs both sides.
    #[must_use]
    pub fn both(self, other: Self) -> Self {
        match (self, other) {
            (Self::Denied, _) | (_, Self::Denied) => Self::Denied,
            (Self::Allowed, Self::Allowed) => Self::Allowed,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Allowed => "Allowed",
            Self::Denied => "Denied",
            Self::Unknown => "Unknown",
        })
    }
}
