//! `ComplianceReport` as a value.

use ringfence_advisor::standards::{ControlResult, Objection, StandardResult};
use ringfence_model::diagnostic::Severity;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Printed, words};
use crate::output::check::FullObjectOut;
use crate::output::contract::{
    ApiVersion, LocationOut, ObjectOut, ProblemOut, ProfileOut, problems,
};

/// How a cluster stands to benchmarks and standards.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "ComplianceReport")]
pub(crate) struct ComplianceReportOut {
    pub(crate) api_version: ApiVersion,
    pub(crate) kind: ComplianceReportKind,
    pub(crate) profile: ProfileOut,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) problems: Vec<ProblemOut>,
    pub(crate) standards: Vec<StandardOut>,
}

/// `kind`; always `ComplianceReport`.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub(crate) enum ComplianceReportKind {
    #[default]
    ComplianceReport,
}

/// One standard.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StandardOut {
    /// As `--standard` takes it.
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) edition: String,
    pub(crate) controls: Vec<ControlOut>,
}

/// One control.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ControlOut {
    pub(crate) number: String,
    /// What is asked, in our words.
    pub(crate) title: String,
    /// What it is taken to mean.
    pub(crate) meaning: String,
    /// `pass`, `fail` or `not verified`.
    pub(crate) status: String,
    /// The rules whose findings fail it.
    pub(crate) rules: Vec<String>,
    /// What fails it.
    pub(crate) failing: Vec<ObjectionOut>,
    /// What would, and somebody has decided to live with.
    pub(crate) accepted_risks: Vec<AcceptedOut>,
    /// What is good to know, and keeps it from passing.
    pub(crate) noted: Vec<ObjectionOut>,
    /// What is not known.
    pub(crate) not_verified: Vec<QuestionOut>,
}

/// Something that speaks against a control.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ObjectionOut {
    /// The code of the finding; `null` for what is no finding.
    pub(crate) rule: Option<String>,
    /// `error`, `warning` or `note`.
    pub(crate) severity: String,
    pub(crate) message: String,
    pub(crate) object: FullObjectOut,
    /// The workloads concerned.
    pub(crate) affected: Vec<ObjectOut>,
    /// `null` for an object that is not written in a file.
    pub(crate) location: Option<LocationOut>,
}

/// A risk that somebody has accepted.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AcceptedOut {
    /// Why.
    pub(crate) reason: String,
    /// Who says so, in words.
    pub(crate) by: String,
    pub(crate) risk: ObjectionOut,
}

/// A question that manifests cannot answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct QuestionOut {
    /// The code of the rule that would find it, if there is one.
    pub(crate) rule: Option<String>,
    pub(crate) what: String,
    /// May be empty.
    pub(crate) why: String,
    pub(crate) how: String,
}

pub(super) fn document(printed: &Printed<'_>) -> ComplianceReportOut {
    ComplianceReportOut {
        api_version: ApiVersion::V1Alpha1,
        kind: ComplianceReportKind::ComplianceReport,
        profile: ProfileOut::from(printed.profile),
        problems: problems(printed.diagnostics),
        standards: printed
            .results
            .iter()
            .map(|result| standard(printed, result))
            .collect(),
    }
}

fn standard(printed: &Printed<'_>, result: &StandardResult) -> StandardOut {
    StandardOut {
        id: result.standard.id.to_owned(),
        title: result.standard.title.to_owned(),
        edition: result.standard.edition.to_owned(),
        controls: result
            .controls
            .iter()
            .map(|c| control(printed, c))
            .collect(),
    }
}

fn control(printed: &Printed<'_>, result: &ControlResult) -> ControlOut {
    let control = result.control;
    let objections = |list: &[Objection]| list.iter().map(|o| objection(printed, o)).collect();
    ControlOut {
        number: control.number.to_owned(),
        title: control.title.to_owned(),
        meaning: control.meaning.to_owned(),
        status: words::status(result.status).to_owned(),
        rules: control.rules.iter().map(ToString::to_string).collect(),
        failing: objections(&result.failing),
        accepted_risks: result
            .accepted
            .iter()
            .map(|accepted| AcceptedOut {
                reason: accepted.reason.clone(),
                by: accepted.by.clone(),
                risk: objection(printed, &accepted.objection),
            })
            .collect(),
        noted: objections(&result.noted),
        not_verified: result
            .open
            .iter()
            .map(|open| QuestionOut {
                rule: open.code.map(|code| code.to_string()),
                what: open.what.clone(),
                why: open.why.clone(),
                how: open.how.clone(),
            })
            .collect(),
    }
}

fn objection(printed: &Printed<'_>, objection: &Objection) -> ObjectionOut {
    let severity = match objection.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    ObjectionOut {
        rule: objection.code.map(|code| code.to_string()),
        severity: severity.to_owned(),
        message: objection.message.clone(),
        object: FullObjectOut::from(&objection.object),
        affected: objection
            .affected
            .iter()
            .map(|id| ObjectOut::workload(printed.snapshot, *id))
            .collect(),
        location: words::location(printed, objection)
            .as_ref()
            .map(LocationOut::from),
    }
}
