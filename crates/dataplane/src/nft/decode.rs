//! What the kernel holds, in the words of a ruleset.

use nlink::netlink::nftables::{
    CmpOp, CtKey, LimitExpr, Register, RuleExpr, SetElement, SetElementData, Verdict,
};
use ringfence_model::address::IpFamily;

use super::encode::{Load, width};
use crate::ruleset::{Field, Key, Name, Operand, Rule, Statement, Target, Value, key};

/// Every field, so that one can be told from how it is loaded.
const FIELDS: [Field; 38] = [
    Field::Interface,
    Field::OutInterface,
    Field::EtherType,
    Field::HardwareSource,
    Field::HardwareDestination,
    Field::ArpKind,
    Field::ArpSenderHardware,
    Field::ArpSender,
    Field::ArpTarget,
    Field::HardwareHead,
    Field::Tag,
    Field::Length,
    Field::NeighbourOption,
    Field::NeighbourHardware,
    Field::PayloadLength,
    Field::NeighbourTarget,
    Field::Family,
    Field::PacketSource(IpFamily::V4),
    Field::PacketSource(IpFamily::V6),
    Field::PacketDestination(IpFamily::V4),
    Field::PacketDestination(IpFamily::V6),
    Field::PacketProtocol,
    Field::PacketPort,
    Field::HopLimit,
    Field::IcmpType,
    Field::Source(IpFamily::V4),
    Field::Source(IpFamily::V6),
    Field::Destination(IpFamily::V4),
    Field::Destination(IpFamily::V6),
    Field::FirstDestination(IpFamily::V4),
    Field::FirstDestination(IpFamily::V6),
    Field::Protocol,
    Field::Port,
    Field::FirstPort,
    Field::Direction,
    Field::State,
    Field::Status,
    Field::Mark,
];

/// A rule, or the expression that is none of ours. `leads_to_number` says of a map that
/// its values are numbers.
pub(super) fn rule(
    exprs: &[RuleExpr],
    leads_to_number: impl Fn(&str) -> bool,
) -> Result<Rule, String> {
    let mut statements = Vec::new();
    let mut registers: Vec<(Register, Loaded)> = Vec::new();
    for expr in exprs {
        let unknown = || format!("{expr:?}");
        match expr {
            RuleExpr::Lookup {
                set,
                sreg,
                dreg: Some(dreg),
                invert: false,
                ..
            } if *dreg != Register::Verdict => {
                let looked_up = take(&mut registers, *sreg).ok_or_else(unknown)?;
                let Loaded::Field(field) = looked_up else {
                    return Err(unknown());
                };
                let map = Name::from(&**set);
                let mapped = match leads_to_number(set) {
                    true => Loaded::Numbered(field, map),
                    false => Loaded::Mapped(field, map),
                };
                registers.push((dreg.canonical(), mapped));
            }
            RuleExpr::Lookup {
                set,
                sreg,
                dreg: None,
                invert: false,
                ..
            } if is_masked(&registers, *sreg) => match take(&mut registers, *sreg) {
                Some(Loaded::Masked(field, mask, 0)) => statements.push(Statement::MaskedIn {
                    field,
                    mask,
                    set: Name::from(&**set),
                }),
                _ => return Err(unknown()),
            },
            RuleExpr::Lookup {
                set, dreg, invert, ..
            } => {
                let operands = registers.drain(..).map(|(_, loaded)| loaded.operand());
                let operands = operands.collect::<Option<Vec<_>>>().ok_or_else(unknown)?;
                let set = Name::from(&**set);
                statements.push(match (dreg, invert) {
                    (Some(_), _) => Statement::Dispatch(operands, set),
                    (None, false) => Statement::In(operands, set),
                    (None, true) => Statement::NotIn(operands, set),
                });
            }
            RuleExpr::Immediate { dreg, data, .. } => {
                registers.push((dreg.canonical(), Loaded::Constant(key::bytes(data))));
            }
            RuleExpr::Bitwise {
                sreg,
                dreg,
                mask,
                xor,
                ..
            } => {
                let loaded = take(&mut registers, *sreg).ok_or_else(unknown)?;
                let Loaded::Field(field) = loaded else {
                    return Err(unknown());
                };
                let (mask, xor) = (number(mask), number(xor));
                let (mask, xor) = mask.zip(xor).ok_or_else(unknown)?;
                registers.push((dreg.canonical(), Loaded::Masked(field, mask, xor)));
            }
            RuleExpr::Cmp { sreg, op, data, .. } => {
                let loaded = registers.iter().position(|(r, _)| *r == sreg.canonical());
                let Some(position) = loaded else {
                    return Err(unknown());
                };
                // A range is two comparisons of one value: the first leaves it there.
                let (_, loaded) = match op {
                    CmpOp::Gte => registers.get(position).cloned().ok_or_else(unknown)?,
                    _ => registers.remove(position),
                };
                compare(loaded, *op, data, &mut statements).ok_or_else(unknown)?;
            }
            RuleExpr::CtSet {
                key: CtKey::Mark,
                sreg,
                ..
            } => match take(&mut registers, *sreg) {
                Some(Loaded::Masked(Field::Mark, mask, value)) => {
                    statements.push(Statement::SetMark { mask: !mask, value });
                }
                _ => return Err(unknown()),
            },
            RuleExpr::Dynset {
                set,
                sreg_key,
                statements: inner,
                ..
            } => {
                let loaded = take(&mut registers, *sreg_key);
                let (
                    Some(Loaded::Field(key)),
                    [
                        RuleExpr::Limit(limit @ LimitExpr { over: true, .. }),
                        RuleExpr::Counter { .. },
                    ],
                ) = (loaded, &inner[..])
                else {
                    return Err(unknown());
                };
                statements.push(Statement::Above {
                    key,
                    set: Name::from(&**set),
                    per_second: u32::try_from(limit.rate).map_err(|_| unknown())?,
                    burst: limit.burst,
                });
            }
            RuleExpr::Log(log) => statements.push(Statement::Log {
                group: log.group.ok_or_else(unknown)?,
                prefix: log.prefix.clone().unwrap_or_default(),
            }),
            RuleExpr::Counter { .. } => statements.push(Statement::Count),
            RuleExpr::Verdict(verdict) => {
                statements.push(Statement::Go(target(verdict).ok_or_else(unknown)?));
            }
            other => {
                let (dreg, field) = load(other).ok_or_else(unknown)?;
                registers.push((dreg.canonical(), Loaded::Field(field)));
            }
        }
    }
    Ok(Rule { statements })
}

