//! The catalogue: one file a rule.
//!
//! To add a rule, add its file here, its page under `docs/findings/` and a folder of
//! manifests under `tests/rules/`. No other folder's code changes.

mod rf201_egress_not_isolated;
mod rf202_ingress_only_deny;
mod rf401_metadata_reachable;
mod rf501_internet_egress;
mod rf502_no_ports;
mod rf503_every_namespace;
mod rf504_api_server;
mod rf505_one_sided;
mod rf506_service_port;
mod rf507_named_port;
mod rf508_private_in_internet;
mod rf509_blocked_needs;
mod rf602_redundant;
mod rf701_overrides;
mod rf702_tie;

use crate::rule::{Code, Rule};

/// Every rule, by code.
pub const ALL: &[&Rule] = &[
    &rf201_egress_not_isolated::RULE,
    &rf202_ingress_only_deny::RULE,
    &rf401_metadata_reachable::RULE,
    &rf501_internet_egress::RULE,
    &rf502_no_ports::RULE,
    &rf503_every_namespace::RULE,
    &rf504_api_server::RULE,
    &rf505_one_sided::RULE,
    &rf506_service_port::RULE,
    &rf507_named_port::RULE,
    &rf508_private_in_internet::RULE,
    &rf509_blocked_needs::RULE,
    &rf602_redundant::RULE,
    &rf701_overrides::RULE,
    &rf702_tie::RULE,
];

/// The rule with this code.
#[must_use]
pub fn find(code: Code) -> Option<&'static Rule> {
    ALL.iter().copied().find(|rule| rule.code == code)
}
