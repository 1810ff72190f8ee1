//! What a ruleset does to a packet, told without a kernel.
//!
//! The statements are taken word for word: bytes are loaded, put one after the other
//! and looked up, as the kernel does it. Nothing here knows what a policy is.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ringfence_model::address::IpFamily;
use ringfence_model::protocol::Protocol;

use crate::compile::{HardwareAddress, protocol_number};
use crate::ruleset::{
    Chain, ConnectionState, Field, Hook, Key, Lookup, Operand, Ruleset, Set, Statement, Target,
    Value, key,
};

/// A packet, and what the kernel knows of its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The interface it came in by.
    pub interface: String,
    /// Its source address.
    pub source: IpAddr,
    /// Its destination address, after translation.
    pub destination: IpAddr,
    /// Its protocol, as the kernel numbers it.
    pub protocol: u8,
    /// Its destination port; 0 where the protocol has none.
    pub port: u16,
    /// The type of an ICMP message.
    pub icmp_type: u8,
    /// How many routers it may still pass, as its hook sees it.
    pub hop_limit: u8,
    /// Its connection; `None` for an untracked packet.
    pub connection: Option<Connection>,
    /// What a bridge sees of it, where it comes in by the port of one.
    pub link: Option<Link>,
}

/// What a bridge sees of a frame. Of one that carries ARP, the packet's source is the address
/// of the ARP packet's sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The port of the bridge that it is to go out by; the interface is the one it came in by.
    pub out: Option<String>,
    /// What it carries.
    pub ether_type: u16,
    /// The hardware address that it comes from.
    pub source: HardwareAddress,
    /// The hardware address that it goes to.
    pub destination: HardwareAddress,
    /// What it says as ARP.
    pub arp: Option<Arp>,
    /// What it says as a neighbour's solicitation or advertisement.
    pub neighbour: Option<Neighbour>,
}

/// What an ARP packet of 28 bytes says, whose sender is the source of its frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arp {
    /// The types and lengths of its addresses.
    pub kind: [u8; 6],
    /// The hardware address of its sender.
    pub sender: HardwareAddress,
    /// Whom it asks for.
    pub target: Ipv4Addr,
}

/// What a neighbour's solicitation or advertisement says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The address that it is about.
    pub target: Ipv6Addr,
    /// Its option: what it is, and the hardware address or the number in it.
    pub option: Option<(u8, [u8; 6])>,
}

impl Frame {
    /// The first packet of a connection whose destination nobody translates. An ICMP message
    /// asks for an echo.
    #[must_use]
    pub fn opening(
        interface: &str,
        source: IpAddr,
        destination: IpAddr,
        protocol: Protocol,
        port: u16,
    ) -> Self {
        let family = IpFamily::of(source);
        let icmp_type = match (protocol, family) {
            (Protocol::Icmp, IpFamily::V4) => 8,
            (Protocol::Icmp, IpFamily::V6) => 128,
            _ => 0,
        };
        Self {
            interface: interface.to_owned(),
            source,
            destination,
            protocol: protocol_number(protocol, family),
            port,
            icmp_type,
            hop_limit: 63,
            connection: Some(Connection {
                state: ConnectionState::New,
                is_reply: false,
                source,
                first_destination: (destination, port),
                destination: (destination, port),
                mark: 0,
            }),
            link: None,
        }
    }
}

/// What the kernel knows of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its state as the packet leaves it.
    pub state: ConnectionState,
    /// Whether the packet is a reply.
    pub is_reply: bool,
    /// Who opened it.
    pub source: IpAddr,
    /// Whom it was opened to.
    pub first_destination: (IpAddr, u16),
    /// Whom it reaches, after translation.
    pub destination: (IpAddr, u16),
    /// Its mark.
    pub mark: u32,
}

/// What became of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Whether it passed.
    pub accepted: bool,
    /// The mark of its connection afterwards.
    pub mark: u32,
    /// What was logged, in order.
    pub logged: Vec<String>,
}

/// Chains that jump to each other without end are cut off here, as the kernel does it
/// (`NFT_JUMP_STACK_SIZE`).
const JUMPS: usize = 16;

/// Puts a packet through the chains of one hook.
#[must_use]
pub fn pass(ruleset: &Ruleset, hook: Hook, frame: &Frame) -> Passage {
    let mut run = Run {
        ruleset,
        frame,
        passage: Passage {
            accepted: true,
            mark: frame
                .connection
                .as_ref()
                .map_or(0, |connection| connection.mark),
            logged: Vec::new(),
        },
    };
    let chains = ruleset.chains.values();
    for chain in chains.filter(|chain| chain.hook == Some(hook)) {
        if run.chain(chain, JUMPS) == End::Drop {
            run.passage.accepted = false;
            break;
        }
    }
    run.passage
}

