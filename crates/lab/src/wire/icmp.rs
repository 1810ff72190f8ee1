//! ICMP and `ICMPv6` echo.

use ringfence_model::address::IpFamily;

use super::{u16_at, u64_at};

/// An echo request or reply with a number in its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Whether it is the answer.
    pub is_reply: bool,
    /// Whose it is, on the host that asks.
    pub identifier: u16,
    /// The number in its data.
    pub nonce: u64,
}

const fn types(family: IpFamily) -> (u8, u8) {
    match family {
        IpFamily::V4 => (8, 0),
        IpFamily::V6 => (128, 129),
    }
}

impl Echo {
    /// The message. That of IPv6 has no checksum yet: the kernel writes it.
    #[must_use]
    pub fn to_bytes(self, family: IpFamily) -> Vec<u8> {
        let (request, reply) = types(family);
        let mut bytes = vec![if self.is_reply { reply } else { request }, 0, 0, 0];
        bytes.extend(self.identifier.to_be_bytes());
        bytes.extend([0, 1]);
        bytes.extend(self.nonce.to_be_bytes());
        if family == IpFamily::V4 {
            let sum = checksum(&bytes).to_be_bytes();
            for (place, byte) in bytes.iter_mut().skip(2).zip(sum) {
                *place = byte;
            }
        }
        bytes
    }

    /// Reads a message; `None` if it is no echo.
    #[must_use]
    pub fn read(bytes: &[u8], family: IpFamily) -> Option<Self> {
        let (request, reply) = types(family);
        let kind = *bytes.first()?;
        if kind != request && kind != reply {
            return None;
        }
        Some(Self {
            is_reply: kind == reply,
            identifier: u16_at(bytes, 4)?,
            nonce: u64_at(bytes, 8)?,
        })
    }
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        let high = pair.first().copied().unwrap_or_default();
        let low = pair.get(1).copied().unwrap_or_default();
        sum += u32::from(u16::from_be_bytes([high, low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echoes_are_read_as_they_were_written() {
        for family in IpFamily::ALL {
            for is_reply in [false, true] {
                let echo = Echo {
                    is_reply,
                    identifier: 7,
                    nonce: 0x0123_4567_89ab_cdef,
                };
                let bytes = echo.to_bytes(family);
                assert_eq!(Echo::read(&bytes, family), Some(echo));
                assert_eq!(Echo::read(&bytes[..12], family), None);
            }
        }
    }

    #[test]
    fn a_message_with_its_checksum_sums_to_nothing() {
        let echo = Echo {
            is_reply: false,
            identifier: 0xfffe,
            nonce: u64::MAX - 3,
        };
        assert_eq!(checksum(&echo.to_bytes(IpFamily::V4)), 0);
    }
}
