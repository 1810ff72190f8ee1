//! A ruleset as people read it: in the words of `nft`, as far as it has them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ringfence_model::address::IpFamily;

use super::{
    Chain, Field, Hook, Key, KeyType, Layer, Lookup, Operand, Rule, Ruleset, Set, Statement,
    Target, Value, ValueType,
};

impl fmt::Display for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, set) in &self.sets {
            let kind = match set.value {
                ValueType::None => "set",
                ValueType::Verdict | ValueType::Bytes(_) => "map",
            };
            writeln!(f, "{}{kind} {name} {{", table(set.layer))?;
            writeln!(f, "  {set}")?;
            for (key, value) in &set.elements {
                writeln!(f, "  {}", Element { set, key, value })?;
            }
            writeln!(f, "}}")?;
        }
        for (name, chain) in &self.chains {
            writeln!(f, "{}chain {name} {{", table(chain.layer))?;
            write!(f, "{chain}")?;
            writeln!(f, "}}")?;
        }
        Ok(())
    }
}

/// The family of the table, where it is not the one that most is in.
fn table(layer: Layer) -> &'static str {
    match layer {
        Layer::Network => "",
        Layer::Link => "bridge ",
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<&str> = self.key.iter().map(|part| type_name(*part)).collect();
        write!(f, "type {}", parts.join(" . "))?;
        match &self.value {
            ValueType::None => {}
            ValueType::Verdict => f.write_str(" : verdict")?,
            ValueType::Bytes(value) => write!(f, " : {}", type_name(*value))?,
        }
        match self.lookup {
            Lookup::Exact => Ok(()),
            Lookup::Interval => f.write_str("; flags interval"),
            Lookup::Rate { size, timeout } => {
                write!(
                    f,
                    "; flags dynamic,timeout; size {size}; timeout {timeout}s"
                )
            }
        }
    }
}

fn type_name(part: KeyType) -> &'static str {
    match part {
        KeyType::Address(IpFamily::V4) => "ipv4_addr",
        KeyType::Address(IpFamily::V6) => "ipv6_addr",
        KeyType::PeerSet => "mark",
        KeyType::Interface => "ifname",
        KeyType::Hardware => "ether_addr",
        KeyType::Port => "inet_service",
    }
}

/// One element with the set that says what its bytes mean.
struct Element<'a> {
    set: &'a Set,
    key: &'a Key,
    value: &'a Value,
}

impl fmt::Display for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_bytes(f, &self.set.key, &self.key.bytes)?;
        if let Some(end) = &self.key.end {
            f.write_str("-")?;
            write_bytes(f, &self.set.key, end)?;
        }
        match (self.value, &self.set.value) {
            (Value::Verdict(target), _) => write!(f, " : {target}"),
            (Value::Bytes(bytes), ValueType::Bytes(part)) => {
                f.write_str(" : ")?;
                write_bytes(f, &[*part], bytes)
            }
            _ => Ok(()),
        }
    }
}

fn write_bytes(f: &mut fmt::Formatter<'_>, parts: &[KeyType], bytes: &[u8]) -> fmt::Result {
    let mut rest = bytes;
    for (position, part) in parts.iter().enumerate() {
        if position > 0 {
            f.write_str(" . ")?;
        }
        let Some((value, after)) = rest.split_at_checked(part.width()) else {
            return f.write_str("?");
        };
        rest = after
            .get(part.width().next_multiple_of(4) - part.width()..)
            .unwrap_or_default();
        match part {
            KeyType::Address(_) => write_address(f, value)?,
            KeyType::PeerSet => write!(f, "{}", native(value))?,
            KeyType::Port => write!(f, "{}", number(value))?,
            KeyType::Hardware => write_hardware(f, value)?,
            KeyType::Interface => {
                let name: Vec<u8> = value
                    .iter()
                    .copied()
                    .take_while(|byte| *byte != 0)
                    .collect();
                write!(f, "\"{}\"", String::from_utf8_lossy(&name))?;
            }
        }
    }
    Ok(())
}

fn write_hardware(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for (position, byte) in bytes.iter().enumerate() {
        let colon = if position > 0 { ":" } else { "" };
        write!(f, "{colon}{byte:02x}")?;
    }
    Ok(())
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |all, byte| all << 8 | u64::from(*byte))
}

/// A number in the byte order of the machine.
fn native(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_ne_bytes)
}

