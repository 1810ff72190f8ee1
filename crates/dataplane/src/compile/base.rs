//! What every packet meets: the base chains, and the sets that they ask.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use ringfence_engine::Engine;
use ringfence_model::address::{IpFamily, IpRangeSet, from_number};
use ringfence_model::metadata;
use ringfence_model::policy::Direction;
use ringfence_model::protocol::Protocol;

use super::chains::{Flow, LOGGED_INTERFACES, denial, logged, told};
use super::node::{Node, Settings};
use super::{bridge, bridge_ports, named, neighbours, ports::protocol_number};
use crate::ruleset::{
    Chain, ConnectionState, DESTINATION_TRANSLATED, EPOCH, Edit, Field, Hook, Key, KeyType, Layer,
    Lookup, Name, Operand, Rule, Ruleset, Set, Statement, Target, Value, ValueType, key,
};

/// How many pods' denials are remembered for their rate, and for how long. A node has far
/// fewer pods: who is in no set because it is full would be told of without a limit.
pub(super) const LOGGED: Lookup = Lookup::Rate {
    size: 65_536,
    timeout: 60,
};

/// Protocols that are packets in packets, by their IANA numbers: IPv4, IPv6, GRE.
const TUNNELS: [u8; 3] = [4, 41, 47];

/// Adds the sets that base chains ask, and those that lead to other chains. What follows
/// from the pods is not in them yet.
pub(super) fn sets(node: &Node, ruleset: &mut Ruleset) {
    if !node.bridges.is_empty() {
        bridge_ports::sets(node, ruleset);
    }
    let mut add = |name: Name, key: Vec<KeyType>, value, lookup, keys: Vec<Key>| {
        let keys = keys.into_iter().map(|key| (key, Value::None));
        let set = Set {
            layer: Layer::Network,
            key,
            value,
            lookup,
            elements: keys.collect(),
        };
        ruleset.sets.insert(name, set);
    };
    for family in IpFamily::ALL {
        let address = KeyType::Address(family);
        let mut exact = |name: &str, key: &[KeyType], value, keys| {
            let key = key.to_vec();
            add(named(name, family), key, value, Lookup::Exact, keys);
        };
        exact("ends", &[address; 2], ValueType::None, Vec::new());
        for name in ["endpoints", "audited", "bound", "pods"] {
            exact(name, &[address], ValueType::None, Vec::new());
        }
        let of_family = |address: &IpAddr| IpFamily::of(*address) == family;
        let secret = metadata::secret_addresses().into_iter().filter(of_family);
        let secret = secret.map(key::address).collect();
        exact("metadata", &[address], ValueType::None, secret);
        // What is let through to the node is not to let a metadata service through that
        // answers there.
        let nodes = node.addresses.iter().copied().filter(of_family);
        let nodes = nodes.filter(|address| !metadata::gives_secrets(*address));
        let nodes = nodes.map(key::address).collect();
        exact("node_addresses", &[address], ValueType::None, nodes);
        let sources = [KeyType::Interface, address];
        exact("sources", &sources, ValueType::None, Vec::new());
        for name in ["peers", "blocks"] {
            let member = [KeyType::PeerSet, address];
            exact(name, &member, ValueType::None, Vec::new());
        }
        for map in ["egress", "first", "node", "ingress"] {
            let number = ValueType::Bytes(KeyType::PeerSet);
            exact(map, &[address], number, Vec::new());
            let chains = format!("{map}_chains");
            let number = [KeyType::PeerSet];
            exact(&chains, &number, ValueType::Verdict, Vec::new());
        }
        exact("itself", &[address; 2], ValueType::Verdict, Vec::new());
        let pieces = named("pieces", family);
        let piece = ValueType::Bytes(address);
        add(pieces, vec![address], piece, Lookup::Interval, Vec::new());
        for direction in [Direction::Egress, Direction::Ingress] {
            let name = logged(direction, family);
            add(name, vec![address], ValueType::None, LOGGED, Vec::new());
        }
    }
    let (name, key) = (Name::from(LOGGED_INTERFACES), vec![KeyType::Interface]);
    add(name, key, ValueType::None, LOGGED, Vec::new());
    for (name, key) in [
        ("interfaces", KeyType::Interface),
        ("underneath", KeyType::Interface),
        (EPOCH, KeyType::PeerSet),
    ] {
        let name = Name::from(name);
        add(name, vec![key], ValueType::None, Lookup::Exact, Vec::new());
    }
}

