//! The catalogue: one file a rule.
//!
//! To add a rule, add its file here, its page under `docs/findings/` and a folder of
//! manifests under `tests/rules/`. No other folder's code changes.

mod rf201_egress_not_isolated;
mod rf202_ingress_only_deny;
mod rf203_egress_not_in_effect;
mod rf207_no_default_deny;
mod rf401_metadata_reachable;

use crate::rule::{Code, Rule};

/// Every rule, by code.
pub const ALL: &[&Rule] = &[
    &rf201_egress_not_isolated::RULE,
    &rf202_ingress_only_deny::RULE,
    &rf203_egress_not_in_effect::RULE,
    &rf207_no_default_deny::RULE,
    &rf401_metadata_reachable::RULE,
];

/// The rule with this code.
#[must_use]
pub fn find(code: Code) -> Option<&'static Rule> {
    ALL.iter().copied().find(|rule| rule.code == code)
}
