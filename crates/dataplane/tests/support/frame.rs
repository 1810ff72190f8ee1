//! Packets as the kernel sees them.

use std::net::IpAddr;

use ringfence_dataplane::interpret::{Connection, Frame};
use ringfence_dataplane::ruleset::ConnectionState;
use ringfence_engine::{Packet, Peer};
use ringfence_model::address::IpFamily;
use ringfence_model::protocol::Protocol;
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
    let (protocol, icmp_type) = match (packet.protocol, packet.family) {
        (Protocol::Tcp, _) => (6, 0),
        (Protocol::Udp, _) => (17, 0),
        (Protocol::Sctp, _) => (132, 0),
        (Protocol::Icmp, IpFamily::V4) => (1, 8),
        (Protocol::Icmp, IpFamily::V6) => (58, 128),
    };
    Some(Frame {
        interface: "eth0".to_owned(),
        source,
        destination,
        protocol,
        port: packet.port,
        icmp_type,
        hop_limit: 63,
        connection: Some(Connection {
            state: ConnectionState::New,
            is_reply: false,
            source,
            first_destination: (destination, packet.port),
            destination: (destination, packet.port),
            mark: 0,
        }),
    })
}
