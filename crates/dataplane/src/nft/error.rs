use std::collections::BTreeSet;

use nlink::ErrorDetail;

/// What went wrong between this program and the kernel.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused, or could not be asked.
    #[error("nftables: {0}")]
    Kernel(#[from] Box<nlink::Error>),
    /// The ruleset cannot be put into the kernel's words.
    #[error("the ruleset cannot be loaded: {0}")]
    NotEncodable(String),
    /// What was read back is not what was written.
    #[error("the table is not what was written: {0}")]
    NotAsWritten(String),
    /// Packets between pods of a bridge meet no rule.
    #[error(
        "{0} is not 1: packets between pods of one bridge would not be judged; load br_netfilter, \
         and set it"
    )]
    BridgesNotFiltered(&'static str),
    /// A socket could not be set up.
    #[error("netlink socket: {0}")]
    Socket(#[from] std::io::Error),
}

impl From<nlink::Error> for Error {
    fn from(error: nlink::Error) -> Self {
        Self::Kernel(Box::new(error))
    }
}

impl Error {
    /// The names of the chains and sets of which a transaction was refused something;
    /// `None` where no transaction was refused.
    pub(super) fn refused(&self) -> Option<BTreeSet<String>> {
        let Self::Kernel(error) = self else {
            return None;
        };
        let ErrorDetail::NftBatch { failures, .. } = error.detail() else {
            return None;
        };
        // `add rule inet table/chain`, `add element inet table/set`: the name is last.
        let names = failures.iter().filter_map(|failure| {
            let words = failure.operation.split_whitespace();
            let path = words.into_iter().find(|word| word.contains('/'))?;
            path.split_once('/').map(|(_, name)| name.to_owned())
        });
        Some(names.collect())
    }
}
