//! The catalogue: one file a rule.
//!
//! To add a rule, add its file here, its page under `docs/findings/` and a folder of
//! manifests under `tests/rules/`. No other folder's code changes.

mod rf101_policies_not_enforced;
mod rf102_old_network_plugin;
mod rf103_host_network;
mod rf104_host_network_admitted;
mod rf201_egress_not_isolated;
mod rf202_ingress_only_deny;
mod rf203_egress_not_in_effect;
mod rf204_selects_nothing;
mod rf205_peer_matches_nothing;
mod rf206_misplaced_default_deny;
mod rf207_no_default_deny;
mod rf301_dns_unreachable;
mod rf302_dns_one_protocol;
mod rf303_dns_rule_misses;
mod rf304_dns_to_anywhere;
mod rf401_metadata_reachable;
mod rf402_deny_that_allows;
mod rf403_exception_undone;
mod rf404_ipv6_metadata_open;
mod rf405_useless_exception;
mod rf501_internet_egress;
mod rf502_no_ports;
mod rf503_every_namespace;
mod rf504_api_server;
mod rf505_one_sided;
mod rf506_service_port;
mod rf507_named_port;
mod rf508_private_in_internet;
mod rf509_blocked_needs;
mod rf510_protocol_left_out;
mod rf601_unjustified_allow;
mod rf602_redundant;
mod rf603_namespace_conflict;
mod rf604_not_counted;
mod rf605_rejected;
mod rf606_ignore_says_nothing;
mod rf701_overrides;
mod rf702_tie;
mod rf703_wide_accept;

pub(crate) use rf103_host_network::place as host_network_place;

use crate::rule::{Code, Rule};

/// Every rule, by code.
pub const ALL: &[&Rule] = &[
    &rf101_policies_not_enforced::RULE,
    &rf102_old_network_plugin::RULE,
    &rf103_host_network::RULE,
    &rf104_host_network_admitted::RULE,
    &rf201_egress_not_isolated::RULE,
    &rf202_ingress_only_deny::RULE,
    &rf203_egress_not_in_effect::RULE,
    &rf204_selects_nothing::RULE,
    &rf205_peer_matches_nothing::RULE,
    &rf206_misplaced_default_deny::RULE,
    &rf207_no_default_deny::RULE,
    &rf301_dns_unreachable::RULE,
    &rf302_dns_one_protocol::RULE,
    &rf303_dns_rule_misses::RULE,
    &rf304_dns_to_anywhere::RULE,
    &rf401_metadata_reachable::RULE,
    &rf402_deny_that_allows::RULE,
    &rf403_exception_undone::RULE,
    &rf404_ipv6_metadata_open::RULE,
    &rf405_useless_exception::RULE,
    &rf501_internet_egress::RULE,
    &rf502_no_ports::RULE,
    &rf503_every_namespace::RULE,
    &rf504_api_server::RULE,
    &rf505_one_sided::RULE,
    &rf506_service_port::RULE,
    &rf507_named_port::RULE,
    &rf508_private_in_internet::RULE,
    &rf509_blocked_needs::RULE,
    &rf510_protocol_left_out::RULE,
    &rf601_unjustified_allow::RULE,
    &rf602_redundant::RULE,
    &rf603_namespace_conflict::RULE,
    &rf604_not_counted::RULE,
    &rf605_rejected::RULE,
    &rf606_ignore_says_nothing::RULE,
    &rf701_overrides::RULE,
    &rf702_tie::RULE,
    &rf703_wide_accept::RULE,
];

/// The rule with this code.
#[must_use]
pub fn find(code: Code) -> Option<&'static Rule> {
    ALL.iter().copied().find(|rule| rule.code == code)
}
