use std::fmt;
use std::time::Duration;

/// What became of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Observed {
    /// It arrived and was answered.
    Allowed,
    /// Nothing arrived, and nobody said why.
    Dropped,
    /// Nothing arrived, and somebody on the way said no.
    Rejected,
    /// It arrived, and nobody listens there.
    Closed,
    /// The name could not be looked up.
    DnsFailed,
    /// It cannot be told.
    Inconclusive,
}

impl Observed {
    /// Whether the packet got through; `None` if that cannot be told.
    #[must_use]
    pub fn passed(self) -> Option<bool> {
        match self {
            Self::Allowed | Self::Closed => Some(true),
            Self::Dropped | Self::Rejected | Self::DnsFailed => Some(false),
            Self::Inconclusive => None,
        }
    }

    /// In one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Dropped => "dropped",
            Self::Rejected => "rejected",
            Self::Closed => "closed",
            Self::DnsFailed => "dns-failed",
            Self::Inconclusive => "inconclusive",
        }
    }
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What became of a probe, and how it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What became of it.
    pub observed: Observed,
    /// The station at which it arrived, if it did.
    pub arrived: Option<usize>,
    /// How long it took.
    pub took: Duration,
    /// What else there is to say: the error, where it is none that explains itself.
    pub detail: Option<String>,
}
