//! One denied connection, as the kernel tells it.

use std::net::IpAddr;

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use ringfence_model::policy::Direction;

use crate::compile::Enforcement;

/// One connection that no policy allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Whether it was denied, or only would have been.
    pub enforcement: Enforcement,
    /// Whose policies do not allow it.
    pub side: Side,
    /// Who opened it. Of a packet without a connection, who sent it.
    pub source: IpAddr,
    /// Whom it reaches, after translation.
    pub destination: IpAddr,
    /// Its protocol, as the kernel numbers it.
    pub protocol: u8,
    /// The ports of source and destination, where the protocol has some.
    pub ports: Option<(u16, u16)>,
}

/// Whose policies do not allow a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The egress policies of the source, or the ingress policies of the destination.
    Policies(Direction),
    /// Nobody's: one end has an address of this node's pods that no known pod has.
    UnknownAddress,
    /// Nobody's: the kernel refused the pod's rules, and it is closed.
    Closed,
    /// Nobody's: a pod sent from an address that is not its own.
    ForgedSource,
    /// Nobody's: a pod sent something into a tunnel of its node.
    Tunnel,
}

/// Reads an event: the text of the rule that told it, and the head of the packet, which
/// anybody may have sent. `None` for one that is none of ours or cannot be read.
#[must_use]
pub fn denial(prefix: &str, packet: &[u8]) -> Option<Denial> {
    let mut words = prefix.strip_prefix("ringfence ")?.split(' ');
    let enforcement = match words.next()? {
        "deny" => Enforcement::Enforce,
        "audit" => Enforcement::Audit,
        _ => return None,
    };
    let side = match words.next()? {
        "egress" => Side::Policies(Direction::Egress),
        "ingress" => Side::Policies(Direction::Ingress),
        "unknown" => Side::UnknownAddress,
        "forged" => Side::ForgedSource,
        "closed" => Side::Closed,
        "tunnel" => Side::Tunnel,
        _ => return None,
    };
    // What the packet says is the other way round then.
    let is_reply = words.next_back() == Some("reply");
    // What follows the network header may be cut, or nonsense: that is denied and told, too.
    let sliced = LaxSlicedPacket::from_ip(packet).ok()?;
    let (source, destination, protocol) = match sliced.net.as_ref()? {
        LaxNetSlice::Ipv4(ip) => (
            IpAddr::V4(ip.header().source_addr()),
            IpAddr::V4(ip.header().destination_addr()),
            ip.payload().ip_number.0,
        ),
        LaxNetSlice::Ipv6(ip) => (
            IpAddr::V6(ip.header().source_addr()),
            IpAddr::V6(ip.header().destination_addr()),
            ip.payload().ip_number.0,
        ),
        LaxNetSlice::Arp(_) => return None,
    };
    let ports = match &sliced.transport {
        Some(TransportSlice::Tcp(tcp)) => Some((tcp.source_port(), tcp.destination_port())),
        Some(TransportSlice::Udp(udp)) => Some((udp.source_port(), udp.destination_port())),
        _ => None,
    };
    Some(match is_reply {
        false => Denial {
            enforcement,
            side,
            source,
            destination,
            protocol,
            ports,
        },
        true => Denial {
            enforcement,
            side,
            source: destination,
            destination: source,
            protocol,
            ports: ports.map(|(from, to)| (to, from)),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A UDP packet from 10.9.3.2:4660 to 10.9.2.2:53.
    const UDP: [u8; 29] = [
        0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0, 10, 9, 3, 2, 10, 9, 2, 2, 0x12, 0x34, 0, 53, 0,
        9, 0, 0, b'?',
    ];

    #[test]
    fn the_text_of_the_rule_says_whose_policies_deny() {
        let denied = denial("ringfence deny egress", &UDP).expect("it is one");
        assert_eq!(denied.side, Side::Policies(Direction::Egress));
        assert_eq!(denied.enforcement, Enforcement::Enforce);
        assert_eq!(denied.source, IpAddr::from([10, 9, 3, 2]));
        assert_eq!((denied.protocol, denied.ports), (17, Some((0x1234, 53))));
        let audited = denial("ringfence audit ingress", &UDP).expect("it is one");
        assert_eq!(audited.side, Side::Policies(Direction::Ingress));
        assert_eq!(audited.enforcement, Enforcement::Audit);
        for none in ["", "ringfence", "ringfence deny", "iptables deny egress"] {
            assert_eq!(denial(none, &UDP), None, "{none}");
        }
    }

    #[test]
    fn a_reply_tells_of_the_connection_that_it_replies_in() {
        let opened = denial("ringfence deny ingress", &UDP).expect("it is one");
        let reply = denial("ringfence deny ingress reply", &UDP).expect("it is one");
        assert_eq!(reply.source, opened.destination);
        assert_eq!(reply.destination, opened.source);
        assert_eq!(reply.ports, Some((53, 0x1234)));
        let unknown = "ringfence deny unknown address reply";
        let unknown = denial(unknown, &UDP).expect("it is one");
        assert_eq!(unknown.source, opened.destination);
        assert_eq!(unknown.side, Side::UnknownAddress);
    }

    #[test]
    fn a_packet_without_a_whole_header_of_its_protocol_is_told_without_ports() {
        for protocol in [1, 6, 17, 132, 255] {
            for length in 20..24 {
                let mut head = UDP.get(..length).expect("it is that long").to_vec();
                head[9] = protocol;
                let denied = denial("ringfence deny egress", &head).expect("it is one");
                assert_eq!(denied.source, IpAddr::from([10, 9, 3, 2]));
                assert_eq!((denied.protocol, denied.ports), (protocol, None));
            }
        }
        // An IPv6 header, and options that are longer than what follows.
        let mut head = vec![0x60, 0, 0, 0, 0, 4, 0, 64];
        head.extend([0xfd; 16]);
        head.extend([0xfe; 16]);
        head.extend([17, 200, 0, 0]);
        let denied = denial("ringfence deny egress", &head).expect("it is one");
        assert_eq!(denied.destination, IpAddr::from([0xfe; 16]));
        assert_eq!(denied.ports, None);
    }

    #[test]
    fn a_packet_that_ends_anywhere_is_read_as_far_as_it_goes_or_not_at_all() {
        for length in 0..UDP.len() {
            let head = UDP.get(..length).expect("it is that long");
            if let Some(denied) = denial("ringfence deny egress", head) {
                assert_eq!(denied.destination, IpAddr::from([10, 9, 2, 2]));
            }
        }
    }
}
