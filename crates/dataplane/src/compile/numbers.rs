//! Numbers of groups and of chains.

use std::collections::BTreeSet;

/// Gives numbers, beginning with 1.
///
/// A packet may meet the rules of the ruleset before and the elements of the one after,
/// when a change comes while it is judged. So a number that was given back is not given to
/// anybody in the same change.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    /// Nobody has a number from here on, but for those in `above`.
    next: u32,
    above: BTreeSet<u32>,
    /// Numbers below `next` that nobody has.
    free: BTreeSet<u32>,
    /// Numbers that were given back in this change.
    freed: Vec<u32>,
    /// Numbers that somebody had in the ruleset before this change, nobody knows who.
    reserved: BTreeSet<u32>,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            next: 1,
            above: BTreeSet::new(),
            free: BTreeSet::new(),
            freed: Vec::new(),
            reserved: BTreeSet::new(),
        }
    }
}

impl Numbers {
    /// Keeps numbers of the ruleset before from being given in this change.
    pub(super) fn reserve(&mut self, numbers: impl IntoIterator<Item = u32>) {
        self.reserved.extend(numbers);
    }

    /// Takes a number that was reserved, for what it meant before.
    pub(super) fn take(&mut self, number: u32) {
        self.reserved.remove(&number);
        self.above.insert(number);
    }

    /// A number that nobody has, and nobody had before this change.
    pub(super) fn fresh(&mut self) -> u32 {
        if let Some(number) = self.free.pop_first() {
            return number;
        }
        loop {
            let number = self.next;
            self.next = self.next.saturating_add(1);
            if self.above.remove(&number) {
                continue;
            }
            match self.reserved.contains(&number) {
                true => continue,
                false => return number,
            }
        }
    }

    /// Gives a number back.
    pub(super) fn release(&mut self, number: u32) {
        self.freed.push(number);
    }

    /// Ends a change.
    pub(super) fn end(&mut self) {
        let reserved = std::mem::take(&mut self.reserved);
        for number in self.freed.drain(..).chain(reserved) {
            self.above.remove(&number);
            if number < self.next {
                self.free.insert(number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_given_again_in_another_change_only() {
        let mut numbers = Numbers::default();
        assert_eq!([numbers.fresh(), numbers.fresh()], [1, 2]);
        numbers.release(1);
        assert_eq!(numbers.fresh(), 3);
        numbers.end();
        assert_eq!([numbers.fresh(), numbers.fresh()], [1, 4]);
    }

    #[test]
    fn numbers_of_the_ruleset_before_are_given_after_this_change() {
        let mut numbers = Numbers::default();
        numbers.reserve([1, 2, 5, u32::MAX - 1]);
        numbers.take(2);
        numbers.take(5);
        assert_eq!(
            [numbers.fresh(), numbers.fresh(), numbers.fresh()],
            [3, 4, 6]
        );
        numbers.release(5);
        numbers.end();
        assert_eq!(
            [numbers.fresh(), numbers.fresh(), numbers.fresh()],
            [1, 5, 7]
        );
    }
}
