//! What leads from one ruleset to another, smallest first.

use std::collections::{BTreeMap, BTreeSet};

use super::{Chain, Key, KeyType, Layer, Lookup, Name, Ruleset, Set, Value, ValueType, key};

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
    /// A chain of this table loses its rules, before it goes.
    Flush(Layer, Name),
    /// A chain of this table goes.
    DeleteChain(Layer, Name),
    /// A set goes, whose elements went before; what it was.
    DeleteSet(Name, Set),
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

    /// The steps in three parts, each a transaction: what nothing refers to yet, what makes
    /// use of it, and what nothing refers to any more.
    ///
    /// A packet that is judged while a change comes meets the rules of the ruleset before
    /// and may ask sets of the one after. With the first part a chain is complete when the
    /// way to it appears; with the last, what rules of the ruleset before ask for stays
    /// until they are gone. An address that is not known any more leads to what drops its
    /// packets, until all packets see that it is not known. `after` is the ruleset that all
    /// steps lead to.
    #[must_use]
    pub fn in_parts(&self, after: &Ruleset) -> [Self; 3] {
        let mut parts: [Self; 3] = Default::default();
        let [prepare, switch, clean_up] = &mut parts;
        let names = |which: fn(&Change) -> Option<&Name>| -> BTreeSet<&Name> {
            self.steps.iter().filter_map(which).collect()
        };
        let leaving = self.leaving(after);
        let new_chains = names(Change::adds_chain);
        let (new_sets, gone_sets) = (names(Change::adds_set), names(Change::deletes_set));
        for step in &self.steps {
            match step {
                Change::AddSet(..) | Change::AddChain(..) => prepare.steps.push(step.clone()),
                Change::SetRules(name, chain) => {
                    let is_new = new_chains.contains(name) && chain.hook.is_none();
                    let part = if is_new { &mut *prepare } else { &mut *switch };
                    part.steps.push(step.clone());
                }
                Change::AddElements(name, _) if new_sets.contains(name) => {
                    prepare.steps.push(step.clone());
                }
                Change::AddElements(name, elements) => {
                    let numbers = self.new_numbers(name, elements, after);
                    let (new, more) = elements.iter().cloned().partition(|(key, _)| {
                        let number = key.bytes.get(..4);
                        number.is_some_and(|number| numbers.contains(number))
                    });
                    prepare.push(Change::AddElements, name, new);
                    switch.push(Change::AddElements, name, more);
                }
                Change::DeleteElements(name, _) if gone_sets.contains(name) => {
                    clean_up.steps.push(step.clone());
                }
                Change::DeleteElements(name, elements) => {
                    let held = after.sets.get(name).filter(|_| **name != *super::EPOCH);
                    let (unasked, fewer): (Elements, Elements) = elements
                        .iter()
                        .cloned()
                        .partition(|element| held.is_some_and(|held| is_unasked(held, element)));
                    let leads = held.is_some_and(|held| held.value == NUMBER);
                    let left = fewer.iter().map(|(key, _)| key);
                    let left = left.filter(|key| leads && leaving.contains(key));
                    let closed: Elements = left.map(|key| (key.clone(), super::closed())).collect();
                    switch.push(Change::DeleteElements, name, fewer);
                    switch.push(Change::AddElements, name, closed.clone());
                    clean_up.push(Change::DeleteElements, name, closed);
                    clean_up.push(Change::DeleteElements, name, unasked);
                }
                Change::Flush(..) | Change::DeleteChain(..) | Change::DeleteSet(..) => {
                    clean_up.steps.push(step.clone());
                }
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

    /// The addresses of endpoints that are not there any more.
    fn leaving(&self, after: &Ruleset) -> BTreeSet<&Key> {
        let gone = self.steps.iter().filter_map(|step| match step {
            Change::DeleteElements(name, elements) if name.starts_with(super::ENDPOINTS) => {
                Some((after.sets.get(name)?, elements))
            }
            _ => None,
        });
        let keys = gone.flat_map(|(held, elements)| {
            let keys = elements.iter().map(|(key, _)| key);
            keys.filter(|key| !held.elements.contains_key(*key))
        });
        keys.collect()
    }

    /// The steps that take back the first part: what it prepared goes.
    #[must_use]
    pub fn taken_back(&self) -> Self {
        let mut back = Self::default();
        let mut gone = Self::default();
        for step in &self.steps {
            match step {
                Change::AddElements(name, elements) => {
                    back.push(Change::DeleteElements, name, elements.clone());
                }
                Change::AddChain(name, chain) => {
                    let step = Change::DeleteChain(chain.layer, Name::clone(name));
                    gone.steps.push(step);
                }
                Change::AddSet(name, set) => {
                    let (name, set) = (Name::clone(name), set.clone());
                    gone.steps.push(Change::DeleteSet(name, set));
                }
                Change::SetRules(name, chain) => {
                    let step = Change::Flush(chain.layer, Name::clone(name));
                    back.steps.push(step);
                }
                _ => {}
            }
        }
        // Ways to chains go before chains, and chains before sets that they ask.
        back.steps
            .sort_by_key(|step| matches!(step, Change::Flush(..)));
        gone.steps
            .sort_by_key(|step| matches!(step, Change::DeleteSet(..)));
        back.steps.extend(gone.steps);
        back
    }

    fn push(&mut self, step: fn(Name, Elements) -> Change, set: &Name, elements: Elements) {
        if !elements.is_empty() {
            self.steps.push(step(Name::clone(set), elements));
        }
    }

    /// The numbers among some elements that join a set which no element of it had before.
    fn new_numbers<'a>(
        &self,
        set: &Name,
        joined: &'a [(Key, Value)],
        after: &Ruleset,
    ) -> BTreeSet<&'a [u8]> {
        let Some(held) = after.sets.get(set).filter(is_numbered) else {
            return BTreeSet::new();
        };
        if **set == *super::EPOCH {
            return BTreeSet::new();
        }
        let mut counts: BTreeMap<&[u8], usize> = BTreeMap::new();
        for number in joined.iter().filter_map(|(key, _)| key.bytes.get(..4)) {
            *counts.entry(number).or_default() += 1;
        }
        for step in &self.steps {
            if let Change::DeleteElements(name, gone) = step
                && name == set
            {
                for (key, _) in gone {
                    key.bytes.get(..4).map(|number| counts.remove(number));
                }
            }
        }
        // All elements that have it now are those that joined.
        counts.retain(|number, count| held.numbered(number).take(*count + 1).count() == *count);
        counts.into_keys().collect()
    }

    /// The tables that something is made in.
    pub(crate) fn layers_added_to(&self) -> BTreeSet<Layer> {
        let made = self.steps.iter().filter_map(|step| match step {
            Change::AddSet(_, set) => Some(set.layer),
            Change::AddChain(_, chain) => Some(chain.layer),
            _ => None,
        });
        made.collect()
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

impl Change {
    fn adds_chain(&self) -> Option<&Name> {
        match self {
            Self::AddChain(name, _) => Some(name),
            _ => None,
        }
    }

    fn deletes_set(&self) -> Option<&Name> {
        match self {
            Self::DeleteSet(name, _) => Some(name),
            _ => None,
        }
    }

    fn adds_set(&self) -> Option<&Name> {
        match self {
            Self::AddSet(name, _) => Some(name),
            _ => None,
        }
    }
}

/// What a map has that leads from addresses to numbers.
const NUMBER: ValueType = ValueType::Bytes(KeyType::PeerSet);

/// Whether the keys of a set begin with a number.
fn is_numbered(set: &&Set) -> bool {
    set.key.first() == Some(&KeyType::PeerSet)
}

/// Whether nothing asks any more for an element that leaves a set: for its number, or for
/// the addresses of its range and for what they lead to.
fn is_unasked(held: &Set, (key, value): &(Key, Value)) -> bool {
    if let (Lookup::Interval, Value::Bytes(stand_in)) = (held.lookup, value) {
        let (first, last) = key.bounds();
        let next = |key: Key| held.elements.range(key..).next();
        let begins_in = next(first.clone()).is_some_and(|(key, _)| key.bytes <= last.bytes);
        let before = held.elements.range(..first.clone()).next_back();
        let reaches_in = before.is_some_and(|(key, _)| key.bounds().1.bytes >= first.bytes);
        // It is the first address of a range that leads to it.
        let stand_in = key::bytes(stand_in);
        let leads = next(stand_in.clone()).is_some_and(|(key, _)| key.bytes == stand_in.bytes);
        return !begins_in && !reaches_in && !leads;
    }
    let number = key.bytes.get(..4).filter(|_| is_numbered(&held));
    number.is_some_and(|number| held.numbered(number).next().is_none())
}

/// Elements of a set.
pub(super) type Elements = Vec<(Key, Value)>;

/// What differs between two rulesets, by name.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub(super) new_sets: Vec<(Name, Set)>,
    /// Without their rules.
    pub(super) new_chains: Vec<(Name, Chain)>,
    /// The elements that leave a set and those that join it; all of them, where the set
    /// is new, and none where it goes.
    pub(super) elements: Vec<(Name, Elements, Elements)>,
    /// Chains with other rules than before, or new ones.
    pub(super) rules: Vec<(Name, Chain)>,
    pub(super) gone_chains: Vec<(Layer, Name)>,
    /// Sets that go, as they were.
    pub(super) gone_sets: Vec<(Name, Set)>,
}

impl Difference {
    /// The steps, in an order that the kernel accepts.
    pub(super) fn into_steps(self) -> Changes {
        let mut steps = Vec::new();
        for (name, set) in self.new_sets {
            steps.push(Change::AddSet(name, set.without_elements()));
        }
        for (name, chain) in self.new_chains {
            steps.push(Change::AddChain(name, chain));
        }
        for (name, gone, joined) in self.elements {
            if !gone.is_empty() {
                steps.push(Change::DeleteElements(Name::clone(&name), gone));
            }
            if !joined.is_empty() {
                steps.push(Change::AddElements(name, joined));
            }
        }
        // Base chains last: a packet that meets them finds everything behind them.
        let (inner, base): (Vec<_>, Vec<_>) = self
            .rules
            .into_iter()
            .partition(|(_, chain)| chain.hook.is_none());
        for (name, chain) in inner.into_iter().chain(base) {
            steps.push(Change::SetRules(name, chain));
        }
        // Chains that go may refer to each other, and maps that go to them.
        let flush = self.gone_chains.iter();
        steps.extend(flush.map(|(layer, name)| Change::Flush(*layer, Name::clone(name))));
        for (name, set) in &self.gone_sets {
            if !set.elements.is_empty() {
                let all = set.elements.iter();
                let all = all.map(|(key, value)| (key.clone(), value.clone()));
                steps.push(Change::DeleteElements(Name::clone(name), all.collect()));
            }
        }
        let gone = self.gone_chains.into_iter();
        steps.extend(gone.map(|(layer, name)| Change::DeleteChain(layer, name)));
        let gone = self.gone_sets.into_iter();
        steps.extend(gone.map(|(name, set)| Change::DeleteSet(name, set.without_elements())));
        Changes { steps }
    }
}

impl Chain {
    /// The same without its rules.
    pub(super) fn without_rules(&self) -> Self {
        Self {
            layer: self.layer,
            hook: self.hook,
            rules: Vec::new(),
        }
    }
}

impl Set {
    /// A set of the same kind, without elements.
    pub(crate) fn without_elements(&self) -> Self {
        Self {
            layer: self.layer,
            key: self.key.clone(),
            value: self.value.clone(),
            lookup: self.lookup,
            elements: BTreeMap::new(),
        }
    }
}

impl Ruleset {
    /// The steps that make this ruleset of `previous`.
    ///
    /// A set whose keys or kind changed is deleted and made again, and so is a chain
    /// whose hook did; everything that refers to them is written anew.
    #[must_use]
    pub fn changes_from(&self, previous: &Self) -> Changes {
        let set_again = |(name, set): (&Name, &Set)| {
            let old = previous.sets.get(name);
            old.is_some_and(|old| !is_same_kind(old, set))
        };
        let chain_again = |(name, chain): (&Name, &Chain)| {
            let old = previous.chains.get(name);
            old.is_some_and(|old| (old.layer, old.hook) != (chain.layer, chain.hook))
        };
        // What is made again under its old name must be gone before, so everything goes.
        if self.sets.iter().any(set_again) || self.chains.iter().any(chain_again) {
            let mut steps = Self::default().changes_from(previous).steps;
            steps.extend(self.changes_from(&Self::default()).steps);
            return Changes { steps };
        }
        let mut difference = Difference::default();
        let none = BTreeMap::new();
        for (name, set) in &self.sets {
            let old = previous.sets.get(name);
            if old.is_none() {
                let kind = set.without_elements();
                difference.new_sets.push((Name::clone(name), kind));
            }
            let old = old.map_or(&none, |old| &old.elements);
            let (gone, joined) = compare(old, &set.elements);
            difference.elements.push((Name::clone(name), gone, joined));
        }
        for (name, chain) in &self.chains {
            let old = previous.chains.get(name);
            if old.is_none() {
                let made = chain.without_rules();
                difference.new_chains.push((Name::clone(name), made));
            }
            let old = old.map(|old| old.rules.as_slice());
            if old.unwrap_or_default() != chain.rules {
                difference.rules.push((Name::clone(name), chain.clone()));
            }
        }
        let gone = previous.chains.iter();
        let gone = gone.filter(|(name, _)| !self.chains.contains_key(*name));
        let gone = gone.map(|(name, chain)| (chain.layer, Name::clone(name)));
        difference.gone_chains = gone.collect();
        let gone = previous.sets.iter();
        let gone = gone.filter(|(name, _)| !self.sets.contains_key(*name));
        let gone = gone.map(|(name, set)| (Name::clone(name), set.clone()));
        difference.gone_sets = gone.collect();
        difference.into_steps()
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
                Change::Flush(_, name) => {
                    if let Some(chain) = self.chains.get_mut(name) {
                        chain.rules.clear();
                    }
                }
                Change::DeleteChain(_, name) => {
                    self.chains.remove(name);
                }
                Change::DeleteSet(name, _) => {
                    self.sets.remove(name);
                }
            }
        }
    }
}