/// What a register holds.
#[derive(Clone, Debug)]
enum Loaded {
    Field(Field),
    Constant(Key),
    Mapped(Field, Name),
    Numbered(Field, Name),
    Masked(Field, u32, u32),
}

impl Loaded {
    fn operand(self) -> Option<Operand> {
        match self {
            Self::Field(field) => Some(Operand::Field(field)),
            Self::Constant(key) => Some(Operand::Constant(key)),
            Self::Mapped(field, map) => Some(Operand::Mapped(field, map)),
            Self::Numbered(field, map) => Some(Operand::Numbered(field, map)),
            Self::Masked(..) => None,
        }
    }
}

fn is_masked(registers: &[(Register, Loaded)], register: Register) -> bool {
    let mut found = registers.iter().filter(|(r, _)| *r == register.canonical());
    found.any(|(_, loaded)| matches!(loaded, Loaded::Masked(..)))
}

fn take(registers: &mut Vec<(Register, Loaded)>, register: Register) -> Option<Loaded> {
    let position = registers
        .iter()
        .position(|(r, _)| *r == register.canonical())?;
    Some(registers.remove(position).1)
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_ne_bytes)
}

fn compare(loaded: Loaded, op: CmpOp, data: &[u8], statements: &mut Vec<Statement>) -> Option<()> {
    match (loaded, op) {
        (Loaded::Field(field), CmpOp::Eq) => {
            statements.push(Statement::Is(field, constant(field, data)));
        }
        (Loaded::Field(field), CmpOp::Gte) => {
            let first = constant(field, data);
            statements.push(Statement::InRange(field, first.clone(), first));
        }
        (Loaded::Field(field), CmpOp::Lte) => match statements.last_mut() {
            Some(Statement::InRange(of, _, last)) if *of == field => *last = constant(field, data),
            _ => return None,
        },
        (Loaded::Masked(field, mask, 0), CmpOp::Neq) if number(data) == Some(0) => {
            statements.push(Statement::AnyBit { field, mask });
        }
        _ => return None,
    }
    Some(())
}

/// The kernel fills short constants up.
fn constant(field: Field, data: &[u8]) -> Key {
    key::bytes(data.get(..width(field)).unwrap_or(data))
}

/// The field that an expression loads, and where.
fn load(expr: &RuleExpr) -> Option<(Register, Field)> {
    let (dreg, load) = match expr {
        RuleExpr::Meta { dreg, key, .. } => (dreg, Load::Meta(*key)),
        RuleExpr::Payload {
            dreg,
            base,
            offset,
            len,
            ..
        } => (dreg, Load::Payload(*base, *offset, *len)),
        RuleExpr::Ct { dreg, key, .. } => (dreg, Load::Connection(*key)),
        RuleExpr::CtDirectional {
            dreg,
            key,
            direction,
            ..
        } => (dreg, Load::Direction(*key, *direction)),
        _ => return None,
    };
    let mut fields = FIELDS.into_iter();
    let field = fields.find(|field| Load::of(*field) == load)?;
    Some((*dreg, field))
}

fn target(verdict: &Verdict) -> Option<Target> {
    Some(match verdict {
        Verdict::Accept => Target::Accept,
        Verdict::Drop => Target::Drop,
        Verdict::Return => Target::Return,
        Verdict::JumpTo(chain) => Target::Jump(Name::from(chain.as_str())),
        Verdict::GotoTo(chain) => Target::Goto(Name::from(chain.as_str())),
        _ => return None,
    })
}

/// An element; `None` for one that is none of ours.
pub(super) fn element(element: &SetElement) -> Option<(Key, Value)> {
    let at = match element.key_end() {
        Some(end) => key::range(element.key(), end),
        None => key::bytes(element.key()),
    };
    let value = match element.data() {
        None => Value::None,
        Some(SetElementData::Value(bytes)) => Value::Bytes(key::Word::new(bytes)?),
        Some(SetElementData::Verdict(verdict)) => Value::Verdict(Box::new(target(verdict)?)),
        Some(_) => return None,
    };
    Some((at, value))
}
