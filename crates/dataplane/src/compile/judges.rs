//! The chains that judge one side, by number, and the maps that lead to them.
//!
//! Tables that say the same share a chain. A chain never changes: a table that says
//! something else gets another, with a number that nobody had in the ruleset before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::chains::{Content, Flow, Half, Needed, denied};
use super::named;
use super::numbers::Numbers;
use super::ports::PortSets;
use crate::ruleset::{CLOSED, Chain, Edit, Name, Rule, Ruleset, Target, Value, Word, key};

/// The number of a chain that is not made for some pods, like [`CLOSED`]; others begin
/// with 1.
const DENIED: u32 = 0;

/// The chains of one side in one family.
#[derive(Clone, Debug)]
pub(super) struct Judges {
    half: Half,
    /// For each flow, the map from addresses to numbers, and from those to chains.
    maps: Vec<(Flow, Name, Name)>,
    held: BTreeMap<u32, Held>,
    by_content: FxHashMap<Arc<Content>, u32>,
    numbers: Numbers,
    /// Numbers of the ruleset before, by the rules of their chains.
    before: FxHashMap<String, u32>,
    /// Chains that may judge nobody any more.
    doubtful: BTreeSet<u32>,
    /// Whether chains came or went.
    changed: bool,
    /// Whether single packets are judged.
    judge_untracked: bool,
}

#[derive(Clone, Debug)]
struct Held {
    content: Arc<Content>,
    /// How many tables are judged by it.
    tables: u32,
}

impl Judges {
    pub(super) fn new(half: Half, judge_untracked: bool) -> Self {
        let maps = half.flows().iter().map(|flow| {
            let map = half.map(*flow);
            let chains = named(&chains_of(*flow, half), half.family);
            (*flow, map, chains)
        });
        Self {
            half,
            maps: maps.collect(),
            held: BTreeMap::new(),
            by_content: FxHashMap::default(),
            numbers: Numbers::default(),
            before: FxHashMap::default(),
            doubtful: BTreeSet::new(),
            changed: true,
            judge_untracked,
        }
    }

    /// For each flow, the map from addresses to numbers, and from those to chains.
    pub(super) fn maps(&self) -> impl Iterator<Item = (Flow, &Name, &Name)> {
        let maps = self.maps.iter();
        maps.map(|(flow, map, chains)| (*flow, map, chains))
    }

    /// Reads the numbers of the ruleset before: equal rules get their number again, and
    /// no other chain does in this change.
    pub(super) fn follow(&mut self, previous: &Ruleset) {
        for (flow, map, chains) in &self.maps {
            let keys = previous.sets.get(chains).into_iter();
            let keys = keys.flat_map(|set| set.elements.keys());
            let numbers = keys.filter_map(|key| key.bytes.get(..4)?.try_into().ok());
            self.numbers.reserve(numbers.map(u32::from_ne_bytes));
            for (name, chain) in &previous.chains {
                let number = name.strip_prefix(&**map).and_then(|n| n.strip_prefix('_'));
                let Some(number) = number.and_then(|number| number.parse().ok()) else {
                    continue;
                };
                self.numbers.reserve([number]);
                if *flow == Flow::Connection && number != DENIED && number != CLOSED {
                    self.before.insert(text(&chain.rules), number);
                }
            }
        }
    }

    /// The number of the chain with this content, for a table that had another.
    pub(super) fn intern(
        &mut self,
        content: Content,
        ports: &mut PortSets,
        edit: &mut Edit<'_>,
    ) -> u32 {
        if let Some(number) = self.by_content.get(&content)
            && let Some(held) = self.held.get_mut(number)
        {
            held.tables += 1;
            return *number;
        }
        let rules = self.half.rules(Flow::Connection, &content, ports, edit);
        let number = match self.before.remove(&text(&rules)) {
            Some(number) => {
                self.numbers.take(number);
                number
            }
            None => self.numbers.fresh(),
        };
        for (flow, map, chains) in &self.maps {
            let chain = match flow {
                Flow::Connection => Chain::inner(rules.clone()),
                _ if self.needed(*flow, &content) == Needed::Chain => {
                    Chain::inner(self.half.rules(*flow, &content, ports, edit))
                }
                _ => continue,
            };
            let name = chain_name(map, number);
            ports.asked_by(&chain);
            edit.set_chain(&name, chain);
            let jump = Value::Verdict(Box::new(Target::Jump(name)));
            edit.set_element(chains, key::peer_set(number), jump);
        }
        let content = Arc::new(content);
        self.by_content.insert(Arc::clone(&content), number);
        self.held.insert(number, Held { content, tables: 1 });
        self.changed = true;
        number
    }

