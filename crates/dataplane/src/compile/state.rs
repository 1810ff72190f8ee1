//! What a ruleset was compiled from, and how it follows when that changes.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ringfence_engine::{Engine, EngineChanges};
use ringfence_model::address::IpFamily;
use ringfence_model::policy::Direction;
use ringfence_model::snapshot::PodId;

use super::bridge_ports::BridgePorts;
use super::endpoints::{Endpoints, Held, NO_TABLE, Shared, Slot};
use super::family::{Dirty, Family};
use super::node::{Endpoint, Enforcement, Node};
use super::ports::PortSets;
use super::{direction_index, family_index, named};
use crate::ruleset::{Edit, Key, Name, Ruleset, Value, closed, key};

const DIRECTIONS: [Direction; 2] = [Direction::Egress, Direction::Ingress];

/// What a ruleset was compiled from.
#[derive(Clone, Debug)]
pub(super) struct State {
    families: [Family; 2],
    endpoints: Endpoints,
    ports: PortSets,
    names: [Names; 2],
    interfaces: Name,
    bridge_ports: BridgePorts,
    /// The ports of bridges, in the first table.
    underneath: Name,
}

/// The names of the sets with addresses of this node's pods.
#[derive(Clone, Debug)]
struct Names {
    endpoints: Name,
    /// Each with itself, for who looks whether two are the same.
    ends: Name,
    audited: Name,
    /// Those of whom the interface is known that they are behind.
    bound: Name,
    sources: Name,
}

/// What is to be looked at again, in the end.
#[derive(Debug, Default)]
struct Touched {
    /// Addresses of this node's pods, by family.
    addresses: [BTreeSet<IpAddr>; 2],
    /// Pods of which it may have become certain, or uncertain, what they can do.
    pods: BTreeSet<PodId>,
}

impl State {
    /// Nothing yet. Numbers mean what they mean in `previous`, or nothing.
    pub(super) fn new(node: &Node, previous: &Ruleset) -> Self {
        let families = IpFamily::ALL.map(|family| {
            let mut family = Family::new(family, &node.settings);
            family.follow(previous);
            family
        });
        let names = IpFamily::ALL.map(|family| Names {
            endpoints: named("endpoints", family),
            ends: named("ends", family),
            audited: named("audited", family),
            bound: named("bound", family),
            sources: named("sources", family),
        });
        Self {
            families,
            endpoints: Endpoints::default(),
            ports: PortSets::default(),
            names,
            interfaces: Name::from("interfaces"),
            bridge_ports: BridgePorts::default(),
            underneath: Name::from("underneath"),
        }
    }

    /// Reads the pods of the cluster, and the bridges of the node, the first time.
    pub(super) fn read(&mut self, engine: &Engine, node: &Node, edit: &mut Edit<'_>) {
        for bridge in &node.bridges {
            // Whoever is behind it.
            let (set, name) = (&self.interfaces, key::interface(&bridge.name));
            self.endpoints
                .give_reason(Shared::Interfaces, set, name, edit);
        }
        for family in &mut self.families {
            family.read_pods(engine, edit);
        }
    }

    /// Follows changes of the engine, and whatever changed of the node's endpoints.
    pub(super) fn follow(
        &mut self,
        engine: &Engine,
        node: &Node,
        changes: &EngineChanges,
        unknown: &mut BTreeSet<PodId>,
        edit: &mut Edit<'_>,
    ) {
        let mut touched = Touched::default();
        let (gone, joined) = self.endpoints.follow(&node.endpoints);
        for (slot, held) in &gone {
            self.leave(*slot, held, &mut touched, edit);
        }
        for slot in &joined {
            self.join(*slot, &mut touched, edit);
        }
        let concerned = changes
            .pods
            .iter()
            .flat_map(|pod| self.endpoints.of_pod(*pod));
        let concerned: BTreeSet<Slot> = concerned.chain(&joined).copied().collect();
        for slot in concerned {
            self.place(engine, slot, &mut touched, edit);
        }
        let mut dirty: Vec<Dirty> = Vec::new();
        for family in &mut self.families {
            let moved = family.move_pods(engine, changes, edit);
            dirty.push(family.compile(engine, changes, &moved, &mut self.ports, edit));
        }
        self.look_again(&dirty, &mut touched);
        self.lead(&touched, edit);
        self.tell_unknown(&touched, unknown);
        for family in &mut self.families {
            family.end(&mut self.ports, edit);
        }
        self.ports.end(edit);
    }

