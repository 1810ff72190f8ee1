//! What neighbours believe each other: pods of one bridge that say who they are, and who they are
//! not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::bridge::{enforce, shop};
use super::network::{hardware, v4, v6};
use super::wire::{TEXT, Wire, arp, at, icmpv6, link_local};
use super::{DB, OTHER, WEB, with_allow};

const NOBODY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// What `db` is told, as frames that are as long as they are to be.
fn told(kind: u8, target: IpAddr, from: IpAddr, hardware_of: usize) -> Vec<u8> {
    let (own, to) = (hardware(OTHER), (hardware(DB), v6(DB)));
    icmpv6(kind, target, from, own, to, &at(hardware(hardware_of)))
}

fn told_to_all(kind: u8, target: IpAddr, from: IpAddr) -> Vec<u8> {
    let all = ([0x33, 0x33, 0, 0, 0, 1], "ff02::1".parse().unwrap());
    icmpv6(
        kind,
        target,
        from,
        hardware(OTHER),
        all,
        &at(hardware(OTHER)),
    )
}

/// Frames by which `OTHER` says that it is somebody else, or says more than it is asked.
pub(super) fn lies() -> Vec<(&'static str, Vec<u8>)> {
    let (own, web) = (hardware(OTHER), hardware(WEB));
    let (db, of_db) = ((hardware(DB), v4(DB)), (hardware(DB), v6(DB)));
    let node = IpAddr::from(Ipv4Addr::new(10, 9, 255, 254));
    let nobody_v4 = IpAddr::from(Ipv4Addr::UNSPECIFIED);
    let own_link = link_local(OTHER);
    let long = [&at(own), TEXT].concat();
    vec![
        (
            "ARP for another's address",
            arp((own, v4(WEB)), own, db, &[]),
        ),
        ("ARP as another", arp((web, v4(WEB)), web, db, &[])),
        (
            "ARP from another's frame",
            arp((own, v4(OTHER)), web, db, &[]),
        ),
        (
            "ARP with another's hardware",
            arp((web, v4(OTHER)), own, db, &[]),
        ),
        ("ARP as the node", arp((own, node), own, db, &[])),
        (
            "ARP that asks whether another's is free",
            arp((own, nobody_v4), own, db, &[]),
        ),
        ("ARP with more", arp((own, v4(OTHER)), own, db, TEXT)),
        (
            "that it has another's address",
            told(136, v6(WEB), v6(OTHER), OTHER),
        ),
        ("that to all", told_to_all(136, v6(WEB), v6(OTHER))),
        ("that from its link", told(136, v6(WEB), own_link, OTHER)),
        (
            "that another's link is its own",
            told(136, link_local(WEB), own_link, OTHER),
        ),
        (
            "that its own is at another's",
            told(136, v6(OTHER), v6(OTHER), WEB),
        ),
        ("asking as another", told(135, v6(DB), v6(WEB), OTHER)),
        (
            "asking from another's link",
            told(135, v6(DB), link_local(WEB), OTHER),
        ),
        (
            "asking from another's hardware",
            told(135, v6(DB), v6(OTHER), WEB),
        ),
        (
            "asking whether another's is free",
            told_to_all(135, v6(WEB), NOBODY),
        ),
        ("that it is a router", told_to_all(134, NOBODY, own_link)),
        ("that to one", told(134, NOBODY, own_link, OTHER)),
        (
            "that another is nearer",
            told(137, v6(WEB), own_link, OTHER),
        ),
        (
            "asking with more",
            icmpv6(135, v6(DB), v6(OTHER), own, of_db, &long),
        ),
        (
            "telling with more",
            icmpv6(136, v6(OTHER), v6(OTHER), own, of_db, &long),
        ),
        ("asking for a router", told(133, NOBODY, own_link, OTHER)),
    ]
}

