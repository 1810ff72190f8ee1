//! The JSON contract: what every structured output is made of.
//!
//! These types are the documented interface; `docs/schema/` is generated from them. A
//! field may be added; none is renamed, removed or given another meaning within an
//! `apiVersion`.

use std::borrow::Cow;

use ringfence_engine::reach::End;
use ringfence_engine::sets::PortSet;
use ringfence_engine::{Profile, Verdict};
use ringfence_model::diagnostic::{Diagnostic, Severity};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{Snapshot, WorkloadId};
use ringfence_model::source::Location;
use schemars::JsonSchema;
use serde::Serialize;

/// The version of everything here.
pub(crate) const API_VERSION: &str = "ringfence.dev/v1alpha1";

/// `apiVersion`; always `ringfence.dev/v1alpha1`.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub(crate) enum ApiVersion {
    #[default]
    #[serde(rename = "ringfence.dev/v1alpha1")]
    V1Alpha1,
}

/// One end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum EndOut {
    /// A workload of the cluster.
    Workload(ObjectOut),
    /// Addresses outside the cluster.
    Addresses {
        /// The blocks, of both families, sorted.
        cidrs: Vec<String>,
    },
}

/// A workload by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
pub(crate) struct ObjectOut {
    /// `Deployment`, `StatefulSet`, ..., `Pod`; `IngressController` for the stand-in of
    /// an ingress controller that is not in the input.
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// Ports by protocol: inclusive ranges, ascending. A protocol without ports is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
pub(crate) struct PortsOut {
    #[serde(rename = "TCP", skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) tcp: Vec<(u16, u16)>,
    #[serde(rename = "UDP", skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) udp: Vec<(u16, u16)>,
    #[serde(rename = "SCTP", skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) sctp: Vec<(u16, u16)>,
}

/// Whether a connection is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
pub(crate) enum VerdictOut {
    /// Certainly.
    Allowed,
    /// Certainly not.
    Denied,
    /// It depends on something that the input does not say.
    Unknown,
}

/// How implementations differ, as it was assumed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProfileOut {
    /// `upstream`, `calico`, `cilium` or `aws`.
    pub(crate) name: String,
    /// Whether a pod reaches its own node whatever its policies say.
    pub(crate) pod_reaches_own_node: bool,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LocationOut {
    /// The file as it was named on the command line, or `<stdin>`.
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: u32,
    /// In characters, from 1.
    pub(crate) column: u32,
    /// The line of the position after the last.
    pub(crate) end_line: u32,
    /// The column of the position after the last.
    pub(crate) end_column: u32,
}

/// Something that is wrong with the input.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProblemOut {
    /// A stable name, such as `unknown-field`.
    pub(crate) code: String,
    /// `error`, `warning` or `note`.
    pub(crate) severity: String,
    pub(crate) message: String,
    /// The object concerned, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) object: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<LocationOut>,
    /// What the answer is without because of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) left_out: Option<String>,
}

impl EndOut {
    /// An end of the engine.
    pub(crate) fn new(snapshot: &Snapshot, end: &End) -> Self {
        match end {
            End::Workload(id) => Self::Workload(ObjectOut::workload(snapshot, *id)),
            End::Addresses(nets) => Self::Addresses {
                cidrs: nets.iter().map(ToString::to_string).collect(),
            },
        }
    }
}

impl ObjectOut {
    /// A workload of `snapshot`.
    pub(crate) fn workload(snapshot: &Snapshot, id: WorkloadId) -> Self {
        let workload = snapshot.workload(id);
        Self {
            kind: workload.kind.to_string(),
            namespace: snapshot.namespace(workload.namespace).name.to_string(),
            name: workload.name.to_string(),
        }
    }
}

impl From<&PortSet> for PortsOut {
    fn from(ports: &PortSet) -> Self {
        Self {
            tcp: ports.ranges(Protocol::Tcp),
            udp: ports.ranges(Protocol::Udp),
            sctp: ports.ranges(Protocol::Sctp),
        }
    }
}

impl From<Verdict> for VerdictOut {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Allowed => Self::Allowed,
            Verdict::Denied => Self::Denied,
            Verdict::Unknown => Self::Unknown,
        }
    }
}

impl From<&Profile> for ProfileOut {
    fn from(profile: &Profile) -> Self {
        Self {
            name: profile.name.to_string(),
            pod_reaches_own_node: profile.pod_reaches_own_node,
        }
    }
}

impl From<&Location> for LocationOut {
    fn from(location: &Location) -> Self {
        let (start, end) = (location.span.start, location.span.end);
        Self {
            file: location.file.clone(),
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
        }
    }
}

impl From<&Diagnostic> for ProblemOut {
    fn from(diagnostic: &Diagnostic) -> Self {
        Self {
            code: diagnostic.code.to_owned(),
            severity: severity(diagnostic.severity).into_owned(),
            message: diagnostic.message.clone(),
            object: diagnostic.object.as_ref().map(ToString::to_string),
            location: diagnostic
                .primary
                .as_ref()
                .map(|primary| LocationOut::from(&primary.location)),
            left_out: diagnostic.left_out.clone(),
        }
    }
}

fn severity(severity: Severity) -> Cow<'static, str> {
    Cow::Borrowed(match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    })
}

/// ICMP's place next to `allow` and `maybe`: absent when it is denied.
pub(crate) fn icmp(allow: &PortSet, maybe: &PortSet) -> Option<VerdictOut> {
    if allow.has_icmp() {
        Some(VerdictOut::Allowed)
    } else if maybe.has_icmp() {
        Some(VerdictOut::Unknown)
    } else {
        None
    }
}

/// The problems of an input, for the `problems` field of a report.
pub(crate) fn problems(diagnostics: &[Diagnostic]) -> Vec<ProblemOut> {
    diagnostics.iter().map(ProblemOut::from).collect()
}
