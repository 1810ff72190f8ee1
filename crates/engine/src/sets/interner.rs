use rustc_hash::FxHashMap;

use super::PortSet;

/// Which outcomes are possible for each port. Every port has at least one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Outcome {
    /// The ports that may be allowed.
    pub(crate) allow: PortSet,
    /// The ports that may be denied.
    pub(crate) deny: PortSet,
}

impl Outcome {
    pub(crate) fn allowed() -> Self {
        Self {
            allow: PortSet::all(),
            deny: PortSet::none(),
        }
    }

    /// A connection needs both sides: denied where either denies.
    pub(crate) fn both(&self, other: &Self) -> Self {
        Self {
            allow: self.allow.intersection(&other.allow),
            deny: self.deny.union(&other.deny),
        }
    }

    /// The ports that are allowed for certain.
    pub(crate) fn certain(&self) -> PortSet {
        self.allow.difference(&self.deny)
    }
}

/// The index of an [`Outcome`] in an [`Interner`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct OutcomeId(pub(crate) u32);

/// Keeps each distinct outcome once; few exist even in large clusters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interner {
    outcomes: Vec<Outcome>,
    ids: FxHashMap<Outcome, OutcomeId>,
}

impl Interner {
    pub(crate) fn intern(&mut self, outcome: Outcome) -> OutcomeId {
        if let Some(id) = self.ids.get(&outcome) {
            return *id;
        }
        let id = OutcomeId(u32::try_from(self.outcomes.len()).unwrap_or(u32::MAX));
        self.outcomes.push(outcome.clone());
        self.ids.insert(outcome, id);
        id
    }

    pub(crate) fn get(&self, id: OutcomeId) -> &Outcome {
        #[expect(clippy::indexing_slicing, reason = "ids are issued by `intern`")]
        &self.outcomes[id.0 as usize]
    }
}
