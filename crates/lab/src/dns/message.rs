//! Questions and answers as bytes: one question, addresses as the answer.

use std::net::IpAddr;

use crate::wire::u16_at;

/// What a question asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Something that this server has no answer for.
    Other(u16),
}

impl RecordType {
    fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
            Self::Other(number) => number,
        }
    }

    fn from_number(number: u16) -> Self {
        match number {
            1 => Self::A,
            28 => Self::Aaaa,
            other => Self::Other(other),
        }
    }
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The number that the answer repeats.
    pub id: u16,
    /// The name in lower case, without the dot at its end.
    pub name: String,
    /// What is asked of it.
    pub record: RecordType,
    /// Where in the message the question ends.
    end: usize,
}

const HEADER: usize = 12;
const IS_ANSWER: u16 = 0x8000;
const AUTHORITATIVE: u16 = 0x0400;
const RECURSION_WANTED: u16 = 0x0100;
const RECURSION_AVAILABLE: u16 = 0x0080;
const NO_SUCH_NAME: u16 = 3;
/// Seconds for which an answer holds: the lab may change at any time.
const TIME_TO_LIVE: u32 = 5;

impl Question {
    /// Reads a question; `None` if it is none, or none that can be answered.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let flags = u16_at(bytes, 2)?;
        let is_query = flags & 0xf800 == 0;
        if !is_query || u16_at(bytes, 4)? != 1 {
            return None;
        }
        let mut labels = Vec::new();
        let mut at = HEADER;
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            // A question has no earlier name to point to.
            if length > 63 || at > HEADER + 255 {
                return None;
            }
            let label = std::str::from_utf8(bytes.get(at..at + length)?).ok()?;
            labels.push(label.to_ascii_lowercase());
            at += length;
        }
        Some(Self {
            id: u16_at(bytes, 0)?,
            name: labels.join("."),
            record: RecordType::from_number(u16_at(bytes, at)?),
            end: at + 4,
        })
        .filter(|question| question.end <= bytes.len())
    }

    /// A question as a client sends it. Labels that are too long are cut, and empty ones left
    /// out: a length of zero would end the name.
    #[must_use]
    pub fn write(id: u16, name: &str, record: RecordType) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + name.len() + 6);
        for number in [id, RECURSION_WANTED, 1, 0, 0, 0] {
            bytes.extend(number.to_be_bytes());
        }
        for label in name.split('.').filter(|label| !label.is_empty()) {
            let label = label.as_bytes();
            let label = label.get(..label.len().min(63)).unwrap_or_default();
            bytes.push(u8::try_from(label.len()).unwrap_or_default());
            bytes.extend(label);
        }
        bytes.push(0);
        bytes.extend(record.number().to_be_bytes());
        bytes.extend(1u16.to_be_bytes());
        bytes
    }

    /// The answer to the question in `asked`: `None` is for a name that does not exist.
    #[must_use]
    pub fn answer(&self, asked: &[u8], addresses: Option<&[IpAddr]>) -> Vec<u8> {
        let wanted: Vec<&IpAddr> = addresses
            .unwrap_or_default()
            .iter()
            .filter(|address| match self.record {
                RecordType::A => address.is_ipv4(),
                RecordType::Aaaa => address.is_ipv6(),
                RecordType::Other(_) => false,
            })
            .take(16)
            .collect();
        let echoed = u16_at(asked, 2).unwrap_or_default() & RECURSION_WANTED;
        let mut flags = IS_ANSWER | AUTHORITATIVE | RECURSION_AVAILABLE | echoed;
        if addresses.is_none() {
            flags |= NO_SUCH_NAME;
        }
        let count = u16::try_from(wanted.len()).unwrap_or_default();
        let mut bytes = Vec::with_capacity(512);
        for number in [self.id, flags, 1, count, 0, 0] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(asked.get(HEADER..self.end).unwrap_or_default());
        for address in wanted {
            // The name is that of the question, at the twelfth byte.
            bytes.extend(0xc00c_u16.to_be_bytes());
            bytes.extend(self.record.number().to_be_bytes());
            bytes.extend(1u16.to_be_bytes());
            bytes.extend(TIME_TO_LIVE.to_be_bytes());
            let octets = match address {
                IpAddr::V4(v4) => v4.octets().to_vec(),
                IpAddr::V6(v6) => v6.octets().to_vec(),
            };
            bytes.extend(
                u16::try_from(octets.len())
                    .unwrap_or_default()
                    .to_be_bytes(),
            );
            bytes.extend(octets);
        }
        bytes
    }
}

