//! What a pod of a bridge tells the bridge and the node, so that they treat others differently.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use etherparse::PacketBuilder;
use nlink::netlink::Route;
use nlink::netlink::neigh::Neighbor;
use socket2::{Domain, Protocol, Socket, Type};

use super::bridge::{EVERYBODY, enforce, node_address, shop};
use super::icmp::in_the_end;
use super::network::{BRIDGE, BRIDGE_HARDWARE, Network, hardware, v4, v6, when_usable};
use super::wire::{TEXT, Wire, packet};
use super::{DB, DENY_ALL, OTHER, WEB, both};

/// LLDP: bridges do not carry on what is sent there.
const TO_BRIDGES: [u8; 6] = [1, 0x80, 0xc2, 0, 0, 0x0e];

/// What a kernel needs until it has done what a frame says.
const A_MOMENT: Duration = Duration::from_millis(60);

fn links(network: &Network) -> nlink::Connection<Route> {
    nlink::Connection::new_in(network.node.netns()).unwrap()
}

/// The number of the port that a pod is behind.
async fn port_of(network: &Network, pod: usize) -> u32 {
    let name = format!("pod{pod}");
    let port = links(network).get_link_by_name(&*name).await.unwrap();
    port.expect("it is there").ifindex()
}

/// The ports of bridges that routers of groups are behind, as the bridge thinks. There is no
/// library for this part of `rtnetlink` (`linux/if_bridge.h`).
fn ports_of_routers(network: &Network) -> Vec<u32> {
    const RTM_GETMDB: u16 = 86;
    const REQUEST_AND_DUMP: u16 = 0x301;
    const AF_BRIDGE: u8 = 7;
    const MDBA_ROUTER: u16 = 2;
    let open = || Socket::new(Domain::from(16), Type::RAW, Some(Protocol::from(0)));
    let socket = network.node.netns().run(open).unwrap().unwrap();
    let mut request = Vec::new();
    request.extend(24_u32.to_ne_bytes());
    request.extend(RTM_GETMDB.to_ne_bytes());
    request.extend(REQUEST_AND_DUMP.to_ne_bytes());
    request.extend([0; 8]);
    request.extend([AF_BRIDGE, 0, 0, 0, 0, 0, 0, 0]);
    socket.send(&request).unwrap();
    let mut answer = vec![0; 65_536];
    let length = (&socket).read(&mut answer).unwrap();
    // The header of the message and that of the bridge, then attributes.
    let (_, attributes) = answer[..length].split_at(24);
    let of_routers = attributes_of(attributes).filter(|(kind, _)| *kind == MDBA_ROUTER);
    let ports = of_routers.flat_map(|(_, ports)| attributes_of(ports));
    let number = |port: &[u8]| u32::from_ne_bytes(port[..4].try_into().unwrap());
    ports.map(|(_, port)| number(port)).collect()
}

fn attributes_of(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (kind, _) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_ne_bytes(*length));
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        // The two highest bits say how the value is written.
        Some((u16::from_ne_bytes(*kind) & 0x3fff, value))
    })
}

