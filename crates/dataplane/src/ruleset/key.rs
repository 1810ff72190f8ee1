//! The bytes that sets are keyed by.

use std::net::IpAddr;

use ringfence_model::address::IpFamily;
use smallvec::SmallVec;

/// One part of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// An IPv4 or IPv6 address: 4 or 16 bytes.
    Address(IpFamily),
    /// The number of a set of peers: 4 bytes.
    PeerSet,
    /// The name of an interface: 16 bytes, filled up with zeros.
    Interface,
    /// A port: 2 bytes, and 2 of padding where something follows.
    Port,
}

impl KeyType {
    /// How many bytes a value has.
    #[must_use]
    pub fn width(self) -> usize {
        match self {
            Self::Address(IpFamily::V4) | Self::PeerSet => 4,
            Self::Address(IpFamily::V6) | Self::Interface => 16,
            Self::Port => 2,
        }
    }
}

/// A key of a set: one value, several one after the other, or a range.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The value, or the first of a range, in the byte order of the network.
    pub bytes: SmallVec<[u8; 20]>,
    /// The last value of a range.
    pub end: Option<Box<[u8]>>,
}

impl Key {
    fn one(bytes: &[u8]) -> Self {
        Self {
            bytes: SmallVec::from_slice(bytes),
            end: None,
        }
    }

    /// The first and the last value of a range; twice the same where it is one value.
    #[must_use]
    pub fn bounds(&self) -> (Self, Self) {
        let first = Self::one(&self.bytes);
        let last = self.end.as_deref().map_or_else(|| first.clone(), Self::one);
        (first, last)
    }

    /// This key and another after it.
    #[must_use]
    pub fn then(mut self, next: &Self) -> Self {
        // The kernel begins each part of a key at a multiple of four bytes.
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
        self.bytes.extend_from_slice(&next.bytes);
        self
    }
}

/// These bytes.
#[must_use]
pub fn bytes(bytes: &[u8]) -> Key {
    Key::one(bytes)
}

/// An address.
#[must_use]
pub fn address(address: IpAddr) -> Key {
    match address {
        IpAddr::V4(address) => Key::one(&address.octets()),
        IpAddr::V6(address) => Key::one(&address.octets()),
    }
}

/// All addresses from one to another of the same family.
#[must_use]
pub fn addresses(first: IpAddr, last: IpAddr) -> Key {
    Key {
        end: Some(address(last).bytes.as_slice().into()),
        ..address(first)
    }
}

/// The number of a set of peers.
#[must_use]
pub fn peer_set(number: u32) -> Key {
    Key::one(&number.to_ne_bytes())
}

/// The name of an interface; what does not fit into 15 bytes is cut off, as the
/// kernel has no longer names.
#[must_use]
pub fn interface(name: &str) -> Key {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().take(15).zip(name.bytes()) {
        *to = from;
    }
    Key::one(&bytes)
}

/// All ports from one to another.
#[must_use]
pub fn ports(first: u16, last: u16) -> Key {
    let mut key = Key::one(&first.to_be_bytes());
    key.end = Some(last.to_be_bytes().as_slice().into());
    key
}
