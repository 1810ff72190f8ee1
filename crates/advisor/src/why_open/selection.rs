//! Steps 2 and 4: which policies select the pod, and which directions they cover.

use ringfence_model::policy::{Direction, PolicyBody};
use ringfence_model::selector::matches;
use ringfence_model::snapshot::{PodId, PolicyId};
use ringfence_model::source::KeyPath;
use ringfence_model::tri::Tri;

use super::reached::Reach;
use super::{Evidence, Question, Status, Step};
use crate::context::{Context, Group};
use crate::finding::Place;
use crate::nearest::nearest;

/// Policies that a step shows at most; the others are counted.
const SHOWN: usize = 4;

const DIRECTIONS: [Direction; 2] = [Direction::Egress, Direction::Ingress];

/// One `NetworkPolicy` of the namespace.
struct Candidate {
    policy: PolicyId,
    name: String,
    selects: Tri,
    egress: bool,
    ingress: bool,
    /// The labels that its selector probably means, where it misses the pod by little.
    meant: Option<String>,
}

impl Candidate {
    fn covers(&self, direction: Direction) -> bool {
        match direction {
            Direction::Egress => self.egress,
            Direction::Ingress => self.ingress,
        }
    }
}

/// Why nothing isolates the pod in a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The namespace has no policy at all.
    NoPolicy,
    /// No policy of those that select the pod, or of the namespace, covers it.
    NotCovered,
    /// One covers it, and does not select the pod.
    NotSelected,
    /// One covers it and may select the pod.
    MaySelect,
}

/// What the policies of a namespace have to do with one of its pods.
pub(super) struct Selection {
    namespace: String,
    candidates: Vec<Candidate>,
    /// For each of [`DIRECTIONS`] that the pod is open in for want of isolation.
    faults: Vec<(Direction, Fault)>,
    /// Policies of the namespace that could not be read.
    unread: Vec<String>,
}

impl Selection {
    pub(super) fn of(context: &Context<'_>, group: &Group, pod: PodId, reach: &Reach) -> Self {
        let namespace = context.snapshot.namespace(group.namespace).name.to_string();
        let candidates: Vec<Candidate> = context
            .snapshot
            .policy_ids()
            .filter(|(_, policy)| policy.namespace.as_deref() == Some(&*namespace))
            .filter_map(|(id, policy)| match &policy.body {
                PolicyBody::Network(_) => candidate(context, group, pod, id),
                PolicyBody::Tiered(_) => None,
            })
            .collect();
        let faults = DIRECTIONS
            .into_iter()
            .filter_map(|direction| Some((direction, fault(&candidates, direction)?)))
            // Cluster-wide policies may close what no NetworkPolicy does.
            .filter(|(direction, fault)| match reach.is_wide(*direction) {
                Tri::Yes => true,
                Tri::Unknown => *fault == Fault::MaySelect,
                Tri::No => false,
            })
            .collect();
        let unread = context.not_counted.in_namespace(&namespace);
        let unread = unread
            .filter(|policy| policy.is_network_policy() && !group.host_network)
            .map(|policy| policy.name.clone())
            .collect();
        Self {
            namespace,
            candidates,
            faults,
            unread,
        }
    }

    /// Whether egress is open because nothing isolates the pod.
    pub(super) fn leaves_egress_open(&self) -> bool {
        let mut faults = self.faults.iter();
        faults
            .any(|(direction, fault)| *direction == Direction::Egress && *fault != Fault::MaySelect)
    }

    /// Step 2.
    pub(super) fn policy_types(&self, context: &Context<'_>) -> Step {
        let at_fault = |fault: Fault| matches!(fault, Fault::NoPolicy | Fault::NotCovered);
        let missing: Vec<Direction> = self
            .faults
            .iter()
            .filter(|(_, fault)| at_fault(*fault))
            .map(|(direction, _)| *direction)
            .collect();
        let selecting: Vec<&Candidate> = self
            .candidates
            .iter()
            .filter(|candidate| candidate.selects.possible())
            .collect();
        let evidence = shown(&selecting, |candidate| Evidence {
            text: format!("`{}` {}", candidate.name, covered(candidate)),
            place: types_place(context, candidate.policy),
        });
        let namespace = &self.namespace;
        let step = |status, says: String, help, evidence| Step {
            question: Question::PolicyTypes,
            status,
            says,
            help,
            evidence,
        };
        if missing.is_empty() {
            return step(Status::Ok, self.covered_by(&selecting), None, evidence);
        }
        let directions = in_words(&missing);
        let has_policy = !self.candidates.is_empty();
        let says = if !has_policy {
            format!("namespace `{namespace}` has no NetworkPolicy: nothing isolates the pod")
        } else if selecting.is_empty() {
            format!("no policy of namespace `{namespace}` covers {directions}")
        } else {
            format!("no policy that selects the pod covers {directions}")
        };
        // A default deny that forgot a direction is the one to complete.
        let help = match selecting.iter().find(|c| selects_all(context, c.policy)) {
            Some(candidate) => format!(
                "write `policyTypes: [Ingress, Egress]` in `{}`, and allow what is needed, DNS \
                 first",
                candidate.name
            ),
            None => format!(
                "add a default deny with `policyTypes: [Ingress, Egress]` to namespace \
                 `{namespace}`, and allow what is needed, DNS first"
            ),
        };
        step(Status::NotOk, says, Some(help), evidence)
    }

