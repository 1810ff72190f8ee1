//! CIDR blocks.

use std::net::IpAddr;

use ipnet::IpNet;

use super::checker::Checker;
use crate::diagnostic::Severity;
use crate::parse::place::Place;
use crate::policy::PolicyFamily;

/// What API servers say to a CIDR whose address has bits beyond the prefix length
/// (`10.0.0.1/8`).
///
/// Sources: the validation rules of the custom resource definitions of
/// `kubernetes-sigs/network-policy-api`, and KEP-4858 of Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostBits {
    /// They take it: all versions of the cluster-wide policies before `v1beta1`.
    Taken,
    /// Those before Kubernetes 1.36 take it with a warning; later ones refuse it in a policy
    /// that has not had it before.
    TakenFormerly,
    /// They refuse it.
    Refused,
}

impl HostBits {
    pub(super) fn of(family: PolicyFamily, api_version: &str) -> Self {
        match family {
            PolicyFamily::NetworkPolicy => Self::TakenFormerly,
            PolicyFamily::AdminNetworkPolicy | PolicyFamily::BaselineAdminNetworkPolicy => {
                Self::Taken
            }
            PolicyFamily::ClusterNetworkPolicy if api_version.ends_with("/v1alpha2") => Self::Taken,
            PolicyFamily::ClusterNetworkPolicy => Self::Refused,
        }
    }
}

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
        check_host_bits(place, net, checker);
    }
    Some(net.trunc())
}

fn check_host_bits(place: &Place<'_, '_, '_>, net: IpNet, checker: &mut Checker<'_, '_>) {
    let is_refused = checker.host_bits() == HostBits::Refused && !checker.is_live();
    let one = format!(
        "{}/{} for this one address",
        net.addr(),
        net.max_prefix_len()
    );
    let block = net.trunc();
    let taken = format!("it counts as {block}; write that, or {one}");
    let help = match checker.host_bits() {
        _ if is_refused => {
            format!("API servers refuse it in this version; write {block}, or {one}")
        }
        HostBits::TakenFormerly if !checker.is_live() => {
            format!("{taken}: since Kubernetes 1.36, API servers refuse it in new policies")
        }
        _ => taken,
    };
    let severity = match is_refused {
        true => Severity::Error,
        false => Severity::Warning,
    };
    let message = format!(
        "`{}`: the address has bits beyond the prefix length",
        place.at
    );
    checker
        .report(severity, "cidr-host-bits", place.value_extent(), message)
        .help(help);
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
    let length = without_leading_zeros(length);
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

/// Reads a CIDR as strictly as current API servers do, except for bits beyond the prefix
/// length: no leading zeros (which `IpNet` would let pass), a prefix length of digits only.
fn parse(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/')?;
    let is_number = length.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || without_leading_zeros(length) != length {
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
        let is_mask = length.parse::<IpAddr>().is_ok();
        let without_zeros = without_leading_zeros(length);
        let has_zeros =
            without_zeros != length && without_zeros.parse().is_ok_and(|n: u8| n <= most);
        return if is_mask {
            format!("write the prefix length as a number from 0 to {most}, not as a mask")
        } else if has_zeros {
            "remove the leading zeros of the prefix length".to_owned()
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
            ("0.0.0.0/000", "0.0.0.0/0"),
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
            "10.0.0.0/08",
            "0.0.0.0/00",
        ] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }
}
