//! The vocabulary of Ringfence.
//!
//! Text goes in, values come out: manifests are read into typed objects with their
//! source positions, and typed objects into a [`Snapshot`](snapshot::Snapshot). There
//! is no file system, no network and no policy semantics here beyond the literal
//! reading of a selector.

pub mod address;
pub mod custom;
pub mod diagnostic;
pub mod labels;
pub mod metadata;
pub mod object;
pub mod operators;
pub mod parse;
pub mod policy;
pub mod protocol;
pub mod selector;
pub mod snapshot;
pub mod source;
pub mod tri;

pub use k8s_openapi;