    /// What covers the pod, where step 2 finds nothing at fault.
    fn covered_by(&self, selecting: &[&Candidate]) -> String {
        let uncovered: Vec<Direction> = DIRECTIONS
            .into_iter()
            .filter(|direction| {
                let mut selecting = selecting.iter();
                !selecting.any(|c| c.covers(*direction))
            })
            .collect();
        let for_others: Vec<Direction> = self.faults.iter().map(|(d, _)| *d).collect();
        if uncovered.is_empty() {
            "policies that select the pod cover egress and ingress".to_owned()
        } else if for_others.is_empty() {
            format!(
                "no NetworkPolicy covers {}, and it is not open: cluster-wide policies decide",
                in_words(&uncovered)
            )
        } else {
            format!(
                "policies of the namespace cover {}, and do not select the pod: see step 4",
                in_words(&uncovered).replace(" or ", " and ")
            )
        }
    }

    /// Step 4.
    pub(super) fn labels(&self, context: &Context<'_>) -> Step {
        let missed: Vec<&Candidate> = self
            .candidates
            .iter()
            .filter(|candidate| candidate.selects != Tri::Yes)
            .collect();
        let mut near: Vec<&Candidate> = missed.clone();
        near.sort_by_key(|candidate| candidate.meant.is_none());
        let evidence = shown(&near, |candidate| missed_pod(context, candidate));
        let of = |wanted: Fault| {
            let faults = self.faults.iter().filter(|(_, fault)| *fault == wanted);
            faults.map(|(direction, _)| *direction).collect::<Vec<_>>()
        };
        let step = |status, says: String, help, evidence| Step {
            question: Question::Labels,
            status,
            says,
            help,
            evidence,
        };
        let not_selected = of(Fault::NotSelected);
        if !not_selected.is_empty() {
            let says = match missed.len() == self.candidates.len() {
                true => format!(
                    "no policy of namespace `{}` selects the pod",
                    self.namespace
                ),
                false => format!(
                    "the policies that cover {} do not select the pod",
                    in_words(&not_selected)
                ),
            };
            let meant = near.first().and_then(|candidate| {
                let meant = candidate.meant.as_ref()?;
                Some(format!(
                    "in `{}`, did you mean {meant}? Selectors are compared with the labels of the \
                     pod template",
                    candidate.name
                ))
            });
            let help = meant.unwrap_or_else(|| {
                "compare each `podSelector` with the labels of the pod template; a default deny \
                 with `podSelector: {}` selects every pod"
                    .to_owned()
            });
            return step(Status::NotOk, says, Some(help), evidence);
        }
        if !of(Fault::MaySelect).is_empty() {
            return step(
                Status::NotVerified,
                "whether a policy selects the pod depends on labels that the input does not say"
                    .to_owned(),
                Some("give the object whose labels are missing".to_owned()),
                evidence,
            );
        }
        if !self.unread.is_empty() {
            return step(
                Status::NotVerified,
                format!(
                    "{} could not be read: whom it selects is not known",
                    self.unread.join(", ")
                ),
                Some("correct it: the API server would not accept it either".to_owned()),
                evidence,
            );
        }
        let says = match (self.candidates.len(), missed.len()) {
            (0, _) => "there is no policy in its namespace whose labels could match",
            (all, missed) if missed < all => "policies select the pod",
            _ => "no policy of its namespace selects it, and it is not open for that",
        };
        // Policies for other pods are no news; what nearly selects this one is.
        near.retain(|candidate| candidate.meant.is_some());
        let evidence = shown(&near, |candidate| missed_pod(context, candidate));
        step(Status::Ok, says.to_owned(), None, evidence)
    }
}

