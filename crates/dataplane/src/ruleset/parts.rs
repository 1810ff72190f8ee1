//! Changes in three transactions, so that a packet meets the old rules or the new ones.

use std::collections::{BTreeMap, BTreeSet};

use super::changes::Elements;
use super::{
    Change, Changes, EPOCH, Key, KeyType, Lookup, Name, Ruleset, Set, Value, ValueType, key,
};

impl Changes {
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
                    let held = after.sets.get(name).filter(|_| **name != *EPOCH);
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
        if **set == *EPOCH {
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
