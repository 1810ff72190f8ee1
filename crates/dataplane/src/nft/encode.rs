//! Rules and sets as the kernel takes them.

use std::time::Duration;

use nlink::netlink::nftables::{
    BaseChain, Chain, ChainName, CmpOp, CtDirection, CtKey, DynsetExpr, DynsetOp, ElementStatement,
    Expr, Family, FilterHook, LimitExpr, LimitUnit, LogExpr, LookupExpr, MetaKey, PayloadBase,
    Policy, Priority, Register, Set, SetDataType, SetElement, SetKeyType, Verdict,
};
use ringfence_model::address::IpFamily;

use super::Error;
use crate::ruleset::{
    self, Field, Hook, Key, KeyType, Layer, Lookup, Operand, Statement, Target, Value, ValueType,
};

/// How many bytes of a packet are sent to the listeners of a log group: the headers.
pub(super) const SNAPLEN: u32 = 128;

/// How many events the kernel collects before it tells them; by default it waits for a
/// hundred, or a second.
const AT_ONCE: u16 = 1;

/// nft's number of the type `ifname`, for which there is no name here.
const INTERFACE_TYPE: u32 = 41;

/// How a field is loaded.
#[derive(PartialEq)]
pub(super) enum Load {
    Meta(MetaKey),
    Payload(PayloadBase, u32, u32),
    Connection(CtKey),
    Direction(CtKey, CtDirection),
}

impl Load {
    pub(super) fn of(field: Field) -> Self {
        let network = |family, (v4, v6)| {
            let (offset, len) = by_family(family, (v4, 4), (v6, 16));
            Self::Payload(PayloadBase::Network, offset, len)
        };
        match field {
            Field::Interface => Self::Meta(MetaKey::IifName),
            Field::OutInterface => Self::Meta(MetaKey::OifName),
            // IEEE 802.3. The kernel puts a tag that it has taken off back for this.
            Field::HardwareDestination => Self::Payload(PayloadBase::LinkLayer, 0, 6),
            Field::HardwareSource => Self::Payload(PayloadBase::LinkLayer, 6, 6),
            Field::EtherType => Self::Payload(PayloadBase::LinkLayer, 12, 2),
            Field::HardwareHead => Self::Payload(PayloadBase::LinkLayer, 0, 4),
            Field::Tag => Self::Payload(PayloadBase::LinkLayer, 12, 4),
            Field::Length => Self::Meta(MetaKey::Len),
            // RFC 826.
            Field::ArpKind => Self::Payload(PayloadBase::Network, 0, 6),
            Field::ArpSenderHardware => Self::Payload(PayloadBase::Network, 8, 6),
            Field::ArpSender => Self::Payload(PayloadBase::Network, 14, 4),
            Field::ArpTarget => Self::Payload(PayloadBase::Network, 24, 4),
            // RFC 8200, section 3.
            Field::PayloadLength => Self::Payload(PayloadBase::Network, 4, 2),
            // RFC 4861, sections 4.3 and 4.4.
            Field::NeighbourOption => Self::Payload(PayloadBase::Transport, 24, 2),
            Field::NeighbourHardware => Self::Payload(PayloadBase::Transport, 26, 6),
            Field::NeighbourTarget => Self::Payload(PayloadBase::Transport, 8, 16),
            Field::Family => Self::Meta(MetaKey::NfProto),
            // RFC 791, section 3.1, and RFC 8200, section 3.
            Field::PacketSource(family) => network(family, (12, 8)),
            Field::PacketDestination(family) => network(family, (16, 24)),
            Field::PacketProtocol => Self::Meta(MetaKey::L4Proto),
            // RFC 8200, section 3.
            Field::HopLimit => Self::Payload(PayloadBase::Network, 7, 1),
            Field::PacketPort => Self::Payload(PayloadBase::Transport, 2, 2),
            Field::IcmpType => Self::Payload(PayloadBase::Transport, 0, 1),
            Field::Source(family) => Self::Direction(
                by_family(family, CtKey::SrcIp, CtKey::SrcIp6),
                CtDirection::Original,
            ),
            Field::Destination(family) => Self::Direction(
                by_family(family, CtKey::SrcIp, CtKey::SrcIp6),
                CtDirection::Reply,
            ),
            Field::FirstDestination(family) => Self::Direction(
                by_family(family, CtKey::DstIp, CtKey::DstIp6),
                CtDirection::Original,
            ),
            Field::Protocol => Self::Connection(CtKey::Protocol),
            Field::Port => Self::Direction(CtKey::ProtoSrc, CtDirection::Reply),
            Field::FirstPort => Self::Direction(CtKey::ProtoDst, CtDirection::Original),
            Field::Direction => Self::Connection(CtKey::Direction),
            Field::State => Self::Connection(CtKey::State),
            Field::Status => Self::Connection(CtKey::Status),
            Field::Mark => Self::Connection(CtKey::Mark),
        }
    }

