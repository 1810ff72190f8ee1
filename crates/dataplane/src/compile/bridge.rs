//! What pods of one bridge may send: frames of their own, to who they are for.
//!
//! A bridge carries whatever it is given, and learns who is where from what it carries. Of all
//! that, the first table sees untagged IP packets, all from the same interface. So the second
//! one looks at every frame:
//! - as it arrives at a port: it carries IP, from the hardware address and an address of the pod
//!   behind that port, or ARP and neighbour discovery about these;
//! - before it goes out by a port, whether it came in by another or the node sends it: IP is for
//!   the hardware address and an address of the pod behind that port. What pods send to many, or
//!   to nobody in particular, would be carried to all, whatever their policies say.
//!
//! What goes on is judged by policies in the first table. Rules here ask nothing of
//! connections: who asks for one in a `bridge` table has the kernel track them there as well.
//! Nor do they ask for the bridge, which not every kernel can tell (`nft_meta_bridge`): ports are
//! known by their names.

use std::net::{IpAddr, Ipv4Addr};

use ringfence_model::address::IpFamily;
use ringfence_model::protocol::Protocol;

use super::chains::{LOGGED_PORTS, told_alone};
use super::node::Settings;
use super::{base, bridge_ports, named, neighbours};
use crate::ruleset::{
    Chain, Field, Hook, Layer, Name, Operand, Rule, Ruleset, Statement, Target, key,
};
use bridge_ports::{BEHIND, BRIDGES, HARDWARE, HARDWARE_BEHIND, PORTS, TAKEN};

/// Where IPv4, ARP and IPv6 begin, and tags (IEEE 802 numbers, `linux/if_ether.h`).
const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
const TAGS: [u16; 2] = [0x8100, 0x88a8];

/// The bits of a frame's tag that say in which network it is; without any it is in none, and who
/// gets it takes the tag for a priority and nothing else.
const NETWORK_OF_TAG: u32 = u32::from_ne_bytes([0, 0, 0x0f, 0xff]);

/// The bit of a hardware address that says that it is that of a group.
const GROUP: u32 = u32::from_ne_bytes([1, 0, 0, 0]);

/// How an ARP packet begins that is about Ethernet and IPv4 (RFC 826).
const ETHERNET_AND_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// How long such a packet is: as it is, and filled up to the least that Ethernet carries.
const ARP_LENGTHS: [u32; 2] = [28, 46];

/// Protocols by their IANA numbers.
const IGMP: u8 = 2;
const PIM: u8 = 103;

/// What members of groups send: reports of the three versions of IGMP, and that they leave (RFC
/// 9776, section 4). Its type is where that of an ICMP message is.
const OF_MEMBERS: [u8; 4] = [0x12, 0x16, 0x17, 0x22];

/// What routers of groups send over IPv6: queries (RFC 3810, section 5.1), and that they are
/// there and that they go (RFC 4286, section 3).
const OF_ROUTERS: [u8; 3] = [130, 151, 153];

/// The chain that denies frames and tells them.
const DENIED: &str = "denied_frame";
/// The chain that tells a frame that the node gets, and no pod.
const TOLD: &str = "told_frame";
/// The chain that denies what is not for who is behind a port.
const ASTRAY: &str = "astray_frame";
/// What members of groups tell.
const GROUP_MEMBER: &str = "group_member";
/// What pods tell each other as neighbours.
const DISCOVERY: &str = "discovery";

/// Adds the chains of a node with bridges.
pub(super) fn chains(settings: &Settings, ruleset: &mut Ruleset) {
    let mut add = |chain: Name, hook, rules| {
        let layer = Layer::Link;
        ruleset.chains.insert(chain, Chain { layer, hook, rules });
    };
    let name = |text: &str| Name::from(text);
    add(
        name("arriving_frame"),
        Some(Hook::FrameArriving),
        arriving(),
    );
    add(name("forward_frame"), Some(Hook::FrameForward), forward());
    add(name("output_frame"), Some(Hook::FrameOutput), output());
    add(name("unknown_port"), None, unknown_port());
    add(name("arp"), None, arp());
    add(name(GROUP_MEMBER), None, group_member());
    let discovery = neighbours::of_itself(&named(BEHIND, IpFamily::V6), DENIED);
    add(name(DISCOVERY), None, discovery);
    for family in IpFamily::ALL {
        add(named("packet", family), None, packet(family));
        add(named("group", family), None, group(family));
    }
    add(name(ASTRAY), None, astray());
    for (chain, then) in [(DENIED, Target::Drop), (TOLD, Target::Return)] {
        let told = told_alone(&name(LOGGED_PORTS), "deny frame", &then, settings);
        add(name(chain), None, told);
    }
}

