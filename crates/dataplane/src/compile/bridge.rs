//! What pods of one bridge may send: frames of their own, to who they are for.
//!
//! A bridge carries whatever it is given, and learns who is where from what it carries. Of all
//! that, the first table sees untagged IP packets, all from the same interface. So the second
//! one looks at every frame:
//! - as it arrives at a port: it carries IP, from the hardware address and an address of the pod
//!   behind that port, or ARP and neighbour discovery about these;
//! - before it goes out by a port: IP is for the hardware address and an address of the pod
//!   behind that one. What goes to many, or to nobody in particular, would be carried to all of
//!   them, whatever their policies say.
//!
//! What goes on is judged by policies in the first table. Rules here ask nothing of
//! connections: who asks for one in a `bridge` table has the kernel track them there as well.
//! Nor do they ask for the bridge, which not every kernel can tell (`nft_meta_bridge`): ports are
//! known by their names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ringfence_model::address::IpFamily;

use super::chains::{LOGGED_PORTS, told_alone};
use super::neighbours::own_discovery;
use super::node::{HardwareAddress, Node, Port, Settings};
use super::{base, named};
use crate::ruleset::{
    Chain, Field, Hook, Key, KeyType, Layer, Lookup, Name, Operand, Rule, Ruleset, Set, Statement,
    Target, Value, ValueType, key,
};

/// Where IPv4, ARP and IPv6 begin (IEEE 802 numbers, `linux/if_ether.h`).
const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;

/// How an ARP packet begins that is about Ethernet and IPv4 (RFC 826).
const ETHERNET_AND_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// The hardware addresses of those who are many: groups of IPv4 (RFC 1112, section 6.4) and
/// IPv6 (RFC 2464, section 7), and everybody.
const MANY: [(HardwareAddress, HardwareAddress); 3] = [
    ([1, 0, 0x5e, 0, 0, 0], [1, 0, 0x5e, 0x7f, 0xff, 0xff]),
    (
        [0x33, 0x33, 0, 0, 0, 0],
        [0x33, 0x33, 0xff, 0xff, 0xff, 0xff],
    ),
    ([0xff; 6], [0xff; 6]),
];

/// The chain that denies frames and tells them.
const DENIED: &str = "denied_frame";
/// The chain that tells a frame that goes on to the node, and to nobody else.
const TO_MANY: &str = "told_frame";

/// The ports with pods behind them.
pub(super) const PORTS: &str = "bridge_ports";
/// By port: the hardware address and an address that are behind it.
pub(super) const BEHIND: &str = "behind";
/// The addresses that are behind ports.
pub(super) const TAKEN: &str = "taken";
/// The hardware addresses of the bridges themselves.
const BRIDGES: &str = "bridges";

/// Adds the sets of a node with bridges; what follows from its pods is not in them yet.
pub(super) fn sets(node: &Node, ruleset: &mut Ruleset) {
    let mut add = |name: Name, key: &[KeyType], lookup, keys: Vec<Key>| {
        let keys = keys.into_iter().map(|key| (key, Value::None));
        let set = Set {
            layer: Layer::Link,
            key: key.to_vec(),
            value: ValueType::None,
            lookup,
            elements: keys.collect(),
        };
        ruleset.sets.insert(name, set);
    };
    let bridges = node.bridges.iter().copied().map(key::hardware).collect();
    add(
        Name::from(BRIDGES),
        &[KeyType::Hardware],
        Lookup::Exact,
        bridges,
    );
    add(
        Name::from(PORTS),
        &[KeyType::Interface],
        Lookup::Exact,
        Vec::new(),
    );
    for family in IpFamily::ALL {
        let address = KeyType::Address(family);
        let behind = [KeyType::Interface, KeyType::Hardware, address];
        add(named(BEHIND, family), &behind, Lookup::Exact, Vec::new());
        add(named(TAKEN, family), &[address], Lookup::Exact, Vec::new());
    }
    let (name, logged) = (Name::from(LOGGED_PORTS), base::LOGGED);
    add(name, &[KeyType::Interface], logged, Vec::new());
}

/// Adds the chains of a node with bridges.
pub(super) fn chains(settings: &Settings, ruleset: &mut Ruleset) {
    let mut add = |name: Name, hook, rules| {
        let layer = Layer::Link;
        ruleset.chains.insert(name, Chain { layer, hook, rules });
    };
    add(Name::from("frame"), Some(Hook::Frame), frame());
    add(Name::from("carried"), Some(Hook::Carried), carried());
    add(Name::from("unknown_port"), None, unknown_port());
    add(Name::from("arp"), None, arp());
    let discovery = own_discovery(&named(BEHIND, IpFamily::V6), DENIED);
    add(Name::from("discovery"), None, discovery);
    for family in IpFamily::ALL {
        add(named("packet", family), None, packet(family));
    }
    for (name, then) in [(DENIED, Target::Drop), (TO_MANY, Target::Return)] {
        let told = told_alone(&Name::from(LOGGED_PORTS), "deny frame", &then, settings);
        add(Name::from(name), None, told);
    }
}

/// Every frame that arrives at the port of a bridge. One with a tag is of the type of its tag.
fn frame() -> Vec<Rule> {
    let mut rules = vec![
        Rule::new([
            Statement::NotIn(vec![Operand::Field(Field::Interface)], Name::from(PORTS)),
            Statement::goto("unknown_port"),
        ]),
        Rule::new([is_type(ARP), Statement::goto("arp")]),
    ];
    for family in IpFamily::ALL {
        rules.push(Rule::new([
            is_ip(family),
            is_behind(
                Field::Interface,
                Field::HardwareSource,
                Field::PacketSource(family),
                family,
            ),
            Statement::goto(named("packet", family)),
        ]));
    }
    rules.push(Rule::new([Statement::goto(DENIED)]));
    rules
}

