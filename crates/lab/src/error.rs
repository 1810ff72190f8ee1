//! Why there is no lab, or no answer from it.

use std::fmt;

use crate::schedule::ScheduleError;

/// Why there is no lab, or no answer from it.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The kernel does not let us make namespaces.
    #[error(
        "this machine does not permit network namespaces ({0}): run as root, or permit \
         unprivileged user namespaces"
    )]
    NotPermitted(String),
    /// The manifests cannot be scheduled.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The kernel refused something in a namespace.
    #[error("{namespace}: {what}: {reason}")]
    Kernel {
        /// The namespace.
        namespace: String,
        /// What was asked of it.
        what: String,
        /// What it said.
        reason: String,
    },
    /// What was asked for cannot be had on this machine.
    #[error("{0}")]
    Unsupported(String),
    /// The data plane refused.
    #[error("node {node}: {reason}")]
    Enforcer {
        /// The node.
        node: String,
        /// What it said.
        reason: String,
    },
    /// A file of a running lab.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something that cannot happen did.
    #[error("internal error: {0}")]
    Bug(String),
}

impl LabError {
    pub(crate) fn kernel(
        namespace: &str,
        what: impl fmt::Display,
        error: impl fmt::Display,
    ) -> Self {
        Self::Kernel {
            namespace: namespace.to_owned(),
            what: what.to_string(),
            reason: error.to_string(),
        }
    }
}
