//! What leads from one ruleset to another, smallest first.

use std::collections::BTreeMap;

use super::{Chain, Key, Name, Ruleset, Set, Value};

/// One step. Steps are in an order that the kernel accepts: what is referred to exists
/// before, and goes after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new set, without its elements.
    AddSet(Name, Set),
    /// A new chain, without its rules.
    AddChain(Name, Chain),
    /// Elements leave a set.
    DeleteElements(Name, Vec<(Key, Value)>),
    /// Elements join a set.
    AddElements(Name, Vec<(Key, Value)>),
    /// A chain gets these rules in the place of those it has.
    SetRules(Name, Chain),
    /// A chain loses its rules, before it goes.
    Flush(Name),
    /// A chain goes.
    DeleteChain(Name),
    /// A set goes, with its elements.
    DeleteSet(Name),
}

/// The steps from one ruleset to another, to be taken in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The steps, in order.
    pub steps: Vec<Change>,
}

impl Changes {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The steps in two parts: what nothing refers to yet, and what makes use of it.
    ///
    /// A packet that is judged while a change comes may ask sets of the ruleset after, and
    /// find there the way to a chain that is empty in the ruleset before. With two
    /// transactions the chain is complete when the way to it appears. `held` is the ruleset
    /// before.
    #[must_use]
    pub fn in_two_parts(self, held: &Ruleset) -> [Self; 2] {
        let mut parts = [Self::default(), Self::default()];
        let [prepare, switch] = &mut parts;
        for step in self.steps {
            match step {
                Change::AddSet(..) | Change::AddChain(..) => prepare.steps.push(step),
                Change::SetRules(ref name, ref chain) => {
                    let is_new = !held.chains.contains_key(name) && chain.hook.is_none();
                    if is_new { &mut *prepare } else { &mut *switch }
                        .steps
                        .push(step);
                }
                Change::AddElements(name, elements) => {
                    let numbered = held.sets.get(&name).is_none_or(|set| {
                        set.key.first() == Some(&super::KeyType::PeerSet) && &*name != super::EPOCH
                    });
                    let used = held.numbers(&name);
                    let is_new = |(key, _): &(Key, Value)| {
                        numbered
                            && key
                                .bytes
                                .get(..4)
                                .is_some_and(|number| !used.contains(number))
                    };
                    let (new, more): (Vec<_>, Vec<_>) = elements.into_iter().partition(is_new);
                    if !new.is_empty() {
                        prepare
                            .steps
                            .push(Change::AddElements(Name::clone(&name), new));
                    }
                    if !more.is_empty() {
                        switch.steps.push(Change::AddElements(name, more));
                    }
                }
                step => switch.steps.push(step),
            }
        }
        // Rules first: an element may lead to the chain.
        prepare.steps.sort_by_key(|step| match step {
            Change::AddSet(..) => 0,
            Change::AddChain(..) => 1,
            Change::SetRules(..) => 2,
            _ => 3,
        });
        parts
    }

    /// How many elements are added and deleted.
    #[must_use]
    pub fn elements(&self) -> usize {
        let each = self.steps.iter().map(|step| match step {
            Change::AddElements(_, elements) | Change::DeleteElements(_, elements) => {
                elements.len()
            }
            _ => 0,
        });
        each.sum()
    }
}

