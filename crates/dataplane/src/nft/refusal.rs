//! Whose rules the kernel refuses.
//!
//! A transaction is taken as a whole or not at all, so one pod with rules that the kernel
//! refuses would keep all others from getting theirs. What is refused often says by its
//! name whom it is for. Where it does not, pods are left out by halves until those are
//! found without which the rest is taken.

use std::collections::{BTreeSet, VecDeque};

use ringfence_model::snapshot::PodId;

use crate::compile::{Compiled, Node};
use crate::ruleset::{Change, Changes, Key, Operand, Rule, Statement, Target, Value};

/// The pods that refused chains and sets are for, as far as their names tell; empty where
/// they do not.
pub(super) fn concerned(
    next: &Compiled,
    changes: &Changes,
    refused: &BTreeSet<String>,
) -> BTreeSet<PodId> {
    let mut chains = refused.clone();
    for set in refused {
        let (mut is_new, mut numbers) = (false, BTreeSet::new());
        for step in &changes.steps {
            match step {
                Change::AddSet(name, _) if **name == **set => is_new = true,
                // What many chains ask tells nobody apart: the elements that are new are
                // in question.
                Change::AddElements(name, elements) if **name == **set => {
                    for (key, value) in elements {
                        numbers.extend(key.bytes.get(..4));
                        if let Value::Verdict(target) = value
                            && let Target::Jump(to) | Target::Goto(to) = &**target
                        {
                            chains.insert(to.to_string());
                        }
                    }
                }
                _ => {}
            }
        }
        let is_meant = |number: &Key| is_new || numbers.contains(&*number.bytes);
        let asking = next.ruleset.chains.iter().filter(|(_, chain)| {
            let mut rules = chain.rules.iter();
            rules.any(|rule| asks(rule, set, is_meant))
        });
        chains.extend(asking.map(|(name, _)| name.to_string()));
    }
    next.concerned_by(&chains)
}

/// Whether a rule looks something up in a set; where that is several sets in one, in one
/// of those that are meant.
fn asks(rule: &Rule, set: &str, is_meant: impl Fn(&Key) -> bool) -> bool {
    rule.statements.iter().any(|statement| match statement {
        Statement::In(operands, name) if **name == *set => match operands.first() {
            Some(Operand::Constant(number)) => is_meant(number),
            _ => true,
        },
        _ => false,
    })
}

/// Whose rules are left out of the next attempt.
#[derive(Debug, Default)]
pub(super) struct Closing {
    pods: BTreeSet<PodId>,
    search: Option<Search>,
}

impl Closing {
    /// The pods to leave out.
    pub(super) fn pods(&self) -> &BTreeSet<PodId> {
        &self.pods
    }

    /// After an attempt that was taken. Says whether another is to be made: some of those
    /// that were left out may do.
    pub(super) fn taken(&mut self) -> bool {
        let next = self
            .search
            .as_mut()
            .and_then(|search| search.answered(true));
        self.leave_out(next)
    }

    /// After one that was refused, of which these pods are known to be concerned. Says
    /// whether another is to be made: if not, what was taken before is all there is.
    pub(super) fn refused(&mut self, concerned: BTreeSet<PodId>, node: &Node) -> bool {
        if let Some(search) = &mut self.search {
            let next = search.answered(false);
            return self.leave_out(next);
        }
        let all: BTreeSet<PodId> = node.endpoints.iter().map(|it| it.pod).collect();
        if !concerned.is_subset(&self.pods) && concerned != all {
            self.pods.extend(concerned);
        } else {
            let (search, first) = Search::new(all);
            (self.search, self.pods) = (Some(search), first);
        }
        true
    }

    fn leave_out(&mut self, next: Option<BTreeSet<PodId>>) -> bool {
        let goes_on = next.is_some();
        self.pods = next.unwrap_or_default();
        goes_on
    }
}

