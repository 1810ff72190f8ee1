//! Who can reach whom, and why.
//!
//! The semantics of the four policy families exist exactly twice: in [`oracle`],
//! which is slow and reads like the specification, and in [`Engine`], which answers
//! for whole clusters. They share the vocabulary of `ringfence-model` and nothing
//! else, and are tested against each other.

pub mod diff;
mod engine;
pub mod explain;
mod inspect;
mod journal;
pub mod oracle;
pub mod packet;
pub mod profile;
pub mod reach;
mod resolve;
mod services;
pub mod sets;
mod side;
mod tables;
mod update;

pub use engine::{Engine, Size};
pub use inspect::{Influence, MatchingRule, RuleRef, Tie};
pub use journal::{EngineChanges, Revision};
pub use packet::{Frontend, Packet, Peer, Verdict};
pub use profile::Profile;
pub use tables::{PeerGroup, PodTable, PortsId};
pub use update::Affected;