    /// An endpoint is there from now on.
    fn join(&mut self, slot: Slot, touched: &mut Touched, edit: &mut Edit<'_>) {
        let Some(held) = self.endpoints.get(slot) else {
            return;
        };
        let endpoint = std::sync::Arc::clone(&held.endpoint);
        for (index, address) in addresses(&endpoint) {
            let Some(family) = self.families.get_mut(index) else {
                continue;
            };
            let claims = family.claims.entry(address).or_default();
            // Who had it may have it no more.
            let others = std::mem::replace(claims, claims.iter().copied().chain([slot]).collect());
            for other in others.iter().filter_map(|other| self.endpoints.get(*other)) {
                for direction in DIRECTIONS.map(direction_index) {
                    let table = table_of(other, index, direction);
                    family.leads_elsewhere(direction, table, address);
                }
            }
            touched.address(index, address);
        }
        for (shared, set, key) in self.reasons(&endpoint) {
            self.endpoints.give_reason(shared, &set, key, edit);
        }
    }

    /// An endpoint is not there any more.
    fn leave(&mut self, slot: Slot, held: &Held, touched: &mut Touched, edit: &mut Edit<'_>) {
        for (index, address) in addresses(&held.endpoint) {
            if let Some(family) = self.families.get_mut(index)
                && let Some(claims) = family.claims.get_mut(&address)
            {
                claims.retain(|other| *other != slot);
                if claims.is_empty() {
                    family.claims.remove(&address);
                }
            }
            touched.address(index, address);
        }
        for (index, family) in self.families.iter_mut().enumerate() {
            for direction in DIRECTIONS.map(direction_index) {
                let old = table_of(held, index, direction);
                let address = held.endpoint.address(family.family);
                family.judge_by(direction, address, (old, NO_TABLE));
            }
            if let Some(number) = held.to_itself.get(index).copied().flatten() {
                family.to_itself.release(number);
            }
        }
        for (shared, set, key) in self.reasons(&held.endpoint) {
            self.endpoints.take_reason(shared, &set, key, edit);
        }
        touched.pods.insert(held.endpoint.pod);
    }

    /// The elements of sets that are there for an endpoint, and perhaps for others.
    fn reasons(&self, endpoint: &Endpoint) -> Vec<(Shared, Name, Key)> {
        let Some(interface) = endpoint.interface.as_deref() else {
            return Vec::new();
        };
        let port = endpoint.port.as_ref();
        let mut reasons = Vec::new();
        let name = key::interface(interface);
        reasons.push((Shared::Interfaces, &self.interfaces, name));
        for (index, address) in addresses(endpoint) {
            let source = key::interface(interface).then(&key::address(address));
            let names = self.names.get(index);
            reasons.extend(names.map(|names| (Shared::Sources, &names.sources, source)));
        }
        if let Some(port) = port {
            let addresses = addresses(endpoint).map(|(_, address)| address);
            reasons.extend(self.bridge_ports.elements(port, addresses));
            let name = key::interface(&port.name);
            reasons.push((Shared::Underneath, &self.underneath, name));
        }
        let owned = reasons.into_iter();
        owned
            .map(|(shared, set, key)| (shared, Name::clone(set), key))
            .collect()
    }

