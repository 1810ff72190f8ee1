//! A cluster made of network namespaces, in which manifests run as real packets.
//!
//! [`schedule`] says what runs where, without a kernel. Everything that is built lives in
//! namespaces that nothing but this process holds, with no way out of them: when the
//! process ends, however it ends, the kernel takes them down.

pub mod dns;
pub mod enforcer;
pub mod enter;
pub mod error;
pub mod keeper;
pub mod lab;
pub mod namespace;
pub mod on_link;
pub mod privilege;
pub mod probe;
mod processes;
pub mod run;
pub mod schedule;
pub mod services;
pub mod session;
pub mod state;
pub mod station;
pub mod topology;
pub mod wire;
pub mod world;

pub use error::LabError;
pub use lab::Lab;
pub use namespace::Namespace;
