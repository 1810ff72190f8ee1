//! `CheckReport` as a value.

use ringfence_advisor::posture::NamespacePosture;
use ringfence_advisor::{Finding, Fix, Safety};
use ringfence_model::object::ObjectRef;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Printed, patch, words};
use crate::output::contract::{
    ApiVersion, LocationOut, ObjectOut, ProblemOut, ProfileOut, VerdictOut, problems,
};

/// What is wrong with a cluster's policies.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "CheckReport")]
pub(crate) struct CheckReportOut {
    pub(crate) api_version: ApiVersion,
    pub(crate) kind: CheckReportKind,
    pub(crate) profile: ProfileOut,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) problems: Vec<ProblemOut>,
    /// Whether the input has no name servers, so that CoreDNS in `kube-system` was
    /// assumed.
    pub(crate) assumed_name_servers: bool,
    /// Worst first.
    pub(crate) findings: Vec<FindingOut>,
    /// Findings that somebody has decided to live with, in the same order.
    pub(crate) suppressed: Vec<SuppressedOut>,
    /// What cannot be told from the input.
    pub(crate) not_verified: Vec<NotVerifiedOut>,
    /// One entry for each namespace that has pods.
    pub(crate) posture: Vec<PostureOut>,
}

/// `kind`; always `CheckReport`.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub(crate) enum CheckReportKind {
    #[default]
    CheckReport,
}

/// Something that is wrong.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FindingOut {
    /// The code, such as `RF401`.
    pub(crate) rule: String,
    /// The name of the rule, such as `metadata-reachable`.
    pub(crate) name: String,
    /// `error`, `warning` or `note`.
    pub(crate) severity: String,
    /// What is true.
    pub(crate) message: String,
    /// What follows from it.
    pub(crate) consequence: Option<String>,
    pub(crate) help: Option<String>,
    pub(crate) object: FullObjectOut,
    /// `null` for an object that is not written in a file.
    pub(crate) location: Option<LocationOut>,
    /// Other places that explain it.
    pub(crate) related: Vec<RelatedOut>,
    /// A packet that shows it.
    pub(crate) witness: Option<WitnessOut>,
    /// The workloads that it is about.
    pub(crate) affected: Vec<ObjectOut>,
    /// What can be written instead.
    pub(crate) fix: Option<FixOut>,
}

/// A finding that somebody has decided to live with.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SuppressedOut {
    /// Why.
    pub(crate) reason: String,
    /// Who says so, in words.
    pub(crate) by: String,
    pub(crate) finding: FindingOut,
}

/// An object by all of its names.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FullObjectOut {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    /// `null` for a cluster-wide object.
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

/// Another place.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RelatedOut {
    pub(crate) location: LocationOut,
    pub(crate) message: String,
}

/// A packet with its verdict.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct WitnessOut {
    /// As `explain` takes it.
    pub(crate) from: String,
    /// As `explain` takes it, with the port.
    pub(crate) to: String,
    pub(crate) verdict: VerdictOut,
}

/// A fix.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FixOut {
    /// What it does.
    pub(crate) title: String,
    /// Whether `--fix` applies it; otherwise `--unsafe-fixes` is needed too.
    pub(crate) safe: bool,
    /// What it puts in the place of what, all together; empty where that is not possible.
    pub(crate) edits: Vec<EditOut>,
    /// Why it cannot be made, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) obstacle: Option<String>,
}

/// A change of a file.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EditOut {
    /// What is replaced; empty where text is only added.
    pub(crate) location: LocationOut,
    /// The same in bytes of the file, from 0.
    pub(crate) start_byte: usize,
    /// The byte after the last.
    pub(crate) end_byte: usize,
    /// The text to put there.
    pub(crate) replacement: String,
}

/// A question that manifests cannot answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct NotVerifiedOut {
    /// The code of the rule that would find it.
    pub(crate) rule: String,
    pub(crate) what: String,
    pub(crate) why: String,
    pub(crate) how: String,
}