    /// Finds the tables of an endpoint that is new, or of a pod that has others.
    fn place(&mut self, engine: &Engine, slot: Slot, touched: &mut Touched, edit: &mut Edit<'_>) {
        let Some(held) = self.endpoints.get_mut(slot) else {
            return;
        };
        let endpoint = &*held.endpoint;
        touched.pods.insert(endpoint.pod);
        held.itself_unknown = false;
        for (index, family) in self.families.iter_mut().enumerate() {
            let address = endpoint.address(family.family).filter(|_| !endpoint.closed);
            for direction in DIRECTIONS {
                let table =
                    address.and_then(|_| engine.table(endpoint.pod, direction, family.family));
                let new = table.map_or(NO_TABLE, |table| table.id());
                let at = direction_index(direction);
                let slot = held
                    .tables
                    .get_mut(index)
                    .and_then(|tables| tables.get_mut(at));
                if let Some(old) = slot {
                    let address = endpoint.address(family.family);
                    family.judge_by(at, address, (*old, new));
                    *old = new;
                }
            }
            let open = address.map(|_| engine.ports_to_itself(endpoint.pod, family.family));
            held.itself_unknown |= open.as_ref().is_some_and(|open| !open.maybe.is_empty());
            let ports = &mut self.ports;
            let new = open.map(|open| family.to_itself.intern(&open.allow, ports, edit));
            if let Some(number) = held.to_itself.get_mut(index) {
                let old = std::mem::replace(number, new);
                old.into_iter()
                    .for_each(|old| family.to_itself.release(old));
            }
            if let Some(address) = endpoint.address(family.family) {
                touched.address(index, address);
            }
        }
    }

    /// Adds the endpoints of tables that have another chain, or became uncertain.
    fn look_again(&self, dirty: &[Dirty], touched: &mut Touched) {
        let any = dirty.iter().any(|dirty| {
            let marked = dirty.chains.iter().chain(&dirty.unknown);
            marked.into_iter().any(|tables| !tables.is_empty())
        });
        if !any {
            return;
        }
        for (_, held) in self.endpoints.iter() {
            for (index, dirty) in dirty.iter().enumerate() {
                for direction in DIRECTIONS.map(direction_index) {
                    let table = table_of(held, index, direction);
                    let has = |marked: &[BTreeSet<u32>; 2]| {
                        let marked = marked.get(direction);
                        table != NO_TABLE && marked.is_some_and(|marked| marked.contains(&table))
                    };
                    if has(&dirty.unknown) {
                        touched.pods.insert(held.endpoint.pod);
                    }
                    if has(&dirty.chains)
                        && let Some(address) = held.endpoint.address(family_of(index))
                    {
                        touched.address(index, address);
                    }
                }
            }
        }
    }

    /// Has addresses of this node's pods lead to the chains that judge them.
    fn lead(&self, touched: &Touched, edit: &mut Edit<'_>) {
        for ((family, names), addresses) in self
            .families
            .iter()
            .zip(&self.names)
            .zip(&touched.addresses)
        {
            for address in addresses {
                self.lead_one(family, names, *address, edit);
            }
        }
    }

    fn lead_one(&self, family: &Family, names: &Names, address: IpAddr, edit: &mut Edit<'_>) {
        let index = family_index(family.family);
        let held = self.owner_of(family, address);
        let at = key::address(address);
        let is_there = held.map(|_| Value::None);
        edit.put(&names.endpoints, at.clone(), is_there.clone());
        edit.put(&names.ends, at.clone().then(&at), is_there);
        let audited = held.filter(|held| held.endpoint.enforcement == Enforcement::Audit);
        edit.put(&names.audited, at.clone(), audited.map(|_| Value::None));
        let claims = family.claims.get(&address).into_iter().flatten();
        let mut claimants = claims.filter_map(|slot| self.endpoints.get(*slot));
        let is_bound = claimants.any(|held| held.endpoint.interface.is_some());
        edit.put(&names.bound, at.clone(), is_bound.then_some(Value::None));
        for direction in DIRECTIONS.map(direction_index) {
            let Some(judges) = family.judges.get(direction) else {
                continue;
            };
            let chain = held.and_then(|held| {
                let table = family.table(direction, table_of(held, index, direction))?;
                table.chain
            });
            let is_closed = held.is_some_and(|held| held.endpoint.closed);
            for (flow, map, _) in judges.maps() {
                let number = match is_closed {
                    true => Some(closed()),
                    false => chain.and_then(|chain| judges.number_for(flow, chain)),
                };
                edit.put(map, at.clone(), number);
            }
        }
        let to_itself = held.and_then(|held| held.to_itself.get(index).copied().flatten());
        let verdict = to_itself.map(|number| family.to_itself.verdict(number));
        edit.put(&family.to_itself.map, at.clone().then(&at), verdict);
    }

