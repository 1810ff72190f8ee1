//! Answers that policies which no verdict counts could change are told as not known.
//! Which policies those are, and what they could decide, the advisor knows.

use ringfence_advisor::not_counted::{NotCounted, NotCountedPolicy, Why};
use ringfence_engine::reach::{End, Reachability};
use ringfence_engine::sets::PortSet;
use ringfence_engine::{Profile, Verdict};
use ringfence_model::diagnostic::Diagnostic;
use ringfence_model::snapshot::Snapshot;

use crate::entry_points::EntryPoint;
use crate::packets::Outcome;

/// The policies that were left out because of an error, or of their kind.
#[derive(Debug, Default)]
pub(crate) struct Unread(NotCounted);

impl Unread {
    /// As far as the diagnostics know what was left out.
    pub(crate) fn new(diagnostics: &[Diagnostic], default_namespace: &str) -> Self {
        Self(NotCounted::new(diagnostics, default_namespace))
    }

    /// Makes outcomes that such a policy could change unknown, and says which it is.
    pub(crate) fn doubt(&self, snapshot: &Snapshot, profile: &Profile, outcomes: &mut [Outcome]) {
        if self.0.is_empty() {
            return;
        }
        for outcome in outcomes {
            let packet = &outcome.packet;
            let own = PortSet::range(packet.protocol, packet.port, packet.port);
            // Of several packets that share a verdict each may have it for another reason.
            let is_single = outcome.pairs.0 == 1 && outcome.ports == own;
            let policies = self.0.could_change(snapshot, profile, packet, is_single);
            outcome.not_counted = policies.into_iter().cloned().collect();
            if !outcome.not_counted.is_empty() {
                outcome.verdict = Verdict::Unknown;
            }
        }
    }

    /// Makes connections that such a policy could close unknown.
    pub(crate) fn doubt_connections(&self, snapshot: &Snapshot, reachability: &mut Reachability) {
        if !self.0.is_empty() {
            reachability.doubt(|end| self.is_doubtful(snapshot, end));
        }
    }

    /// Whether what an end can open or accept is not known because of such a policy.
    pub(crate) fn is_doubtful(&self, snapshot: &Snapshot, end: &End) -> bool {
        match end {
            End::Workload(id) => self.0.may_select(snapshot, *id),
            End::Addresses(_) => false,
        }
    }

    /// The same for ways into the cluster.
    pub(crate) fn doubt_entry_points(&self, points: &mut [EntryPoint]) {
        let is_doubtful = |name: &str| {
            let namespace = name.split('/').next().unwrap_or_default();
            self.0.in_namespace(namespace).next().is_some()
        };
        for point in points {
            let from_doubtful = is_doubtful(&point.from);
            if let Some(to) = &mut point.to
                && (from_doubtful || is_doubtful(&to.workload))
            {
                to.verdict = Verdict::Unknown;
            }
        }
    }

    /// What `reach` has to say before its answer.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let warning = |policies: &[NotCountedPolicy], pods: &str| {
            let names = names(policies).join(", ");
            let says = match policies.iter().all(|p| p.why == Why::NotEvaluated) {
                true => format!("{names} may decide otherwise"),
                false => format!("{names} could not be read"),
            };
            format!(
                "{says}: what {pods} can open or accept is not known, connections that are not \
                 listed included"
            )
        };
        let of_namespaces = self.0.of_namespaces();
        let mut warnings: Vec<String> = of_namespaces
            .map(|(namespace, policies)| warning(policies, &format!("pods of {namespace}")))
            .collect();
        if !self.0.cluster_wide().is_empty() {
            warnings.push(warning(self.0.cluster_wide(), "any pod"));
        }
        warnings
    }
}

fn names(policies: &[NotCountedPolicy]) -> Vec<String> {
    policies.iter().map(ToString::to_string).collect()
}

/// What is said of an outcome beside its verdict.
pub(crate) fn remark(outcome: &Outcome) -> Option<String> {
    let policies = &outcome.not_counted;
    if policies.is_empty() {
        let family = outcome.packet.family;
        return outcome
            .is_of_unseen_family
            .then(|| format!("nothing in the input shows that the pod has {family}"));
    }
    let unread = policies.iter().any(|policy| policy.why == Why::NotRead);
    let why = match unread {
        true => ", which could not be read",
        false => "",
    };
    let names = names(policies).join(", ");
    Some(format!("this does not count {names}{why}"))
}

/// The same, as what stands before what the policies that do count say.
pub(crate) fn introduction(outcome: &Outcome) -> Option<String> {
    let remark = remark(outcome)?;
    Some(match outcome.not_counted.is_empty() {
        true => format!("{remark}; if it has:"),
        false => format!("{remark}; without it:"),
    })
}
