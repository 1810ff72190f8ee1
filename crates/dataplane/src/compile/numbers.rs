//! Numbers that stay with what they were given to.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;

use rustc_hash::FxHashMap;

/// Numbers by owner. What has several owners has the number of one of them, so that it
/// keeps its number as long as one of them stays.
#[derive(Clone, Debug)]
pub(super) struct Numbers<O> {
    by_owner: FxHashMap<O, u32>,
    /// Numbers that somebody has of whom nothing is known.
    reserved: BTreeSet<u32>,
}

impl<O> Default for Numbers<O> {
    fn default() -> Self {
        Self {
            by_owner: FxHashMap::default(),
            reserved: BTreeSet::new(),
        }
    }
}

impl<O: Clone + Eq + Hash> Numbers<O> {
    /// Numbers that are in use, nobody knows by whom: they are not given next time.
    pub(super) fn reserve(&mut self, numbers: impl IntoIterator<Item = u32>) {
        self.reserved.extend(numbers);
    }

    /// Gives each list of owners a number, no two the same: the one that they had, where
    /// nobody else had it who is still there, or else the lowest that nobody had.
    ///
    /// A packet may meet the rules of the ruleset before and the elements of the one after,
    /// when a change comes while it is judged. So what a number means to anybody does not
    /// change: those who part get new numbers, and none is given again at once.
    pub(super) fn assign(&mut self, things: &[Vec<O>]) -> Vec<u32> {
        // The thing that each owner is of now, and the things of those who had a number.
        let mut thing_of: FxHashMap<&O, usize> = FxHashMap::default();
        for (index, owners) in things.iter().enumerate() {
            thing_of.extend(owners.iter().map(|owner| (owner, index)));
        }
        let mut heirs: BTreeMap<u32, BTreeSet<usize>> = BTreeMap::new();
        for (owner, number) in &self.by_owner {
            let heirs = heirs.entry(*number).or_default();
            heirs.extend(thing_of.get(owner));
        }
        let mut numbers: Vec<Option<u32>> = vec![None; things.len()];
        for (number, heirs) in &heirs {
            let mut heirs = heirs.iter();
            if let (Some(only), None) = (heirs.next(), heirs.next())
                && let Some(kept) = numbers.get_mut(*only)
            {
                kept.get_or_insert(*number);
            }
        }
        let had = |number: &u32| heirs.contains_key(number) || self.reserved.contains(number);
        let mut free = (1..).filter(|number| !had(number));
        let numbers: Vec<u32> = numbers
            .into_iter()
            .map(|number| number.or_else(|| free.next()).unwrap_or(u32::MAX))
            .collect();
        drop(free);
        self.reserved.clear();
        self.by_owner = things
            .iter()
            .zip(&numbers)
            .flat_map(|(owners, number)| owners.iter().map(|owner| (owner.clone(), *number)))
            .collect();
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_together_keeps_its_number_and_the_rest_gets_one_that_nobody_had() {
        let mut numbers = Numbers::default();
        let first = [vec!["a"], vec!["b", "c"], vec!["d"]];
        assert_eq!(numbers.assign(&first), [1, 2, 3]);
        // `a` is gone, and its number is not given at once; `c` brings somebody along.
        assert_eq!(
            numbers.assign(&[vec!["c", "x"], vec!["e"], vec!["d"]]),
            [2, 4, 3]
        );
        // Two that were one: neither keeps the number.
        assert_eq!(
            numbers.assign(&[vec!["c"], vec!["x"], vec!["d"]]),
            [1, 5, 3]
        );
        let mut resumed = Numbers::default();
        resumed.reserve([1, 3]);
        assert_eq!(resumed.assign(&[vec!["a"], vec!["b"]]), [2, 4]);
    }
}
