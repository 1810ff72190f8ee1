//! Services: the addresses and ports that no host has, translated on every node.
//!
//! As kube-proxy does it: the destination becomes one of the endpoints at random, before
//! the packet is routed and before any policy sees it.

mod flows;
mod table;
mod ways;

pub(crate) use flows::{Place, entrances, forget_stale};
pub use table::{TABLE, install};
pub use ways::{Endpoint, Entry, Origin, Way, ways};

use std::net::IpAddr;

use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::Snapshot;

/// One port of one address of a Service, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The address that clients use.
    pub address: IpAddr,
    /// The protocol.
    pub protocol: Protocol,
    /// The port that clients use.
    pub port: u16,
    /// The endpoints of the same family, sorted.
    pub endpoints: Vec<(IpAddr, u16)>,
}

/// Everything that is translated on all nodes alike, in the order of Services.
#[must_use]
pub fn translations(snapshot: &Snapshot) -> Vec<Translation> {
    let all = ways(snapshot, None).into_iter();
    let all = all.filter(|way| way.entry == Entry::ClusterAddress);
    let translations = all.map(|way| Translation {
        address: way.address,
        protocol: way.protocol,
        port: way.port,
        endpoints: way.endpoints.iter().map(|e| (e.address, e.port)).collect(),
    });
    translations.collect()
}
