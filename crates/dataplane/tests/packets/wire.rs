//! Frames as a pod may make them: what sends them and sees them, and some that lie.

use std::io::{IoSlice, Read};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use etherparse::{ArpOperation, ArpPacket, PacketBuilder};
use nix::sys::socket::{LinkAddr, MsgFlags, sendmsg};
use nlink::netlink::namespace::Netns;
use socket2::{Domain, Protocol, Socket, Type};

use super::network::hardware;

/// What the frames carry that should not arrive.
pub(crate) const TEXT: &[u8] = b"a stowaway on the bridge";

/// How long frames are waited for that should not come.
const WHILE: Duration = Duration::from_millis(150);

/// What sends frames out of a pod as they are, and what sees all that come.
pub(crate) struct Wire {
    socket: Socket,
    interface: LinkAddr,
}

impl Wire {
    pub(crate) fn of(namespace: &Netns) -> Self {
        // ETH_P_ALL, in the byte order of the network.
        let everything = Protocol::from(i32::from(3_u16.to_be()));
        let made = namespace.run(|| {
            let interfaces = nix::ifaddrs::getifaddrs().unwrap();
            let mut own = interfaces.filter(|it| it.interface_name == "eth0");
            let interface = own.find_map(|it| it.address?.as_link_addr().copied());
            let socket = Socket::new(Domain::PACKET, Type::RAW, Some(everything));
            (socket.unwrap(), interface.expect("there is eth0"))
        });
        let (socket, interface) = made.unwrap();
        socket.set_read_timeout(Some(WHILE)).unwrap();
        Self { socket, interface }
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        let frame = [IoSlice::new(frame)];
        let (socket, to) = (self.socket.as_raw_fd(), Some(&self.interface));
        sendmsg(socket, &frame, &[], MsgFlags::empty(), to).unwrap();
    }

    /// Whether a frame with these bytes in it comes.
    pub(crate) fn comes(&self, text: &[u8]) -> bool {
        let mut buffer = [0; 2048];
        while let Ok(length) = (&self.socket).read(&mut buffer) {
            let frame = &buffer[..length];
            if frame.windows(text.len()).any(|some| some == text) {
                return true;
            }
        }
        false
    }
}

/// A UDP packet to port 53 in a frame.
pub(crate) fn packet(
    hardware: ([u8; 6], [u8; 6]),
    from: IpAddr,
    to: IpAddr,
    text: &[u8],
) -> Vec<u8> {
    let frame = PacketBuilder::ethernet2(hardware.0, hardware.1);
    let frame = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => frame.ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => frame.ipv6(from.octets(), to.octets(), 64),
        _ => panic!("{from} and {to} are of two families"),
    };
    let frame = frame.udp(40_000, 53);
    let mut bytes = Vec::with_capacity(frame.size(text.len()));
    frame.write(&mut bytes, text).unwrap();
    bytes
}

/// The same with something between the Ethernet header and the packet.
pub(crate) fn with(between: &[u8], frame: &[u8]) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(12);
    [addresses, between, rest].concat()
}

/// A frame that says that a pod with this address has that hardware address.
pub(crate) fn arp(
    sender: ([u8; 6], IpAddr),
    own: [u8; 6],
    to: ([u8; 6], IpAddr),
    text: &[u8],
) -> Vec<u8> {
    let (IpAddr::V4(from), IpAddr::V4(about)) = (sender.1, to.1) else {
        panic!("ARP is about IPv4")
    };
    let arp = ArpPacket::new(
        etherparse::ArpHardwareId::ETHERNET,
        etherparse::EtherType::IPV4,
        ArpOperation::REPLY,
        &sender.0,
        &from.octets(),
        &to.0,
        &about.octets(),
    );
    let frame = PacketBuilder::ethernet2(own, to.0).arp(arp.unwrap());
    let mut bytes = Vec::new();
    frame.write(&mut bytes).unwrap();
    bytes.extend(text);
    bytes
}

/// What neighbours tell each other: a type, the address it is about, where it comes from, and
/// what follows: an option, as a rule.
pub(crate) fn icmpv6(
    kind: u8,
    target: IpAddr,
    from: IpAddr,
    own: [u8; 6],
    to: ([u8; 6], IpAddr),
    option: &[u8],
) -> Vec<u8> {
    let (IpAddr::V6(target), IpAddr::V6(from), IpAddr::V6(about)) = (target, from, to.1) else {
        panic!("neighbour discovery is about IPv6")
    };
    let mut said = target.octets().to_vec();
    said.extend(option);
    let header = [0x60, 0, 0, 0];
    let frame = PacketBuilder::ethernet2(own, to.0).ipv6(from.octets(), about.octets(), 255);
    let frame = frame.icmpv6_raw(kind, 0, header);
    let mut bytes = Vec::new();
    frame.write(&mut bytes, &said).unwrap();
    bytes
}

/// The option that says that something is at a hardware address.
pub(crate) fn at(hardware: [u8; 6]) -> Vec<u8> {
    [&[2, 1], &hardware[..]].concat()
}

pub(crate) fn link_local(pod: usize) -> IpAddr {
    let [a, b, c, d, e, f] = hardware(pod);
    let end = [a ^ 2, b, c, 0xff, 0xfe, d, e, f];
    let mut address = [0; 16];
    address[..2].copy_from_slice(&[0xfe, 0x80]);
    address[8..].copy_from_slice(&end);
    IpAddr::from(address)
}