    /// Who has an address. Of several who claim it, one that is closed; otherwise one and
    /// the same, whatever the order in which they came.
    fn owner_of(&self, family: &Family, address: IpAddr) -> Option<&Held> {
        let slots = family.claims.get(&address)?;
        let claimants = slots.iter().filter_map(|slot| self.endpoints.get(*slot));
        claimants.max_by(|a, b| {
            let rank = |held: &Held| (held.endpoint.closed, held.endpoint.pod);
            let name = |held: &Held| Name::clone(&held.endpoint.name);
            let order = rank(a).cmp(&rank(b));
            order.then_with(|| name(a).cmp(&name(b)))
        })
    }

    /// Writes down of which pods it is not certain what they can do.
    fn tell_unknown(&self, touched: &Touched, unknown: &mut BTreeSet<PodId>) {
        for pod in &touched.pods {
            let slots = self.endpoints.of_pod(*pod).iter();
            let mut held = slots.filter_map(|slot| self.endpoints.get(*slot));
            match held.any(|held| self.is_unknown(held)) {
                true => unknown.insert(*pod),
                false => unknown.remove(pod),
            };
        }
    }

    fn is_unknown(&self, held: &Held) -> bool {
        let mut families = self.families.iter().enumerate();
        let mut tables = families.by_ref().flat_map(|(index, family)| {
            let ids = DIRECTIONS.map(direction_index);
            ids.map(|at| family.table(at, table_of(held, index, at)))
        });
        let unknown = tables.any(|table| {
            let said = table.and_then(|table| table.said.as_ref());
            said.is_some_and(|said| said.unknown)
        });
        unknown || held.itself_unknown
    }

    /// The pods to and from which nothing passes.
    pub(super) fn closed(&self) -> BTreeSet<PodId> {
        self.endpoints.closed.keys().copied().collect()
    }

    /// The pods that chains with these names are for.
    pub(super) fn judged_by(&self, chains: &BTreeSet<String>) -> BTreeSet<PodId> {
        let mut numbers: [[BTreeSet<u32>; 2]; 2] = Default::default();
        let mut to_itself: [BTreeSet<u32>; 2] = Default::default();
        for name in chains {
            let by_family = numbers.iter_mut().zip(&mut to_itself);
            for (family, (numbers, to_itself)) in self.families.iter().zip(by_family) {
                to_itself.extend(family.to_itself.number_of(name));
                for (judges, numbers) in family.judges.iter().zip(numbers) {
                    numbers.extend(judges.number_of(name));
                }
            }
        }
        let concerned = self.endpoints.iter().filter(|(_, held)| {
            let families = self.families.iter().enumerate();
            families
                .zip(numbers.iter().zip(&to_itself))
                .any(|((index, family), sets)| {
                    let (numbers, to_itself) = sets;
                    let mut judged = numbers.iter().enumerate().filter_map(|(at, numbers)| {
                        let table = family.table(at, table_of(held, index, at))?;
                        Some(numbers.contains(&table.chain?))
                    });
                    let itself = held.to_itself.get(index).copied().flatten();
                    judged.any(|judged| judged)
                        || itself.is_some_and(|number| to_itself.contains(&number))
                })
        });
        concerned.map(|(_, held)| held.endpoint.pod).collect()
    }
}

impl Touched {
    fn address(&mut self, family: usize, address: IpAddr) {
        if let Some(addresses) = self.addresses.get_mut(family) {
            addresses.insert(address);
        }
    }
}

fn table_of(held: &Held, family: usize, direction: usize) -> u32 {
    let tables = held.tables.get(family);
    tables
        .and_then(|tables| tables.get(direction).copied())
        .unwrap_or(NO_TABLE)
}

fn family_of(index: usize) -> IpFamily {
    match index {
        0 => IpFamily::V4,
        _ => IpFamily::V6,
    }
}

/// The addresses of an endpoint, with the index of their family.
fn addresses(endpoint: &Endpoint) -> impl Iterator<Item = (usize, IpAddr)> + '_ {
    let addresses = IpFamily::ALL.map(|family| (family_index(family), endpoint.address(family)));
    let addresses = addresses.into_iter();
    addresses.filter_map(|(index, address)| Some((index, address?)))
}