struct Run<'a> {
    ruleset: &'a Ruleset,
    frame: &'a Frame,
    passage: Passage,
}

/// How the walk through a chain ended.
#[derive(PartialEq, Eq)]
enum End {
    Accept,
    Drop,
    Return,
}

impl Run<'_> {
    fn chain(&mut self, chain: &Chain, jumps: usize) -> End {
        'rules: for rule in &chain.rules {
            for statement in &rule.statements {
                match self.statement(statement) {
                    Step::NoMatch => continue 'rules,
                    Step::On => {}
                    Step::Go(target) => match self.go(&target, jumps) {
                        Some(end) => return end,
                        None => continue 'rules,
                    },
                }
            }
        }
        End::Return
    }

    /// Goes somewhere; `None` to go on with the next rule.
    fn go(&mut self, target: &Target, jumps: usize) -> Option<End> {
        let (name, comes_back) = match target {
            Target::Accept => return Some(End::Accept),
            Target::Drop => return Some(End::Drop),
            Target::Return => return Some(End::Return),
            Target::Jump(name) => (name, true),
            Target::Goto(name) => (name, false),
        };
        // The kernel does not load a ruleset with a target that is missing or with a
        // circle: closed is what is left to say.
        let Some((chain, jumps)) = self.ruleset.chains.get(name).zip(jumps.checked_sub(1)) else {
            return Some(End::Drop);
        };
        match self.chain(chain, jumps) {
            End::Return if comes_back => None,
            end => Some(end),
        }
    }

    fn statement(&mut self, statement: &Statement) -> Step {
        let matched = match statement {
            Statement::Is(field, key) => self.load(*field).is_some_and(|b| b == *key.bytes),
            Statement::MaskedIn { field, mask, set } => {
                let number = self.number(*field).map(|number| number & mask);
                number.is_some_and(|number| self.look_up(set, &key::peer_set(number)).is_some())
            }
            Statement::AnyBit { field, mask } => {
                self.number(*field).is_some_and(|number| number & mask != 0)
            }
            Statement::InRange(field, first, last) => self
                .load(*field)
                .is_some_and(|b| b >= first.bytes.to_vec() && b <= last.bytes.to_vec()),
            Statement::In(operands, set) => {
                let key = self.key(operands);
                key.is_some_and(|key| self.look_up(set, &key).is_some())
            }
            Statement::NotIn(operands, set) => {
                let key = self.key(operands);
                key.is_some_and(|key| self.look_up(set, &key).is_none())
            }
            // One packet is never above the rate.
            Statement::Above { .. } => false,
            Statement::Log { prefix, .. } => {
                self.passage.logged.push(prefix.clone());
                true
            }
            Statement::Count => true,
            Statement::SetMark { mask, value } => {
                self.passage.mark = self.passage.mark & !mask | value;
                true
            }
            Statement::Dispatch(operands, map) => {
                let key = self.key(operands);
                let value = key.and_then(|key| self.look_up(map, &key));
                return match value {
                    Some(Value::Verdict(target)) => Step::Go(Target::clone(target)),
                    _ => Step::NoMatch,
                };
            }
            Statement::Go(target) => return Step::Go(Target::clone(target)),
        };
        if matched { Step::On } else { Step::NoMatch }
    }

    fn key(&self, operands: &[Operand]) -> Option<Key> {
        let mut key: Option<Key> = None;
        for operand in operands {
            let next = match operand {
                Operand::Field(field) => key::bytes(&self.load(*field)?),
                Operand::Constant(constant) => constant.clone(),
                Operand::Mapped(field, map) | Operand::Numbered(field, map) => {
                    let from = key::bytes(&self.load(*field)?);
                    match self.look_up(map, &from)? {
                        Value::Bytes(bytes) => key::bytes(bytes),
                        _ => return None,
                    }
                }
            };
            key = Some(match key {
                Some(key) => key.then(&next),
                None => next,
            });
        }
        key
    }

    fn look_up(&self, set: &str, key: &Key) -> Option<&Value> {
        let set: &Set = self.ruleset.sets.get(set)?;
        match set.lookup {
            Lookup::Exact => set.elements.get(key),
            Lookup::Interval => in_ranges(&set.elements, key),
            Lookup::Rate { .. } => None,
        }
    }

    /// The bytes of a field; `None` where the packet has none, and the rule ends there.
    fn load(&self, field: Field) -> Option<Vec<u8>> {
        let frame = self.frame;
        let connection = frame.connection.as_ref();
        let of_family = |address: IpAddr, family: IpFamily| {
            (IpFamily::of(address) == family).then(|| key::address(address).bytes.to_vec())
        };
        let port = |port: u16| port.to_be_bytes().to_vec();
        let link = frame.link.as_ref();
        let arp = link.and_then(|link| link.arp.as_ref());
        let neighbour = link.and_then(|link| link.neighbour.as_ref());
        match field {
            Field::Interface => Some(key::interface(&frame.interface).bytes.to_vec()),
            Field::OutInterface => Some(key::interface(link?.out.as_ref()?).bytes.to_vec()),
            Field::EtherType => Some(link?.ether_type.to_be_bytes().to_vec()),
            Field::HardwareSource => Some(link?.source.to_vec()),
            Field::HardwareDestination => Some(link?.destination.to_vec()),
            Field::ArpKind => Some(arp?.kind.to_vec()),
            Field::ArpSenderHardware => Some(arp?.sender.to_vec()),
            Field::ArpSender => arp.and_then(|_| of_family(frame.source, IpFamily::V4)),
            Field::ArpTarget => Some(arp?.target.octets().to_vec()),
            Field::NeighbourTarget => Some(neighbour?.target.octets().to_vec()),
            Field::NeighbourOption => neighbour?.option.map(|(kind, _)| vec![kind, 1]),
            Field::NeighbourHardware => neighbour?.option.map(|(_, value)| value.to_vec()),
            Field::PayloadLength => {
                let length = if neighbour?.option.is_some() {
                    32_u16
                } else {
                    24
                };
                Some(length.to_be_bytes().to_vec())
            }
            Field::Family => Some(vec![match IpFamily::of(frame.source) {
                IpFamily::V4 => 2,
                IpFamily::V6 => 10,
            }]),
            Field::PacketSource(family) => of_family(frame.source, family),
            Field::PacketDestination(family) => of_family(frame.destination, family),
            Field::PacketProtocol => Some(vec![frame.protocol]),
            Field::PacketPort => Some(port(frame.port)),
            Field::IcmpType => Some(vec![frame.icmp_type]),
            Field::HopLimit => Some(vec![frame.hop_limit]),
            Field::Source(family) => of_family(connection?.source, family),
            Field::Destination(family) => of_family(connection?.destination.0, family),
            Field::FirstDestination(family) => of_family(connection?.first_destination.0, family),
            Field::Protocol => connection.map(|_| vec![frame.protocol]),
            Field::Port => Some(port(connection?.destination.1)),
            Field::FirstPort => Some(port(connection?.first_destination.1)),
            Field::Direction => Some(vec![u8::from(connection?.is_reply)]),
            Field::HardwareHead
            | Field::Tag
            | Field::Length
            | Field::State
            | Field::Status
            | Field::Mark => self
                .number(field)
                .map(|number| number.to_ne_bytes().to_vec()),
        }
    }

    /// A field that is a number in the byte order of the machine.
    fn number(&self, field: Field) -> Option<u32> {
        let connection = self.frame.connection.as_ref();
        match field {
            Field::State => {
                Some(connection.map_or(ConnectionState::Untracked as u32, |c| c.state as u32))
            }
            Field::Status => connection.map(|c| match c.first_destination == c.destination {
                true => 0,
                false => crate::ruleset::DESTINATION_TRANSLATED,
            }),
            Field::Mark => connection.map(|_| self.passage.mark),
            Field::HardwareHead => {
                let head = self.frame.link.as_ref()?.destination;
                head.first_chunk().copied().map(u32::from_ne_bytes)
            }
            // Of a tag it says the number 0.
            Field::Tag => {
                let [high, low] = self.frame.link.as_ref()?.ether_type.to_be_bytes();
                Some(u32::from_ne_bytes([high, low, 0, 0]))
            }
            Field::Length => self.frame.link.as_ref()?.arp.as_ref().map(|_| 28),
            _ => None,
        }
    }
}

/// What a statement makes of the rule.
enum Step {
    NoMatch,
    On,
    Go(Target),
}

fn in_ranges<'a>(elements: &'a BTreeMap<Key, Value>, key: &Key) -> Option<&'a Value> {
    // Ranges do not overlap: the last one that begins no later is the only candidate.
    let bound = key::range(&key.bytes, &vec![u8::MAX; key.bytes.len() + 1]);
    let (range, value) = elements.range(..=bound).next_back()?;
    let (_, last) = range.bounds();
    (key.bytes <= last.bytes).then_some(value)
}
