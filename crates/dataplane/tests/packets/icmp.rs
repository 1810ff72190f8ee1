//! Messages of ICMP that nobody asked for: those between neighbours, and errors.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use nlink::netlink::namespace::Netns;
use socket2::{Domain, Protocol, Socket, Type};

use super::network::{DEADLINE, PATIENCE, connect, start, udp, v4, v6};
use super::{DB, DENY_ALL, OTHER, WEB, enforce, shop, with_allow};

/// What neighbours tell each other (RFC 4861, section 4, and RFC 3810, section 5.2).
const BETWEEN_NEIGHBOURS: [u8; 6] = [133, 134, 135, 136, 137, 143];

pub(super) fn raw(namespace: &Netns, domain: Domain, protocol: Protocol) -> Socket {
    let made = namespace.run(|| Socket::new(domain, Type::RAW, Some(protocol)));
    let socket = made.unwrap().unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

pub(super) fn send(socket: &Socket, message: &[u8], to: IpAddr) {
    let to = SocketAddr::new(to, 0);
    socket.send_to(message, &to.into()).unwrap();
}

/// Whether a message with this text comes.
pub(super) fn comes(mut socket: &Socket, text: &[u8]) -> bool {
    let mut buffer = [0; 2048];
    while let Ok(length) = socket.read(&mut buffer) {
        if buffer[..length]
            .windows(text.len())
            .any(|some| some == text)
        {
            return true;
        }
    }
    false
}

/// Whether something comes about sooner or later: the first packets may be lost while
/// interfaces come up.
pub(super) fn in_the_end(arrives: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + DEADLINE;
    while Instant::now() < deadline {
        if arrives() {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn what_neighbours_tell_each_other_passes_no_router() {
    let network = shop().await;
    let from = raw(network.pod(WEB), Domain::IPV6, Protocol::ICMPV6);
    let to = raw(network.pod(DB), Domain::IPV6, Protocol::ICMPV6);
    let say = |hops: u32, text: &[u8]| {
        from.set_unicast_hops_v6(hops).unwrap();
        for kind in BETWEEN_NEIGHBOURS {
            let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 0];
            message.extend(text);
            send(&from, &message, v6(DB));
        }
        comes(&to, text)
    };
    assert!(in_the_end(|| say(64, b"a tunnel")), "nothing denies yet");
    let _enforcer = enforce(&network, DENY_ALL).await;
    // Something else is said than before: that may come late.
    for hops in [2, 64, 255] {
        assert!(!say(hops, b"no tunnel"), "{hops} hops");
    }
}

/// An error about a packet of a connection, as a router would send it, and a text of even
/// length.
fn unreachable(from: SocketAddr, to: SocketAddr, text: &[u8]) -> Vec<u8> {
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (from.ip(), to.ip()) else {
        panic!("IPv4 only");
    };
    let mut message = vec![3, 1, 0, 0, 0, 0, 0, 0];
    message.extend([0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, 6, 0, 0]);
    message.extend(source.octets());
    message.extend(destination.octets());
    message.extend(from.port().to_be_bytes());
    message.extend(to.port().to_be_bytes());
    message.extend([0, 0, 0, 1]);
    message.extend(text);
    summed(message)
}

fn summed(mut message: Vec<u8>) -> Vec<u8> {
    let words = message.chunks_exact(2);
    let mut sum: u32 = words
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let sum = !u16::try_from(sum).unwrap();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

#[tokio::test]
async fn a_pod_tells_errors_of_its_own_connections_only() {
    let network = shop().await;
    let stream = connect(network.pod(WEB), v4(DB), 5432).expect("nothing denies yet");
    let ends = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
    let web = raw(network.pod(WEB), Domain::IPV4, Protocol::ICMPV4);
    let other = raw(network.pod(OTHER), Domain::IPV4, Protocol::ICMPV4);
    let forged = unreachable(ends.0, ends.1, b"stowaway");
    let arrives = || {
        send(&other, &forged, v4(WEB));
        comes(&web, b"stowaway")
    };
    assert!(in_the_end(arrives), "nothing denies yet");
    // Nobody listens at the port that is allowed instead.
    let policies = with_allow().replace("port: 53,", "port: 54,");
    let _enforcer = enforce(&network, &policies).await;
    let again = connect(network.pod(WEB), v4(DB), 5432).expect("allowed");
    let ends = (again.local_addr().unwrap(), again.peer_addr().unwrap());
    // Another text than before: that may come late.
    let forged = unreachable(ends.0, ends.1, b"a second stowaway.");
    send(&other, &forged, v4(WEB));
    let comes = comes(&web, b"a second stowaway.");
    assert!(!comes, "it is no end of that connection");
    // Who is one may say that nobody listens.
    let asking = udp(network.pod(WEB), v4(WEB));
    asking.connect(SocketAddr::new(v4(DB), 54)).unwrap();
    asking.send(b"ping").unwrap();
    let refused = asking.recv(&mut [0; 4]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

/// That a packet from one to the other was too long, as a router would send it.
fn too_long(from: IpAddr, to: IpAddr) -> Vec<u8> {
    let ends = |port: u16| SocketAddr::new(if port == 53 { from } else { to }, port);
    let mut message = unreachable(ends(53), ends(9999), b"a stowaway");
    message[1] = 4;
    // UDP, with what is left of its header.
    message[8 + 9] = 17;
    message[6..8].copy_from_slice(&600_u16.to_be_bytes());
    message[2..4].fill(0);
    summed(message)
}

#[tokio::test]
async fn a_pod_tells_the_node_no_errors_of_others() {
    let network = shop().await;
    let namespace = network.node.netns();
    let node_address: IpAddr = "10.9.3.1".parse().unwrap();
    let node_raw = raw(namespace, Domain::IPV4, Protocol::ICMPV4);
    let other = raw(network.pod(OTHER), Domain::IPV4, Protocol::ICMPV4);
    // What the node never sent from there, and could have.
    let forged = too_long(node_address, "203.0.113.9".parse().unwrap());
    let arrives = || {
        send(&other, &forged, node_address);
        comes(&node_raw, b"stowaway")
    };
    assert!((0..10).any(|_| arrives()), "nothing denies yet");
    let (engine, mut node) = network.engine(&[], DENY_ALL);
    node.addresses = vec![node_address];
    let _enforcer = start(namespace, &engine, &node).await;
    while comes(&node_raw, b"stowaway") {}
    assert!(!arrives());
    // That nobody listens there a pod may say of itself.
    let asking = udp(namespace, node_address);
    asking.connect(SocketAddr::new(v4(OTHER), 54)).unwrap();
    asking.send(b"ping").unwrap();
    let refused = asking.recv(&mut [0; 4]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}