#[tokio::test]
async fn no_pod_says_that_it_is_somebody_else() {
    let network = shop().await;
    let (from, to) = (Wire::of(network.pod(OTHER)), Wire::of(network.pod(DB)));
    for (what, lie) in lies() {
        from.send(&lie);
        assert!(to.comes(&lie), "{what}: without rules it arrives");
    }
    let _enforcer = enforce(&network, &with_allow()).await;
    for (what, lie) in lies() {
        from.send(&lie);
        assert!(!to.comes(&lie), "{what}");
    }
    let own = hardware(OTHER);
    let (db, of_db) = ((hardware(DB), v4(DB)), (hardware(DB), v6(DB)));
    let own_link = link_local(OTHER);
    let nobody_v4 = IpAddr::from(Ipv4Addr::UNSPECIFIED);
    let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
    let all = ([0x33, 0x33, 0, 0, 0, 1], "ff02::1".parse().unwrap());
    for (what, truth) in [
        ("ARP", arp((own, v4(OTHER)), own, db, &[])),
        ("ARP, filled up", arp((own, v4(OTHER)), own, db, &[0; 18])),
        (
            "ARP that asks whether its own is free",
            arp((own, nobody_v4), own, (hardware(DB), v4(OTHER)), &[]),
        ),
        (
            "that it has its address",
            told(136, v6(OTHER), v6(OTHER), OTHER),
        ),
        (
            "that without an option",
            icmpv6(136, v6(OTHER), v6(OTHER), own, of_db, &[]),
        ),
        ("that of its link", told(136, own_link, own_link, OTHER)),
        ("asking", told(135, v6(DB), v6(OTHER), OTHER)),
        ("asking from its link", told(135, v6(DB), own_link, OTHER)),
        (
            "asking whether its own is free",
            icmpv6(135, v6(OTHER), NOBODY, own, all, &[]),
        ),
        (
            "that with a number",
            icmpv6(135, own_link, NOBODY, own, all, &nonce),
        ),
    ] {
        from.send(&truth);
        assert!(to.comes(&truth), "{what}");
    }
}

/// An IPv6 packet in two parts, the first of which has this many bytes after its header.
fn in_parts(frame: &[u8], first: usize, number: u32) -> [Vec<u8>; 2] {
    let (ethernet, packet) = frame.split_at(14);
    let (header, payload) = packet.split_at(40);
    let (head, rest) = payload.split_at(first);
    let part = |offset: usize, more: u16, bytes: &[u8]| {
        let mut header = header.to_vec();
        let length = u16::try_from(8 + bytes.len()).unwrap();
        header[4..6].copy_from_slice(&length.to_be_bytes());
        // RFC 8200, section 4.5.
        let next = std::mem::replace(&mut header[6], 44);
        let mut fragment = vec![next, 0];
        let at = u16::try_from(offset).unwrap() | more;
        fragment.extend(at.to_be_bytes());
        fragment.extend(number.to_be_bytes());
        [ethernet, &header[..], &fragment[..], bytes].concat()
    };
    [part(0, 1, head), part(first, 0, rest)]
}

#[tokio::test]
async fn what_neighbours_tell_each_other_is_not_told_in_parts() {
    let network = shop().await;
    let (from, to) = (Wire::of(network.pod(OTHER)), Wire::of(network.pod(DB)));
    let lie = told(136, v6(WEB), v6(OTHER), OTHER);
    // The option is in the second part, with what tells it from other frames.
    let parts = |number| in_parts(&lie, 24, number);
    let option = at(hardware(OTHER));
    let arrives = |number| {
        for part in parts(number) {
            from.send(&part);
        }
        to.comes(&option)
    };
    assert!(arrives(1), "without rules it arrives");
    // Nothing isolates anybody.
    let _enforcer = enforce(&network, "").await;
    while to.comes(&option) {}
    assert!(!arrives(2));
    // The type is in the second part, behind an option for the destination.
    let mut hidden = lie.clone();
    hidden[20] = 60;
    hidden[18..20].copy_from_slice(&40_u16.to_be_bytes());
    hidden.splice(54..54, [58, 0, 1, 4, 0, 0, 0, 0]);
    for part in in_parts(&hidden, 8, 3) {
        from.send(&part);
    }
    assert!(!to.comes(&option), "behind a header");
    from.send(&hidden);
    assert!(!to.comes(&option), "behind a header, in one part");
}
