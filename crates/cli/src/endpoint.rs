//! Endpoints as people type them: `shop/cart`, `svc:shop/cart:http`, `10.0.0.0/8`,
//! `internet`.
//!
//! Here they are only read; what they stand for in a snapshot is in
//! [`resolve`](self::resolve).

mod ports;
pub(crate) mod resolve;

pub(crate) use ports::{PortNumber, PortWord};
pub(crate) use resolve::{Resolver, Target, TargetKind, nearest};

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// An endpoint, and a port if one was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndpointArg {
    /// As it was typed.
    pub(crate) text: String,
    /// What it names.
    pub(crate) name: EndpointName,
    /// The port behind the colon.
    pub(crate) port: Option<PortWord>,
}

/// What an endpoint names, before it is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EndpointName {
    /// A workload or pod; `*` in place of a name is all of them.
    Object {
        namespace: Option<String>,
        kind: Option<String>,
        name: String,
    },
    /// `svc:NS/NAME`.
    Service {
        namespace: Option<String>,
        name: String,
    },
    /// One address.
    Address(IpAddr),
    /// A block of addresses.
    Block(IpNet),
    /// A word with a meaning of its own.
    Word(Word),
}

/// A word with a meaning of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Word {
    /// All public addresses.
    Internet,
    /// The endpoints of cloud metadata services.
    Metadata,
    /// The name servers of the cluster.
    Dns,
    /// The Kubernetes API servers.
    ApiServer,
}

impl Word {
    const ALL: [Self; 4] = [Self::Internet, Self::Metadata, Self::Dns, Self::ApiServer];

    /// As it is typed.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Internet => "internet",
            Self::Metadata => "metadata",
            Self::Dns => "dns",
            Self::ApiServer => "apiserver",
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EndpointError {
    #[error("an endpoint is missing")]
    Empty,
    #[error(
        "`{0}` has an empty part: an endpoint is NS/NAME, NS/KIND/NAME, svc:NS/NAME, an IP, a CIDR, or one of internet, metadata, dns, apiserver; `:PORT` may follow"
    )]
    EmptyPart(String),
    #[error("`{0}`: a port needs an endpoint before it, as in shop/cart{0}")]
    PortAlone(String),
    #[error(
        "`{0}` is a URL: policies see addresses, so name the address behind it, as in 203.0.113.7:443, or `internet`"
    )]
    Url(String),
    #[error(
        "`{0}` is no IP address or block: an address has four numbers up to 255, and the length of a block is 32 at most"
    )]
    BrokenAddress(String),
    #[error("`{0}` is written `{1}`")]
    WordCase(String, Word),
    #[error("`{0}` has too many parts: an endpoint is NS/NAME or NS/KIND/NAME")]
    TooManyParts(String),
    #[error("`{0}` is not an IPv6 address; with a port, write [ADDRESS]:PORT")]
    Ipv6(String),
    #[error("`{0}` is an IPv4 address in IPv6 notation: write `{1}`")]
    MappedIpv4(String, String),
    #[error("in `{endpoint}`: {error}")]
    Port {
        endpoint: String,
        error: ports::PortError,
    },
}

impl FromStr for EndpointArg {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (head, port) = split_port(text)?;
        let port = port
            .map(|port| {
                port.parse().map_err(|error| EndpointError::Port {
                    endpoint: text.to_owned(),
                    error,
                })
            })
            .transpose()?;
        Ok(Self {
            text: text.to_owned(),
            name: read_name(head)?,
            port,
        })
    }
}