impl Ruleset {
    /// The steps that make this ruleset of `previous`.
    ///
    /// A set whose keys or kind changed is deleted and made again, and so is a chain
    /// whose hook did; everything that refers to them is written anew.
    #[must_use]
    pub fn changes_from(&self, previous: &Self) -> Changes {
        let mut steps = Vec::new();
        let kept_set = |name: &Name| {
            let (old, new) = (previous.sets.get(name)?, self.sets.get(name)?);
            is_same_kind(old, new).then_some((old, new))
        };
        let kept_chain = |name: &Name| {
            let (old, new) = (previous.chains.get(name)?, self.chains.get(name)?);
            (old.hook == new.hook).then_some((old, new))
        };
        // What is made again under its old name must be gone before, so everything goes.
        let made_again = previous
            .sets
            .keys()
            .any(|name| self.sets.contains_key(name) && kept_set(name).is_none())
            || previous
                .chains
                .keys()
                .any(|name| self.chains.contains_key(name) && kept_chain(name).is_none());
        if made_again {
            steps = Self::default().changes_from(previous).steps;
            steps.extend(self.changes_from(&Self::default()).steps);
            return Changes { steps };
        }
        for (name, set) in &self.sets {
            if !previous.sets.contains_key(name) {
                let empty = Set {
                    elements: BTreeMap::new(),
                    ..set.clone()
                };
                steps.push(Change::AddSet(Name::clone(name), empty));
            }
        }
        for (name, chain) in &self.chains {
            if !previous.chains.contains_key(name) {
                let empty = Chain {
                    hook: chain.hook,
                    rules: Vec::new(),
                };
                steps.push(Change::AddChain(Name::clone(name), empty));
            }
        }
        for (name, set) in &self.sets {
            let none = BTreeMap::new();
            let old = previous.sets.get(name).map_or(&none, |set| &set.elements);
            let (gone, joined) = difference(old, &set.elements);
            if !gone.is_empty() {
                steps.push(Change::DeleteElements(Name::clone(name), gone));
            }
            if !joined.is_empty() {
                steps.push(Change::AddElements(Name::clone(name), joined));
            }
        }
        // Base chains last: a packet that meets them finds everything behind them.
        let (inner, base): (Vec<_>, Vec<_>) = self
            .chains
            .iter()
            .partition(|(_, chain)| chain.hook.is_none());
        for (name, chain) in inner.into_iter().chain(base) {
            let old = previous.chains.get(name).map(|old| old.rules.as_slice());
            if old.unwrap_or_default() != chain.rules {
                steps.push(Change::SetRules(Name::clone(name), chain.clone()));
            }
        }
        let gone_chains = previous
            .chains
            .keys()
            .filter(|name| !self.chains.contains_key(*name));
        let gone_chains: Vec<&Name> = gone_chains.collect();
        let gone_sets = previous
            .sets
            .keys()
            .filter(|name| !self.sets.contains_key(*name));
        let gone_sets: Vec<&Name> = gone_sets.collect();
        // Chains that go may refer to each other, and maps that go to them.
        steps.extend(
            gone_chains
                .iter()
                .map(|name| Change::Flush(Name::clone(name))),
        );
        for name in &gone_sets {
            if let Some(set) = previous.sets.get(*name)
                && !set.elements.is_empty()
            {
                let all = set.elements.iter();
                let all = all.map(|(key, value)| (key.clone(), value.clone()));
                steps.push(Change::DeleteElements(Name::clone(name), all.collect()));
            }
        }
        steps.extend(
            gone_chains
                .into_iter()
                .map(|name| Change::DeleteChain(Name::clone(name))),
        );
        steps.extend(
            gone_sets
                .into_iter()
                .map(|name| Change::DeleteSet(Name::clone(name))),
        );
        Changes { steps }
    }

    /// The first four bytes of the keys of a set.
    fn numbers(&self, set: &str) -> std::collections::BTreeSet<&[u8]> {
        let elements = self
            .sets
            .get(set)
            .into_iter()
            .flat_map(|set| set.elements.keys());
        elements.filter_map(|key| key.bytes.get(..4)).collect()
    }

    /// Takes the steps.
    pub fn apply(&mut self, changes: &Changes) {
        for step in &changes.steps {
            match step {
                Change::AddSet(name, set) => {
                    self.sets.insert(Name::clone(name), set.clone());
                }
                Change::AddChain(name, chain) | Change::SetRules(name, chain) => {
                    self.chains.insert(Name::clone(name), chain.clone());
                }
                Change::DeleteElements(name, elements) => {
                    if let Some(set) = self.sets.get_mut(name) {
                        for (key, _) in elements {
                            set.elements.remove(key);
                        }
                    }
                }
                Change::AddElements(name, elements) => {
                    if let Some(set) = self.sets.get_mut(name) {
                        set.elements.extend(elements.iter().cloned());
                    }
                }
                Change::Flush(name) => {
                    if let Some(chain) = self.chains.get_mut(name) {
                        chain.rules.clear();
                    }
                }
                Change::DeleteChain(name) => {
                    self.chains.remove(name);
                }
                Change::DeleteSet(name) => {
                    self.sets.remove(name);
                }
            }
        }
    }
}

fn is_same_kind(old: &Set, new: &Set) -> bool {
    old.key == new.key && old.value == new.value && old.lookup == new.lookup
}

type Elements = Vec<(Key, Value)>;

/// The elements that leave and those that join; one whose value changes does both.
fn difference(old: &BTreeMap<Key, Value>, new: &BTreeMap<Key, Value>) -> (Elements, Elements) {
    let (mut gone, mut joined) = (Elements::new(), Elements::new());
    let (mut left, mut right) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => return (gone, joined),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((a, _)), Some((b, _))) => a.cmp(b),
        };
        let (take_old, take_new) = match order {
            std::cmp::Ordering::Less => (left.next(), None),
            std::cmp::Ordering::Greater => (None, right.next()),
            std::cmp::Ordering::Equal => (left.next(), right.next()),
        };
        if let (Some((_, old)), Some((_, new))) = (take_old, take_new)
            && old == new
        {
            continue;
        }
        gone.extend(take_old.map(|(key, value)| (key.clone(), value.clone())));
        joined.extend(take_new.map(|(key, value)| (key.clone(), value.clone())));
    }
}
