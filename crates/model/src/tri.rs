//! Three-valued truth: yes, no, or not known from this input.

/// Whether something holds, as far as the snapshot can tell.
///
/// The connectives are Kleene's: an unknown operand makes the result unknown
/// unless the other operand settles it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tri {
    /// It certainly does not hold.
    No,
    /// The snapshot does not say.
    Unknown,
    /// It certainly holds.
    Yes,
}

impl Tri {
    /// Both hold. `No` settles it.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.min(other)
    }

    /// At least one holds. `Yes` settles it.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.max(other)
    }

    /// The opposite; unknown stays unknown.
    #[must_use]
    pub fn negate(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
            Self::Yes => Self::No,
        }
    }

    /// True for `Yes` and `Unknown`.
    #[must_use]
    pub fn possible(self) -> bool {
        self != Self::No
    }

    /// True for `Yes` alone.
    #[must_use]
    pub fn certain(self) -> bool {
        self == Self::Yes
    }

    /// All of `items` hold (`Yes` for none).
    pub fn all(items: impl IntoIterator<Item = Self>) -> Self {
        items.into_iter().fold(Self::Yes, Self::and)
    }

    /// At least one of `items` holds (`No` for none).
    pub fn any(items: impl IntoIterator<Item = Self>) -> Self {
        items.into_iter().fold(Self::No, Self::or)
    }
}

impl From<bool> for Tri {
    fn from(value: bool) -> Self {
        if value { Self::Yes } else { Self::No }
    }
}

#[cfg(test)]
mod tests {
    use super::Tri::{self, No, Unknown, Yes};

    #[test]
    fn kleene_tables() {
        assert_eq!(Yes.and(Unknown), Unknown);
        assert_eq!(No.and(Unknown), No);
        assert_eq!(Yes.or(Unknown), Yes);
        assert_eq!(No.or(Unknown), Unknown);
        assert_eq!(Unknown.negate(), Unknown);
        assert_eq!(Tri::all([]), Yes);
        assert_eq!(Tri::any([]), No);
    }
}
