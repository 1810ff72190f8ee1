//! Both sides of the connections of a node's pods, in one family.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ringfence_engine::sets::PortSet;
use ringfence_engine::{Engine, PodTable};
use ringfence_model::address::{IpFamily, IpRangeSet, to_number};
use ringfence_model::metadata;
use ringfence_model::policy::Direction;
use ringfence_model::snapshot::{PodId, PodKind};

use super::chains::{ChainOwners, Content, Flow, Group, denied};
use super::node::{Endpoint, Node};
use super::peers::{PeerSet, Pieces};
use super::{Compiled, direction_index, family_index, named, ports};
use crate::ruleset::{
    Chain, Key, KeyType, Lookup, Name, Rule, Ruleset, Set, Statement, Target, Value, ValueType, key,
};

/// Who has use for a set of peers: the first of the pods whose side mentions it, and
/// what the peers get there.
pub(super) type PeerSetOwner = (usize, Name, PortSet);

/// The pods of the node that have one table.
struct Table<'a> {
    direction: Direction,
    endpoints: Vec<&'a Endpoint>,
    groups: Vec<(PortSet, PeerSet)>,
    others: PortSet,
}

/// Writes the sets and chains of one family.
pub(super) fn compile(
    engine: &Engine,
    node: &Node,
    family: IpFamily,
    next: &mut Compiled,
    ruleset: &mut Ruleset,
) {
    let tables = tables(engine, node, family, next);
    let mut owners: BTreeMap<&PeerSet, Vec<PeerSetOwner>> = BTreeMap::new();
    for table in &tables {
        let Some(first) = table.endpoints.first() else {
            continue;
        };
        for (ports, peers) in &table.groups {
            let owner = (
                direction_index(table.direction),
                Name::clone(&first.name),
                ports.clone(),
            );
            owners.entry(peers).or_default().push(owner);
        }
    }
    let (sets, owners): (Vec<&PeerSet>, Vec<Vec<PeerSetOwner>>) = owners.into_iter().unzip();
    #[expect(clippy::indexing_slicing, reason = "two families, an array of two")]
    let numbers = next.peer_sets[family_index(family)].assign(&owners);
    let numbers: BTreeMap<&PeerSet, u32> = sets.into_iter().zip(numbers).collect();
    write_peers(family, &numbers, ruleset);
    for direction in [Direction::Egress, Direction::Ingress] {
        let tables = tables.iter().filter(|table| table.direction == direction);
        write_chains(direction, family, tables, &numbers, node, next, ruleset);
    }
    to_itself(engine, node, family, next, ruleset);
}

/// The tables of the pods of a node, without those that leave everything open.
fn tables<'a>(
    engine: &Engine,
    node: &'a Node,
    family: IpFamily,
    next: &mut Compiled,
) -> Vec<Table<'a>> {
    let mut tables = Vec::new();
    for direction in [Direction::Egress, Direction::Ingress] {
        let mut by_id: BTreeMap<u32, (PodTable<'_>, Vec<&Endpoint>)> = BTreeMap::new();
        for endpoint in &node.endpoints {
            if endpoint.address(family).is_none() || endpoint.closed {
                continue;
            }
            if let Some(table) = engine.table(endpoint.pod, direction, family) {
                let known = by_id.entry(table.id()).or_insert((table, Vec::new()));
                known.1.push(endpoint);
            }
        }
        for (table, endpoints) in by_id.into_values() {
            let mut unknown = !table.others().maybe.is_empty();
            let others = table.others().allow;
            let mut groups: BTreeMap<PortSet, (Vec<IpAddr>, IpRangeSet)> = BTreeMap::new();
            for group in table.groups() {
                let ports = group.ports();
                unknown |= !ports.maybe.is_empty();
                if ports.allow == others {
                    continue;
                }
                let empty = || (Vec::new(), IpRangeSet::empty(family));
                let (pods, blocks) = groups.entry(ports.allow).or_insert_with(empty);
                pods.extend(
                    group
                        .pods()
                        .filter_map(|pod| peer_address(engine, pod, family)),
                );
                *blocks = blocks.union(&group.addresses());
            }
            if unknown {
                next.unknown
                    .extend(endpoints.iter().map(|endpoint| endpoint.pod));
            }
            let groups: Vec<(PortSet, PeerSet)> = groups
                .into_iter()
                .map(|(ports, (pods, blocks))| (ports, PeerSet::new(pods, &blocks)))
                .filter(|(_, peers)| !peers.is_empty())
                .collect();
            if !groups.is_empty() || !others.is_all() {
                tables.push(Table {
                    direction,
                    endpoints,
                    groups,
                    others,
                });
            }
        }
    }
    tables
}

