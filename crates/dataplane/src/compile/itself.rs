//! Connections of pods to themselves, which a Service led back to them.

use std::collections::{BTreeMap, BTreeSet};

use ringfence_engine::sets::PortSet;
use ringfence_model::address::IpFamily;
use ringfence_model::policy::Direction;

use super::chains::{Flow, denied};
use super::judges::text;
use super::named;
use super::numbers::Numbers;
use super::ports::{self, PortSets};
use crate::ruleset::{Chain, Edit, Name, Rule, Ruleset, Statement, Target, Value};

/// The number of what leaves everything open, for which there is no chain.
const OPEN: u32 = 0;

/// What pods can open to themselves, in one family. Like other chains, these never change.
#[derive(Clone, Debug)]
pub(super) struct ToItself {
    family: IpFamily,
    /// The map from an address, twice, to what is to be done.
    pub(super) map: Name,
    held: BTreeMap<u32, (PortSet, u32)>,
    by_ports: BTreeMap<PortSet, u32>,
    numbers: Numbers,
    /// Numbers of the ruleset before, by the rules of their chains.
    before: BTreeMap<String, u32>,
    /// Chains that may be for no pod any more.
    doubtful: BTreeSet<u32>,
}

impl ToItself {
    pub(super) fn new(family: IpFamily) -> Self {
        Self {
            family,
            map: named("itself", family),
            held: BTreeMap::new(),
            by_ports: BTreeMap::new(),
            numbers: Numbers::default(),
            before: BTreeMap::new(),
            doubtful: BTreeSet::new(),
        }
    }

    /// Reads the numbers of the ruleset before: equal rules get their number again, and
    /// no other chain does in this change.
    pub(super) fn follow(&mut self, previous: &Ruleset) {
        for (name, chain) in &previous.chains {
            if let Some(number) = self.number_of(name).filter(|number| *number != OPEN) {
                self.numbers.reserve([number]);
                self.before.insert(text(&chain.rules), number);
            }
        }
    }

    /// The number for these ports, for a pod that had another.
    pub(super) fn intern(
        &mut self,
        open: &PortSet,
        sets: &mut PortSets,
        edit: &mut Edit<'_>,
    ) -> u32 {
        if open.is_all() {
            return OPEN;
        }
        if let Some(number) = self.by_ports.get(open) {
            if let Some((_, pods)) = self.held.get_mut(number) {
                *pods += 1;
            }
            return *number;
        }
        let flow = Flow::Connection;
        let mut rules: Vec<Rule> = ports::matches(open, flow, self.family, sets, edit)
            .into_iter()
            .map(|statements| Rule::new(statements.into_iter().chain([admit()])))
            .collect();
        let denied = denied(flow, Direction::Egress, self.family);
        rules.push(Rule::new([Statement::goto(denied)]));
        let number = match self.before.remove(&text(&rules)) {
            Some(number) => {
                self.numbers.take(number);
                number
            }
            None => self.numbers.fresh(),
        };
        let chain = Chain::inner(rules);
        sets.asked_by(&chain);
        edit.set_chain(&self.chain(number), chain);
        self.by_ports.insert(open.clone(), number);
        self.held.insert(number, (open.clone(), 1));
        number
    }

    /// A pod has another number from now on, or is gone.
    pub(super) fn release(&mut self, number: u32) {
        if let Some((_, pods)) = self.held.get_mut(&number) {
            *pods = pods.saturating_sub(1);
            self.doubtful.insert(number);
        }
    }

    /// What the map leads to for a number.
    pub(super) fn verdict(&self, number: u32) -> Value {
        Value::Verdict(Box::new(match number {
            OPEN => Target::Goto(Name::from("admit")),
            number => Target::Goto(self.chain(number)),
        }))
    }

    /// Ends a change: chains for no pod go.
    pub(super) fn end(&mut self, sets: &mut PortSets, edit: &mut Edit<'_>) {
        for number in std::mem::take(&mut self.doubtful) {
            if self.held.get(&number).is_none_or(|(_, pods)| *pods > 0) {
                continue;
            }
            if let Some((ports, _)) = self.held.remove(&number) {
                self.by_ports.remove(&ports);
            }
            let name = self.chain(number);
            if let Some(chain) = edit.ruleset().chains.get(&name) {
                sets.left_by(chain);
                edit.remove_chain(&name);
            }
            self.numbers.release(number);
        }
        self.before = BTreeMap::new();
        self.numbers.end();
    }

    /// The number of the chain with this name.
    pub(super) fn number_of(&self, name: &str) -> Option<u32> {
        let number = name.strip_prefix(&*self.map)?.strip_prefix('_')?;
        number.parse().ok()
    }

    fn chain(&self, number: u32) -> Name {
        Name::from(format!("{}_{number}", self.map))
    }
}

fn admit() -> Statement {
    Statement::Go(Target::Goto(Name::from("admit")))
}