impl fmt::Display for EndpointArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Splits `:PORT` off. IPv6 addresses have colons of their own: alone they are taken
/// as they are, with a port they stand in brackets.
fn split_port(text: &str) -> Result<(&str, Option<&str>), EndpointError> {
    if text.is_empty() {
        return Err(EndpointError::Empty);
    }
    if text.contains("://") {
        return Err(EndpointError::Url(text.to_owned()));
    }
    if text.starts_with(':') && !text.starts_with("::") {
        return Err(EndpointError::PortAlone(text.to_owned()));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, after)) = rest.split_once(']') else {
            return Err(EndpointError::Ipv6(text.to_owned()));
        };
        return match after.strip_prefix(':') {
            Some(port) => Ok((address, Some(port))),
            None if after.is_empty() => Ok((address, None)),
            None => Err(EndpointError::Ipv6(text.to_owned())),
        };
    }
    if text.parse::<IpAddr>().is_ok() || text.parse::<IpNet>().is_ok() {
        return Ok((text, None));
    }
    let name_start = if text.starts_with("svc:") { 4 } else { 0 };
    let (prefix, rest) = text.split_at(name_start);
    match rest.split_once(':') {
        None => Ok((text, None)),
        Some((_, port)) if port.contains(':') => Err(EndpointError::Ipv6(text.to_owned())),
        Some((name, port)) => {
            let head = text.get(..prefix.len() + name.len()).unwrap_or(text);
            Ok((head, Some(port)))
        }
    }
}

/// The length of `::ffff:0:0`, below which IPv6 has the addresses of IPv4.
const MAPPED_PREFIX: u8 = 96;

fn read_name(head: &str) -> Result<EndpointName, EndpointError> {
    if let Ok(address) = head.parse() {
        if let IpAddr::V6(v6) = address
            && let Some(v4) = v6.to_ipv4_mapped()
        {
            return Err(EndpointError::MappedIpv4(head.to_owned(), v4.to_string()));
        }
        return Ok(EndpointName::Address(address));
    }
    if let Ok(block) = head.parse::<IpNet>() {
        if let IpNet::V6(v6) = block
            && let (Some(v4), Some(length)) = (
                v6.network().to_ipv4_mapped(),
                v6.prefix_len().checked_sub(MAPPED_PREFIX),
            )
        {
            let v4 = format!("{v4}/{length}");
            return Err(EndpointError::MappedIpv4(head.to_owned(), v4));
        }
        return Ok(EndpointName::Block(block.trunc()));
    }
    if let Some(word) = Word::ALL.into_iter().find(|word| word.as_str() == head) {
        return Ok(EndpointName::Word(word));
    }
    let differs_in_case = |word: &Word| word.as_str().eq_ignore_ascii_case(head);
    if let Some(word) = Word::ALL.into_iter().find(differs_in_case) {
        return Err(EndpointError::WordCase(head.to_owned(), word));
    }
    if looks_like_address(head) {
        return Err(EndpointError::BrokenAddress(head.to_owned()));
    }
    let (service, path) = match head.strip_prefix("svc:") {
        Some(path) => (true, path),
        None => (false, head),
    };
    let parts: Vec<&str> = path.split('/').collect();
    if parts.iter().any(|part| part.trim().is_empty()) {
        return Err(EndpointError::EmptyPart(head.to_owned()));
    }
    match (service, parts.as_slice()) {
        (false, [name]) => Ok(object(None, None, name)),
        (false, [namespace, name]) => Ok(object(Some(namespace), None, name)),
        (false, [namespace, kind, name]) if is_service_kind(kind) => {
            Ok(service_named(Some(namespace), name))
        }
        (false, [namespace, kind, name]) => Ok(object(Some(namespace), Some(kind), name)),
        (true, [name]) => Ok(service_named(None, name)),
        (true, [namespace, name]) => Ok(service_named(Some(namespace), name)),
        _ => Err(EndpointError::TooManyParts(head.to_owned())),
    }
}

