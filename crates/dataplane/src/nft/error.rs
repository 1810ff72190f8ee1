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
    /// A socket could not be set up.
    #[error("netlink socket: {0}")]
    Socket(#[from] std::io::Error),
}

impl From<nlink::Error> for Error {
    fn from(error: nlink::Error) -> Self {
        Self::Kernel(Box::new(error))
    }
}
