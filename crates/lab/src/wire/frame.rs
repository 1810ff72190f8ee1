//! Ethernet frames, as somebody makes them who has the right to make any.

use std::net::IpAddr;

use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, PacketBuilder};
use ringfence_dataplane::compile::HardwareAddress;
use ringfence_model::protocol::Protocol;

/// The hardware address that everybody hears.
pub const EVERYBODY: HardwareAddress = [0xff; 6];

/// The type of a tag of 802.1Q.
pub const TAG: u16 = 0x8100;
/// The type of a tag of 802.1ad.
pub const SERVICE_TAG: u16 = 0x88a8;

/// Who sends something to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The hardware addresses.
    pub hardware: (HardwareAddress, HardwareAddress),
    /// The addresses, both of one family.
    pub addresses: (IpAddr, IpAddr),
}

impl Ends {
    /// The first packet of a connection to a port, with a text. Of protocols other than TCP
    /// it is one of UDP. `None` where the addresses are of two families.
    #[must_use]
    pub fn packet(&self, protocol: Protocol, port: u16, text: &[u8]) -> Option<Vec<u8>> {
        let frame = PacketBuilder::ethernet2(self.hardware.0, self.hardware.1);
        let frame = match self.addresses {
            (IpAddr::V4(from), IpAddr::V4(to)) => frame.ipv4(from.octets(), to.octets(), 64),
            (IpAddr::V6(from), IpAddr::V6(to)) => frame.ipv6(from.octets(), to.octets(), 64),
            _ => return None,
        };
        let mut bytes = Vec::new();
        let written = match protocol {
            Protocol::Tcp => frame
                .tcp(SOURCE_PORT, port, 1, 1024)
                .syn()
                .write(&mut bytes, text),
            _ => frame.udp(SOURCE_PORT, port).write(&mut bytes, text),
        };
        written.ok().map(|()| bytes)
    }

    /// An answer of ARP: the sender has its address at its hardware address. The text follows
    /// it as padding. `None` where the addresses are not of IPv4.
    #[must_use]
    pub fn arp(&self, text: &[u8]) -> Option<Vec<u8>> {
        let (IpAddr::V4(from), IpAddr::V4(to)) = self.addresses else {
            return None;
        };
        let (own, other) = self.hardware;
        let (ethernet, ipv4) = (ArpHardwareId::ETHERNET, EtherType::IPV4);
        let (from, to) = (from.octets(), to.octets());
        let arp = ArpPacket::new(
            ethernet,
            ipv4,
            ArpOperation::REPLY,
            &own,
            &from,
            &other,
            &to,
        );
        let mut bytes = Vec::new();
        let frame = PacketBuilder::ethernet2(own, other).arp(arp.ok()?);
        frame.write(&mut bytes).ok()?;
        bytes.extend(text);
        Some(bytes)
    }

    /// An advertisement: somebody has `target` at the sender's hardware address (RFC 4861,
    /// section 4.4). The text follows it. `None` where an address is not of IPv6.
    #[must_use]
    pub fn advertisement(&self, target: IpAddr, text: &[u8]) -> Option<Vec<u8>> {
        let (IpAddr::V6(from), IpAddr::V6(to)) = self.addresses else {
            return None;
        };
        let IpAddr::V6(target) = target else {
            return None;
        };
        let (own, other) = self.hardware;
        let mut said = target.octets().to_vec();
        // The option with the hardware address.
        said.extend([2, 1]);
        said.extend(own);
        said.extend(text);
        let frame = PacketBuilder::ethernet2(own, other).ipv6(from.octets(), to.octets(), 255);
        let mut bytes = Vec::new();
        let override_it = [0x20, 0, 0, 0];
        let frame = frame.icmpv6_raw(ADVERTISEMENT, 0, override_it);
        frame.write(&mut bytes, &said).ok()?;
        Some(bytes)
    }
}

/// A frame with a tag of this type and the number 0, which means none.
#[must_use]
pub fn tagged(tag: u16, frame: &[u8]) -> Option<Vec<u8>> {
    let (addresses, rest) = frame.split_at_checked(12)?;
    let tag = [tag.to_be_bytes(), [0, 0]].concat();
    Some([addresses, &tag, rest].concat())
}

/// The port that packets come from.
const SOURCE_PORT: u16 = 40_404;

/// The type of a neighbour's advertisement.
const ADVERTISEMENT: u8 = 136;

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(from: &str, to: &str) -> Ends {
        Ends {
            hardware: ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]),
            addresses: (from.parse().expect("one"), to.parse().expect("one")),
        }
    }

    #[test]
    fn a_frame_is_one_of_its_family_or_none() {
        let (v4, v6) = (ends("10.0.0.1", "10.0.0.2"), ends("fd00::1", "fd00::2"));
        for (ends, kind) in [(v4, 0x0800_u16), (v6, 0x86dd)] {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                let frame = ends.packet(protocol, 80, b"text").expect("one");
                assert_eq!(&frame[12..14], kind.to_be_bytes());
                assert!(frame.ends_with(b"text"));
            }
        }
        assert_eq!(v4.arp(b"text").map(|frame| frame.len()), Some(14 + 28 + 4));
        let target = v6.addresses.0;
        let frame = v6.advertisement(target, b"text").expect("one");
        assert_eq!((frame[54], frame.len()), (136, 14 + 40 + 8 + 16 + 8 + 4));
        assert_eq!(v6.arp(b""), None);
        assert_eq!(v4.advertisement(target, b""), None);
        assert_eq!(
            ends("10.0.0.1", "fd00::2").packet(Protocol::Udp, 1, b""),
            None
        );
    }

    #[test]
    fn a_tag_comes_after_the_addresses() {
        let frame = ends("10.0.0.1", "10.0.0.2")
            .packet(Protocol::Udp, 1, b"")
            .expect("one");
        let with_tag = tagged(TAG, &frame).expect("it is long enough");
        assert_eq!(with_tag[12..18], [0x81, 0, 0, 0, 8, 0]);
        assert_eq!(tagged(TAG, &frame[..11]), None);
    }
}