/// What an answer to our own question says: `None` if it is no answer to it, otherwise
/// the addresses, none for a name that does not exist.
#[must_use]
pub fn read_answer(bytes: &[u8], id: u16) -> Option<Vec<IpAddr>> {
    let flags = u16_at(bytes, 2)?;
    if u16_at(bytes, 0)? != id || flags & IS_ANSWER == 0 {
        return None;
    }
    let count = u16_at(bytes, 6)?;
    let mut at = after_name(bytes, HEADER)? + 4;
    let mut addresses = Vec::new();
    for _ in 0..count {
        at = after_name(bytes, at)?;
        let length = usize::from(u16_at(bytes, at + 8)?);
        let data = bytes.get(at + 10..at + 10 + length)?;
        match (u16_at(bytes, at)?, length) {
            (1, 4) => addresses.push(IpAddr::from(<[u8; 4]>::try_from(data).ok()?)),
            (28, 16) => addresses.push(IpAddr::from(<[u8; 16]>::try_from(data).ok()?)),
            _ => {}
        }
        at += 10 + length;
    }
    Some(addresses)
}

fn after_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*bytes.get(at)?);
        match length {
            0 => return Some(at + 1),
            // A pointer to an earlier name ends it.
            length if length >= 0xc0 => return Some(at + 2),
            length => at += 1 + length,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_answered_with_the_addresses_of_its_family() {
        let asked = Question::write(77, "WWW.example.com.", RecordType::A);
        let question = Question::read(&asked).unwrap();
        assert_eq!(question.name, "www.example.com");
        assert_eq!(question.record, RecordType::A);
        let known: Vec<IpAddr> = vec!["203.0.113.10".parse().unwrap(), "::1".parse().unwrap()];
        let answer = question.answer(&asked, Some(&known));
        assert_eq!(read_answer(&answer, 77), Some(known[..1].to_vec()));
        assert_eq!(read_answer(&answer, 78), None);
        let asked = Question::write(1, "www.example.com", RecordType::Aaaa);
        let question = Question::read(&asked).unwrap();
        let answer = question.answer(&asked, Some(&known));
        assert_eq!(read_answer(&answer, 1), Some(known[1..].to_vec()));
    }

    #[test]
    fn an_empty_label_ends_no_name() {
        for (name, asked) in [
            ("", ""),
            (".", ""),
            ("www..example.com.", "www.example.com"),
        ] {
            let question = Question::write(9, name, RecordType::Aaaa);
            let question = Question::read(&question).unwrap();
            assert_eq!(
                (&*question.name, question.record),
                (asked, RecordType::Aaaa)
            );
        }
    }

    #[test]
    fn a_name_that_does_not_exist_is_said_so() {
        let asked = Question::write(5, "nowhere", RecordType::A);
        let answer = Question::read(&asked).unwrap().answer(&asked, None);
        assert_eq!(answer[3] & 0x0f, 3);
        assert_eq!(read_answer(&answer, 5), Some(Vec::new()));
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let asked = Question::write(5, "www.example.com", RecordType::A);
        let answer = Question::read(&asked)
            .unwrap()
            .answer(&asked, Some(&["1.2.3.4".parse().unwrap()]));
        for bytes in [&asked, &answer] {
            for length in 0..bytes.len() {
                assert_eq!(Question::read(&bytes[..length]), None);
                let _ = read_answer(&bytes[..length], 5);
            }
            for position in 0..bytes.len() {
                for value in 0..=255 {
                    let mut bytes = bytes.clone();
                    bytes[position] = value;
                    let _ = Question::read(&bytes);
                    let _ = read_answer(&bytes, 5);
                }
            }
        }
    }
}