    fn into(self, dreg: Register) -> Expr {
        match self {
            Self::Meta(key) => Expr::Meta { dreg, key },
            Self::Payload(base, offset, len) => Expr::Payload {
                dreg,
                base,
                offset,
                len,
            },
            Self::Connection(key) => Expr::Ct { dreg, key },
            Self::Direction(key, direction) => Expr::CtDirectional {
                dreg,
                key,
                direction,
            },
        }
    }
}

fn by_family<T>(family: IpFamily, v4: T, v6: T) -> T {
    match family {
        IpFamily::V4 => v4,
        IpFamily::V6 => v6,
    }
}

/// How many bytes a field has.
pub(super) fn width(field: Field) -> usize {
    match field {
        Field::Interface | Field::OutInterface | Field::NeighbourTarget => 16,
        Field::ArpKind
        | Field::NeighbourHardware
        | Field::ArpSenderHardware
        | Field::HardwareSource
        | Field::HardwareDestination => 6,
        Field::PacketSource(family)
        | Field::PacketDestination(family)
        | Field::Source(family)
        | Field::Destination(family)
        | Field::FirstDestination(family) => KeyType::Address(family).width(),
        Field::HardwareHead
        | Field::Tag
        | Field::Length
        | Field::ArpTarget
        | Field::ArpSender
        | Field::State
        | Field::Status
        | Field::Mark => 4,
        Field::EtherType
        | Field::NeighbourOption
        | Field::PayloadLength
        | Field::PacketPort
        | Field::Port
        | Field::FirstPort => 2,
        Field::Family
        | Field::PacketProtocol
        | Field::HopLimit
        | Field::IcmpType
        | Field::Protocol
        | Field::Direction => 1,
    }
}

/// The register that begins at a word.
fn register(word: usize) -> Result<Register, Error> {
    let register = Register::word(word).map(Register::canonical);
    register.ok_or_else(|| Error::NotEncodable("a key that is longer than all registers".into()))
}

/// A rule as expressions.
pub(super) fn rule(rule: &ruleset::Rule) -> Result<Vec<Expr>, Error> {
    let mut exprs = Vec::new();
    for statement in &rule.statements {
        add(statement, &mut exprs)?;
    }
    Ok(exprs)
}

fn add(statement: &Statement, exprs: &mut Vec<Expr>) -> Result<(), Error> {
    let sreg = register(0)?;
    let mut compare = |field: Field, tests: &[(CmpOp, &Key)]| {
        exprs.push(Load::of(field).into(sreg));
        exprs.extend(tests.iter().map(|(op, key)| Expr::Cmp {
            sreg,
            op: *op,
            data: key.bytes.to_vec(),
        }));
    };
    match statement {
        Statement::Is(field, key) => compare(*field, &[(CmpOp::Eq, key)]),
        Statement::InRange(field, first, last) => {
            compare(*field, &[(CmpOp::Gte, first), (CmpOp::Lte, last)]);
        }
        Statement::MaskedIn { field, mask, set } => {
            masked(*field, *mask, sreg, exprs);
            exprs.push(LookupExpr::new(&**set, sreg).into());
        }
        Statement::AnyBit { field, mask } => {
            masked(*field, *mask, sreg, exprs);
            exprs.push(Expr::Cmp {
                sreg,
                op: CmpOp::Neq,
                data: vec![0; 4],
            });
        }
        Statement::In(operands, set) => {
            load(operands, exprs)?;
            exprs.push(LookupExpr::new(&**set, sreg).into());
        }
        Statement::NotIn(operands, set) => {
            load(operands, exprs)?;
            exprs.push(LookupExpr::new(&**set, sreg).invert().into());
        }
        Statement::Dispatch(operands, map) => {
            load(operands, exprs)?;
            exprs.push(LookupExpr::new(&**map, sreg).dreg(Register::Verdict).into());
        }
        Statement::Above {
            key,
            set,
            per_second,
            burst,
        } => {
            exprs.push(Load::of(*key).into(sreg));
            let limit = LimitExpr::packets(u64::from(*per_second), LimitUnit::Second);
            let limit = ElementStatement::Limit(limit.burst(*burst).over());
            let update = DynsetExpr::new(DynsetOp::Update, &**set, sreg);
            // The limit stops what is not above it before it is counted. An element with two
            // expressions needs Linux 5.11.
            exprs.push(update.statement(limit).counter().into());
        }
        Statement::Log { group, prefix } => {
            let log = LogExpr::new()
                .group(*group)
                .prefix(prefix)
                .snaplen(SNAPLEN)
                .queue_threshold(AT_ONCE);
            exprs.push(log.into());
        }
        Statement::Count => exprs.push(Expr::Counter),
        Statement::SetMark { mask, value } => {
            exprs.push(Load::of(Field::Mark).into(sreg));
            exprs.push(Expr::Bitwise {
                sreg,
                dreg: sreg,
                len: 4,
                mask: (!mask).to_ne_bytes().to_vec(),
                xor: value.to_ne_bytes().to_vec(),
            });
            exprs.push(Expr::CtSet {
                key: CtKey::Mark,
                sreg,
            });
        }
        Statement::Go(target) => exprs.push(Expr::Verdict(verdict(target)?)),
    }
    Ok(())
}

