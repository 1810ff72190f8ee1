//! The cluster's network: a namespace per pod, a router per node, a switch between them.
//!
//! [`plan`] says what there is to be, without a kernel; [`build`] makes it.

mod build;
mod neighbours;
pub mod plan;
mod settings;

pub use build::Network;
pub use plan::{Cni, Plan};
