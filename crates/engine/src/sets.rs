//! Sets of ports, and (private to the engine) sets of peers.

mod interner;
mod ports;
mod tri_set;

pub(crate) use interner::{Interner, Outcome, OutcomeId};
pub use ports::PortSet;
pub(crate) use tri_set::TriSet;
