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
    /// A change of a lab that is up would be one of its nodes.
    #[error(
        "in a lab that is up, nodes stay as they are, and this would {0}: nothing is changed; \
         for other nodes start another lab, with `ringfence lab up`"
    )]
    NodesStay(String),
    /// A change of a lab that is up was not possible.
    #[error("{0}; nothing is changed")]
    TakenBack(Box<LabError>),
    /// A change of a lab that is up was not possible, and neither was the way back.
    #[error(
        "{error}; and taking back what was changed until then: {again}: end this lab with \
         `ringfence lab down`, and start another"
    )]
    HalfChanged {
        /// Why the change was not possible.
        error: Box<LabError>,
        /// Why it could not be taken back.
        again: Box<LabError>,
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
