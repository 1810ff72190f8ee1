//! Addresses and blocks that meet each other at their edges.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Dice;

/// Blocks that policies may name; pods live in 10.0.0.0/28 and fd00::/124, nodes in
/// 192.168.0.0/30 and fd01::/126.
const BLOCKS: [&str; 24] = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.0.0.0/24",
    "10.0.0.0/28",
    "10.0.0.0/29",
    "10.0.0.4/30",
    "10.0.0.5/32",
    "10.0.0.8/32",
    "10.0.1.0/24",
    "192.168.0.0/16",
    "192.168.0.1/32",
    "169.254.169.254/32",
    "203.0.113.0/24",
    "203.0.113.128/25",
    "128.0.0.0/1",
    "0.0.0.0/1",
    "::/0",
    "fd00::/8",
    "fd00::/64",
    "fd00::/125",
    "fd00::5/128",
    "fd01::1/128",
    "fd00:ec2::254/128",
    "2001:db8::/32",
];

pub(super) fn block(dice: &mut Dice) -> IpNet {
    loop {
        // Every text of the list is a block; the loop is for the type.
        if let Ok(net) = dice.pick(&BLOCKS).parse() {
            return net;
        }
    }
}

/// Blocks strictly inside `outer`.
pub(super) fn exceptions(dice: &mut Dice, outer: &IpNet) -> Vec<IpNet> {
    let inside: Vec<IpNet> = BLOCKS
        .iter()
        .filter_map(|text| text.parse().ok())
        .filter(|net| outer.contains(net) && net != outer)
        .collect();
    if inside.is_empty() {
        return Vec::new();
    }
    dice.several(1, 2, |dice| dice.pick(&inside))
}

pub(super) fn pod_cidrs(dice: &mut Dice) -> Vec<IpNet> {
    let texts: &[&str] = match dice.below(10) {
        0..=3 => &[],
        4 => &["10.0.0.0/24"],
        5 => &["10.0.0.0/28"],
        6 => &["10.0.0.0/28", "fd00::/124"],
        7 => &["fd00::/64"],
        8 => &["10.0.0.0/29", "10.0.1.0/24"],
        _ => &["10.0.0.0/24", "fd00::/64"],
    };
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

/// The address of the pod with this number.
pub(super) fn of_pod(number: u16) -> [IpAddr; 2] {
    let low = u8::try_from(number % 256).unwrap_or_default();
    [
        IpAddr::from([10, 0, 0, low]),
        IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, number]),
    ]
}

/// The address of the node with this number.
pub(super) fn of_node(number: u16) -> [IpAddr; 2] {
    let low = u8::try_from(number % 256).unwrap_or_default();
    [
        IpAddr::from([192, 168, 0, low]),
        IpAddr::from([0xfd01, 0, 0, 0, 0, 0, 0, number]),
    ]
}

/// The first and last address of every block and their neighbours outside it, one
/// address inside, and some that no block names.
pub(super) fn edges(blocks: impl IntoIterator<Item = IpNet>) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = [
        "8.8.8.8",
        "169.254.169.254",
        "192.168.0.1",
        "192.168.0.2",
        "192.168.0.9",
        "10.0.0.200",
        "2001:4860:4860::8888",
        "fd01::1",
        "fd00::200",
    ]
    .iter()
    .filter_map(|text| text.parse().ok())
    .collect();
    for block in blocks {
        let (first, last) = (block.network(), block.broadcast());
        addresses.extend([first, last]);
        addresses.extend(neighbour(first, false));
        addresses.extend(neighbour(last, true));
        addresses.extend(neighbour(first, true));
    }
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

fn neighbour(address: IpAddr, up: bool) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => {
            let number = u32::from(v4);
            let next = if up {
                number.checked_add(1)
            } else {
                number.checked_sub(1)
            };
            next.map(|number| IpAddr::V4(number.into()))
        }
        IpAddr::V6(v6) => {
            let number = u128::from(v6);
            let next = if up {
                number.checked_add(1)
            } else {
                number.checked_sub(1)
            };
            next.map(|number| IpAddr::V6(number.into()))
        }
    }
}
