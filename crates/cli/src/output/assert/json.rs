//! `AssertReport` as a value.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Report, counterexample, message, violations};
use crate::assertions::Demand;
use crate::assertions::check::{Checked, Finding};
use crate::output::contract::{ApiVersion, LocationOut, ProblemOut, ProfileOut, problems};
use crate::output::explain::words::{Missing, Speaker};
use crate::output::explain::{OutcomeOut, outcome_out};

/// Which assertions hold.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "AssertReport")]
pub(crate) struct AssertReportOut {
    pub(crate) api_version: ApiVersion,
    pub(crate) kind: AssertReportKind,
    pub(crate) profile: ProfileOut,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) problems: Vec<ProblemOut>,
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// In the order of the file, `permits` first.
    pub(crate) results: Vec<ResultOut>,
}

/// `kind`; always `AssertReport`.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub(crate) enum AssertReportKind {
    #[default]
    AssertReport,
}

/// One assertion.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResultOut {
    pub(crate) demand: DemandOut,
    /// The ends as they are written.
    pub(crate) from: Vec<String>,
    pub(crate) to: Vec<String>,
    pub(crate) ports: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    /// Where it is written.
    pub(crate) location: LocationOut,
    pub(crate) holds: bool,
    /// Why it does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
    /// How many outcomes are not as demanded.
    pub(crate) violations: usize,
    /// The first of them, explained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) counterexample: Option<OutcomeOut>,
}

/// What an assertion demands.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DemandOut {
    Permits,
    Forbids,
}

/// The whole report as one value.
pub(crate) fn document(report: &Report<'_>) -> AssertReportOut {
    let speaker = Speaker::new(report.snapshot);
    let failed = report.failed();
    AssertReportOut {
        api_version: ApiVersion::V1Alpha1,
        kind: AssertReportKind::AssertReport,
        profile: ProfileOut::from(report.profile),
        problems: problems(report.diagnostics),
        passed: report.checked.len() - failed,
        failed,
        results: report
            .checked
            .iter()
            .map(|checked| result(report, &speaker, checked))
            .collect(),
    }
}

fn result(report: &Report<'_>, speaker: &Speaker<'_>, checked: &Checked<'_>) -> ResultOut {
    let assertion = checked.assertion;
    let texts =
        |ends: &[crate::assertions::End]| ends.iter().map(|end| end.arg.text.clone()).collect();
    ResultOut {
        demand: match assertion.demand {
            Demand::Permits => DemandOut::Permits,
            Demand::Forbids => DemandOut::Forbids,
        },
        from: texts(&assertion.from),
        to: texts(&assertion.to),
        ports: assertion.ports.iter().map(ToString::to_string).collect(),
        why: assertion.why.clone(),
        location: LocationOut::from(&assertion.location),
        holds: checked.finding.holds(),
        message: message(speaker, checked),
        violations: match &checked.finding {
            Finding::Holds => 0,
            Finding::Fails(outcomes) => outcomes.len(),
            Finding::FailsBecause(_) => 1,
        },
        counterexample: counterexample(checked).map(|outcome| {
            let cluster = (report.snapshot, report.sources);
            let mut missing = Missing::new(report.snapshot, report.profile, violations(checked));
            outcome_out(cluster, report.profile, outcome, &mut missing)
        }),
    }
}
