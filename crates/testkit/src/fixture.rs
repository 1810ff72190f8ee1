//! Fixtures: a folder with `cluster.yaml` and `expected.yaml`, put to every decider.
//!
//! [`expected`] is what may be written in `expected.yaml`; the rest of this folder
//! turns it into packets, asks, and reports every difference.

mod endpoint;
pub mod expected;
mod report;
mod run;
mod stage;
mod table;

pub use endpoint::EndpointError;
pub use report::{FixtureReport, Mismatch};
pub use run::{Deciders, find_fixtures, run_fixture};
pub use stage::{Answered, StageCluster, clusters};
pub use table::TableError;

use std::path::PathBuf;

/// A fixture that asks nothing that could be answered.
#[derive(Debug, thiserror::Error)]
pub enum FixtureError {
    /// A file or folder cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// `expected.yaml` does not follow the format.
    #[error("{}: {message}", path.display())]
    Expected {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// An endpoint is not there, or is more than one thing.
    #[error("{}: {source}", path.display())]
    Endpoint {
        /// `expected.yaml`.
        path: PathBuf,
        /// What is wrong with it.
        source: EndpointError,
    },
    /// A truth table is not rectangular, or has unknown symbols.
    #[error("{}: {source}", path.display())]
    Table {
        /// `expected.yaml`.
        path: PathBuf,
        /// What is wrong with it.
        source: TableError,
    },
}