/// The search for the pods whose rules are refused, where no name tells.
///
/// Each attempt leaves the rules of some pods out. What an attempt that is taken leaves
/// out is left out by all that follow, or less.
#[derive(Debug)]
struct Search {
    /// Those whose rules were not taken yet.
    closed: BTreeSet<PodId>,
    /// Parts of them to be tried, large ones first.
    parts: VecDeque<Vec<PodId>>,
    /// The part that is being tried.
    trying: Vec<PodId>,
    any_taken: bool,
}

impl Search {
    /// Begins with all who may be meant, and says whom to leave out first.
    fn new(suspects: BTreeSet<PodId>) -> (Self, BTreeSet<PodId>) {
        let all: Vec<PodId> = suspects.iter().copied().collect();
        let mut search = Self {
            closed: suspects,
            parts: VecDeque::new(),
            trying: Vec::new(),
            any_taken: false,
        };
        search.split(&all);
        let first = search.next().unwrap_or_default();
        (search, first)
    }

    /// Takes the answer to the last attempt, and says whom to leave out next. `None` ends
    /// the search: the last attempt that was taken, if one was, left out those that are
    /// refused and no others.
    fn answered(&mut self, taken: bool) -> Option<BTreeSet<PodId>> {
        let tried = std::mem::take(&mut self.trying);
        if taken {
            self.any_taken = true;
            for pod in tried {
                self.closed.remove(&pod);
            }
        } else if tried.is_empty() {
            return None;
        } else {
            self.split(&tried);
        }
        self.next()
    }

    fn split(&mut self, part: &[PodId]) {
        if part.len() > 1 {
            let (left, right) = part.split_at(part.len() / 2);
            self.parts.extend([left.to_vec(), right.to_vec()]);
        }
    }

    fn next(&mut self) -> Option<BTreeSet<PodId>> {
        // Neither half alone: before smaller parts are tried, whether it is the pods at all.
        let next = self.parts.front();
        let halves_are_tried = next.is_none_or(|part| part.len() * 3 <= self.closed.len());
        self.trying = match self.any_taken || !halves_are_tried {
            true => self.parts.pop_front()?,
            false => Vec::new(),
        };
        let mut left_out = self.closed.clone();
        for pod in &self.trying {
            left_out.remove(pod);
        }
        Some(left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods(numbers: impl IntoIterator<Item = u32>) -> BTreeSet<PodId> {
        numbers.into_iter().map(PodId).collect()
    }

    /// Searches among `count` pods for those that a kernel refuses; `None` is hopeless.
    /// Also says how many attempts it took.
    fn found(
        count: u32,
        refused: &BTreeSet<PodId>,
        hopeless: bool,
    ) -> (Option<BTreeSet<PodId>>, usize) {
        let (mut search, mut left_out) = Search::new(pods(0..count));
        let (mut attempts, mut stands) = (0, None);
        loop {
            attempts += 1;
            let taken = !hopeless && refused.is_subset(&left_out);
            if taken {
                stands = Some(left_out);
            }
            match search.answered(taken) {
                Some(next) => left_out = next,
                None => return (stands, attempts),
            }
        }
    }

    #[test]
    fn those_that_are_refused_are_found_and_nobody_else() {
        for count in 1..40 {
            for refused in [
                pods([0]),
                pods([count - 1]),
                pods([count / 2, count / 3]),
                pods((0..count).step_by(3)),
                pods(0..count),
            ] {
                let (stands, _) = found(count, &refused, false);
                assert_eq!(stands, Some(refused), "of {count}");
            }
        }
    }

    #[test]
    fn one_of_ten_thousand_takes_some_thirty_attempts() {
        for culprit in [0, 1, 4_999, 5_000, 9_999] {
            let (stands, attempts) = found(10_000, &pods([culprit]), false);
            assert_eq!(stands, Some(pods([culprit])));
            assert!(attempts <= 30, "{attempts}");
        }
    }

    #[test]
    fn what_is_not_about_pods_is_given_up_at_once() {
        for count in [1, 2, 3, 10_000] {
            let (stands, attempts) = found(count, &pods([0]), true);
            assert_eq!(stands, None);
            assert!(attempts <= 3, "{attempts}");
        }
    }
}
