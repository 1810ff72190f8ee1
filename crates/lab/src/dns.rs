//! Names: those of the cluster's Services and pods, and those of the lab's internet.
//!
//! [`message`] is the format (RFC 1035), [`zone`] what is known.

pub mod message;
mod zone;

pub use zone::{CLUSTER_DOMAIN, Names, Zone};
