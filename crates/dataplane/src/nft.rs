//! The kernel's side: a ruleset in an nftables table, changed in one transaction and read
//! back.
//!
//! Only this module touches netfilter.

mod decode;
mod encode;
mod error;
mod table;

pub use error::Error;
pub use table::{Table, TableName};
