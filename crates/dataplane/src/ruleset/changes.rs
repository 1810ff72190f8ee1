//! What leads from one ruleset to another, smallest first.

use std::collections::{BTreeMap, BTreeSet};

use super::{Chain, Key, Layer, Name, Ruleset, Set, Value};

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

    /// The tables that something is made in.
    pub(crate) fn layers_added_to(&self) -> BTreeSet<Layer> {
        let made = self.steps.iter().filter_map(|step| match step {
            Change::AddSet(_, set) => Some(set.layer),
            Change::AddChain(_, chain) => Some(chain.layer),
            _ => None,
        });
        made.collect()
    }

    /// Whether something of a table goes.
    pub(crate) fn deletes_in(&self, layer: Layer) -> bool {
        self.steps.iter().any(|step| match step {
            Change::DeleteSet(_, set) => set.layer == layer,
            Change::DeleteChain(of, _) => *of == layer,
            _ => false,
        })
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
