use ipnet::IpNet;

use super::{IpFamily, IpRangeSet};

/// An `ipBlock` that has been read: a CIDR without its exceptions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IpBlock {
    /// The `cidr`.
    pub cidr: IpNet,
    /// The `except` list.
    pub except: Vec<IpNet>,
}

/// An `ipBlock` that is not well formed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// The text is not an address with a prefix length.
    #[error("`{0}` is not a CIDR such as 10.0.0.0/8 or fd00::/8")]
    NotACidr(String),
}

impl IpBlock {
    /// Reads the two fields of an `ipBlock`.
    ///
    /// # Errors
    /// If a CIDR cannot be read. That an exception lies inside the CIDR is checked
    /// by validation, not here.
    pub fn parse(cidr: &str, except: &[String]) -> Result<Self, BlockError> {
        let read = |text: &str| {
            text.parse::<IpNet>()
                .map_err(|_| BlockError::NotACidr(text.to_owned()))
        };
        Ok(Self {
            cidr: read(cidr)?,
            except: except.iter().map(|e| read(e)).collect::<Result<_, _>>()?,
        })
    }

    /// The family of its addresses.
    #[must_use]
    pub fn family(&self) -> IpFamily {
        IpFamily::of(self.cidr.addr())
    }

    /// The addresses it covers.
    #[must_use]
    pub fn addresses(&self) -> IpRangeSet {
        let family = self.family();
        IpRangeSet::from_nets(family, [&self.cidr])
            .difference(&IpRangeSet::from_nets(family, &self.except))
    }
}
