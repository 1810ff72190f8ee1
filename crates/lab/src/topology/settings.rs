//! Sysctls of namespaces.

use ringfence_model::address::IpFamily;

use crate::schedule::Schedule;

/// Settings that say which families a namespace has, before it has an interface.
pub(super) fn families(schedule: &Schedule) -> Vec<(&'static str, String)> {
    if !schedule.families.contains(&IpFamily::V6) {
        return Vec::new();
    }
    [
        ("net.ipv6.conf.all.disable_ipv6", "0"),
        ("net.ipv6.conf.default.disable_ipv6", "0"),
        // Addresses are there at once: nobody else could have them.
        ("net.ipv6.conf.all.accept_dad", "0"),
        ("net.ipv6.conf.default.accept_dad", "0"),
        ("net.ipv6.conf.default.accept_ra", "0"),
        ("net.ipv6.conf.default.router_solicitations", "0"),
    ]
    .map(|(key, value)| (key, value.to_owned()))
    .to_vec()
}

/// A host that refuses a thousand connections at once says so to each.
pub(super) fn host_wishes() -> Vec<(&'static str, String)> {
    [
        ("net.ipv4.icmp_ratelimit", "0"),
        ("net.ipv4.icmp_msgs_per_sec", "1000000"),
        ("net.ipv4.icmp_msgs_burst", "1000000"),
        ("net.ipv6.icmp.ratelimit", "0"),
        ("net.ipv4.tcp_invalid_ratelimit", "0"),
        // Who types a command into a pod learns after seven seconds, not after two minutes,
        // that nobody answers. Probes wait for less.
        ("net.ipv4.tcp_syn_retries", "2"),
    ]
    .map(|(key, value)| (key, value.to_owned()))
    .to_vec()
}

/// Whether frames that cross a bridge are judged like packets that are routed.
pub(super) fn unfiltered_bridges(value: &str) -> Vec<(&'static str, String)> {
    [
        "net.bridge.bridge-nf-call-iptables",
        "net.bridge.bridge-nf-call-ip6tables",
    ]
    .map(|key| (key, value.to_owned()))
    .to_vec()
}