impl Ruleset {
    /// Takes steps back that led here. `replaced` are the chains that they changed or
    /// removed, as they were.
    pub(crate) fn take_back(&mut self, changes: &Changes, replaced: Vec<(Name, Chain)>) {
        for step in changes.steps.iter().rev() {
            match step {
                Change::AddSet(name, _) => {
                    self.sets.remove(name);
                }
                Change::AddChain(name, _) => {
                    self.chains.remove(name);
                }
                Change::AddElements(name, elements) => {
                    if let Some(set) = self.sets.get_mut(name) {
                        for (key, _) in elements {
                            set.elements.remove(key);
                        }
                    }
                }
                Change::DeleteElements(name, elements) => {
                    if let Some(set) = self.sets.get_mut(name) {
                        set.elements.extend(elements.iter().cloned());
                    }
                }
                Change::DeleteSet(name, set) => {
                    self.sets.insert(Name::clone(name), set.clone());
                }
                Change::SetRules(..) | Change::Flush(..) | Change::DeleteChain(..) => {}
            }
        }
        self.chains.extend(replaced);
    }
}

fn is_same_kind(old: &Set, new: &Set) -> bool {
    let kind = |set: &Set| (set.layer, set.value.clone(), set.lookup);
    kind(old) == kind(new) && old.key == new.key
}

/// The elements that leave and those that join; one whose value changes does both.
fn compare(old: &BTreeMap<Key, Value>, new: &BTreeMap<Key, Value>) -> (Elements, Elements) {
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
