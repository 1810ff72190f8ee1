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
mod rf601_unjustified_allow;
mod rf603_namespace_conflict;
mod rf604_misspelt;
mod rf605_rejected;
mod rf606_ignore_says_nothing;

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
    &rf601_unjustified_allow::RULE,
    &rf603_namespace_conflict::RULE,
    &rf604_misspelt::RULE,
    &rf605_rejected::RULE,
    &rf606_ignore_says_nothing::RULE,
];

/// The rule with this code.
#[must_use]
pub fn find(code: Code) -> Option<&'static Rule> {
    ALL.iter().copied().find(|rule| rule.code == code)
}
