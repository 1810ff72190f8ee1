//! CIDR blocks.

use std::net::IpAddr;

use ipnet::IpNet;

use super::checker::Checker;
use crate::parse::place::Place;

/// Checks a CIDR and reads it.
pub(super) fn check(place: &Place<'_, '_, '_>, checker: &mut Checker<'_, '_>) -> Option<IpNet> {
    let text = place.node.text()?;
    let Some(net) = parse(text) else {
        checker
            .error(
                "invalid-cidr",
                place.value_extent(),
                format!("`{}`: {} is not a CIDR", place.at, place.node.describe()),
            )
            .help(what_is_wrong(text));
        return None;
    };
    if let IpAddr::V6(address) = net.addr()
        && address.to_ipv4_mapped().is_some()
    {
        checker
            .error(
                "invalid-cidr",
                place.value_extent(),
                format!("`{}`: an IPv4 address written as IPv6", place.at),
            )
            .help("write the IPv4 address: implementations disagree about this form");
        return None;
    }
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
