//! One denied frame, as the kernel tells it.

use std::net::IpAddr;

use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket};

use super::messages::Logged;
use crate::compile::HardwareAddress;

/// A frame that came in by the port of a bridge and is none that the pod behind it may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeniedFrame {
    /// The number of the interface that is the port.
    pub port: u32,
    /// The hardware address that it says it comes from.
    pub source: HardwareAddress,
    /// The hardware address that it went to.
    pub destination: HardwareAddress,
    /// What it carries; of one with a tag, the type of the tag.
    pub ether_type: u16,
    /// Who sends to whom, as its packet says. With ARP, who asks or answers whom.
    pub addresses: Option<(IpAddr, IpAddr)>,
}

/// What the prefix of the rule is that tells them.
pub(super) const PREFIX: &str = "ringfence deny frame";

/// Reads an event. `None` for one without an Ethernet header or a port: it is none of ours.
pub(super) fn frame(logged: &Logged<'_>) -> Option<DeniedFrame> {
    let (destination, rest) = logged.hardware.split_first_chunk::<6>()?;
    let (source, rest) = rest.split_first_chunk::<6>()?;
    let carried = u16::from_be_bytes(*rest.first_chunk()?);
    Some(DeniedFrame {
        port: logged.port?,
        source: *source,
        destination: *destination,
        ether_type: logged.tag.unwrap_or(carried),
        addresses: addresses(carried, logged.head),
    })
}

fn addresses(ether_type: u16, packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    // It ends where the kernel cut it, which is not where it says that it ends.
    let sliced = LaxSlicedPacket::from_ether_type(EtherType(ether_type), packet);
    Some(match sliced.net? {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            let ends = (header.source_addr(), header.destination_addr());
            (ends.0.into(), ends.1.into())
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            let ends = (header.source_addr(), header.destination_addr());
            (ends.0.into(), ends.1.into())
        }
        LaxNetSlice::Arp(arp) => {
            let v4 = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
            let ends = (arp.sender_protocol_addr(), arp.target_protocol_addr());
            (v4(ends.0)?, v4(ends.1)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [u8; 14] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 6];
    /// 10.9.1.2 asks who has 10.9.2.2.
    const ASKS: [u8; 28] = [
        0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 9, 1, 2, 0, 0, 0, 0, 0, 0, 10, 9, 2, 2,
    ];

    fn logged(head: &[u8]) -> Logged<'_> {
        Logged {
            prefix: PREFIX,
            head,
            hardware: &HEADER,
            port: Some(7),
            ..Logged::default()
        }
    }

    #[test]
    fn a_frame_tells_its_port_and_who_asks_whom() {
        let denied = frame(&logged(&ASKS)).expect("it is one");
        assert_eq!((denied.port, denied.ether_type), (7, 0x0806));
        assert_eq!(denied.source, [2, 0, 0, 0, 0, 1]);
        let ends = (IpAddr::from([10, 9, 1, 2]), IpAddr::from([10, 9, 2, 2]));
        assert_eq!(denied.addresses, Some(ends));
        let tagged = Logged {
            tag: Some(0x8100),
            ..logged(&ASKS)
        };
        assert_eq!(frame(&tagged).expect("it is one").ether_type, 0x8100);
    }

    #[test]
    fn a_frame_that_ends_anywhere_is_read_as_far_as_it_goes_or_not_at_all() {
        for length in 0..ASKS.len() {
            let told = frame(&logged(&ASKS[..length])).expect("its header is whole");
            assert_eq!(told.addresses, None);
        }
        for length in 0..HEADER.len() {
            let cut = Logged {
                hardware: &HEADER[..length],
                ..logged(&ASKS)
            };
            assert_eq!(frame(&cut), None);
        }
    }
}