fn write_address(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let v4 = <[u8; 4]>::try_from(bytes).map(|b| IpAddr::V4(Ipv4Addr::from(b)));
    let v6 = <[u8; 16]>::try_from(bytes).map(|b| IpAddr::V6(Ipv6Addr::from(b)));
    match v4.or(v6) {
        Ok(address) => write!(f, "{address}"),
        Err(_) => f.write_str("?"),
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(hook) = self.hook {
            let (hook, priority) = match hook {
                Hook::Arriving => ("prerouting", "raw"),
                Hook::Input => ("input", "filter"),
                Hook::Forward => ("forward", "filter"),
                Hook::FrameArriving => ("prerouting", "-300"),
                Hook::FrameForward => ("forward", "-300"),
                Hook::FrameOutput => ("output", "-300"),
            };
            writeln!(
                f,
                "  type filter hook {hook} priority {priority}; policy accept;"
            )?;
        }
        for rule in &self.rules {
            writeln!(f, "  {rule}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, statement) in self.statements.iter().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{statement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(field, key) => write!(f, "{field} {}", Constant(*field, key)),
            Self::MaskedIn { field, mask, set } => write!(f, "{field} & {mask:#x} @{set}"),
            Self::AnyBit { field, mask } => write!(f, "{field} & {mask:#x} != 0"),
            Self::InRange(field, first, last) => {
                write!(
                    f,
                    "{field} {}-{}",
                    Constant(*field, first),
                    Constant(*field, last)
                )
            }
            Self::In(operands, set) => write!(f, "{} @{set}", Operands(operands)),
            Self::NotIn(operands, set) => write!(f, "{} != @{set}", Operands(operands)),
            Self::Above {
                key,
                set,
                per_second,
                burst,
            } => write!(
                f,
                "update @{set} {{ {key} limit rate over {per_second}/second burst {burst} packets counter }}"
            ),
            Self::Log { group, prefix } => write!(f, "log group {group} prefix \"{prefix}\""),
            Self::Count => f.write_str("counter"),
            Self::SetMark { mask, value } => {
                write!(f, "ct mark set ct mark & {:#x} | {value:#x}", !mask)
            }
            Self::Dispatch(operands, map) => write!(f, "{} vmap @{map}", Operands(operands)),
            Self::Go(target) => write!(f, "{target}"),
        }
    }
}

struct Operands<'a>(&'a [Operand]);

impl fmt::Display for Operands<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, operand) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(" . ")?;
            }
            match operand {
                Operand::Field(field) => write!(f, "{field}")?,
                Operand::Constant(key) => write!(f, "{}", native(&key.bytes))?,
                Operand::Mapped(field, map) | Operand::Numbered(field, map) => {
                    write!(f, "{field} map @{map}")?;
                }
            }
        }
        Ok(())
    }
}

struct Constant<'a>(Field, &'a Key);

impl fmt::Display for Constant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = &self.1.bytes;
        match self.0 {
            Field::PacketSource(_)
            | Field::PacketDestination(_)
            | Field::Source(_)
            | Field::Destination(_)
            | Field::FirstDestination(_)
            | Field::ArpSender
            | Field::ArpTarget
            | Field::NeighbourTarget => write_address(f, bytes),
            Field::HardwareSource
            | Field::HardwareDestination
            | Field::ArpSenderHardware
            | Field::NeighbourHardware => write_hardware(f, bytes),
            Field::Interface | Field::OutInterface => write_bytes(f, &[KeyType::Interface], bytes),
            Field::EtherType | Field::ArpKind => write!(f, "{:#x}", number(bytes)),
            Field::Length => write!(f, "{}", native(bytes)),
            _ => write!(f, "{}", number(bytes)),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ip = |family: &IpFamily| match family {
            IpFamily::V4 => "ip",
            IpFamily::V6 => "ip6",
        };
        match self {
            Self::Interface => f.write_str("iifname"),
            Self::OutInterface => f.write_str("oifname"),
            Self::EtherType => f.write_str("ether type"),
            Self::HardwareSource => f.write_str("ether saddr"),
            Self::HardwareDestination => f.write_str("ether daddr"),
            Self::HardwareHead => f.write_str("@ll,0,32"),
            Self::Tag => f.write_str("@ll,96,32"),
            Self::Length => f.write_str("meta length"),
            Self::ArpTarget => f.write_str("arp daddr ip"),
            Self::NeighbourOption => f.write_str("@th,192,16"),
            Self::NeighbourHardware => f.write_str("@th,208,48"),
            Self::PayloadLength => f.write_str("ip6 length"),
            Self::ArpKind => f.write_str("@nh,0,48"),
            Self::ArpSenderHardware => f.write_str("arp saddr ether"),
            Self::ArpSender => f.write_str("arp saddr ip"),
            Self::NeighbourTarget => f.write_str("icmpv6 taddr"),
            Self::Family => f.write_str("meta nfproto"),
            Self::PacketSource(family) => write!(f, "{} saddr", ip(family)),
            Self::PacketDestination(family) => write!(f, "{} daddr", ip(family)),
            Self::PacketProtocol => f.write_str("meta l4proto"),
            Self::PacketPort => f.write_str("th dport"),
            Self::HopLimit => f.write_str("ip6 hoplimit"),
            Self::IcmpType => f.write_str("icmp type"),
            Self::Source(family) => write!(f, "ct original {} saddr", ip(family)),
            Self::Destination(family) => write!(f, "ct reply {} saddr", ip(family)),
            Self::FirstDestination(family) => write!(f, "ct original {} daddr", ip(family)),
            Self::Protocol => f.write_str("ct protocol"),
            Self::Port => f.write_str("ct reply proto-src"),
            Self::FirstPort => f.write_str("ct original proto-dst"),
            Self::Direction => f.write_str("ct direction"),
            Self::State => f.write_str("ct state"),
            Self::Status => f.write_str("ct status"),
            Self::Mark => f.write_str("ct mark"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Return => f.write_str("return"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Goto(chain) => write!(f, "goto {chain}"),
        }
    }
}
