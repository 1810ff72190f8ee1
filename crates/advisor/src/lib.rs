//! What is wrong with a cluster's policies, where, and what should stand there.
//!
//! A finding is about effect: it is computed from the engine's answers, so that it never
//! says anything that `reach` and `explain` would deny. Text goes in, values and texts come
//! out; what writes a file or changes a cluster is done elsewhere.

pub mod baseline;
mod check;
pub mod config;
pub mod context;
mod diagnosed;
pub mod finding;
pub mod fix;
mod intervals;
mod may_reach;
mod nearest;
pub mod not_counted;
mod overlap;
pub mod posture;
mod proposal;
mod provider;
mod report;
mod rule;
pub mod rules;
pub mod standards;
mod suppress;
mod undoing;
mod unlooked;
pub mod why_open;

pub use check::{Input, check};
pub use context::{Context, Options};
pub use diagnosed::code_of;
pub use finding::{Edit, Finding, Fix, NotVerified, Place, Safety, Witness};
pub use provider::{ParseProviderError, Provider};
pub use report::{Findings, Report, Suppressed};
pub use rule::{Code, CodePrefix, ParseCodeError, ParseCodePrefixError, Rule, Section};
pub use suppress::ANNOTATION as IGNORE_ANNOTATION;