fn candidate(
    context: &Context<'_>,
    group: &Group,
    pod: PodId,
    policy: PolicyId,
) -> Option<Candidate> {
    let written = context.snapshot.policy(policy);
    let PolicyBody::Network(spec) = &written.body else {
        return None;
    };
    let labels = &context.snapshot.pod(pod).labels;
    let selector = spec.pod_selector.as_ref();
    let selects = match group.host_network {
        // No policy applies to it; what is asked is whether one is meant to.
        true => selector.map_or(Tri::Yes, |selector| matches(selector, labels)),
        false => {
            let subjects = context.engine.subjects_of(policy);
            let found = subjects.iter().find(|(subject, _)| *subject == pod);
            found.map_or(Tri::No, |(_, selects)| *selects)
        }
    };
    let meant = match selects {
        Tri::No => selector.and_then(|selector| nearest(selector, std::iter::once(labels))),
        Tri::Yes | Tri::Unknown => None,
    };
    let meant = meant.map(|meant| {
        let pairs: Vec<String> = meant.iter().map(|m| format!("`{}`", m.pair())).collect();
        pairs.join(" and ")
    });
    Some(Candidate {
        policy,
        name: written.name.to_string(),
        selects,
        egress: context.engine.covers(policy, Direction::Egress),
        ingress: context.engine.covers(policy, Direction::Ingress),
        meant,
    })
}

/// Why nothing isolates the pod in a direction; `None` if something does.
fn fault(candidates: &[Candidate], direction: Direction) -> Option<Fault> {
    let covering = || candidates.iter().filter(|c| c.covers(direction));
    if covering().any(|candidate| candidate.selects == Tri::Yes) {
        return None;
    }
    let selecting = candidates.iter().any(|c| c.selects == Tri::Yes);
    let is_near = covering().any(|candidate| candidate.meant.is_some());
    Some(if candidates.is_empty() {
        Fault::NoPolicy
    } else if covering().any(|candidate| candidate.selects == Tri::Unknown) {
        Fault::MaySelect
    } else if covering().next().is_none() || (selecting && !is_near) {
        Fault::NotCovered
    } else {
        Fault::NotSelected
    })
}

fn covered(candidate: &Candidate) -> &'static str {
    match (candidate.egress, candidate.ingress, candidate.selects) {
        (true, true, Tri::Unknown) => "may select it, and covers egress and ingress",
        (true, false, Tri::Unknown) => "may select it, and covers egress only",
        (false, true, Tri::Unknown) => "may select it, and covers ingress only",
        (true, true, _) => "covers egress and ingress",
        (true, false, _) => "covers egress only",
        (false, true, _) => "covers ingress only",
        (false, false, _) => "covers neither direction",
    }
}

fn missed_pod(context: &Context<'_>, candidate: &Candidate) -> Evidence {
    let name = &candidate.name;
    let text = match (&candidate.meant, candidate.selects) {
        (Some(meant), _) => format!("`{name}` does not select it; did you mean {meant}?"),
        (None, Tri::Unknown) => format!("it is not known whether `{name}` selects it"),
        (None, _) => format!("`{name}` does not select it"),
    };
    let policy = context.snapshot.policy(candidate.policy);
    let path = KeyPath::root().key("spec").key("podSelector");
    let place = policy.origin.as_ref();
    Evidence {
        text,
        place: place.map(|origin| Place::value(origin, path, "")),
    }
}

/// Where a policy says what it covers; its name where it does not say.
fn types_place(context: &Context<'_>, policy: PolicyId) -> Option<Place> {
    let origin = context.snapshot.policy(policy).origin.as_ref()?;
    let types = KeyPath::root().key("spec").key("policyTypes");
    let place = Place::value(origin, types, "");
    if place.locate(context.sources).is_some() {
        return Some(place);
    }
    let name = KeyPath::root().key("metadata").key("name");
    Some(Place::value(origin, name, "no `policyTypes`"))
}

fn selects_all(context: &Context<'_>, policy: PolicyId) -> bool {
    match &context.snapshot.policy(policy).body {
        PolicyBody::Network(spec) => {
            let selector = spec.pod_selector.as_ref();
            selector.is_none_or(ringfence_model::selector::selects_everything)
        }
        PolicyBody::Tiered(_) => false,
    }
}

/// The first of some policies, and how many there are besides.
fn shown(candidates: &[&Candidate], evidence: impl Fn(&Candidate) -> Evidence) -> Vec<Evidence> {
    let first = candidates.iter().take(SHOWN);
    let mut all: Vec<Evidence> = first.map(|candidate| evidence(candidate)).collect();
    let more = candidates.len().saturating_sub(SHOWN);
    if more > 0 {
        all.push(Evidence {
            text: format!("and {more} more"),
            place: None,
        });
    }
    all
}

fn in_words(directions: &[Direction]) -> String {
    let words: Vec<String> = directions.iter().map(ToString::to_string).collect();
    words.join(" or ")
}
