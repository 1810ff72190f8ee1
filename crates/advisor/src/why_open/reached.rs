//! What the pod can open, and through which rule: steps 3 and 7.

use std::net::IpAddr;

use ipnet::IpNet;
use ringfence_engine::Peer;
use ringfence_engine::reach::OpenPorts;
use ringfence_model::address::public_internet;
use ringfence_model::policy::{Direction, Tier};
use ringfence_model::snapshot::{NamespaceId, PodId, PolicyId, WorkloadId};
use ringfence_model::tri::Tri;

use super::find::{Finder, every_port_is_open};
use super::selection::Selection;
use super::{Evidence, Question, Status, Step};
use crate::context::{Context, Group};
use crate::finding::{Place, Witness};
use crate::may_reach;
use crate::not_counted::{NotCountedPolicy, how};

/// Something that the pod can open.
#[derive(Clone, Debug, PartialEq)]
pub struct Reached {
    /// What it is.
    pub what: Destination,
    /// On which ports.
    pub open: OpenPorts,
    /// What lets it out.
    pub by: Vec<Opener>,
    /// Whether it is more than a pod should reach: cloud metadata, every port of the
    /// internet, every port of every other namespace.
    pub too_wide: Tri,
    /// A packet that shows it.
    pub witness: Witness,
}

/// What a pod can open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Cloud metadata endpoints, ascending.
    Metadata(Vec<IpAddr>),
    /// Public addresses.
    Internet(Vec<IpNet>),
    /// Private addresses that are no pod's for certain.
    Private(Vec<IpNet>),
    /// Workloads of one namespace.
    Workloads(NamespaceId, Vec<WorkloadId>),
}

/// What lets a connection out of the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opener {
    /// What kind of thing.
    pub cause: Cause,
    /// In words, without a full stop.
    pub text: String,
    /// Where it is written.
    pub place: Option<Place>,
}

/// Why a connection is let out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// Nothing isolates the pod.
    NotIsolated,
    /// The pod is in the network of its node.
    HostNetwork,
    /// A rule of this `NetworkPolicy`.
    Rule(PolicyId),
    /// A rule of this cluster-wide policy.
    ClusterWide(PolicyId),
    /// A pod and its own node always reach each other.
    OwnNode,
    /// It depends on something that the input does not say.
    Unclear,
}

/// What a pod reaches, and how far open it is.
pub(super) struct Reach {
    pub(super) reached: Vec<Reached>,
    egress: Tri,
    ingress: Tri,
    /// The cluster-wide policies that apply to the pod.
    cluster_wide: Vec<Evidence>,
    /// What is not counted and may select the pod.
    not_counted: Vec<NotCountedPolicy>,
    /// What rules open that the pod may have a way to, in words.
    unseen: Option<String>,
}

impl Reach {
    pub(super) fn of(context: &Context<'_>, group: &Group, index: usize, pod: PodId) -> Self {
        let mut finder = Finder::new(context, pod);
        let mut reached = Vec::new();
        finder.metadata(index, &mut reached);
        finder.outside(&mut reached);
        finder.workloads(&mut reached);
        let egress = Tri::any(reached.iter().map(|reached| reached.too_wide));
        Self {
            reached,
            egress: if group.host_network { Tri::Yes } else { egress },
            ingress: ingress(context, pod),
            cluster_wide: cluster_wide(context, pod),
            unseen: context
                .unseen_ways()
                .get(index)
                .and_then(|ways| may_reach::in_words(context, ways)),
            not_counted: match group.host_network {
                true => Vec::new(),
                false => {
                    let policies = context.not_counted.about(context.snapshot, group.namespace);
                    policies.cloned().collect()
                }
            },
        }
    }

    /// Whether the pod is as open in a direction as one that nothing isolates.
    pub(super) fn is_wide(&self, direction: Direction) -> Tri {
        match direction {
            Direction::Egress => self.egress,
            Direction::Ingress => self.ingress,
        }
    }