/// Adds the base chains, and those that packets of all pods meet.
pub(super) fn chains(engine: &Engine, node: &Node, ruleset: &mut Ruleset) {
    let settings = &node.settings;
    if !node.bridges.is_empty() {
        bridge::chains(settings, ruleset);
    }
    let mut add = |name: Name, hook, rules| {
        let layer = Layer::Network;
        ruleset.chains.insert(name, Chain { layer, hook, rules });
    };
    let base = |name: &str| Name::from(name);
    add(base("arriving"), Some(Hook::Arriving), arriving(node));
    add(base("forward"), Some(Hook::Forward), forward(settings));
    add(base("input"), Some(Hook::Input), input(settings));
    for family in IpFamily::ALL {
        let to_own_node = engine.profile().pod_reaches_own_node;
        add(named("judge", family), None, judge(family, node));
        add(
            named("to_node", family),
            None,
            to_node(family, node, to_own_node),
        );
        for (flow, direction) in [
            (Flow::Connection, Direction::Egress),
            (Flow::Connection, Direction::Ingress),
            (Flow::Packet, Direction::Egress),
        ] {
            for (name, rules) in denial(flow, direction, family, settings) {
                add(name, None, rules);
            }
        }
    }
    add(base("admit"), None, admit());
    add(base("closed"), None, closed(settings, "deny closed"));
    add(
        base("unknown"),
        None,
        closed(settings, "deny unknown address"),
    );
    add(base("of_pods"), None, of_pods(settings));
    add(base("tunnel"), None, closed(settings, "deny tunnel"));
    add(base("not_its_own"), None, neighbours::not_its_own());
    add(base("forged"), None, closed(settings, "deny forged source"));
    add(base("untracked"), None, untracked());
}

/// Before anything is known of its connection: a pod may send from its own addresses, and
/// nobody else may.
fn arriving(node: &Node) -> Vec<Rule> {
    let interface = Operand::Field(Field::Interface);
    let from = |family| Operand::Field(Field::PacketSource(family));
    let mut rules = Vec::new();
    for family in IpFamily::ALL {
        rules.push(Rule::new([
            is_family(family),
            Statement::In(
                vec![interface.clone(), from(family)],
                named("sources", family),
            ),
            Statement::accept(),
        ]));
    }
    // What was for bridges alone comes from the port, and not from the bridge. No pod has anything
    // to tell there.
    if !node.bridges.is_empty() {
        rules.push(Rule::new([
            Statement::In(vec![interface.clone()], Name::from("underneath")),
            Statement::goto("forged"),
        ]));
    }
    rules.push(Rule::new([
        Statement::In(vec![interface], Name::from("interfaces")),
        Statement::goto("not_its_own"),
    ]));
    // It may be the interface of a pod that is not known yet.
    for family in IpFamily::ALL {
        rules.push(Rule::new([
            is_family(family),
            Statement::In(vec![from(family)], named("bound", family)),
            Statement::goto("forged"),
        ]));
    }
    rules
}

fn forward(settings: &Settings) -> Vec<Rule> {
    let mut rules = judged_before(settings);
    // Across a bridge, neighbours are discovered through this hook, without a connection.
    rules.push(neighbours::between_pods());
    rules.push(Rule::new([
        has_no_connection(),
        Statement::jump("untracked"),
    ]));
    for family in IpFamily::ALL {
        rules.push(Rule::new([
            is_family(family),
            Statement::goto(named("judge", family)),
        ]));
    }
    rules
}

fn input(settings: &Settings) -> Vec<Rule> {
    let mut rules = vec![Rule::new([
        Statement::Is(Field::Interface, key::interface("lo")),
        Statement::accept(),
    ])];
    rules.extend(judged_before(settings));
    rules.extend(neighbours::to_node());
    rules.extend(errors_of_pods_about_nothing());
    for family in IpFamily::ALL {
        let sender = vec![Operand::Field(Field::PacketSource(family))];
        rules.push(Rule::new([
            is_family(family),
            Statement::In(sender, named("pods", family)),
            Statement::jump("of_pods"),
        ]));
    }
    // Replies to what this node itself opened.
    rules.push(Rule::new([
        Statement::Is(Field::Direction, key::bytes(&[1])),
        Statement::accept(),
    ]));
    for family in IpFamily::ALL {
        rules.push(Rule::new([
            is_family(family),
            Statement::goto(named("to_node", family)),
        ]));
    }
    rules
}

