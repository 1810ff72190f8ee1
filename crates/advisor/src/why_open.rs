//! "I have policies, and my service is still wide open": the six things to look at, in
//! order, for one pod, and then the rules that let its connections through.
//!
//! Every step is answered from what the engine says, so that the walk never disagrees
//! with `reach` and `explain`.

mod conclusion;
mod find;
mod node;
mod plugin;
mod reached;
mod selection;

pub(crate) use reached::ingress;
pub use reached::{Cause, Destination, Opener, Reached};

use ringfence_model::snapshot::{PodId, WorkloadId};

use crate::check::Input;
use crate::context::{Context, Group};
use crate::finding::Place;

/// The walk for one pod.
#[derive(Clone, Debug, PartialEq)]
pub struct WhyOpen {
    /// The workload that was asked about.
    pub workload: WorkloadId,
    /// The pod that the walk is about: a verdict about it is one about its like.
    pub pod: PodId,
    /// How many of the pods that were asked about are like it.
    pub alike: usize,
    /// How many pods were asked about.
    pub pods: usize,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// What the pod can open, or may be able to.
    pub reaches: Vec<Reached>,
    /// What it all comes to.
    pub conclusion: Conclusion,
}

/// One step of the walk.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What is asked.
    pub question: Question,
    /// The answer.
    pub status: Status,
    /// The answer in one sentence, without a full stop.
    pub says: String,
    /// What to do where the answer is no, or how to find out where it is not known.
    pub help: Option<String>,
    /// What shows it.
    pub evidence: Vec<Evidence>,
}

/// What the steps ask, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Question {
    /// Does the network plugin enforce policies?
    Enforcement,
    /// Do the policies cover both directions?
    PolicyTypes,
    /// Does a cluster-wide policy override those of the namespace?
    ClusterWide,
    /// Do the labels of the pod match?
    Labels,
    /// Is the version of the network plugin sound?
    PluginVersion,
    /// Is the pod in the network of its node?
    HostNetwork,
    /// What do the rules let through?
    Rules,
}

impl Question {
    /// All of them, in order.
    pub const ALL: [Self; 7] = [
        Self::Enforcement,
        Self::PolicyTypes,
        Self::ClusterWide,
        Self::Labels,
        Self::PluginVersion,
        Self::HostNetwork,
        Self::Rules,
    ];

    /// Its number, from 1.
    #[must_use]
    pub fn number(self) -> usize {
        self as usize + 1
    }

    /// The question in words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Enforcement => "does the network plugin enforce policies?",
            Self::PolicyTypes => "do the policies cover both directions?",
            Self::ClusterWide => "does a cluster-wide policy override them?",
            Self::Labels => "do the labels match?",
            Self::PluginVersion => "is the network plugin's version sound?",
            Self::HostNetwork => "is the pod in a network of its own?",
            Self::Rules => "do the rules let out only what they should?",
        }
    }

    /// A stable name for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforcement => "enforcement",
            Self::PolicyTypes => "policyTypes",
            Self::ClusterWide => "clusterWide",
            Self::Labels => "labels",
            Self::PluginVersion => "pluginVersion",
            Self::HostNetwork => "hostNetwork",
            Self::Rules => "rules",
        }
    }
}

/// The answer of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// The pod is not open because of this.
    Ok,
    /// Manifests cannot tell.
    NotVerified,
    /// The pod is open because of this.
    NotOk,
}

/// Something that shows an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What it shows, without a full stop.
    pub text: String,
    /// Where it is written.
    pub place: Option<Place>,
}

/// What the walk comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// Whether the pod is open.
    pub answer: Answer,
    /// The step at which it is, or may be.
    pub step: Option<Question>,
    /// At which step the pod is open and what to do, or what it can reach. One sentence.
    pub sentence: String,
}

/// Whether a pod is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Answer {
    /// Policies let through what they name and no more. Whether they are enforced is
    /// another question: see the steps that are not verified.
    Closed,
    /// It depends on something that the input does not say.
    Unknown,
    /// It is.
    Open,
}

/// Walks the steps for the pods of a workload; for the most open of them, where policies
/// tell them apart. `None` if none of them is a pod of the input.
#[must_use]
pub fn why_open(input: &Input<'_>, pods: &[PodId]) -> Option<WhyOpen> {
    let context = Context::new(input);
    let mut worst: Option<WhyOpen> = None;
    for (index, group) in context.groups().iter().enumerate() {
        let alike: Vec<PodId> = pods
            .iter()
            .copied()
            .filter(|pod| group.pods.contains(pod))
            .collect();
        let Some(pod) = alike.first() else {
            continue;
        };
        let walk = walk(&context, group, index, *pod, (alike.len(), pods.len()));
        let is_worse = |than: &WhyOpen| walk.conclusion.answer > than.conclusion.answer;
        if worst.as_ref().is_none_or(is_worse) {
            worst = Some(walk);
        }
    }
    worst
}

fn walk(
    context: &Context<'_>,
    group: &Group,
    index: usize,
    pod: PodId,
    (alike, pods): (usize, usize),
) -> WhyOpen {
    let reach = reached::Reach::of(context, group, index, pod);
    let selection = selection::Selection::of(context, group, pod, &reach);
    let steps = vec![
        plugin::enforcement(context),
        selection.policy_types(context),
        reach.cluster_wide(),
        selection.labels(context),
        plugin::version(context),
        node::host_network(context, group, pod),
        reach.rules(group, &selection),
    ];
    let conclusion = conclusion::of(context, group, pod, &steps, &reach);
    WhyOpen {
        workload: context.snapshot.pod(pod).workload,
        pod,
        alike,
        pods,
        steps,
        reaches: reach.reached,
        conclusion,
    }
}