    /// What is too wide for this reason, each rule once.
    fn openers(&self, wanted: impl Fn(Cause) -> bool) -> Vec<Evidence> {
        let mut found: Vec<Evidence> = Vec::new();
        if self.egress == Tri::No {
            return found;
        }
        let wide = self
            .reached
            .iter()
            .filter(|reached| reached.too_wide == self.egress);
        for opener in wide.flat_map(|reached| &reached.by) {
            let evidence = Evidence {
                text: opener.text.clone(),
                place: opener.place.clone(),
            };
            if wanted(opener.cause) && !found.contains(&evidence) {
                found.push(evidence);
            }
        }
        found
    }

    /// Step 3.
    pub(super) fn cluster_wide(&self) -> Step {
        let opening = self.openers(|cause| matches!(cause, Cause::ClusterWide(_)));
        let step = |status, says: &str, help: Option<&str>, evidence| Step {
            question: Question::ClusterWide,
            status,
            says: says.to_owned(),
            help: help.map(str::to_owned),
            evidence,
        };
        if self.egress == Tri::Yes && !opening.is_empty() {
            return step(
                Status::NotOk,
                "a cluster-wide policy lets out what policies of the namespace cannot close",
                Some("narrow the rule, or take the pod out of its subject"),
                opening,
            );
        }
        let may_decide = || self.not_counted.iter().filter(|p| !p.is_network_policy());
        if may_decide().next().is_some() {
            let says: Vec<String> = may_decide().map(NotCountedPolicy::says).collect();
            return step(
                Status::NotVerified,
                &format!("{}: what it opens or closes is not known", and(&says)),
                Some(&how(may_decide().map(|policy| policy.why))),
                self.cluster_wide.clone(),
            );
        }
        let has_any = !self.cluster_wide.is_empty();
        let is_unclear = self.egress == Tri::Unknown || self.ingress == Tri::Unknown;
        match (has_any, is_unclear) {
            (false, _) => step(Status::Ok, "none applies to the pod", None, Vec::new()),
            (true, true) => step(
                Status::NotVerified,
                "cluster-wide policies apply, and what they come to is not known",
                Some("give what `explain` says the verdict depends on"),
                self.cluster_wide.clone(),
            ),
            (true, false) => step(
                Status::Ok,
                "cluster-wide policies apply, and none of them opens the pod",
                None,
                self.cluster_wide.clone(),
            ),
        }
    }

    /// Step 7.
    pub(super) fn rules(&self, group: &Group, selection: &Selection) -> Step {
        let step = |status, says: &str, help: Option<&str>, evidence| Step {
            question: Question::Rules,
            status,
            says: says.to_owned(),
            help: help.map(str::to_owned),
            evidence,
        };
        if group.host_network {
            let says = "no rule applies to it: see step 6";
            return step(Status::NotOk, says, None, Vec::new());
        }
        let opening = self.openers(|cause| matches!(cause, Cause::Rule(_)));
        if self.egress == Tri::Yes && !opening.is_empty() {
            let says = self.too_wide_in_words();
            return step(
                Status::NotOk,
                &format!("rules let it reach {says}"),
                Some(
                    "name the peers and ports that are needed; in a block for the internet, \
                     except link-local and private addresses",
                ),
                opening,
            );
        }
        if selection.leaves_egress_open() {
            let says = "nothing isolates its egress, so that no rule limits it: it reaches";
            let says = format!("{says} {}", self.too_wide_in_words());
            return step(Status::NotOk, &says, None, Vec::new());
        }
        if self.egress == Tri::Unknown {
            let says = format!(
                "whether it reaches {} is not known",
                self.too_wide_in_words()
            );
            let says = match &self.unseen {
                Some(unseen) => format!("{says}; {unseen}, if it has such a way"),
                None => says,
            };
            let help = "`ringfence explain` says what it depends on";
            let evidence = self.openers(|_| true);
            return step(Status::NotVerified, &says, Some(help), evidence);
        }
        if let Some(unseen) = &self.unseen {
            let says = format!("{unseen}, and it is not known whether it has such a way");
            let help = "say which families pods have with `--ip-family`, and see whether the \
                        network translates IPv6 to IPv4";
            return step(Status::NotVerified, &says, Some(help), Vec::new());
        }
        if !self.not_counted.is_empty() {
            let names: Vec<String> = self.not_counted.iter().map(|p| p.name.clone()).collect();
            let says = format!(
                "of the rules that count none is too wide; {} may open more",
                and(&names)
            );
            let how = how(self.not_counted.iter().map(|policy| policy.why));
            return step(Status::NotVerified, &says, Some(&how), Vec::new());
        }
        step(
            Status::Ok,
            "no cloud metadata, and neither every port of the internet nor of every namespace",
            None,
            Vec::new(),
        )
    }