/// Packets of connections that were judged in this generation, and errors about them. What
/// opens a connection is told by its state, which costs less than to look its mark up.
fn judged_before(settings: &Settings) -> Vec<Rule> {
    let current = Statement::MaskedIn {
        field: Field::Mark,
        mask: settings.mark_mask,
        set: Name::from(EPOCH),
    };
    let mut rules = vec![Rule::new([
        has_state(&[ConnectionState::Established]),
        current.clone(),
        Statement::accept(),
    ])];
    // A connection that is expected by another has the mark of that one, and is judged
    // by itself all the same: of related packets only errors pass. Who quotes a packet can
    // make an error of any connection: a pod may tell of its own.
    for family in IpFamily::ALL {
        let sender = Operand::Field(Field::PacketSource(family));
        let is_no_end = |end| {
            Statement::NotIn(
                vec![sender.clone(), Operand::Field(end)],
                named("ends", family),
            )
        };
        rules.push(Rule::new([
            has_state(&[ConnectionState::Related]),
            is_family(family),
            is_packet_protocol(Protocol::Icmp, family),
            Statement::In(vec![sender.clone()], named("endpoints", family)),
            is_no_end(Field::Source(family)),
            is_no_end(Field::Destination(family)),
            Statement::goto("forged"),
        ]));
        rules.push(Rule::new([
            has_state(&[ConnectionState::Related]),
            current.clone(),
            is_packet_protocol(Protocol::Icmp, family),
            Statement::accept(),
        ]));
    }
    rules
}

/// An error of a pod about a packet of no known connection. The node believes errors about all
/// that its sockets might have sent, to whomever: one could tell it that little fits through on
/// the way to somebody else.
fn errors_of_pods_about_nothing() -> [Rule; 2] {
    IpFamily::ALL.map(|family| {
        let sender = Operand::Field(Field::PacketSource(family));
        Rule::new([
            has_state(&[ConnectionState::Invalid]),
            is_family(family),
            is_packet_protocol(Protocol::Icmp, family),
            Statement::In(vec![sender], named("endpoints", family)),
            Statement::goto("forged"),
        ])
    })
}

/// What a pod, of this node or another, sends to this node itself. Policies do not deny it the
/// node; but what the node takes out of a tunnel is another packet, from wherever its sender
/// says, and for whomever.
fn of_pods(settings: &Settings) -> Vec<Rule> {
    let closed = || Statement::goto("tunnel");
    let rules = TUNNELS.map(|tunnel| Rule::new([is_protocol(tunnel), closed()]));
    let ports = settings.tunnel_ports.iter().map(|port| {
        let is_udp = is_packet_protocol(Protocol::Udp, IpFamily::V4);
        let port = Statement::Is(Field::PacketPort, key::bytes(&port.to_be_bytes()));
        Rule::new([is_udp, port, closed()])
    });
    rules.into_iter().chain(ports).collect()
}

fn judge(family: IpFamily, node: &Node) -> Vec<Rule> {
    let source = Operand::Field(Field::Source(family));
    let destination = Operand::Field(Field::Destination(family));
    let mut rules = Vec::new();
    for end in [Field::Source(family), Field::Destination(family)] {
        rules.extend(unknown_addresses(end, family, node));
    }
    let itself = Statement::Dispatch(vec![source, destination], named("itself", family));
    rules.push(Rule::new([itself]));
    rules.push(first_destination(family));
    rules.push(to_chain(Field::Source(family), "egress", family));
    rules.push(to_chain(Field::Destination(family), "ingress", family));
    rules.push(Rule::new([Statement::goto("admit")]));
    rules
}

fn to_node(family: IpFamily, node: &Node, reaches_own_node: bool) -> Vec<Rule> {
    let source = Field::PacketSource(family);
    let mut rules = unknown_addresses(source, family, node);
    rules.push(first_destination(family));
    if reaches_own_node {
        let destination = vec![Operand::Field(Field::PacketDestination(family))];
        rules.push(Rule::new([
            Statement::In(destination, named("node_addresses", family)),
            Statement::goto("admit"),
        ]));
    }
    let untracked = match node.settings.judge_untracked {
        true => chain_of(source, "node", family),
        false => Statement::jump("untracked"),
    };
    rules.push(Rule::new([has_no_connection(), untracked]));
    rules.push(to_chain(Field::Source(family), "egress", family));
    rules.push(Rule::new([Statement::goto("admit")]));
    rules
}