/// The address of a pod that packets come from or go to.
pub(super) fn peer_address(engine: &Engine, pod: PodId, family: IpFamily) -> Option<IpAddr> {
    let pod = engine.snapshot().pod(pod);
    let is_one = pod.kind == PodKind::Single && !pod.host_network;
    pod.address(family).filter(|_| is_one)
}

fn write_peers(family: IpFamily, numbers: &BTreeMap<&PeerSet, u32>, ruleset: &mut Ruleset) {
    let pods = numbers.iter().flat_map(|(set, number)| {
        let number = key::peer_set(*number);
        let pods = set.pods.iter();
        pods.map(move |pod| (number.clone().then(&key::address(*pod)), Value::None))
    });
    let address = KeyType::Address(family);
    let mut add = |name, key, value, lookup, elements| {
        let set = Set {
            key,
            value,
            lookup,
            elements,
        };
        ruleset.sets.insert(named(name, family), set);
    };
    let member = || vec![KeyType::PeerSet, address];
    add(
        "peers",
        member(),
        ValueType::None,
        Lookup::Exact,
        pods.collect(),
    );
    let pieces = Pieces::cut(family, numbers.iter().map(|(set, number)| (*number, *set)));
    add(
        "blocks",
        member(),
        ValueType::None,
        Lookup::Exact,
        pieces.in_set,
    );
    let value = ValueType::Bytes(address);
    add(
        "pieces",
        vec![address],
        value,
        Lookup::Interval,
        pieces.of_range,
    );
}

fn write_chains<'a>(
    direction: Direction,
    family: IpFamily,
    tables: impl Iterator<Item = &'a Table<'a>>,
    numbers: &BTreeMap<&PeerSet, u32>,
    node: &Node,
    next: &mut Compiled,
    ruleset: &mut Ruleset,
) {
    let mut contents: BTreeMap<Content, Vec<&Endpoint>> = BTreeMap::new();
    for table in tables {
        let groups = table.groups.iter().map(|(ports, peers)| Group {
            ports: ports.clone(),
            peer_set: numbers.get(peers).copied().unwrap_or_default(),
            has_pods: !peers.pods.is_empty(),
            has_blocks: !peers.blocks.is_empty(),
        });
        let content = Content {
            groups: groups.collect(),
            others: table.others.clone(),
        };
        contents
            .entry(content)
            .or_default()
            .extend(&table.endpoints);
    }
    let owners: Vec<Vec<Name>> = contents
        .values()
        .map(|endpoints| {
            endpoints
                .iter()
                .map(|endpoint| Name::clone(&endpoint.name))
                .collect()
        })
        .collect();
    #[expect(clippy::indexing_slicing, reason = "two directions, two families")]
    let assigned = next.chains[direction_index(direction)][family_index(family)].assign(&owners);
    let flows: &[(Flow, &str)] = match direction {
        Direction::Egress => &[
            (Flow::Connection, "egress"),
            (Flow::FirstDestination, "first"),
            (Flow::Packet, "node"),
        ],
        Direction::Ingress => &[(Flow::Connection, "ingress")],
    };
    for (flow, map) in flows {
        let mut numbers_of: BTreeMap<Key, Value> = BTreeMap::new();
        let mut chains: BTreeMap<Key, Value> = BTreeMap::new();
        let mut add = |number: u32, target: Target, endpoints: &[&Endpoint]| {
            let number = key::peer_set(number);
            chains.insert(number.clone(), Value::Verdict(target));
            let addresses = endpoints
                .iter()
                .filter_map(|endpoint| endpoint.address(family));
            let to_number = |address| (key::address(address), Value::Bytes(number.clone()));
            numbers_of.extend(addresses.map(to_number));
        };
        for ((content, endpoints), number) in contents.iter().zip(&assigned) {
            let chain = ChainOwners {
                direction,
                family,
                number: *number,
            };
            let needed = match flow {
                Flow::Connection => Needed::Chain,
                Flow::FirstDestination => metadata_needs(content, family, numbers),
                Flow::Packet if node.settings.judge_untracked => Needed::Chain,
                Flow::Packet => Needed::Nothing,
            };
            match needed {
                Needed::Nothing => {}
                Needed::Denial => {
                    let denied = denied(*flow, direction, family);
                    add(DENIED, Target::Jump(denied), endpoints);
                }
                Needed::Chain => {
                    chain.write(*flow, content, ruleset);
                    let pods = endpoints.iter().map(|endpoint| endpoint.pod);
                    next.chain_pods.insert(chain.name(*flow), pods.collect());
                    add(*number, Target::Jump(chain.name(*flow)), endpoints);
                }
            }
        }
        let closed: Vec<&Endpoint> = node.endpoints.iter().filter(|e| e.closed).collect();
        add(CLOSED, Target::Goto(Name::from("closed")), &closed);
        let to_number = Set {
            key: vec![KeyType::Address(family)],
            value: ValueType::Bytes(KeyType::PeerSet),
            lookup: Lookup::Exact,
            elements: numbers_of,
        };
        ruleset.sets.insert(named(map, family), to_number);
        let to_chain = Set {
            key: vec![KeyType::PeerSet],
            value: ValueType::Verdict,
            lookup: Lookup::Exact,
            elements: chains,
        };
        ruleset
            .sets
            .insert(named(&format!("{map}_chains"), family), to_chain);
    }
}