/// Every frame that arrives at the port of a bridge. One with a tag is of the type of its tag.
/// What most frames are comes first: somebody who is behind a port is known.
fn arriving() -> Vec<Rule> {
    let mut rules = Vec::new();
    for family in IpFamily::ALL {
        let from = Field::PacketSource(family);
        rules.push(Rule::new([
            is_ip(family),
            is_behind(Field::Interface, Field::HardwareSource, from, family),
            Statement::goto(named("packet", family)),
        ]));
    }
    rules.extend([
        Rule::new([
            is_unknown(Field::Interface),
            Statement::goto("unknown_port"),
        ]),
        Rule::new([is_type(ARP), Statement::goto("arp")]),
        Rule::new([Statement::goto(DENIED)]),
    ]);
    rules
}

/// Of a port of which nothing is known: it may be that of a bridge that is none of ours, or a
/// pod is behind it that is about to be known. Nothing is sent by it in the name of those who
/// are known, nor to the node by way of our bridges; also not with a tag that means nothing.
fn unknown_port() -> Vec<Rule> {
    let denied = |statements: Vec<Statement>| {
        Rule::new(statements.into_iter().chain([Statement::goto(DENIED)]))
    };
    let is_in = |field, set: &str| Statement::In(vec![Operand::Field(field)], Name::from(set));
    let is_taken = |field, family| is_in(field, &named(TAKEN, family));
    let (v4, v6) = (IpFamily::V4, IpFamily::V6);
    let mut rules = vec![
        denied(vec![is_in(Field::HardwareSource, HARDWARE)]),
        denied(vec![is_in(Field::HardwareDestination, BRIDGES)]),
        denied(vec![is_type(ARP), is_taken(Field::ArpSender, v4)]),
        denied(vec![is_type(IPV4), is_taken(Field::PacketSource(v4), v4)]),
        denied(vec![is_type(IPV6), is_taken(Field::PacketSource(v6), v6)]),
    ];
    for claim in neighbours::claims() {
        let claim = [is_type(IPV6)].into_iter().chain(claim);
        let of = [is_taken(Field::NeighbourTarget, v6)];
        rules.push(denied(claim.chain(of).collect()));
    }
    for tag in TAGS {
        let is_of_network = Statement::AnyBit {
            field: Field::Tag,
            mask: NETWORK_OF_TAG,
        };
        let of_network = [is_type(tag), is_of_network, Statement::accept()];
        rules.extend([Rule::new(of_network), denied(vec![is_type(tag)])]);
    }
    rules
}

