//! Rules: what they look at and what they do.

use ringfence_model::address::IpFamily;

use super::{Key, Name};

/// A rule: its statements, from the first to the first that does not match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Its statements.
    pub statements: Vec<Statement>,
}

/// Something of a packet, or of the connection that it belongs to.
///
/// Of a connection, both directions' packets tell the same: who opened it, and whom it
/// reaches after all translation of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The interface that the packet came in by.
    Interface,
    /// The port of a bridge that the frame is to go out by.
    OutInterface,
    /// What a frame carries: 2 bytes. Of one with a tag, that it has a tag.
    EtherType,
    /// The hardware address that a frame comes from.
    HardwareSource,
    /// The hardware address that a frame goes to.
    HardwareDestination,
    /// The first 4 bytes of that, as a number in the byte order of the machine.
    HardwareHead,
    /// What a frame carries, and 2 bytes after it: where that is a tag, what the tag says. A
    /// number in the byte order of the machine.
    Tag,
    /// How long what a frame carries is: 4 bytes, in the byte order of the machine.
    Length,
    /// What an ARP packet is about: the types and lengths of its addresses, 6 bytes.
    ArpKind,
    /// The hardware address that the sender of an ARP packet says it has.
    ArpSenderHardware,
    /// The IPv4 address that the sender of an ARP packet says it has.
    ArpSender,
    /// The IPv4 address that an ARP packet asks for.
    ArpTarget,
    /// The IPv6 address that a neighbour is asked for, or tells that it has.
    NeighbourTarget,
    /// What the first option of such a message is, and its length: 2 bytes.
    NeighbourOption,
    /// The hardware address in that option.
    NeighbourHardware,
    /// How long an IPv6 packet is after its header: 2 bytes.
    PayloadLength,
    /// The family of the packet: 1 byte, the kernel's number.
    Family,
    /// The source address of the packet.
    PacketSource(IpFamily),
    /// The destination address of the packet.
    PacketDestination(IpFamily),
    /// The protocol of the packet: 1 byte.
    PacketProtocol,
    /// How many routers an IPv6 packet may still pass: 1 byte.
    HopLimit,
    /// The destination port of the packet.
    PacketPort,
    /// The type of an ICMP or `ICMPv6` message: 1 byte.
    IcmpType,
    /// Who opened the connection.
    Source(IpFamily),
    /// Whom the connection reaches, after translation.
    Destination(IpFamily),
    /// Whom the connection was opened to, before translation.
    FirstDestination(IpFamily),
    /// The protocol of the connection: 1 byte.
    Protocol,
    /// The port that the connection reaches, after translation.
    Port,
    /// The port that the connection was opened to, before translation.
    FirstPort,
    /// The direction of the packet in its connection: 1 byte, 0 for the opener's.
    Direction,
    /// The state of the connection as this packet leaves it: 4 bytes, one bit for each
    /// [`ConnectionState`], in the byte order of the machine.
    State,
    /// What was done to the connection: 4 bytes of flags, in the byte order of the
    /// machine.
    Status,
    /// The mark of the connection: 4 bytes, in the byte order of the machine.
    Mark,
}

/// A state of a connection, as a bit of [`Field::State`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ConnectionState {
    /// The packet belongs to none and can open none.
    Invalid = 1,
    /// Packets have passed both ways.
    Established = 2,
    /// The packet is about another connection: an ICMP error.
    Related = 4,
    /// The packet opens it.
    New = 8,
    /// Connections are not tracked for this packet.
    Untracked = 64,
}

/// The bit of [`Field::Status`] that says that the destination was translated.
pub const DESTINATION_TRANSLATED: u32 = 1 << 5;

/// A part of what is looked up in a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A field.
    Field(Field),
    /// These bytes.
    Constant(Key),
    /// The address that a map leads to from an address. Where it leads nowhere the rule
    /// does not match.
    Mapped(Field, Name),
    /// The number that a map leads to. Where it leads nowhere the rule does not match.
    Numbered(Field, Name),
}

/// One statement of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// Matches where the field has these bytes.
    Is(Field, Key),
    /// Matches where the field's number, of these bits, is in the set.
    MaskedIn {
        /// The field; one of 4 bytes in the byte order of the machine.
        field: Field,
        /// The bits.
        mask: u32,
        /// The set.
        set: Name,
    },
    /// Matches where any of these bits of the field is set.
    AnyBit {
        /// The field; one of 4 bytes in the byte order of the machine.
        field: Field,
        /// The bits.
        mask: u32,
    },
    /// Matches where the field is from the first to the last.
    InRange(Field, Key, Key),
    /// Matches where the key is in the set.
    In(Vec<Operand>, Name),
    /// Matches where the key is not in the set.
    NotIn(Vec<Operand>, Name),
    /// Matches while the key is seen more often than this. The set remembers how often it was
    /// seen, and counts how often this matched.
    Above {
        /// What is counted by.
        key: Field,
        /// A set with [`Lookup::Rate`](super::Lookup::Rate).
        set: Name,
        /// How often in a second, in the long run.
        per_second: u32,
        /// How often at once.
        burst: u32,
    },
    /// Sends the packet's head to the listeners of a group.
    Log {
        /// The NFLOG group.
        group: u16,
        /// A text that tells the rule.
        prefix: String,
    },
    /// Counts.
    Count,
    /// Sets these bits of the connection's mark to this.
    SetMark {
        /// The bits.
        mask: u32,
        /// What they become.
        value: u32,
    },
    /// Goes where the map leads from the key; does nothing where it leads nowhere.
    Dispatch(Vec<Operand>, Name),
    /// Goes somewhere.
    Go(Target),
}

/// Where a rule sends a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Out of this table: it has no objection.
    Accept,
    /// Nowhere.
    Drop,
    /// Back to the rule after the jump that led here.
    Return,
    /// To a chain, and back.
    Jump(Name),
    /// To a chain, and not back.
    Goto(Name),
}

impl Rule {
    /// A rule of these statements.
    #[must_use]
    pub fn new(statements: impl IntoIterator<Item = Statement>) -> Self {
        Self {
            statements: statements.into_iter().collect(),
        }
    }
}

impl Statement {
    /// Lets the packet pass: this table has no objection.
    #[must_use]
    pub fn accept() -> Self {
        Self::Go(Target::Accept)
    }

    /// Goes to a chain, and back.
    #[must_use]
    pub fn jump(chain: impl Into<Name>) -> Self {
        Self::Go(Target::Jump(chain.into()))
    }

    /// Goes to a chain and not back.
    #[must_use]
    pub fn goto(chain: impl Into<Name>) -> Self {
        Self::Go(Target::Goto(chain.into()))
    }
}
