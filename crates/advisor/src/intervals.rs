//! Which of many intervals contain a number or overlap another interval, without asking
//! each.

/// Intervals of numbers, bounds inclusive, each with a value.
#[derive(Debug)]
pub(crate) struct Intervals<T> {
    /// Ascending by start.
    sorted: Vec<(u128, u128, T)>,
    /// A binary tree over `sorted`: the root is at 1, the halves of a node at twice its
    /// place and one after. Each node has the largest end below it.
    furthest: Vec<Option<u128>>,
    /// How many leaves the tree has, a power of two.
    leaves: usize,
}

impl<T: Copy + Ord> Intervals<T> {
    pub(crate) fn new(mut sorted: Vec<(u128, u128, T)>) -> Self {
        sorted.sort_unstable();
        let leaves = sorted.len().next_power_of_two();
        let mut furthest: Vec<Option<u128>> = vec![None; leaves];
        furthest.extend(sorted.iter().map(|(_, end, _)| Some(*end)));
        furthest.resize(2 * leaves, None);
        for node in (1..leaves).rev() {
            let half = |place: usize| furthest.get(place).copied().flatten();
            let largest = half(2 * node).max(half(2 * node + 1));
            if let Some(slot) = furthest.get_mut(node) {
                *slot = largest;
            }
        }
        Self {
            sorted,
            furthest,
            leaves,
        }
    }

    /// Those that contain all of an interval.
    pub(crate) fn containing(&self, start: u128, end: u128) -> Vec<T> {
        self.reaching(start, end)
    }

    /// Those that have something in common with an interval.
    pub(crate) fn overlapping(&self, start: u128, end: u128) -> Vec<T> {
        self.reaching(end, start)
    }

    /// Those that start at one number or before and end at another or after.
    fn reaching(&self, starts_by: u128, ends_from: u128) -> Vec<T> {
        let limit = self
            .sorted
            .partition_point(|(start, ..)| *start <= starts_by);
        let mut found = Vec::new();
        let mut open = vec![(1, 0, self.leaves)];
        while let Some((node, first, count)) = open.pop() {
            let furthest = self.furthest.get(node).copied().flatten();
            if first >= limit || furthest.is_none_or(|end| end < ends_from) {
                continue;
            }
            if count == 1 {
                found.extend(self.sorted.get(first).map(|(_, _, value)| *value));
                continue;
            }
            let half = count / 2;
            open.push((2 * node + 1, first + half, half));
            open.push((2 * node, first, half));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_what_asking_each_finds() {
        // Numbers that look random and are the same every time.
        let mut state = 12_345_u64;
        let mut next = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            u128::from((state >> 33) % below)
        };
        for count in [0, 1, 2, 3, 17, 64, 200] {
            let intervals: Vec<(u128, u128, usize)> = (0..count)
                .map(|value| {
                    let start = next(100);
                    (start, start + next(30), value)
                })
                .collect();
            let index = Intervals::new(intervals.clone());
            for _ in 0..200 {
                let start = next(120);
                let end = start + next(20);
                let asked = |wanted: &dyn Fn(u128, u128) -> bool| {
                    let mut found: Vec<usize> = intervals
                        .iter()
                        .filter(|(a, b, _)| wanted(*a, *b))
                        .map(|(.., value)| *value)
                        .collect();
                    found.sort_unstable();
                    found
                };
                let sorted = |mut found: Vec<usize>| {
                    found.sort_unstable();
                    found
                };
                let containing = sorted(index.containing(start, end));
                assert_eq!(containing, asked(&|a, b| a <= start && end <= b));
                let overlapping = sorted(index.overlapping(start, end));
                assert_eq!(overlapping, asked(&|a, b| a <= end && start <= b));
            }
        }
    }

    #[test]
    fn the_last_address_of_ipv6_can_be_contained() {
        let index = Intervals::new(vec![(0, u128::MAX, 'a'), (5, 9, 'b')]);
        assert_eq!(index.containing(u128::MAX, u128::MAX), ['a']);
        assert_eq!(index.containing(6, 6), ['a', 'b']);
    }
}
