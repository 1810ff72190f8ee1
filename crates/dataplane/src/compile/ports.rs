//! Sets of ports as statements.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use ringfence_engine::sets::PortSet;
use ringfence_model::address::IpFamily;
use ringfence_model::protocol::Protocol;
use rustc_hash::FxHasher;

use super::chains::Flow;
use crate::ruleset::{
    Chain, Edit, Key, KeyType, Layer, Lookup, Name, Operand, Set, Statement, Value, ValueType, key,
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
    sets: &mut PortSets,
    edit: &mut Edit<'_>,
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
            let set = sets.named(&ranges, edit);
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

/// What the names of sets of ports begin with.
pub(crate) const PORT_SET: &str = "ports_";

/// A set of ports, without any.
pub(crate) fn port_set() -> Set {
    Set {
        layer: Layer::Network,
        key: vec![KeyType::Port],
        value: ValueType::None,
        lookup: Lookup::Interval,
        elements: BTreeMap::new(),
    }
}

/// Sets of ports in the ruleset, with how many rules ask each. A set is named after its
/// ports and never changes.
#[derive(Clone, Debug, Default)]
pub(super) struct PortSets {
    used: BTreeMap<Name, usize>,
    /// Sets that may be asked by no rule any more.
    doubtful: BTreeSet<Name>,
}

impl PortSets {
    /// The set with these ranges.
    fn named(&mut self, ranges: &[(u16, u16)], edit: &mut Edit<'_>) -> Name {
        let keys = ranges
            .iter()
            .map(|(first, last)| (key::ports(*first, *last), Value::None));
        let set = Set {
            elements: keys.collect(),
            ..port_set()
        };
        // Two different sets with one hash are told apart by the salt.
        let mut salt = 0_u32;
        loop {
            let mut hasher = FxHasher::default();
            (ranges, salt).hash(&mut hasher);
            let name = Name::from(format!("{PORT_SET}{:016x}", hasher.finish()));
            match edit.ruleset().sets.get(&name) {
                Some(known) if *known == set => return name,
                Some(_) => salt = salt.wrapping_add(1),
                None => {
                    self.used.insert(Name::clone(&name), 0);
                    self.doubtful.insert(Name::clone(&name));
                    edit.add_set(&name, set);
                    return name;
                }
            }
        }
    }

    /// Counts the rules of a chain that is written.
    pub(super) fn asked_by(&mut self, chain: &Chain) {
        for name in asked(chain) {
            if let Some(used) = self.used.get_mut(name) {
                *used += 1;
            }
        }
    }

    /// Counts the rules of a chain that goes.
    pub(super) fn left_by(&mut self, chain: &Chain) {
        for name in asked(chain) {
            if let Some(used) = self.used.get_mut(name) {
                *used = used.saturating_sub(1);
                if *used == 0 {
                    self.doubtful.insert(Name::clone(name));
                }
            }
        }
    }

    /// Ends a change: sets that no rule asks go.
    pub(super) fn end(&mut self, edit: &mut Edit<'_>) {
        for name in std::mem::take(&mut self.doubtful) {
            if self.used.get(&name) == Some(&0) {
                self.used.remove(&name);
                edit.remove_set(&name);
            }
        }
    }
}

/// The sets that the rules of a chain look something up in.
fn asked(chain: &Chain) -> impl Iterator<Item = &Name> {
    let statements = chain.rules.iter().flat_map(|rule| &rule.statements);
    statements.filter_map(|statement| match statement {
        Statement::In(_, set) => Some(set),
        _ => None,
    })
}