/// A metadata service that is reached by translation is still the metadata service.
fn first_destination(family: IpFamily) -> Rule {
    Rule::new([
        Statement::AnyBit {
            field: Field::Status,
            mask: DESTINATION_TRANSLATED,
        },
        Statement::In(
            vec![Operand::Field(Field::FirstDestination(family))],
            named("metadata", family),
        ),
        chain_of(Field::Source(family), "first", family),
    ])
}

/// Addresses for this node's pods that no known pod has: the pod is about to come.
fn unknown_addresses(end: Field, family: IpFamily, node: &Node) -> Vec<Rule> {
    if !node.settings.close_unknown_addresses {
        return Vec::new();
    }
    let of_family = node
        .pod_ranges
        .iter()
        .filter(|net| IpFamily::of(net.addr()) == family);
    let nets: Vec<IpNet> = of_family.copied().collect();
    let set = IpRangeSet::from_nets(family, &nets);
    let ranges = set.ranges().iter().map(|(first, last)| {
        let (first, last) = (from_number(family, *first), from_number(family, *last));
        Rule::new([
            Statement::InRange(end, key::address(first), key::address(last)),
            Statement::NotIn(vec![Operand::Field(end)], named("endpoints", family)),
            Statement::goto("unknown"),
        ])
    });
    ranges.collect()
}

/// What is allowed passes, and so does the rest of its connection until something changes.
fn admit() -> Vec<Rule> {
    vec![
        Rule::new([Statement::jump("mark")]),
        Rule::new([Statement::accept()]),
    ]
}

/// Writes the generation of verdicts: into the set that says which mark is current, and
/// into the chain that marks.
///
/// Every change writes this. The kernel walks the whole table again after a change of a
/// rule that leads somewhere or asks a set, so here is none: an element, and a rule that
/// does nothing but mark.
pub(super) fn set_epoch(settings: &Settings, epoch: u32, edit: &mut Edit<'_>) {
    let mark = settings.mark(epoch);
    let current = BTreeMap::from([(key::peer_set(mark), Value::None)]);
    edit.set_elements(&Name::from(EPOCH), current);
    let rule = Rule::new([Statement::SetMark {
        mask: settings.mark_mask,
        value: mark,
    }]);
    edit.set_chain(&Name::from("mark"), Chain::inner(vec![rule]));
}

fn closed(settings: &Settings, prefix: &str) -> Vec<Rule> {
    let set = Name::from(LOGGED_INTERFACES);
    told(Field::Interface, &set, prefix, Target::Drop, settings)
}

/// Packets of no connection cannot be judged by one: not for pods.
fn untracked() -> Vec<Rule> {
    let mut rules = Vec::new();
    for family in IpFamily::ALL {
        for end in [
            Field::PacketSource(family),
            Field::PacketDestination(family),
        ] {
            rules.push(Rule::new([
                is_family(family),
                Statement::In(vec![Operand::Field(end)], named("endpoints", family)),
                Statement::Count,
                Statement::Go(Target::Drop),
            ]));
        }
    }
    rules.push(Rule::new([Statement::accept()]));
    rules
}

/// Goes to the chain of a pod: from its address to a number, and from that to the chain.
/// So a pod that changes is an element of a map of numbers, after which the kernel need
/// not walk through all chains.
fn to_chain(pod: Field, map: &str, family: IpFamily) -> Rule {
    Rule::new([chain_of(pod, map, family)])
}

fn chain_of(pod: Field, map: &str, family: IpFamily) -> Statement {
    let number = Operand::Numbered(pod, named(map, family));
    Statement::Dispatch(vec![number], named(&format!("{map}_chains"), family))
}

pub(super) fn is_family(family: IpFamily) -> Statement {
    let number = match family {
        IpFamily::V4 => 2,
        IpFamily::V6 => 10,
    };
    Statement::Is(Field::Family, key::bytes(&[number]))
}

pub(super) fn is_packet_protocol(protocol: Protocol, family: IpFamily) -> Statement {
    is_protocol(protocol_number(protocol, family))
}

/// A protocol by its IANA number.
pub(super) fn is_protocol(number: u8) -> Statement {
    Statement::Is(Field::PacketProtocol, key::bytes(&[number]))
}

fn has_state(states: &[ConnectionState]) -> Statement {
    let bits = states.iter().map(|state| *state as u32);
    Statement::AnyBit {
        field: Field::State,
        mask: bits.fold(0, |mask, bit| mask | bit),
    }
}

fn has_no_connection() -> Statement {
    has_state(&[ConnectionState::Invalid, ConnectionState::Untracked])
}
