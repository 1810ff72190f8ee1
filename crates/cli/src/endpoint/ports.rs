//! Ports as people type them: `80`, `53/udp`, `8000-8100/tcp`, `http`, `*`, `icmp`.

use std::fmt;
use std::str::FromStr;

use ringfence_engine::sets::PortSet;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::Pod;

/// One or more ports, with or without a protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PortWord {
    pub(crate) number: PortNumber,
    /// `None`: TCP for numbers, whatever the container declares for names.
    pub(crate) protocol: Option<Protocol>,
}

/// Which ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PortNumber {
    /// Bounds inclusive; both 0 for ICMP.
    Range(u16, u16),
    /// To be looked up on the destination pod.
    Name(String),
}

/// A text that is no port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PortError {
    #[error(
        "`{0}` is not a port: expected a number from 1 to 65535, a range, a name, `*` or `icmp`, and `/tcp`, `/udp` or `/sctp` may follow"
    )]
    NotAPort(String),
    #[error("`{0}` is not a port: ICMP is a protocol of its own, write `icmp`")]
    IcmpProtocol(String),
    #[error("`{0}` is not a protocol: expected tcp, udp or sctp")]
    NotAProtocol(String),
}

impl PortWord {
    /// The ports that it stands for by itself; `None` for a name.
    pub(crate) fn numbers(&self) -> Option<PortSet> {
        match self.number {
            PortNumber::Range(start, end) => {
                let protocol = self.protocol.unwrap_or(Protocol::Tcp);
                Some(PortSet::range(protocol, start, end))
            }
            PortNumber::Name(_) => None,
        }
    }

    /// The ports that it stands for on `pod`.
    pub(crate) fn on_pod(&self, pod: &Pod) -> PortSet {
        let PortNumber::Name(name) = &self.number else {
            return self.numbers().unwrap_or_default();
        };
        pod.ports_named(name)
            .filter(|port| self.protocol.is_none_or(|p| p == port.protocol))
            .map(|port| PortSet::range(port.protocol, port.port, port.port))
            .fold(PortSet::none(), |all, port| all.union(&port))
    }
}

impl FromStr for PortWord {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || PortError::NotAPort(text.to_owned());
        if text.eq_ignore_ascii_case("icmp") {
            return Ok(Self {
                number: PortNumber::Range(0, 0),
                protocol: Some(Protocol::Icmp),
            });
        }
        if text
            .split_once('/')
            .is_some_and(|(number, _)| number.eq_ignore_ascii_case("icmp"))
        {
            return Err(PortError::IcmpProtocol(text.to_owned()));
        }
        let (number, protocol) = match text.split_once('/') {
            Some((number, protocol)) => (number, Some(read_protocol(protocol)?)),
            None => (text, None),
        };
        let is_number = number.starts_with(|c: char| c.is_ascii_digit());
        let is_name = !number.is_empty()
            && number
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let number = if number == "*" {
            PortNumber::Range(1, u16::MAX)
        } else if is_number && number.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
            let (start, end) = number.split_once('-').unwrap_or((number, number));
            let (start, end) = (read_number(start), read_number(end));
            match (start, end) {
                (Some(start), Some(end)) if start <= end => PortNumber::Range(start, end),
                _ => return Err(refused()),
            }
        } else if is_name {
            PortNumber::Name(number.to_owned())
        } else {
            return Err(refused());
        };
        Ok(Self { number, protocol })
    }
}

fn read_number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|number| *number != 0)
}

fn read_protocol(text: &str) -> Result<Protocol, PortError> {
    match text.parse() {
        Ok(Protocol::Icmp) | Err(_) => Err(PortError::NotAProtocol(text.to_owned())),
        Ok(protocol) => Ok(protocol),
    }
}

impl fmt::Display for PortWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.number {
            PortNumber::Range(0, _) => return f.write_str("ICMP"),
            PortNumber::Range(1, u16::MAX) => f.write_str("*")?,
            PortNumber::Range(start, end) if start == end => write!(f, "{start}")?,
            PortNumber::Range(start, end) => write!(f, "{start}-{end}")?,
            PortNumber::Name(name) => f.write_str(name)?,
        }
        match self.protocol {
            Some(protocol) => write!(f, "/{protocol}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> String {
        text.parse::<PortWord>()
            .unwrap()
            .numbers()
            .unwrap()
            .to_string()
    }

    #[test]
    fn numbers_are_tcp_unless_they_say_otherwise() {
        assert_eq!(numbers("80"), "TCP 80");
        assert_eq!(numbers("53/udp"), "UDP 53");
        assert_eq!(numbers("8000-8100/SCTP"), "SCTP 8000-8100");
        assert_eq!(numbers("*"), "TCP all");
        assert_eq!(numbers("icmp"), "ICMP");
    }

    #[test]
    fn names_have_no_number_of_their_own() {
        let http: PortWord = "http".parse().unwrap();
        assert_eq!(http.numbers(), None);
        // A digit in front does not make a name a number.
        let name: PortWord = "5432-tcp".parse().unwrap();
        assert_eq!(name.number, PortNumber::Name("5432-tcp".into()));
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for text in [
            "", "0", "65536", "9-8", "1-", "ht tp", "80/", "80/icmp", "80/http", "0-5", "icmp/tcp",
        ] {
            assert!(text.parse::<PortWord>().is_err(), "{text}");
        }
    }
}
