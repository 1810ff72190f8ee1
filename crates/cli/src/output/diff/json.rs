//! `Diff` as a value.

use ringfence_engine::diff::{Change, ChangedEnd, PolicyStatus, Presence, When, WorkloadName};
use ringfence_model::diagnostic::Diagnostic;
use schemars::JsonSchema;
use serde::Serialize;

use super::Report;
use super::causes::why;
use crate::output::contract::{
    ApiVersion, EndOut, LocationOut, ObjectOut, PortsOut, ProblemOut, ProfileOut, VerdictOut,
    problems,
};
use crate::output::explain::{PolicyOut, words::effect_name};

/// Causes are found for so many changes at most: each reads every policy.
const MOST_EXPLAINED: usize = 2_000;

/// What a change of manifests opens and closes.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Diff")]
pub(crate) struct DiffOut {
    pub(crate) api_version: ApiVersion,
    pub(crate) kind: DiffKind,
    pub(crate) profile: ProfileOut,
    /// What is wrong with the old input.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) problems_before: Vec<ProblemOut>,
    /// What is wrong with the new input.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) problems_after: Vec<ProblemOut>,
    /// Workloads that only the new input has.
    pub(crate) added: Vec<ObjectOut>,
    /// Workloads that only the old input has.
    pub(crate) removed: Vec<ObjectOut>,
    /// Policies that are not the same in both.
    pub(crate) policies: Vec<ChangedPolicyOut>,
    /// What passes now, or may pass, and did not before.
    pub(crate) opened: Vec<ChangeOut>,
    /// What passed before, or may have passed, and does not now.
    pub(crate) closed: Vec<ChangeOut>,
    /// For how many changes no causes were sought, because there are too many.
    pub(crate) without_causes: usize,
}

/// `kind`; always `Diff`.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub(crate) enum DiffKind {
    #[default]
    Diff,
}

/// A policy that is not the same in both inputs.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChangedPolicyOut {
    pub(crate) policy: PolicyOut,
    pub(crate) status: StatusOut,
}

/// What has become of a policy.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) enum StatusOut {
    Added,
    Removed,
    Changed,
    /// The policy is the same; what it selects is not.
    Same,
}

/// Ports between two ends whose verdict has changed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChangeOut {
    pub(crate) from: EndOut,
    pub(crate) to: EndOut,
    pub(crate) before: VerdictOut,
    pub(crate) after: VerdictOut,
    pub(crate) ports: PortsOut,
    /// Whether ICMP is among them.
    pub(crate) icmp: bool,
    /// Which input has both ends.
    pub(crate) presence: PresenceOut,
    /// The rules that it is due to. Empty also when no rule decides any more.
    pub(crate) causes: Vec<CauseOut>,
}

/// Which input has both ends of a connection.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) enum PresenceOut {
    Both,
    OnlyBefore,
    OnlyAfter,
}

/// A rule that a change is due to.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CauseOut {
    pub(crate) policy: PolicyOut,
    pub(crate) status: StatusOut,
    /// In which input it has this effect.
    pub(crate) when: WhenOut,
    /// `egress` or `ingress`.
    pub(crate) direction: String,
    /// The index of the rule, from 0; absent for the policy as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<usize>,
    pub(crate) effect: String,
    pub(crate) location: Option<LocationOut>,
    pub(crate) text: String,
}

/// One of the two inputs.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) enum WhenOut {
    Before,
    After,
}

/// The whole report as one value.
pub(super) fn document(report: &Report<'_>) -> DiffOut {
    let diff = report.diff;
    let mut explained = 0;
    let mut all = |opens: bool| -> Vec<ChangeOut> {
        diff.changes
            .iter()
            .filter(|change| change.opens() == opens)
            .map(|change| {
                explained += 1;
                change_out(report, change, explained <= MOST_EXPLAINED)
            })
            .collect()
    };
    let problems_of = |diagnostics: &[Diagnostic]| problems(diagnostics);
    DiffOut {
        api_version: ApiVersion::V1Alpha1,
        kind: DiffKind::Diff,
        profile: ProfileOut::from(&report.new.0.profile),
        problems_before: problems_of(&report.old.0.diagnostics),
        problems_after: problems_of(&report.new.0.diagnostics),
        added: diff.added.iter().map(workload).collect(),
        removed: diff.removed.iter().map(workload).collect(),
        policies: diff
            .policies
            .iter()
            .map(|policy| ChangedPolicyOut {
                policy: PolicyOut {
                    kind: policy.family.kind().to_owned(),
                    namespace: policy.namespace.as_deref().map(str::to_owned),
                    name: policy.name.to_string(),
                },
                status: status(policy.status),
            })
            .collect(),
        opened: all(true),
        closed: all(false),
        without_causes: diff.changes.len().saturating_sub(MOST_EXPLAINED),
    }
}

fn change_out(report: &Report<'_>, change: &Change, with_causes: bool) -> ChangeOut {
    let causes = if with_causes {
        why(report, change).causes
    } else {
        Vec::new()
    };
    ChangeOut {
        from: end(&change.from),
        to: end(&change.to),
        before: change.before.into(),
        after: change.after.into(),
        ports: PortsOut::from(&change.ports),
        icmp: change.ports.has_icmp(),
        presence: match change.presence {
            Presence::Both => PresenceOut::Both,
            Presence::OnlyBefore => PresenceOut::OnlyBefore,
            Presence::OnlyAfter => PresenceOut::OnlyAfter,
        },
        causes: causes
            .into_iter()
            .map(|shown| {
                let snapshot = match shown.cause.when {
                    When::Before => &report.old.0.snapshot,
                    When::After => &report.new.0.snapshot,
                };
                let policy = snapshot.policy(shown.cause.reason.policy);
                CauseOut {
                    policy: PolicyOut {
                        kind: policy.family.kind().to_owned(),
                        namespace: policy.namespace.as_deref().map(str::to_owned),
                        name: policy.name.to_string(),
                    },
                    status: status(shown.cause.status),
                    when: match shown.cause.when {
                        When::Before => WhenOut::Before,
                        When::After => WhenOut::After,
                    },
                    direction: shown.cause.direction.to_string(),
                    rule: shown.cause.reason.rule,
                    effect: effect_name(shown.cause.reason.effect).to_owned(),
                    location: shown.location.as_ref().map(LocationOut::from),
                    text: shown.cause.reason.text,
                }
            })
            .collect(),
    }
}

fn end(end: &ChangedEnd) -> EndOut {
    match end {
        ChangedEnd::Workload(name) => EndOut::Workload(workload(name)),
        ChangedEnd::Addresses(nets) => EndOut::Addresses {
            cidrs: nets.iter().map(ToString::to_string).collect(),
        },
    }
}

fn workload(name: &WorkloadName) -> ObjectOut {
    ObjectOut {
        kind: name.kind.to_string(),
        namespace: name.namespace.to_string(),
        name: name.name.to_string(),
    }
}

fn status(status: PolicyStatus) -> StatusOut {
    match status {
        PolicyStatus::Added => StatusOut::Added,
        PolicyStatus::Removed => StatusOut::Removed,
        PolicyStatus::Changed => StatusOut::Changed,
        PolicyStatus::Same => StatusOut::Same,
    }
}
