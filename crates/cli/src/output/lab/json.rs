//! `LabReport` as a value.

use schemars::JsonSchema;
use serde::Serialize;

use ringfence_lab::run::{Agreement, Forgery};
use ringfence_lab::session::Policies;

use super::{Report, agreement, predicted};
use crate::output::contract::{ApiVersion, ProblemOut, ProfileOut, problems};

/// What packets did, beside what policies say.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "LabReport")]
pub(crate) struct LabReportOut {
    pub(crate) api_version: ApiVersion,
    pub(crate) kind: LabReportKind,
    pub(crate) profile: ProfileOut,
    /// `enforced`, `audited` or `ignored`.
    pub(crate) policies: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) problems: Vec<ProblemOut>,
    /// Connections that did as predicted.
    pub(crate) same: usize,
    /// Connections that did something else.
    pub(crate) differ: usize,
    /// Connections that lead to one of several endpoints for which the policies differ, or
    /// of which the policies do not say.
    pub(crate) not_predicted: usize,
    /// Connections of which it cannot be told what they did.
    pub(crate) not_observed: usize,
    /// Connections to node ports and external addresses that were not tried, because one pod of
    /// a workload asks for all, and one node of a kind: the pod's own or another, with an
    /// endpoint or without.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub(crate) not_tried: usize,
    /// Connections that no policy denies and that failed all the same: where there is one,
    /// silence proves nothing.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) failed_controls: Vec<String>,
    /// What became of frames that no pod may send: in another's name, or past what policies see.
    pub(crate) forged: ForgedOut,
    pub(crate) connections: Vec<TriedOut>,
}

/// Frames that no pod may send, each tried from every pod.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ForgedOut {
    pub(crate) tried: usize,
    /// Those that arrived. Where policies are enforced or audited, none should.
    pub(crate) arrived: Vec<ForgeryOut>,
    /// Those that were not seen to be sent, so that nothing follows from it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) not_observed: Vec<ForgeryOut>,
}

/// One frame.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ForgeryOut {
    /// Namespace and name of the pod that sent it.
    pub(crate) from: String,
    /// Namespace and name of the pod that was not to get it.
    pub(crate) to: String,
    /// What is wrong with it.
    pub(crate) what: &'static str,
}

impl From<&Forgery> for ForgeryOut {
    fn from(forgery: &Forgery) -> Self {
        Self {
            from: forgery.from.clone(),
            to: forgery.to.clone(),
            what: forgery.what,
        }
    }
}

/// `kind`; always `LabReport`.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub(crate) enum LabReportKind {
    #[default]
    LabReport,
}

/// One connection.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TriedOut {
    /// `pod`, `service`, `nodeport`, `external`, `dns`, `apiserver`, `internet`, `metadata` or `ping`.
    pub(crate) purpose: &'static str,
    /// Namespace and name of the pod.
    pub(crate) from: String,
    /// A pod, `svc:` and a Service (`at` a node or an address, where it is not its own), a host of the internet, or an address.
    pub(crate) to: String,
    pub(crate) address: String,
    pub(crate) protocol: &'static str,
    /// 0 for ICMP.
    pub(crate) port: u16,
    /// `allowed`, `denied` or `unknown`.
    pub(crate) predicted: &'static str,
    /// `allowed`, `closed`, `dropped`, `rejected`, `dns-failed` or `inconclusive`.
    pub(crate) observed: &'static str,
    /// `same`, `differs`, `would be denied`, `not predicted` or `not observed`.
    pub(crate) agreement: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// The whole report as one value.
pub(super) fn document(report: &Report<'_>) -> LabReportOut {
    let (rows, forged) = (&report.result.rows, &report.result.forged);
    let connections = rows.iter().map(|row| {
        let probe = &row.question.probe;
        TriedOut {
            purpose: row.question.purpose.as_str(),
            from: row.question.from.name.clone(),
            to: row.question.to.name.clone(),
            address: probe.to.to_string(),
            protocol: probe.protocol.as_str(),
            port: probe.port,
            predicted: predicted(row.predicted),
            observed: row.observation.observed.as_str(),
            agreement: agreement(report.policies, row),
            detail: row.observation.detail.clone(),
        }
    });
    LabReportOut {
        api_version: ApiVersion::V1Alpha1,
        kind: LabReportKind::LabReport,
        profile: ProfileOut::from(report.profile),
        policies: match report.policies {
            Policies::Enforced => "enforced",
            Policies::Audited => "audited",
            Policies::Ignored => "ignored",
        },
        problems: problems(report.diagnostics),
        same: report.result.count(Agreement::Same),
        differ: report.result.count(Agreement::Differ),
        not_predicted: report.result.count(Agreement::NotPredicted),
        not_observed: report.result.count(Agreement::NotObserved),
        not_tried: report.result.left_out,
        failed_controls: report.result.failed_controls.clone(),
        forged: ForgedOut {
            tried: forged.tried,
            arrived: forged.arrived.iter().map(ForgeryOut::from).collect(),
            not_observed: forged.unseen.iter().map(ForgeryOut::from).collect(),
        },
        connections: connections.collect(),
    }
}
