//! Connections that are tried, and what became of each.
//!
//! A probe owns both ends: it is sent from a socket in one namespace, and what arrives is
//! noted in all of them. So "dropped" means that nothing arrived, and "closed" that it
//! arrived where nobody listens.

mod batch;
mod observation;
mod send;

pub use batch::{Prober, Progress, Settings};
pub use observation::{Observation, Observed};

use std::net::IpAddr;

use ringfence_model::protocol::Protocol;

/// A connection to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The station that opens it.
    pub from: usize,
    /// The address that it is sent from; `None`: as the kernel chooses.
    pub source: Option<IpAddr>,
    /// Where to.
    pub to: IpAddr,
    /// The name to look up first, at this name server; `to` is what it should give.
    pub name: Option<(String, IpAddr)>,
    /// The protocol.
    pub protocol: Protocol,
    /// The port; 0 for ICMP.
    pub port: u16,
    /// What is tried.
    pub kind: Kind,
}

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Kind {
    /// A connection, and an echo over it.
    #[default]
    Connection,
    /// A question to a name server.
    Question,
}
