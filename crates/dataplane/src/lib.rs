//! Enforcement: a snapshot compiled into nftables tables, which packets meet.
//!
//! [`compile`] is pure: a compiled engine and a node in, a [`ruleset::Ruleset`] out.
//! [`interpret`] says what a ruleset does to a packet, without a kernel.

pub mod compile;
pub mod interpret;
pub mod nflog;
pub mod nft;
pub mod ruleset;
