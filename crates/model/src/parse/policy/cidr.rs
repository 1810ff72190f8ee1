//! CIDR blocks.

use std::net::IpAddr;

use ipnet::IpNet;

use super::checker::Checker;
use crate::diagnostic::Severity;
use crate::parse::place::Place;

/// Checks a CIDR and reads it.
pub(super) fn check(place: &Place<'_, '_, '_>, checker: &mut Checker<'_, '_>) -> Option<IpNet> {
    let text = place.node.text()?;
    let net = match parse(text) {
        Some(net) if !is_mapped(&net) => net,
        strict => {
            let (what, help) = match strict {
                Some(_) => (
                    "an IPv4 address written as IPv6".to_owned(),
                    "write the IPv4 address: implementations disagree about this form".to_owned(),
                ),
                None => (
                    format!("{} is not a CIDR", place.node.describe()),
                    what_is_wrong(text),
                ),
            };
            let accepted = parse_as_formerly(text).filter(|_| checker.is_live());
            let severity = match accepted {
                Some(_) => Severity::Warning,
                None => Severity::Error,
            };
            let help = match accepted {
                Some(net) => format!("the API server accepted it and reads it as {net}; {help}"),
                None => help,
            };
            checker
                .report(
                    severity,
                    "invalid-cidr",
                    place.value_extent(),
                    format!("`{}`: {what}", place.at),
                )
                .help(help);
            return accepted;
        }
    };
    if net.addr() != net.network() {
        checker
            .warning(
                "cidr-host-bits",
                place.value_extent(),
                format!(
                    "`{}`: the address has bits beyond the prefix length",
                    place.at
                ),
            )
            .help(format!(
                "it counts as {}; write that, or {}/{} for this one address",
                net.trunc(),
                net.addr(),
                net.max_prefix_len()
            ));
    }
    Some(net.trunc())
}

/// An IPv4 address in the form of an IPv6 one.
fn is_mapped(net: &IpNet) -> bool {
    matches!(net.addr(), IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
}

/// What a CIDR that only former API servers accepted stands for, written as it should
/// have been; `None` for one that is fine, or none at all.
pub(super) fn rewritten(text: &str) -> Option<String> {
    match parse(text) {
        Some(net) if !is_mapped(&net) => None,
        _ => parse_as_formerly(text).map(|net| net.to_string()),
    }
}

/// Reads a CIDR as former API servers did, whose objects are still there: numbers are
/// decimal whatever they begin with, and an IPv4 block may be written as IPv6.
fn parse_as_formerly(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/')?;
    // Whatever is before an IPv4 address, it is at the end.
    let (before, dotted) = match address.rfind(':') {
        Some(colon) => address.split_at_checked(colon + 1)?,
        None => ("", address),
    };
    let dotted: Vec<&str> = dotted.split('.').map(without_leading_zeros).collect();
    let net = parse(&format!("{before}{}/{length}", dotted.join(".")))?.trunc();
    let IpAddr::V6(address) = net.addr() else {
        return Some(net);
    };
    // The prefix of the form itself takes 96 bits; with fewer, other addresses are in it.
    let mapped = address
        .to_ipv4_mapped()
        .zip(net.prefix_len().checked_sub(96));
    match mapped {
        Some((address, length)) => IpNet::new(address.into(), length).ok(),
        None => Some(net),
    }
}

fn without_leading_zeros(number: &str) -> &str {
    match number.trim_start_matches('0') {
        "" if !number.is_empty() => "0",
        rest => rest,
    }
}

/// Reads a CIDR as strictly as current API servers do: no leading zeros in addresses
/// (which `IpNet` would let pass), a prefix length of digits only.
fn parse(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/')?;
    if !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    IpNet::new(address.parse::<IpAddr>().ok()?, length.parse().ok()?).ok()
}

fn what_is_wrong(text: &str) -> String {
    const GENERAL: &str = "expected an address and a prefix length, such as 10.0.0.0/8 or fd00::/8";
    if let Ok(address) = text.parse::<IpAddr>() {
        let length = if address.is_ipv4() { 32 } else { 128 };
        return format!("add the prefix length: {address}/{length} is this one address");
    }
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    if text.trim() != text {
        return "remove the spaces around it".to_owned();
    }
    if let Ok(parsed) = address.parse::<IpAddr>() {
        let most = if parsed.is_ipv4() { 32 } else { 128 };
        return if length.parse::<IpAddr>().is_ok() {
            format!("write the prefix length as a number from 0 to {most}, not as a mask")
        } else {
            format!("the prefix length of this address is a number from 0 to {most}")
        };
    }
    let has_leading_zero = address.split('.').any(|part| {
        part.len() > 1 && part.starts_with('0') && part.bytes().all(|b| b.is_ascii_digit())
    });
    if has_leading_zero && address.split('.').count() == 4 {
        return "remove the leading zeros: some read such a number as octal".to_owned();
    }
    GENERAL.to_owned()
}

/// Checks that `inner`, an exception, lies strictly inside `outer`.
pub(super) fn check_except(
    place: &Place<'_, '_, '_>,
    inner: IpNet,
    outer: IpNet,
    checker: &mut Checker<'_, '_>,
) {
    if outer.contains(&inner) && inner.prefix_len() > outer.prefix_len() {
        return;
    }
    let same_family = outer.addr().is_ipv4() == inner.addr().is_ipv4();
    let help = if !same_family {
        "an IPv4 block has only IPv4 exceptions, and an IPv6 block only IPv6 ones".to_owned()
    } else if outer == inner {
        "an exception that is the whole block leaves nothing; leave the peer out instead".to_owned()
    } else if inner.contains(&outer) {
        "the exception is larger than the block".to_owned()
    } else {
        format!("no address of {outer} is in {inner}: without it, nothing changes")
    };
    checker
        .error(
            "except-outside-cidr",
            place.value_extent(),
            format!("`{}`: {inner} is not inside {outer}", place.at),
        )
        .help(help);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_former_api_servers_accepted_is_read_as_they_did() {
        for (text, net) in [
            ("010.0.0.0/8", "10.0.0.0/8"),
            ("192.168.008.000/24", "192.168.8.0/24"),
            ("10.1.2.3/08", "10.0.0.0/8"),
            ("::ffff:10.1.0.0/112", "10.1.0.0/16"),
            ("::ffff:010.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:a00:0/104", "10.0.0.0/8"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:10.0.0.0/64", "::/64"),
            ("fd00::/8", "fd00::/8"),
        ] {
            let read = parse_as_formerly(text).map(|net| net.to_string());
            assert_eq!(read.as_deref(), Some(net), "{text}");
        }
        for wrong in [
            "",
            "10.0.0.0",
            "10.0.0/8",
            "1..0.0/8",
            "0x0a.0.0.0/8",
            "256.0.0.0/8",
            "::1:/8",
        ] {
            assert_eq!(parse_as_formerly(wrong), None, "{wrong}");
        }
        assert_eq!(rewritten("10.1.2.3/8"), None);
        assert_eq!(rewritten("010.0.0.0/8").as_deref(), Some("10.0.0.0/8"));
    }

    #[test]
    fn only_strict_cidrs_are_read() {
        for fine in ["10.0.0.0/8", "0.0.0.0/0", "fd00::/8", "::/0", "1.2.3.4/32"] {
            assert!(parse(fine).is_some(), "{fine}");
        }
        for wrong in [
            "",
            "/",
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "010.0.0.0/8",
            "10.0.0.0/+8",
            "10.0.0/8",
            "fd00::/129",
            "fd00::%eth0/64",
            "10.0.0.0/8/8",
            "10.0.0.0/-1",
        ] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }
}