/// Numbers with dots between them, and perhaps a length: no namespace is called so.
fn looks_like_address(head: &str) -> bool {
    let first = head.split('/').next().unwrap_or(head);
    first.contains('.') && first.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

fn is_service_kind(kind: &str) -> bool {
    ["svc", "service", "services"].contains(&kind.to_ascii_lowercase().as_str())
}

fn object(namespace: Option<&str>, kind: Option<&str>, name: &str) -> EndpointName {
    EndpointName::Object {
        namespace: namespace.map(str::to_owned),
        kind: kind.map(str::to_owned),
        name: name.to_owned(),
    }
}

fn service_named(namespace: Option<&str>, name: &str) -> EndpointName {
    EndpointName::Service {
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (EndpointName, Option<String>) {
        let arg: EndpointArg = text.parse().unwrap();
        (arg.name, arg.port.map(|port| port.to_string()))
    }

    fn error(text: &str) -> String {
        text.parse::<EndpointArg>().unwrap_err().to_string()
    }

    #[test]
    fn workloads_are_named_with_or_without_namespace_and_kind() {
        assert_eq!(read("cart"), (object(None, None, "cart"), None));
        assert_eq!(
            read("shop/cart"),
            (object(Some("shop"), None, "cart"), None)
        );
        assert_eq!(
            read("shop/sts/cart:8080/udp"),
            (
                object(Some("shop"), Some("sts"), "cart"),
                Some("8080/UDP".into())
            )
        );
        assert_eq!(read("shop/*:http").1, Some("http".into()));
    }

    #[test]
    fn services_are_named_by_a_prefix_or_by_kind() {
        let cart = service_named(Some("shop"), "cart");
        assert_eq!(read("svc:shop/cart:80"), (cart.clone(), Some("80".into())));
        assert_eq!(read("shop/svc/cart"), (cart, None));
        assert_eq!(read("svc:cart").0, service_named(None, "cart"));
    }

    #[test]
    fn addresses_of_both_families_take_ports() {
        let address = |text: &str| EndpointName::Address(text.parse().unwrap());
        assert_eq!(
            read("10.0.0.1:53/udp"),
            (address("10.0.0.1"), Some("53/UDP".into()))
        );
        assert_eq!(read("fd00::1"), (address("fd00::1"), None));
        assert_eq!(
            read("[fd00::1]:443"),
            (address("fd00::1"), Some("443".into()))
        );
        assert_eq!(read("::1"), (address("::1"), None));
    }

    #[test]
    fn blocks_are_cut_to_their_prefix() {
        let block = |text: &str| EndpointName::Block(text.parse().unwrap());
        assert_eq!(
            read("10.1.2.3/8:443"),
            (block("10.0.0.0/8"), Some("443".into()))
        );
        assert_eq!(
            read("[fd00::/8]:443"),
            (block("fd00::/8"), Some("443".into()))
        );
    }

    #[test]
    fn ipv4_in_ipv6_notation_is_told_as_ipv4() {
        assert!(error("::ffff:1.2.3.4").ends_with("write `1.2.3.4`"));
        assert!(error("[::ffff:1.2.3.4]:80").ends_with("write `1.2.3.4`"));
        assert!(error("::ffff:10.0.0.0/104").ends_with("write `10.0.0.0/8`"));
        assert!(read("::/0").1.is_none());
    }

    #[test]
    fn words_are_words_only_on_their_own() {
        assert_eq!(read("internet:443").0, EndpointName::Word(Word::Internet));
        assert_eq!(
            read("shop/internet").0,
            object(Some("shop"), None, "internet")
        );
    }

    #[test]
    fn what_is_no_endpoint_is_told_why() {
        assert_eq!(error(""), "an endpoint is missing");
        assert!(error(":http").contains("needs an endpoint before it"));
        assert!(error("https://example.com/a").contains("is a URL"));
        for text in [
            "1.2.3",
            "10.0.0.256",
            "10.0.0.0/33",
            "10.0.0.0/8/9",
            "1.2.3:80",
        ] {
            assert!(error(text).contains("no IP address or block"), "{text}");
        }
        assert_eq!(error("Internet:443"), "`Internet` is written `internet`");
        assert!(error("shop/").contains("empty part"));
        assert!(error("a/b/c/d").contains("too many parts"));
        assert!(error("fd00::1::2:80").contains("[ADDRESS]:PORT"));
        assert!(error("[fd00::1").contains("[ADDRESS]:PORT"));
        assert!(error("shop/cart:70000").contains("70000"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in ".{0,40}") {
            let _ = text.parse::<EndpointArg>();
            let _ = text.parse::<PortWord>();
        }

        #[test]
        fn texts_made_of_the_parts_of_endpoints_are_read_or_refused(
            text in r"(svc:|\[|\]|:|/|\*|[a-z]{1,3}|[0-9]{1,5}|fd00::1|10\.0\.0\.1|-){0,8}",
        ) {
            if let Ok(arg) = text.parse::<EndpointArg>() {
                proptest::prop_assert_eq!(arg.to_string(), text);
            }
        }
    }
}
