//! IP families, CIDR blocks and sets of addresses.

mod block;
mod range_set;
mod special;
mod translation;

pub use block::{BlockError, IpBlock};
pub use range_set::{IpRangeSet, from_number, max_address, to_number};
pub use special::{PRIVATE_BLOCKS, metadata_endpoints, private_networks, public_internet};
pub use translation::{TRANSLATION_PREFIXES, behind_translation, translated};

use std::fmt;
use std::net::IpAddr;

/// An IP family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IpFamily {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl IpFamily {
    /// Both families, in output order.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The family of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl fmt::Display for IpFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}