/// How closed one namespace is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PostureOut {
    pub(crate) namespace: String,
    /// A template counts as one pod.
    pub(crate) pods: usize,
    pub(crate) egress_isolated: usize,
    pub(crate) ingress_isolated: usize,
    /// Pods that bypass every policy.
    pub(crate) host_network: usize,
    /// `open`, `partly`, `closed` or `unknown`.
    pub(crate) dns: String,
    /// `open`, `partly`, `closed` or `unknown`.
    pub(crate) metadata: String,
    /// `open`, `partly`, `closed` or `unknown`.
    pub(crate) internet: String,
}

/// The whole report.
pub(crate) fn document(printed: &Printed<'_>) -> CheckReportOut {
    let report = printed.report;
    CheckReportOut {
        api_version: ApiVersion::V1Alpha1,
        kind: CheckReportKind::CheckReport,
        profile: ProfileOut::from(printed.profile),
        problems: problems(printed.diagnostics),
        assumed_name_servers: printed.assumed_dns,
        findings: report
            .findings
            .iter()
            .map(|f| finding(printed, f))
            .collect(),
        suppressed: report
            .suppressed
            .iter()
            .map(|suppressed| SuppressedOut {
                reason: suppressed.reason.clone(),
                by: suppressed.by.clone(),
                finding: finding(printed, &suppressed.finding),
            })
            .collect(),
        not_verified: report
            .not_verified
            .iter()
            .map(|question| NotVerifiedOut {
                rule: question.code.to_string(),
                what: question.what.clone(),
                why: question.why.clone(),
                how: question.how.clone(),
            })
            .collect(),
        posture: report.posture.iter().map(posture).collect(),
    }
}

fn finding(printed: &Printed<'_>, finding: &Finding) -> FindingOut {
    let related = finding.related.iter().filter_map(|place| {
        let location = place.locate(printed.sources)?;
        Some(RelatedOut {
            location: LocationOut::from(&location),
            message: place.label.clone(),
        })
    });
    let location = finding.primary.as_ref();
    let location = location.and_then(|place| place.locate(printed.sources));
    FindingOut {
        rule: finding.rule.code.to_string(),
        name: finding.rule.name.to_owned(),
        severity: words::severity(finding.severity).to_owned(),
        message: finding.message.clone(),
        consequence: finding.consequence.clone(),
        help: finding.help.clone(),
        object: FullObjectOut::from(&finding.object),
        location: location.as_ref().map(LocationOut::from),
        related: related.collect(),
        witness: finding.witness.as_ref().map(|witness| {
            let (from, to) = words::explain_arguments(printed.snapshot, witness);
            WitnessOut {
                from,
                to,
                verdict: VerdictOut::from(witness.says()),
            }
        }),
        affected: finding
            .affected
            .iter()
            .map(|id| ObjectOut::workload(printed.snapshot, *id))
            .collect(),
        fix: finding.fix.as_ref().map(|fix| fix_out(printed, fix)),
    }
}

fn fix_out(printed: &Printed<'_>, fix: &Fix) -> FixOut {
    let (edits, obstacle) = match patch::changes(printed.sources, fix) {
        Ok(changes) => (changes, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    FixOut {
        title: fix.title.clone(),
        safe: fix.safety == Safety::Safe,
        edits: edits
            .into_iter()
            .map(|change| EditOut {
                location: LocationOut::from(&change.location),
                start_byte: change.location.span.start.offset,
                end_byte: change.location.span.end.offset,
                replacement: change.text,
            })
            .collect(),
        obstacle,
    }
}

fn posture(posture: &NamespacePosture) -> PostureOut {
    PostureOut {
        namespace: posture.namespace.to_string(),
        pods: posture.pods,
        egress_isolated: posture.egress_isolated,
        ingress_isolated: posture.ingress_isolated,
        host_network: posture.host_network,
        dns: posture.dns.as_str().to_owned(),
        metadata: posture.metadata.as_str().to_owned(),
        internet: posture.internet.as_str().to_owned(),
    }
}

impl From<&ObjectRef> for FullObjectOut {
    fn from(object: &ObjectRef) -> Self {
        Self {
            api_version: object.api_version.to_string(),
            kind: object.kind.to_string(),
            namespace: object.namespace.as_ref().map(ToString::to_string),
            name: object.name.to_string(),
        }
    }
}
