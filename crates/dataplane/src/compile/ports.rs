//! Sets of ports as statements.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use ringfence_engine::sets::PortSet;
use ringfence_model::address::IpFamily;
use ringfence_model::protocol::Protocol;
use rustc_hash::FxHasher;

use super::chains::Flow;
use crate::ruleset::{
    Key, KeyType, Lookup, Name, Operand, Ruleset, Set, Statement, Value, ValueType, key,
};

/// With more ranges of one protocol than this, they are looked up in a set.
const INLINE: usize = 3;

/// The kernel's number of a protocol; that of ICMP depends on the family.
pub(crate) fn protocol_number(protocol: Protocol, family: IpFamily) -> u8 {
    match (protocol, family) {
        (Protocol::Tcp, _) => 6,
        (Protocol::Udp, _) => 17,
        (Protocol::Sctp, _) => 132,
        (Protocol::Icmp, IpFamily::V4) => 1,
        (Protocol::Icmp, IpFamily::V6) => 58,
    }
}

/// The ways to match a set of ports: one rule for each. Everything is matched by a rule
/// without statements, and then protocols match that have no name here.
pub(super) fn matches(
    ports: &PortSet,
    flow: Flow,
    family: IpFamily,
    ruleset: &mut Ruleset,
) -> Vec<Vec<Statement>> {
    if ports.is_all() {
        return vec![Vec::new()];
    }
    let mut rules = Vec::new();
    let protocol_is = |protocol| {
        let number = [protocol_number(protocol, family)];
        Statement::Is(flow.protocol(), key::bytes(&number))
    };
    for protocol in Protocol::WITH_PORTS {
        let ranges = ports.ranges(protocol);
        if ranges.as_slice() == [(1, u16::MAX)] {
            rules.push(vec![protocol_is(protocol)]);
        } else if ranges.len() > INLINE {
            let set = port_set(&ranges, ruleset);
            let port = vec![Operand::Field(flow.port())];
            rules.push(vec![protocol_is(protocol), Statement::In(port, set)]);
        } else {
            rules.extend(ranges.iter().map(|(first, last)| {
                let range = key::ports(*first, *last);
                vec![protocol_is(protocol), in_range(flow, range)]
            }));
        }
    }
    if ports.has_icmp() {
        rules.push(vec![protocol_is(Protocol::Icmp)]);
    }
    rules
}

fn in_range(flow: Flow, range: Key) -> Statement {
    let (first, last) = range.bounds();
    match first == last {
        true => Statement::Is(flow.port(), first),
        false => Statement::InRange(flow.port(), first, last),
    }
}

/// The set with these ranges, which is named after them and never changes.
fn port_set(ranges: &[(u16, u16)], ruleset: &mut Ruleset) -> Name {
    let keys = ranges
        .iter()
        .map(|(first, last)| (key::ports(*first, *last), Value::None));
    let set = Set {
        key: vec![KeyType::Port],
        value: ValueType::None,
        lookup: Lookup::Interval,
        elements: keys.collect::<BTreeMap<_, _>>(),
    };
    // Two different sets with one hash are told apart by the salt.
    for salt in 0_u32.. {
        let mut hasher = FxHasher::default();
        (ranges, salt).hash(&mut hasher);
        let name = Name::from(format!("ports_{:016x}", hasher.finish()));
        match ruleset.sets.get(&name) {
            Some(known) if *known != set => {}
            Some(_) => return name,
            None => {
                ruleset.sets.insert(Name::clone(&name), set);
                return name;
            }
        }
    }
    Name::from("ports")
}