    /// A table is judged by another chain from now on.
    pub(super) fn release(&mut self, number: u32) {
        if let Some(held) = self.held.get_mut(&number) {
            held.tables = held.tables.saturating_sub(1);
            self.doubtful.insert(number);
        }
    }

    /// What a map leads to for the pods of a chain, if it does.
    pub(super) fn number_for(&self, flow: Flow, number: u32) -> Option<Value> {
        let held = self.held.get(&number)?;
        match self.needed(flow, &held.content) {
            Needed::Nothing => None,
            Needed::Denial => Some(number_value(DENIED)),
            Needed::Chain => Some(number_value(number)),
        }
    }

    fn needed(&self, flow: Flow, content: &Content) -> Needed {
        match flow {
            Flow::Connection => Needed::Chain,
            Flow::FirstDestination => content.metadata,
            Flow::Packet if self.judge_untracked => Needed::Chain,
            Flow::Packet => Needed::Nothing,
        }
    }

    /// Ends a change: chains that judge nobody go.
    pub(super) fn end(&mut self, ports: &mut PortSets, edit: &mut Edit<'_>) {
        for number in std::mem::take(&mut self.doubtful) {
            let is_unused = |held: &Held| held.tables == 0;
            if !self.held.get(&number).is_some_and(is_unused) {
                continue;
            }
            if let Some(held) = self.held.remove(&number) {
                self.by_content.remove(&held.content);
            }
            self.changed = true;
            for (_, map, chains) in &self.maps {
                let name = chain_name(map, number);
                if let Some(chain) = edit.ruleset().chains.get(&name) {
                    ports.left_by(chain);
                    edit.remove_chain(&name);
                    edit.remove_element(chains, &key::peer_set(number));
                }
            }
            self.numbers.release(number);
        }
        if std::mem::take(&mut self.changed) {
            self.lead_on(edit);
        }
        self.before = FxHashMap::default();
        self.numbers.end();
    }

    /// Says where the numbers lead that are not those of chains for some pods.
    fn lead_on(&self, edit: &mut Edit<'_>) {
        for (flow, _, chains) in &self.maps {
            let mut contents = self.held.values().map(|held| &held.content);
            let denies = contents.any(|content| self.needed(*flow, content) == Needed::Denial);
            let denied = denied(*flow, self.half.direction, self.half.family);
            let jump = denies.then(|| Value::Verdict(Box::new(Target::Jump(denied))));
            edit.put(chains, key::peer_set(DENIED), jump);
            let closed = Value::Verdict(Box::new(Target::Goto(Name::from("closed"))));
            edit.set_element(chains, key::peer_set(CLOSED), closed);
        }
    }

    /// The number of the chain with this name.
    pub(super) fn number_of(&self, name: &str) -> Option<u32> {
        let mut numbers = self.maps.iter().filter_map(|(_, map, _)| {
            let number = name.strip_prefix(&**map)?.strip_prefix('_')?;
            number.parse().ok()
        });
        numbers.next()
    }
}

/// A number as what a map leads to.
fn number_value(number: u32) -> Value {
    Value::Bytes(Word::number(number))
}

fn chains_of(flow: Flow, half: Half) -> String {
    let map = half.map(flow);
    let word = map.trim_end_matches(char::is_numeric);
    format!("{word}_chains")
}

fn chain_name(map: &str, number: u32) -> Name {
    Name::from(format!("{map}_{number}"))
}

pub(super) fn text(rules: &[Rule]) -> String {
    let lines = rules.iter().map(|rule| format!("{rule}\n"));
    lines.collect()
}
