//! The kernel's side: a ruleset in nftables tables, changed in one transaction and read
//! back.
//!
//! Only this module touches netfilter.

mod bridges;
mod chain_rules;
mod connections;
mod decode;
mod encode;
mod enforcer;
mod error;
mod read_back;
mod refusal;
mod suppressed;
mod table;

pub use connections::Connections;
pub use enforcer::{Applied, Enforcer};
pub use error::Error;
pub use suppressed::Noisy;
pub use table::{Table, TableName};