/// Of a port of which nothing is known: it may be that of a bridge that is none of ours, or a
/// pod is behind it that is about to be known. Nothing is sent by it in the name of those who
/// are known, nor to the node by way of our bridges.
fn unknown_port() -> Vec<Rule> {
    let to_bridge = vec![Operand::Field(Field::HardwareDestination)];
    let mut rules = vec![Rule::new([
        Statement::In(to_bridge, Name::from(BRIDGES)),
        Statement::goto(DENIED),
    ])];
    for (which, field, family) in [
        (is_type(ARP), Field::ArpSender, IpFamily::V4),
        (
            is_type(IPV4),
            Field::PacketSource(IpFamily::V4),
            IpFamily::V4,
        ),
        (
            is_type(IPV6),
            Field::PacketSource(IpFamily::V6),
            IpFamily::V6,
        ),
        (is_type(IPV6), Field::NeighbourTarget, IpFamily::V6),
    ] {
        let is_taken = Statement::In(vec![Operand::Field(field)], named(TAKEN, family));
        rules.push(Rule::new([which, is_taken, Statement::goto(DENIED)]));
    }
    rules
}

/// Whoever asks or answers tells who it is itself.
fn arp() -> Vec<Rule> {
    let is_own = |hardware| is_behind(Field::Interface, hardware, Field::ArpSender, IpFamily::V4);
    vec![
        Rule::new([
            Statement::Is(Field::ArpKind, key::bytes(&ETHERNET_AND_IPV4)),
            is_own(Field::HardwareSource),
            is_own(Field::ArpSenderHardware),
            Statement::accept(),
        ]),
        Rule::new([Statement::goto(DENIED)]),
    ]
}

/// A packet of the pod behind the port that it came by.
fn packet(family: IpFamily) -> Vec<Rule> {
    let mut rules = Vec::new();
    if family == IpFamily::V6 {
        rules.push(Rule::new([Statement::jump("discovery")]));
    }
    // The node gets it, and no pod.
    for (first, last) in MANY {
        let (first, last) = (key::hardware(first), key::hardware(last));
        rules.push(Rule::new([
            Statement::InRange(Field::HardwareDestination, first, last),
            Statement::jump(TO_MANY),
        ]));
    }
    rules
}

/// What is carried from one port to another. A frame that the bridge does not know where to
/// send it goes out by all of them, and gets to the one that it is for.
fn carried() -> Vec<Rule> {
    let is_unknown = |port| Statement::NotIn(vec![Operand::Field(port)], Name::from(PORTS));
    let drop = || [Statement::Count, Statement::Go(Target::Drop)];
    let mut rules = vec![
        Rule::new([
            is_unknown(Field::Interface),
            is_unknown(Field::OutInterface),
            Statement::accept(),
        ]),
        Rule::new(std::iter::once(is_unknown(Field::Interface)).chain(drop())),
        Rule::new([is_type(ARP), Statement::accept()]),
        // What came in parts is whole by now.
        Rule::new([is_type(IPV6), Statement::jump("discovery")]),
    ];
    for family in IpFamily::ALL {
        let (hardware, to) = (Field::HardwareDestination, Field::PacketDestination(family));
        rules.push(Rule::new([
            is_ip(family),
            is_behind(Field::OutInterface, hardware, to, family),
            Statement::accept(),
        ]));
    }
    rules.push(Rule::new(drop()));
    rules
}

fn is_type(kind: u16) -> Statement {
    Statement::Is(Field::EtherType, key::bytes(&kind.to_be_bytes()))
}

fn is_ip(family: IpFamily) -> Statement {
    is_type(match family {
        IpFamily::V4 => IPV4,
        IpFamily::V6 => IPV6,
    })
}

fn is_behind(port: Field, hardware: Field, address: Field, family: IpFamily) -> Statement {
    let pod = [port, hardware, address].map(Operand::Field);
    Statement::In(pod.to_vec(), named(BEHIND, family))
}

/// What is behind a port whose pod has this address: the address itself, that of its link, and
/// none, with which hosts ask whether somebody has theirs. The first table lets nothing else
/// come from those.
pub(super) fn behind(port: &Port, address: IpAddr) -> Vec<Key> {
    let none = match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let of_port = key::interface(&port.name).then(&key::hardware(port.hardware));
    let all = addresses(port.hardware, address).into_iter().chain([none]);
    all.map(|it| of_port.clone().then(&key::address(it)))
        .collect()
}

/// The addresses that nobody else has where a pod has this one.
pub(super) fn addresses(hardware: HardwareAddress, address: IpAddr) -> Vec<IpAddr> {
    match address {
        IpAddr::V4(_) => vec![address],
        IpAddr::V6(_) => vec![address, link_local(hardware)],
    }
}

/// The address that a host has on its link by its hardware address (RFC 4291, appendix A).
fn link_local([a, b, c, d, e, f]: HardwareAddress) -> IpAddr {
    let address = [
        0xfe,
        0x80,
        0,
        0,
        0,
        0,
        0,
        0,
        a ^ 2,
        b,
        c,
        0xff,
        0xfe,
        d,
        e,
        f,
    ];
    IpAddr::from(address)
}