/// The numbers of chains that are not compiled for some pods; others begin with 1.
const DENIED: u32 = 0;
const CLOSED: u32 = u32::MAX;

/// What a flow needs to be judged.
enum Needed {
    /// Nothing is denied.
    Nothing,
    /// Everything is.
    Denial,
    /// It depends.
    Chain,
}

/// What translated connections to metadata services need.
fn metadata_needs(
    content: &Content,
    family: IpFamily,
    numbers: &BTreeMap<&PeerSet, u32>,
) -> Needed {
    let sets: BTreeMap<u32, &PeerSet> = numbers.iter().map(|(set, n)| (*n, *set)).collect();
    let mut ports = metadata::secret_addresses()
        .into_iter()
        .filter(|address| IpFamily::of(*address) == family)
        .map(|address| {
            let number = to_number(address);
            let group = content.groups.iter().find(|group| {
                let set = sets.get(&group.peer_set);
                set.is_some_and(|set| set.has_block_with(number))
            });
            group.map_or(&content.others, |group| &group.ports)
        })
        .collect::<Vec<_>>();
    ports.dedup();
    match ports.as_slice() {
        [] => Needed::Nothing,
        [ports] if ports.is_all() => Needed::Nothing,
        [ports] if ports.is_empty() => Needed::Denial,
        _ => Needed::Chain,
    }
}

/// Connections of pods to themselves, which a Service led back to them.
fn to_itself(
    engine: &Engine,
    node: &Node,
    family: IpFamily,
    next: &mut Compiled,
    ruleset: &mut Ruleset,
) {
    let mut contents: BTreeMap<PortSet, Vec<&Endpoint>> = BTreeMap::new();
    for endpoint in node.endpoints.iter().filter(|endpoint| !endpoint.closed) {
        let ports = engine.ports_to_itself(endpoint.pod, family);
        if !ports.maybe.is_empty() {
            next.unknown.insert(endpoint.pod);
        }
        contents.entry(ports.allow).or_default().push(endpoint);
    }
    let owners: Vec<Vec<Name>> = contents
        .values()
        .map(|endpoints| {
            endpoints
                .iter()
                .map(|endpoint| Name::clone(&endpoint.name))
                .collect()
        })
        .collect();
    #[expect(clippy::indexing_slicing, reason = "two families, an array of two")]
    let assigned = next.to_itself[family_index(family)].assign(&owners);
    let admit = || Target::Goto(Name::from("admit"));
    let mut elements: BTreeMap<Key, Value> = BTreeMap::new();
    for ((open, endpoints), number) in contents.iter().zip(assigned) {
        let target = match open.is_all() {
            true => admit(),
            false => {
                let name = Name::from(format!("{}_{number}", named("itself", family)));
                let flow = Flow::Connection;
                let mut rules: Vec<Rule> = ports::matches(open, flow, family, ruleset)
                    .into_iter()
                    .map(|statements| {
                        let admit = Statement::Go(admit());
                        Rule::new(statements.into_iter().chain([admit]))
                    })
                    .collect();
                let denied = denied(flow, Direction::Egress, family);
                rules.push(Rule::new([Statement::goto(denied)]));
                ruleset
                    .chains
                    .insert(Name::clone(&name), Chain { hook: None, rules });
                Target::Goto(name)
            }
        };
        let addresses = endpoints
            .iter()
            .filter_map(|endpoint| endpoint.address(family));
        elements.extend(addresses.map(|address| {
            let twice = key::address(address).then(&key::address(address));
            (twice, Value::Verdict(target.clone()))
        }));
    }
    let map = Set {
        key: vec![KeyType::Address(family), KeyType::Address(family)],
        value: ValueType::Verdict,
        lookup: Lookup::Exact,
        elements,
    };
    ruleset.sets.insert(named("itself", family), map);
}
