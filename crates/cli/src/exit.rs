//! Exit codes: part of the contract, and documented in `--help`.

use std::process::ExitCode;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Everything was read and is as asked.
    Fine,
    /// The answer is no: a connection that is not certainly allowed, an assertion that
    /// does not hold, a difference under `--exit-code`.
    No,
    /// Bad usage or bad input. What could be read was still answered.
    BadInput,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::No => 1,
            Self::BadInput => 2,
        }
    }

    /// Both happened: bad input outweighs a no, because the no may be wrong.
    pub(crate) fn and(self, other: Self) -> Self {
        self.max(other)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
