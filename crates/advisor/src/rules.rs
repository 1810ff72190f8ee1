//! The catalogue: one file a rule.
//!
//! To add a rule, add its file here, its page under `docs/findings/` and a folder of
//! manifests under `tests/rules/`. No other folder's code changes.

mod rf201_egress_not_isolated;
mod rf202_ingress_only_deny;
mod rf301_dns_unreachable;
mod rf302_dns_one_protocol;
mod rf303_dns_rule_misses;
mod rf304_dns_to_anywhere;
mod rf401_metadata_reachable;
mod rf402_deny_that_allows;
mod rf403_exception_undone;
mod rf404_ipv6_metadata_open;
mod rf405_useless_exception;

use crate::rule::{Code, Rule};

/// Every rule, by code.
pub const ALL: &[&Rule] = &[
    &rf201_egress_not_isolated::RULE,
    &rf202_ingress_only_deny::RULE,
    &rf301_dns_unreachable::RULE,
    &rf302_dns_one_protocol::RULE,
    &rf303_dns_rule_misses::RULE,
    &rf304_dns_to_anywhere::RULE,
    &rf401_metadata_reachable::RULE,
    &rf402_deny_that_allows::RULE,
    &rf403_exception_undone::RULE,
    &rf404_ipv6_metadata_open::RULE,
    &rf405_useless_exception::RULE,
];

/// The rule with this code.
#[must_use]
pub fn find(code: Code) -> Option<&'static Rule> {
    ALL.iter().copied().find(|rule| rule.code == code)
}
