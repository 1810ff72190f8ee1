//! The bytes that sets are keyed by.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::ops::Deref;

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
    /// An Ethernet address: 6 bytes, and 2 of padding where something follows. It is never the
    /// last of several: the kernel would want the padding there as well.
    Hardware,
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
            Self::Hardware => 6,
            Self::Port => 2,
        }
    }
}

/// A key of a set: one value, several one after the other, or a range.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The value, or the first of a range, in the byte order of the network.
    pub bytes: Bytes,
    /// The last value of a range.
    pub end: Option<Box<Bytes>>,
}

impl Key {
    fn one(bytes: &[u8]) -> Self {
        Self {
            bytes: Bytes::new(bytes),
            end: None,
        }
    }

    /// The first and the last value of a range; twice the same where it is one value.
    #[must_use]
    pub fn bounds(&self) -> (Self, Self) {
        let first = Self::one(&self.bytes);
        let last = self.end.as_deref();
        let last = last.map_or_else(|| first.clone(), |last| Self::one(last));
        (first, last)
    }

    /// This key and another after it.
    #[must_use]
    pub fn then(self, next: &Self) -> Self {
        // The kernel begins each part of a key at a multiple of four bytes.
        let mut bytes: SmallVec<[u8; 36]> = SmallVec::from_slice(&self.bytes);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend_from_slice(&next.bytes);
        Self::one(&bytes)
    }
}

/// Some bytes. A node has as many of them as its cluster has elements, so that they take
/// no more room than they must: those of an address with a number have no place of their
/// own.
#[derive(Clone)]
pub struct Bytes(Place);

/// How many bytes have no place of their own.
const INLINE: usize = 22;

#[derive(Clone)]
enum Place {
    Inline(u8, [u8; INLINE]),
    Own(Box<[u8]>),
}

impl Bytes {
    fn new(bytes: &[u8]) -> Self {
        let mut inline = [0; INLINE];
        let place = match (inline.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(slot), Ok(length)) => {
                slot.copy_from_slice(bytes);
                Place::Inline(length, inline)
            }
            _ => Place::Own(bytes.into()),
        };
        Self(place)
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Place::Inline(length, bytes) => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Place::Own(bytes) => bytes,
        }
    }
}

/// What an element of a map leads to: a number or an address.
#[derive(Clone, PartialEq, Eq)]
pub struct Word(Width);

/// Most are numbers, so that what is longer has a place of its own.
#[derive(Clone, PartialEq, Eq)]
enum Width {
    Four([u8; 4]),
    Sixteen(Box<[u8; 16]>),
}

impl Word {
    /// These bytes; `None` where they are neither a number nor an address.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let four = bytes.try_into().ok().map(Width::Four);
        let sixteen = || bytes.try_into().ok().map(Box::new).map(Width::Sixteen);
        four.or_else(sixteen).map(Self)
    }

    /// A number.
    #[must_use]
    pub fn number(number: u32) -> Self {
        Self(Width::Four(number.to_ne_bytes()))
    }

    /// An address.
    #[must_use]
    pub fn address(address: IpAddr) -> Self {
        Self(match address {
            IpAddr::V4(address) => Width::Four(address.octets()),
            IpAddr::V6(address) => Width::Sixteen(Box::new(address.octets())),
        })
    }
}

impl Deref for Word {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Width::Four(bytes) => bytes,
            Width::Sixteen(bytes) => &**bytes,
        }
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Bytes {}

impl PartialOrd for Bytes {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bytes {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (**self).cmp(&**other)
    }
}

impl Hash for Bytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
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
    range(&address(first).bytes, &address(last).bytes)
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

/// An Ethernet address.
#[must_use]
pub fn hardware(address: [u8; 6]) -> Key {
    Key::one(&address)
}

/// All ports from one to another.
#[must_use]
pub fn ports(first: u16, last: u16) -> Key {
    range(&first.to_be_bytes(), &last.to_be_bytes())
}

/// All values from one to another.
#[must_use]
pub fn range(first: &[u8], last: &[u8]) -> Key {
    Key {
        end: Some(Box::new(Bytes::new(last))),
        ..Key::one(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_takes_as_much_room_as_an_element_must() {
        assert_eq!(size_of::<Key>(), 32);
        assert_eq!(size_of::<crate::ruleset::Value>(), 16);
        for length in 0..40 {
            let text: Vec<u8> = (0..length).collect();
            assert_eq!(*bytes(&text).bytes, *text);
        }
    }
}