/// With the sum of all its words at this place.
fn summed(mut message: Vec<u8>, at: usize) -> Vec<u8> {
    let words = message.chunks(2);
    let mut sum: u32 = words
        .map(|word| u32::from(word[0]) << 8 | word.get(1).map_or(0, |low| u32::from(*low)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let sum = !u16::try_from(sum).unwrap();
    message[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    message
}

/// A packet of a group's protocol, as one router or member tells it.
fn to_group(protocol: u8, to: Ipv4Addr, message: Vec<u8>) -> Vec<u8> {
    let IpAddr::V4(from) = v4(OTHER) else {
        unreachable!()
    };
    let [_, b, c, d] = to.octets();
    let group = [1, 0, 0x5e, b & 0x7f, c, d];
    // With the option that tells routers to look at it.
    let header = vec![0x46, 0xc0, 0, 0, 0, 0, 0, 0, 1, protocol, 0, 0];
    let mut header = [header, from.octets().to_vec(), to.octets().to_vec()].concat();
    header.extend([0x94, 4, 0, 0]);
    let length = u16::try_from(header.len() + message.len()).unwrap();
    header[2..4].copy_from_slice(&length.to_be_bytes());
    let frame = [group, hardware(OTHER)].concat();
    [frame, vec![8, 0], summed(header, 10), message].concat()
}

/// The same over IPv6.
fn to_group_v6(kind: u8, to: Ipv6Addr) -> Vec<u8> {
    let IpAddr::V6(from) = v6(OTHER) else {
        unreachable!()
    };
    let [.., a, b, c, d] = to.octets();
    let frame = PacketBuilder::ethernet2(hardware(OTHER), [0x33, 0x33, a, b, c, d]);
    let frame = frame.ipv6(from.octets(), to.octets(), 1);
    let mut bytes = Vec::new();
    let message = frame.icmpv6_raw(kind, 0, [0; 4]);
    message.write(&mut bytes, &[]).unwrap();
    // With the option that tells routers to look at it.
    let option = [58, 0, 5, 2, 0, 0, 1, 0];
    bytes[14 + 5] += 8;
    bytes[14 + 6] = 0;
    bytes.splice(14 + 40..14 + 40, option);
    bytes
}

/// By which a pod says that it is a router of groups.
fn of_routers() -> Vec<(&'static str, Vec<u8>)> {
    let everybody = Ipv4Addr::new(224, 0, 0, 1);
    let query = vec![0x11, 100, 0, 0, 0, 0, 0, 0];
    let longer = [query.clone(), vec![2, 125, 0, 0]].concat();
    let hello = vec![0x20, 0, 0, 0, 0, 1, 0, 2, 0, 105];
    let here = vec![0x30, 20, 0, 0, 0, 0, 0, 0];
    let snoopers = Ipv4Addr::new(224, 0, 0, 106);
    vec![
        ("a query", to_group(2, everybody, summed(query, 2))),
        (
            "a query of IGMPv3",
            to_group(2, everybody, summed(longer, 2)),
        ),
        (
            "PIM",
            to_group(103, Ipv4Addr::new(224, 0, 0, 13), summed(hello, 2)),
        ),
        ("that it is there", to_group(2, snoopers, summed(here, 2))),
        (
            "that over IPv6",
            to_group_v6(151, "ff02::6a".parse().unwrap()),
        ),
    ]
}

#[tokio::test]
async fn no_pod_is_a_router_of_groups() {
    // Each on a bridge of its own: what one has learnt it does not forget for minutes.
    for (what, frame) in of_routers() {
        for is_enforced in [false, true] {
            let network = Network::on_bridge(&["web", "db", "other"]).await;
            let _enforcer = match is_enforced {
                true => Some(enforce(&network, "").await),
                false => None,
            };
            let from = Wire::of(network.pod(OTHER));
            let is_router = (0..5).any(|_| {
                from.send(&frame);
                std::thread::sleep(A_MOMENT);
                !ports_of_routers(&network).is_empty()
            });
            assert_eq!(is_router, !is_enforced, "{what}");
        }
    }
}

/// Sends a text from the node, to the port of a name server.
fn send_from_node(network: &Network, to: IpAddr) {
    let from = node_address(if to.is_ipv4() { v4 } else { v6 });
    let bind = || UdpSocket::bind(SocketAddr::new(from, 0));
    let socket = when_usable(network.node.netns(), bind);
    socket.send_to(TEXT, SocketAddr::new(to, 53)).unwrap();
}

/// Asks who has an address, and says what hardware address the one has who asks.
fn asks(from: IpAddr, said: [u8; 6], about: IpAddr, to: [u8; 6]) -> Vec<u8> {
    let (IpAddr::V6(from), IpAddr::V6(about)) = (from, about) else {
        panic!("neighbour discovery is about IPv6")
    };
    let question = [&about.octets()[..], &[1, 1], &said].concat();
    let frame = PacketBuilder::ethernet2(hardware(OTHER), to);
    let frame = frame.ipv6(from.octets(), about.octets(), 255);
    let frame = frame.icmpv6_raw(135, 0, [0; 4]);
    let mut bytes = Vec::new();
    frame.write(&mut bytes, &question).unwrap();
    bytes
}

#[tokio::test]
async fn what_the_node_sends_a_pod_gets_to_no_other() {
    let network = shop().await;
    let [web, db, other] = [WEB, DB, OTHER].map(|pod| Wire::of(network.pod(pod)));
    let links = links(&network);
    let bridge = links.get_link_by_name(BRIDGE).await.unwrap().unwrap();
    // By the hardware address that a pod says is its own.
    let misled = |to: [u8; 6]| {
        other.send(&asks(v6(OTHER), to, node_address(v6), BRIDGE_HARDWARE));
        std::thread::sleep(A_MOMENT);
        send_from_node(&network, v6(OTHER));
        db.comes(TEXT)
    };
    for to in [hardware(DB), EVERYBODY] {
        assert!(in_the_end(|| misled(to)), "without rules it arrives");
    }
    // By what the bridge learns from frames that it does not carry on.
    let steals = |to: IpAddr| {
        let mut frame = [TO_BRIDGES, hardware(DB)].concat();
        frame.extend([0x88, 0xcc]);
        frame.extend([0; 46]);
        other.send(&frame);
        std::thread::sleep(A_MOMENT);
        send_from_node(&network, to);
        other.comes(TEXT)
    };
    for address in both() {
        let known = Neighbor::with_index(bridge.ifindex(), address(DB)).lladdr(hardware(DB));
        links.replace_neighbor(known.permanent()).await.unwrap();
        let stolen = in_the_end(|| steals(address(DB)));
        assert!(stolen, "without rules it arrives");
    }
    let _enforcer = enforce(&network, DENY_ALL).await;
    for wire in [&web, &db, &other] {
        while wire.comes(TEXT) {}
    }
    for to in [hardware(DB), EVERYBODY] {
        assert!(!misled(to));
    }
    for address in both() {
        assert!(!steals(address(DB)));
    }
    // The bridge does not know where somebody is, and the one that it is for gets it all the same.
    for address in both() {
        let nobody = [2, 0, 0, 0, 9, 9];
        for (pod, is_at) in [(DB, hardware(DB)), (WEB, nobody)] {
            let known = Neighbor::with_index(bridge.ifindex(), address(pod)).lladdr(is_at);
            links.replace_neighbor(known.permanent()).await.unwrap();
        }
        send_from_node(&network, address(WEB));
        assert!(!db.comes(TEXT) && !other.comes(TEXT), "it is for nobody");
        db.send(&packet(
            (hardware(DB), BRIDGE_HARDWARE),
            address(DB),
            node_address(address),
            b"it is here",
        ));
        std::thread::sleep(A_MOMENT);
        send_from_node(&network, address(DB));
        assert!(db.comes(TEXT), "{:?}", address(DB));
        assert!(!other.comes(TEXT));
        // What it answers quotes it.
        while db.comes(TEXT) {}
    }
}

#[tokio::test]
async fn a_pod_has_no_neighbours_for_the_node_behind_the_back_of_its_bridge() {
    let network = shop().await;
    let from = Wire::of(network.pod(OTHER));
    let port = port_of(&network, OTHER).await;
    let links = links(&network);
    let own = links.get_addresses().await.unwrap().into_iter();
    let own = own.filter(|it| it.ifindex() == port);
    let own = own.filter_map(|it| it.address().copied());
    let own: IpAddr = own.into_iter().find(IpAddr::is_ipv6).expect("of its link");
    for (stranger, is_enforced) in [("fe80::1234", false), ("fe80::5678", true)] {
        let _enforcer = match is_enforced {
            true => Some(enforce(&network, DENY_ALL).await),
            false => None,
        };
        let stranger: IpAddr = stranger.parse().unwrap();
        let frame = asks(stranger, hardware(OTHER), own, TO_BRIDGES);
        let mut is_known = false;
        for _ in 0..5 {
            from.send(&frame);
            std::thread::sleep(A_MOMENT);
            let known = links.get_neighbors().await.unwrap();
            is_known |= known.iter().any(|it| it.destination() == Some(&stranger));
        }
        assert_eq!(is_known, !is_enforced);
    }
}