/// Whoever asks or answers tells who it is itself; or, from no address, asks for its own.
fn arp() -> Vec<Rule> {
    let is_own = |hardware, address| is_behind(Field::Interface, hardware, address, IpFamily::V4);
    let nobody = key::address(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let mut rules = Vec::new();
    for length in ARP_LENGTHS {
        let is_arp = || {
            [
                Statement::Is(Field::Length, key::bytes(&length.to_ne_bytes())),
                Statement::Is(Field::ArpKind, key::bytes(&ETHERNET_AND_IPV4)),
            ]
        };
        let is_of = |address| {
            [
                is_own(Field::HardwareSource, address),
                is_own(Field::ArpSenderHardware, address),
                Statement::accept(),
            ]
        };
        let from_nobody = Statement::Is(Field::ArpSender, nobody.clone());
        let probe = is_arp().into_iter().chain([from_nobody]);
        rules.extend([
            Rule::new(is_arp().into_iter().chain(is_of(Field::ArpSender))),
            Rule::new(probe.chain(is_of(Field::ArpTarget))),
        ]);
    }
    rules.push(Rule::new([Statement::goto(DENIED)]));
    rules
}

/// A packet of the pod behind the port that it came by.
fn packet(family: IpFamily) -> Vec<Rule> {
    let mut rules = Vec::new();
    if family == IpFamily::V6 {
        rules.push(Rule::new([is_icmpv6(), Statement::jump(DISCOVERY)]));
    }
    let to_group = Statement::goto(named("group", family));
    rules.push(Rule::new([is_for_group(), to_group]));
    rules
}

/// What a pod sends to many: the node gets it, and no pod. A bridge reads what is about groups
/// where it is for one.
fn group(family: IpFamily) -> Vec<Rule> {
    let mut rules = Vec::new();
    match family {
        IpFamily::V4 => {
            let is_igmp = base::is_protocol(IGMP);
            rules.push(Rule::new([is_igmp, Statement::jump(GROUP_MEMBER)]));
        }
        // For routers, which the node is and no pod.
        IpFamily::V6 => rules.extend(neighbours::for_routers()),
    }
    rules.extend(routers_of_groups(family));
    rules.push(Rule::new([Statement::jump(TOLD)]));
    rules
}

/// What members of groups tell of themselves, and nothing else of IGMP.
fn group_member() -> Vec<Rule> {
    let back = || Statement::Go(Target::Return);
    let reports = OF_MEMBERS.map(|kind| Rule::new([is_message(kind), back()]));
    let denied = Rule::new([Statement::goto(DENIED)]);
    reports.into_iter().chain([denied]).collect()
}

/// What routers of groups tell. A bridge believes it: it sends what is for groups to the port of
/// a router, and once there is one that asks who is in them, to nobody else who has not answered.
fn routers_of_groups(family: IpFamily) -> Vec<Rule> {
    let mut rules = vec![Rule::new([base::is_protocol(PIM), Statement::goto(DENIED)])];
    if family == IpFamily::V6 {
        let is_icmp = base::is_packet_protocol(Protocol::Icmp, family);
        let of_routers = OF_ROUTERS
            .map(|kind| Rule::new([is_icmp.clone(), is_message(kind), Statement::goto(DENIED)]));
        rules.extend(of_routers);
    }
    rules
}

/// What is carried from one port to another. A frame that the bridge does not know where to
/// send it goes out by all of them, and gets to the one that it is for.
fn forward() -> Vec<Rule> {
    let is_known = || Statement::In(vec![Operand::Field(Field::Interface)], Name::from(PORTS));
    let [v4, v6] = for_who_is_behind().map(|is_for| {
        let accept = [is_known(), Statement::accept()];
        Rule::new(is_for.into_iter().chain(accept))
    });
    // What came in parts is whole by now.
    let tells = [is_type(IPV6), is_icmpv6(), is_known()];
    let discovery = Rule::new(tells.into_iter().chain([Statement::jump(DISCOVERY)]));
    let mut rules = vec![v4, discovery, v6];
    rules.extend([
        elsewhere(),
        Rule::new([
            is_unknown(Field::Interface),
            is_unknown(Field::OutInterface),
            Statement::accept(),
        ]),
        Rule::new([is_unknown(Field::Interface), Statement::goto(ASTRAY)]),
        Rule::new([is_type(ARP), Statement::accept()]),
        Rule::new([Statement::goto(ASTRAY)]),
    ]);
    rules
}

/// What the node sends by its bridge: it may ask all, and what is for one is for that one, even
/// if the bridge or the node was told that it is somewhere else.
fn output() -> Vec<Rule> {
    let mut rules: Vec<Rule> = for_who_is_behind()
        .into_iter()
        .map(|is_for| Rule::new(is_for.into_iter().chain([Statement::accept()])))
        .collect();
    rules.extend([
        elsewhere(),
        Rule::new([is_unknown(Field::OutInterface), Statement::accept()]),
        Rule::new([is_type(ARP), Statement::accept()]),
    ]);
    // Also not where the node was told that one has the hardware address of all.
    for family in IpFamily::ALL {
        let to = vec![Operand::Field(Field::PacketDestination(family))];
        let is_taken = Statement::In(to, named(TAKEN, family));
        rules.push(Rule::new([
            is_ip(family),
            is_taken,
            Statement::goto(ASTRAY),
        ]));
    }
    rules.push(Rule::new([is_for_group(), Statement::accept()]));
    rules.push(Rule::new([Statement::goto(ASTRAY)]));
    rules
}

fn for_who_is_behind() -> [[Statement; 2]; 2] {
    let hardware = Field::HardwareDestination;
    IpFamily::ALL.map(|family| {
        let to = Field::PacketDestination(family);
        [
            is_ip(family),
            is_behind(Field::OutInterface, hardware, to, family),
        ]
    })
}

/// What is for somebody who is known goes out by no other port, not even by one of which nothing
/// is known.
fn elsewhere() -> Rule {
    let hardware = Operand::Field(Field::HardwareDestination);
    let there = vec![hardware.clone(), Operand::Field(Field::OutInterface)];
    Rule::new([
        Statement::In(vec![hardware], Name::from(HARDWARE)),
        Statement::NotIn(there, Name::from(HARDWARE_BEHIND)),
        Statement::Count,
        Statement::Go(Target::Drop),
    ])
}

/// One of many copies of a frame is dropped silently; one for the hardware address that is there
/// is not what anybody sends by mistake.
fn astray() -> Vec<Rule> {
    let there = [Field::HardwareDestination, Field::OutInterface].map(Operand::Field);
    vec![
        Rule::new([
            Statement::In(there.to_vec(), Name::from(HARDWARE_BEHIND)),
            Statement::goto(DENIED),
        ]),
        Rule::new([Statement::Count, Statement::Go(Target::Drop)]),
    ]
}

fn is_unknown(port: Field) -> Statement {
    Statement::NotIn(vec![Operand::Field(port)], Name::from(PORTS))
}

fn is_for_group() -> Statement {
    Statement::AnyBit {
        field: Field::HardwareHead,
        mask: GROUP,
    }
}

fn is_type(kind: u16) -> Statement {
    Statement::Is(Field::EtherType, key::bytes(&kind.to_be_bytes()))
}

fn is_icmpv6() -> Statement {
    base::is_packet_protocol(Protocol::Icmp, IpFamily::V6)
}

fn is_message(kind: u8) -> Statement {
    Statement::Is(Field::IcmpType, key::bytes(&[kind]))
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