    /// What is not counted and may close what looks open, for a sentence.
    pub(super) fn may_be_closed_by(&self) -> Option<String> {
        let says: Vec<String> = self
            .not_counted
            .iter()
            .map(NotCountedPolicy::says)
            .collect();
        (!says.is_empty()).then(|| and(&says))
    }

    /// What it should not reach and does, or may.
    fn too_wide_in_words(&self) -> String {
        let wide = |is: fn(&Destination) -> bool| {
            let mut reached = self.reached.iter();
            reached.any(|reached| reached.too_wide == self.egress && is(&reached.what))
        };
        let parts = [
            (
                wide(|what| matches!(what, Destination::Metadata(_))),
                "cloud metadata",
            ),
            (
                wide(|what| matches!(what, Destination::Internet(_))),
                "every port of the internet",
            ),
            (
                wide(|what| matches!(what, Destination::Workloads(..))),
                "every port of other namespaces",
            ),
        ];
        let parts = parts.into_iter().filter(|(is_wide, _)| *is_wide);
        let parts: Vec<&str> = parts.map(|(_, text)| text).collect();
        and(&parts)
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn and<T: std::borrow::Borrow<str>>(parts: &[T]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.borrow().to_owned(),
        [first @ .., last] => format!("{} and {}", first.join(", "), last.borrow()),
    }
}

/// Whether others open every TCP port of the pod: public addresses, or a pod of another
/// namespace.
pub(crate) fn ingress(context: &Context<'_>, pod: PodId) -> Tri {
    let (snapshot, engine) = (context.snapshot, context.engine);
    let target = snapshot.pod(pod);
    let mut wide = Tri::No;
    for family in snapshot.families_of(target).iter().copied() {
        let public = public_internet(family).to_nets();
        let regions = engine.outside(pod, Direction::Ingress, family, &public);
        let opens = regions.iter().map(|region| &region.open);
        wide = opens.fold(wide, |wide, open| wide.or(every_port_is_open(open)));
        for group in context.groups() {
            if wide == Tri::Yes {
                return wide;
            }
            // Nodes reach their own pods whatever policies say.
            if group.namespace != target.namespace && !group.host_network {
                let from = Peer::Pod(group.first);
                let open = engine.ports(from, Peer::Pod(pod), family);
                wide = wide.or(every_port_is_open(&open));
            }
        }
    }
    wide
}

/// The cluster-wide policies that apply to the pod.
fn cluster_wide(context: &Context<'_>, pod: PodId) -> Vec<Evidence> {
    let mut ids: Vec<PolicyId> = [Direction::Egress, Direction::Ingress]
        .into_iter()
        .flat_map(|direction| context.engine.policies_for(pod, direction))
        .map(|(id, _)| id)
        .filter(|id| context.snapshot.policy(*id).tier() != Tier::NetworkPolicy)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let evidence = |id: &PolicyId| {
        let policy = context.snapshot.policy(*id);
        let name = ringfence_model::source::KeyPath::root()
            .key("metadata")
            .key("name");
        let place = policy.origin.as_ref();
        Evidence {
            text: format!("{}, tier {}", policy.display_name(), policy.tier()),
            place: place.map(|origin| Place::value(origin, name, "")),
        }
    };
    ids.iter().map(evidence).collect()
}
