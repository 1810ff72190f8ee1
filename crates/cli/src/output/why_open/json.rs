//! `WhyOpen` as a value.

use ringfence_advisor::why_open::{Destination, Reached, Step};
use ringfence_model::tri::Tri;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Printed, words};
use crate::output::contract::{
    ApiVersion, EndOut, LocationOut, ObjectOut, PortsOut, ProblemOut, ProfileOut, VerdictOut,
    problems,
};

/// Why a pod is open.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "WhyOpen")]
pub(crate) struct WhyOpenOut {
    pub(crate) api_version: ApiVersion,
    pub(crate) kind: WhyOpenKind,
    pub(crate) profile: ProfileOut,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) problems: Vec<ProblemOut>,
    /// The workload that was asked about.
    pub(crate) workload: ObjectOut,
    /// The pod that the walk is about.
    pub(crate) pod: String,
    /// `open`, `closed` or `unknown`.
    pub(crate) answer: String,
    /// The step at which it is open, or may be; `null` when it is closed.
    pub(crate) step: Option<usize>,
    /// What it comes to, in one sentence.
    pub(crate) conclusion: String,
    /// In order.
    pub(crate) steps: Vec<StepOut>,
    /// What the pod can open, or may be able to.
    pub(crate) reaches: Vec<ReachedOut>,
}

/// `kind`; always `WhyOpen`.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub(crate) enum WhyOpenKind {
    #[default]
    WhyOpen,
}

/// One step.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StepOut {
    /// From 1.
    pub(crate) number: usize,
    /// A stable name: `enforcement`, `policyTypes`, `clusterWide`, `labels`,
    /// `pluginVersion`, `hostNetwork` or `rules`.
    pub(crate) name: String,
    pub(crate) question: String,
    /// `ok`, `not ok` or `not verified`.
    pub(crate) status: String,
    /// The answer in one sentence.
    pub(crate) says: String,
    /// What to do, or how to find out.
    pub(crate) help: Option<String>,
    pub(crate) evidence: Vec<EvidenceOut>,
}

/// Something that shows an answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EvidenceOut {
    pub(crate) text: String,
    /// `null` for what is not written in a file.
    pub(crate) location: Option<LocationOut>,
}

/// Something that the pod can open.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReachedOut {
    /// `metadata`, `internet`, `private` or `workloads`.
    pub(crate) what: String,
    pub(crate) to: Vec<EndOut>,
    /// What is open for certain.
    pub(crate) allow: PortsOut,
    /// What may be.
    pub(crate) maybe: PortsOut,
    /// Whether something is open for certain.
    pub(crate) verdict: VerdictOut,
    /// Whether it is more than a pod should reach: cloud metadata, every port of the
    /// internet or of every other namespace. `null` where that is not known.
    pub(crate) too_wide: Option<bool>,
    /// What lets it out.
    pub(crate) by: Vec<EvidenceOut>,
}

pub(super) fn document(printed: &Printed<'_>) -> WhyOpenOut {
    let (snapshot, walk) = (printed.snapshot, printed.walk);
    WhyOpenOut {
        api_version: ApiVersion::V1Alpha1,
        kind: WhyOpenKind::WhyOpen,
        profile: ProfileOut::from(printed.profile),
        problems: problems(printed.diagnostics),
        workload: ObjectOut::workload(snapshot, walk.workload),
        pod: snapshot.pod(walk.pod).name.to_string(),
        answer: words::answer(walk.conclusion.answer).to_owned(),
        step: walk.conclusion.step.map(|question| question.number()),
        conclusion: walk.conclusion.sentence.clone(),
        steps: walk.steps.iter().map(|s| step(printed, s)).collect(),
        reaches: walk.reaches.iter().map(|r| reached(printed, r)).collect(),
    }
}

fn step(printed: &Printed<'_>, step: &Step) -> StepOut {
    let evidence = step.evidence.iter().map(|evidence| {
        let location = evidence.place.as_ref();
        let location = location.and_then(|place| place.locate(printed.sources));
        EvidenceOut {
            text: evidence.text.clone(),
            location: location.as_ref().map(LocationOut::from),
        }
    });
    StepOut {
        number: step.question.number(),
        name: step.question.name().to_owned(),
        question: step.question.text().to_owned(),
        status: words::status(step.status).to_owned(),
        says: step.says.clone(),
        help: step.help.clone(),
        evidence: evidence.collect(),
    }
}

fn reached(printed: &Printed<'_>, reached: &Reached) -> ReachedOut {
    let addresses = |cidrs: Vec<String>| vec![EndOut::Addresses { cidrs }];
    let (what, to) = match &reached.what {
        Destination::Metadata(endpoints) => (
            "metadata",
            addresses(endpoints.iter().map(ToString::to_string).collect()),
        ),
        Destination::Internet(nets) => (
            "internet",
            addresses(nets.iter().map(ToString::to_string).collect()),
        ),
        Destination::Private(nets) => (
            "private",
            addresses(nets.iter().map(ToString::to_string).collect()),
        ),
        Destination::Workloads(_, workloads) => {
            let workloads = workloads
                .iter()
                .map(|id| EndOut::Workload(ObjectOut::workload(printed.snapshot, *id)));
            ("workloads", workloads.collect())
        }
    };
    let by = reached.by.iter().map(|opener| {
        let place = opener.place.as_ref();
        let location = place.and_then(|place| place.locate(printed.sources));
        EvidenceOut {
            text: opener.text.clone(),
            location: location.as_ref().map(LocationOut::from),
        }
    });
    ReachedOut {
        what: what.to_owned(),
        to,
        allow: PortsOut::from(&reached.open.allow),
        maybe: PortsOut::from(&reached.open.maybe),
        verdict: VerdictOut::from(words::verdict(reached)),
        too_wide: match reached.too_wide {
            Tri::Yes => Some(true),
            Tri::No => Some(false),
            Tri::Unknown => None,
        },
        by: by.collect(),
    }
}
