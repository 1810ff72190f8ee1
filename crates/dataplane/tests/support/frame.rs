//! Packets as the kernel sees them.

use std::net::IpAddr;

use ringfence_dataplane::interpret::Frame;
use ringfence_engine::{Packet, Peer};
use ringfence_model::snapshot::Snapshot;

/// A packet as the kernel sees it, where its ends have addresses.
pub(crate) fn frame(snapshot: &Snapshot, packet: &Packet) -> Option<Frame> {
    let address = |peer: Peer| -> Option<IpAddr> {
        match peer {
            Peer::Pod(id) => snapshot.pod(id).address(packet.family),
            Peer::Address(address) => Some(address),
        }
    };
    let (source, destination) = (address(packet.source)?, address(packet.destination)?);
    Some(Frame::opening(
        "eth0",
        source,
        destination,
        packet.protocol,
        packet.port,
    ))
}
