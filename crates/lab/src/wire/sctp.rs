//! The first two packets of an SCTP association (RFC 9260), for kernels that have no
//! SCTP: an INIT, and what answers it.

use super::{u16_at, u32_at};

/// An SCTP packet of one chunk, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The port it is from.
    pub source: u16,
    /// The port it is to.
    pub destination: u16,
    /// The tag of the association that it is for; 0 in an INIT.
    pub tag: u32,
    /// Its first chunk.
    pub chunk: Chunk,
}

/// The chunks that open an association, or refuse to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// Asks for an association; the answer carries this tag.
    Init {
        /// The tag that the answer must carry.
        tag: u32,
    },
    /// Accepts it.
    InitAck {
        /// The tag of the other end.
        tag: u32,
    },
    /// Refuses it.
    Abort,
    /// Anything else.
    Other(u8),
}

const HEADER: usize = 12;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const ABORT: u8 = 6;

impl Packet {
    /// The packet with its checksum.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(48);
        bytes.extend(self.source.to_be_bytes());
        bytes.extend(self.destination.to_be_bytes());
        bytes.extend(self.tag.to_be_bytes());
        bytes.extend([0; 4]);
        match self.chunk {
            Chunk::Init { tag } => push_init(&mut bytes, INIT, tag, &[]),
            // Parameter 7, the cookie that an answer must carry; nobody will answer.
            Chunk::InitAck { tag } => {
                push_init(
                    &mut bytes,
                    INIT_ACK,
                    tag,
                    &[0, 7, 0, 8, b'r', b'i', b'n', b'g'],
                );
            }
            Chunk::Abort => bytes.extend([ABORT, 0, 0, 4]),
            Chunk::Other(kind) => bytes.extend([kind, 0, 0, 4]),
        }
        let sum = crc32c(&bytes).to_le_bytes();
        for (place, byte) in bytes.iter_mut().skip(8).zip(sum) {
            *place = byte;
        }
        bytes
    }

    /// Reads a packet; `None` if it is too short or its checksum is wrong.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut unsummed = bytes.to_vec();
        unsummed.get_mut(8..HEADER)?.fill(0);
        if crc32c(&unsummed).to_le_bytes() != bytes.get(8..HEADER)? {
            return None;
        }
        let kind = *bytes.get(HEADER)?;
        let tag = || u32_at(bytes, HEADER + 4);
        Some(Self {
            source: u16_at(bytes, 0)?,
            destination: u16_at(bytes, 2)?,
            tag: u32_at(bytes, 4)?,
            chunk: match kind {
                INIT => Chunk::Init { tag: tag()? },
                INIT_ACK => Chunk::InitAck { tag: tag()? },
                ABORT => Chunk::Abort,
                other => Chunk::Other(other),
            },
        })
    }
}

/// INIT and INIT ACK: tag, window, numbers of streams, first sequence number.
fn push_init(bytes: &mut Vec<u8>, kind: u8, tag: u32, parameters: &[u8]) {
    let length = u16::try_from(20 + parameters.len()).unwrap_or(20);
    bytes.extend([kind, 0]);
    bytes.extend(length.to_be_bytes());
    bytes.extend(tag.to_be_bytes());
    bytes.extend(65_536u32.to_be_bytes());
    bytes.extend(1u16.to_be_bytes());
    bytes.extend(1u16.to_be_bytes());
    bytes.extend(tag.to_be_bytes());
    bytes.extend(parameters);
}

/// The checksum of SCTP: CRC-32C, bit by bit, for packets are short.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let low = crc & 1;
            crc = (crc >> 1) ^ (POLYNOMIAL * low);
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_crc_32c() {
        // The check value of the polynomial's registry entry.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn packets_are_read_as_they_were_written() {
        for chunk in [
            Chunk::Init { tag: 7 },
            Chunk::InitAck { tag: u32::MAX },
            Chunk::Abort,
            Chunk::Other(3),
        ] {
            let packet = Packet {
                source: 40_000,
                destination: 81,
                tag: 0xdead_beef,
                chunk,
            };
            let bytes = packet.to_bytes();
            assert_eq!(bytes.len() % 4, 0);
            assert_eq!(Packet::read(&bytes), Some(packet));
        }
    }

    #[test]
    fn a_damaged_packet_is_none() {
        let packet = Packet {
            source: 1,
            destination: 2,
            tag: 0,
            chunk: Chunk::Init { tag: 7 },
        };
        let mut bytes = packet.to_bytes();
        bytes[3] ^= 1;
        assert_eq!(Packet::read(&bytes), None);
        for length in 0..16 {
            assert_eq!(Packet::read(&bytes[..length]), None);
        }
    }
}
