//! Numbers that stay with what they were given to.

use std::collections::BTreeSet;
use std::hash::Hash;

use rustc_hash::FxHashMap;

/// Numbers by owner. What has several owners has the number of one of them, so that it
/// keeps its number as long as one of them stays.
#[derive(Clone, Debug)]
pub(super) struct Numbers<O> {
    by_owner: FxHashMap<O, u32>,
}

impl<O> Default for Numbers<O> {
    fn default() -> Self {
        Self {
            by_owner: FxHashMap::default(),
        }
    }
}

impl<O: Clone + Eq + Hash> Numbers<O> {
    /// Gives each list of owners a number, no two the same: the one that most of them
    /// had, where it is not taken, or else the lowest that is free.
    pub(super) fn assign(&mut self, things: &[Vec<O>]) -> Vec<u32> {
        let mut taken = BTreeSet::new();
        let mut numbers: Vec<Option<u32>> = Vec::with_capacity(things.len());
        for owners in things {
            let mut votes: FxHashMap<u32, usize> = FxHashMap::default();
            for number in owners.iter().filter_map(|owner| self.by_owner.get(owner)) {
                *votes.entry(*number).or_default() += 1;
            }
            let free = votes
                .into_iter()
                .filter(|(number, _)| !taken.contains(number));
            let chosen = free.max_by_key(|(number, votes)| (*votes, std::cmp::Reverse(*number)));
            let chosen = chosen.map(|(number, _)| number);
            taken.extend(chosen);
            numbers.push(chosen);
        }
        // Numbers that are held by nobody else now may be given again at once: a change
        // is one transaction, and what had them is gone after it.
        let mut free = (1..).filter(|number| !taken.contains(number));
        let numbers: Vec<u32> = numbers
            .into_iter()
            .map(|number| number.or_else(|| free.next()).unwrap_or(u32::MAX))
            .collect();
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
    fn what_stays_keeps_its_number_and_what_is_new_takes_a_free_one() {
        let mut numbers = Numbers::default();
        assert_eq!(
            numbers.assign(&[vec!["a"], vec!["b", "c"], vec!["d"]]),
            [1, 2, 3]
        );
        assert_eq!(
            numbers.assign(&[vec!["c", "x"], vec!["e"], vec!["d"]]),
            [2, 1, 3]
        );
        // Two things that were one: the second takes another number.
        assert_eq!(
            numbers.assign(&[vec!["c"], vec!["x"], vec!["d"]]),
            [2, 1, 3]
        );
    }
}
