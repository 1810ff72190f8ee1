//! Messages of ICMP that nobody asked for: those between neighbours, and errors.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, SocketAddr};

use nlink::netlink::namespace::Netns;
use socket2::{Domain, Protocol, Socket, Type};

use super::network::{PATIENCE, connect, udp, v4, v6};
use super::{DB, DENY_ALL, OTHER, WEB, enforce, shop, with_allow};

/// What neighbours tell each other (RFC 4861, section 4, and RFC 3810, section 5.2).
const BETWEEN_NEIGHBOURS: [u8; 6] = [133, 134, 135, 136, 137, 143];

fn raw(namespace: &Netns, domain: Domain, protocol: Protocol) -> Socket {
    let made = namespace.run(|| Socket::new(domain, Type::RAW, Some(protocol)));
    let socket = made.unwrap().unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn send(socket: &Socket, message: &[u8], to: IpAddr) {
    let to = SocketAddr::new(to, 0);
    socket.send_to(message, &to.into()).unwrap();
}

/// Whether a message with this text comes.
fn comes(mut socket: &Socket, text: &[u8]) -> bool {
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

#[tokio::test]
async fn what_neighbours_tell_each_other_passes_no_router() {
    let network = shop().await;
    let from = raw(network.pod(WEB), Domain::IPV6, Protocol::ICMPV6);
    let to = raw(network.pod(DB), Domain::IPV6, Protocol::ICMPV6);
    let say = |hops: u32| {
        from.set_unicast_hops_v6(hops).unwrap();
        for kind in BETWEEN_NEIGHBOURS {
            let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 0];
            message.extend(b"a tunnel");
            send(&from, &message, v6(DB));
        }
        comes(&to, b"a tunnel")
    };
    // The first packets may be lost while interfaces come up.
    assert!((0..10).any(|_| say(64)), "nothing denies yet");
    let _enforcer = enforce(&network, DENY_ALL).await;
    while comes(&to, b"a tunnel") {}
    for hops in [2, 64, 255] {
        assert!(!say(hops), "{hops} hops");
    }
}

/// An error about a packet of a connection, as a router would send it.
fn unreachable(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
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
    message.extend(b"a stowaway, of even length");
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
    let forged = unreachable(ends.0, ends.1);
    let arrives = || {
        send(&other, &forged, v4(WEB));
        comes(&web, b"stowaway")
    };
    assert!((0..10).any(|_| arrives()), "nothing denies yet");
    // Nobody listens at the port that is allowed instead.
    let policies = with_allow().replace("port: 53,", "port: 54,");
    let _enforcer = enforce(&network, &policies).await;
    let again = connect(network.pod(WEB), v4(DB), 5432).expect("allowed");
    let forged = unreachable(again.local_addr().unwrap(), again.peer_addr().unwrap());
    while comes(&web, b"stowaway") {}
    send(&other, &forged, v4(WEB));
    assert!(!comes(&web, b"stowaway"), "it is no end of that connection");
    // Who is one may say that nobody listens.
    let asking = udp(network.pod(WEB), v4(WEB));
    asking.connect(SocketAddr::new(v4(DB), 54)).unwrap();
    asking.send(b"ping").unwrap();
    let refused = asking.recv(&mut [0; 4]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}