/// Loads these bits of a field.
fn masked(field: Field, mask: u32, sreg: Register, exprs: &mut Vec<Expr>) {
    exprs.push(Load::of(field).into(sreg));
    exprs.push(Expr::Bitwise {
        sreg,
        dreg: sreg,
        len: 4,
        mask: mask.to_ne_bytes().to_vec(),
        xor: vec![0; 4],
    });
}

/// Loads operands one after the other, from the first register on.
fn load(operands: &[Operand], exprs: &mut Vec<Expr>) -> Result<(), Error> {
    let mut word = 0;
    for operand in operands {
        let dreg = register(word)?;
        let bytes = match operand {
            Operand::Field(field) => {
                exprs.push(Load::of(*field).into(dreg));
                width(*field)
            }
            Operand::Constant(key) => {
                exprs.push(Expr::Immediate {
                    dreg,
                    data: key.bytes.to_vec(),
                });
                key.bytes.len()
            }
            // What the map leads to takes the place of what was looked up: both are
            // addresses of one family.
            Operand::Mapped(field, map) => {
                exprs.push(Load::of(*field).into(dreg));
                exprs.push(LookupExpr::new(&**map, dreg).dreg(dreg).into());
                width(*field)
            }
            Operand::Numbered(field, map) => {
                exprs.push(Load::of(*field).into(dreg));
                exprs.push(LookupExpr::new(&**map, dreg).dreg(dreg).into());
                KeyType::PeerSet.width()
            }
        };
        word += bytes.div_ceil(4);
    }
    Ok(())
}

pub(super) fn verdict(target: &Target) -> Result<Verdict, Error> {
    let chain = |name: &str| ChainName::new(name).map_err(Error::from);
    Ok(match target {
        Target::Accept => Verdict::Accept,
        Target::Drop => Verdict::Drop,
        Target::Return => Verdict::Return,
        Target::Jump(name) => Verdict::JumpTo(chain(name)?),
        Target::Goto(name) => Verdict::GotoTo(chain(name)?),
    })
}

/// The family of a table.
pub(super) fn family(layer: Layer) -> Family {
    match layer {
        Layer::Network => Family::Inet,
        Layer::Link => Family::Bridge,
    }
}

pub(super) fn chain(table: &str, name: &str, made: &ruleset::Chain) -> Result<Chain, Error> {
    let chain = Chain::new(table, name)?.family(family(made.layer));
    let base = match made.hook {
        None => return Ok(chain),
        Some(Hook::Arriving) => BaseChain::filter(FilterHook::Prerouting, Priority::Raw),
        Some(Hook::Input) => BaseChain::filter(FilterHook::Input, Priority::Filter),
        Some(Hook::Forward) => BaseChain::filter(FilterHook::Forward, Priority::Filter),
        Some(Hook::FrameArriving) => BaseChain::filter(FilterHook::Prerouting, Priority::Raw),
        Some(Hook::FrameForward) => BaseChain::filter(FilterHook::Forward, Priority::Raw),
        Some(Hook::FrameOutput) => BaseChain::filter(FilterHook::Output, Priority::Raw),
    };
    Ok(chain.base(base.policy(Policy::Accept)))
}

fn key_type(part: KeyType) -> SetKeyType {
    match part {
        KeyType::Address(IpFamily::V4) => SetKeyType::Ipv4Addr,
        KeyType::Address(IpFamily::V6) => SetKeyType::Ipv6Addr,
        KeyType::PeerSet => SetKeyType::Mark,
        KeyType::Interface => SetKeyType::Other {
            type_id: INTERFACE_TYPE,
            len: 16,
        },
        KeyType::Hardware => SetKeyType::EtherAddr,
        KeyType::Port => SetKeyType::InetService,
    }
}

pub(super) fn set_key(parts: &[KeyType]) -> SetKeyType {
    match parts {
        [part] => key_type(*part),
        parts => SetKeyType::Concat(parts.iter().copied().map(key_type).collect()),
    }
}

pub(super) fn set(table: &str, name: &str, set: &ruleset::Set) -> Set {
    let mut made = Set::new(table, name)
        .family(family(set.layer))
        .key_type(set_key(&set.key));
    match &set.value {
        ValueType::None => {}
        ValueType::Verdict => made = made.vmap(),
        ValueType::Bytes(value) => made = made.map(SetDataType::Value(key_type(*value))),
    }
    match set.lookup {
        Lookup::Exact => made,
        Lookup::Interval => made.interval(),
        Lookup::Rate { size, timeout } => made
            .dynamic()
            .size(size)
            .timeout(Duration::from_secs(u64::from(timeout))),
    }
}

pub(super) fn element(key: &Key, value: &Value) -> Result<SetElement, Error> {
    let element = match &key.end {
        None => SetElement::new(key.bytes.to_vec()),
        Some(end) => SetElement::range(key.bytes.to_vec(), end.to_vec()),
    };
    Ok(match value {
        Value::None => element,
        Value::Verdict(target) => element.verdict(verdict(target)?),
        Value::Bytes(bytes) => element.value(SetElement::new(bytes.to_vec())),
    })
}
