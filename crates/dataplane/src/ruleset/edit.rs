//! A ruleset that is changed in place, and what changed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::changes::Difference;
use super::{Chain, Changes, Key, Name, Ruleset, Set, Value};

/// Changes a ruleset, and remembers what was there before.
///
/// What is changed and changed back is no change: [`Edit::finish`] tells what differs in
/// the end.
#[derive(Debug)]
pub(crate) struct Edit<'a> {
    ruleset: &'a mut Ruleset,
    /// By set: elements that were touched, as they were.
    elements: BTreeMap<Name, BTreeMap<Key, Option<Value>>>,
    chains: BTreeMap<Name, Option<Chain>>,
    /// Sets that were made or removed, as they were.
    sets: BTreeMap<Name, Option<Set>>,
    records: bool,
}

impl<'a> Edit<'a> {
    /// Changes a ruleset.
    pub(crate) fn new(ruleset: &'a mut Ruleset) -> Self {
        Self {
            ruleset,
            elements: BTreeMap::new(),
            chains: BTreeMap::new(),
            sets: BTreeMap::new(),
            records: true,
        }
    }

    /// The same, where nobody asks what changed.
    pub(crate) fn unrecorded(ruleset: &'a mut Ruleset) -> Self {
        Self {
            records: false,
            ..Self::new(ruleset)
        }
    }

    /// The ruleset as it is.
    pub(crate) fn ruleset(&self) -> &Ruleset {
        self.ruleset
    }

    /// Puts an element into a set, in the place of the one with its key. Nothing happens
    /// where there is no such set.
    pub(crate) fn set_element(&mut self, set: &Name, key: Key, value: Value) {
        let Some(held) = self.ruleset.sets.get_mut(set) else {
            return;
        };
        match held.elements.entry(key) {
            Entry::Occupied(mut entry) => {
                if *entry.get() == value {
                    return;
                }
                let key = entry.key().clone();
                let old = entry.insert(value);
                self.remember(set, key, Some(old));
            }
            Entry::Vacant(entry) => {
                let key = self.records.then(|| entry.key().clone());
                entry.insert(value);
                if let Some(key) = key {
                    self.remember(set, key, None);
                }
            }
        }
    }

    /// Takes an element out of a set, if it is there.
    pub(crate) fn remove_element(&mut self, set: &Name, key: &Key) {
        let held = self.ruleset.sets.get_mut(set);
        if let Some(old) = held.and_then(|held| held.elements.remove(key)) {
            self.remember(set, key.clone(), Some(old));
        }
    }

    /// Puts or removes an element.
    pub(crate) fn put(&mut self, set: &Name, key: Key, value: Option<Value>) {
        match value {
            Some(value) => self.set_element(set, key, value),
            None => self.remove_element(set, &key),
        }
    }

    /// Gives a set exactly these elements.
    pub(crate) fn set_elements(&mut self, set: &Name, wanted: BTreeMap<Key, Value>) {
        let held = self.ruleset.sets.get(set);
        let gone = held.into_iter().flat_map(|held| held.elements.keys());
        let gone = gone.filter(|key| !wanted.contains_key(*key));
        let gone: Vec<Key> = gone.cloned().collect();
        for key in gone {
            self.remove_element(set, &key);
        }
        for (key, value) in wanted {
            self.set_element(set, key, value);
        }
    }

    /// Puts a chain in the place of the one with its name, or makes it.
    pub(crate) fn set_chain(&mut self, name: &Name, chain: Chain) {
        if self.ruleset.chains.get(name) == Some(&chain) {
            return;
        }
        let old = self.ruleset.chains.insert(Name::clone(name), chain);
        if self.records {
            self.chains.entry(Name::clone(name)).or_insert(old);
        }
    }

    /// Removes a chain, if it is there.
    pub(crate) fn remove_chain(&mut self, name: &Name) {
        if let Some(old) = self.ruleset.chains.remove(name)
            && self.records
        {
            self.chains.entry(Name::clone(name)).or_insert(Some(old));
        }
    }

    /// Makes a set, with its elements. There is none with this name.
    pub(crate) fn add_set(&mut self, name: &Name, set: Set) {
        let old = self.ruleset.sets.insert(Name::clone(name), set);
        if self.records {
            self.sets.entry(Name::clone(name)).or_insert(old);
        }
    }

    /// Removes a set whose elements were never changed since it was made.
    pub(crate) fn remove_set(&mut self, name: &Name) {
        if let Some(old) = self.ruleset.sets.remove(name)
            && self.records
        {
            self.sets.entry(Name::clone(name)).or_insert(Some(old));
        }
    }

    fn remember(&mut self, set: &Name, key: Key, old: Option<Value>) {
        if !self.records {
            return;
        }
        let of_set = match self.elements.get_mut(set) {
            Some(of_set) => of_set,
            None => self.elements.entry(Name::clone(set)).or_default(),
        };
        of_set.entry(key).or_insert(old);
    }

    /// The steps from the ruleset as it was to what it is, and the chains that they change
    /// or remove, as they were.
    pub(crate) fn finish(self) -> (Changes, Vec<(Name, Chain)>) {
        let mut difference = Difference::default();
        let mut replaced = Vec::new();
        for (name, old) in self.sets {
            match (old, self.ruleset.sets.get(&name)) {
                (None, Some(set)) => {
                    let joined = set.elements.iter();
                    let joined = joined.map(|(key, value)| (key.clone(), value.clone()));
                    let elements = (Name::clone(&name), Vec::new(), joined.collect());
                    difference.elements.push(elements);
                    difference.new_sets.push((name, set.without_elements()));
                }
                (Some(old), None) => difference.gone_sets.push((name, old)),
                _ => {}
            }
        }
        for (name, touched) in self.elements {
            let Some(set) = self.ruleset.sets.get(&name) else {
                continue;
            };
            let (mut gone, mut joined) = (Vec::new(), Vec::new());
            for (key, old) in touched {
                let new = set.elements.get(&key);
                if old.as_ref() == new {
                    continue;
                }
                if let Some(new) = new {
                    joined.push((key.clone(), new.clone()));
                }
                if let Some(old) = old {
                    gone.push((key, old));
                }
            }
            difference.elements.push((name, gone, joined));
        }
        for (name, old) in self.chains {
            match (old, self.ruleset.chains.get(&name)) {
                (None, Some(chain)) => {
                    let made = chain.without_rules();
                    difference.new_chains.push((Name::clone(&name), made));
                    if !chain.rules.is_empty() {
                        difference.rules.push((name, chain.clone()));
                    }
                }
                (Some(old), Some(chain)) if old.rules != chain.rules => {
                    replaced.push((Name::clone(&name), old));
                    difference.rules.push((name, chain.clone()));
                }
                (Some(old), None) => {
                    difference.gone_chains.push((old.layer, Name::clone(&name)));
                    replaced.push((name, old));
                }
                _ => {}
            }
        }
        (difference.into_steps(), replaced)
    }
}
