//! The cluster's network: a namespace per pod, a router per node, a switch between them.
//!
//! [`plan`] says what there is to be, without a kernel; [`Network`] makes it so.

mod bridges;
mod interface;
mod neighbours;
mod network;
pub mod plan;
mod pod_links;
mod settings;

pub use network::Network;
pub use plan::{Cni, Plan};
pub(crate) use plan::{UPLINK, full_length};
