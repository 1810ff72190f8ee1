//! The rules that a change is due to, in words and with their places.

use ringfence_engine::diff::{Cause, Change, PolicyStatus, When, responsible};
use ringfence_engine::explain::Side;
use ringfence_model::source::Location;

use super::Report;
use crate::cluster::Cluster;
use crate::output::explain::words::{decided_by, location};
use crate::output::visible;

/// One rule that a change is due to.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) cause: Cause,
    /// `NetworkPolicy shop/web`.
    pub(super) policy: String,
    pub(super) location: Option<Location>,
}

/// Why a verdict has changed.
#[derive(Clone, Debug)]
pub(super) struct Why {
    pub(super) causes: Vec<Shown>,
    /// Where no rule decides any more: what does.
    pub(super) otherwise: Option<String>,
}

/// Finds out why.
pub(super) fn why(report: &Report<'_>, change: &Change) -> Why {
    let (old, new) = (report.old, report.new);
    let found = responsible(old.1, new.1, change);
    let causes: Vec<Shown> = found
        .causes
        .into_iter()
        .map(|cause| {
            let cluster: &Cluster = match cause.when {
                When::Before => old.0,
                When::After => new.0,
            };
            Shown {
                policy: visible::line(&cluster.snapshot.policy(cause.reason.policy).display_name())
                    .into_owned(),
                location: location(&cluster.snapshot, &cluster.sources, &cause.reason),
                cause,
            }
        })
        .collect();
    let otherwise = found.after.filter(|_| causes.is_empty()).map(|evidence| {
        let side = |side: &Side| format!("{}: {}", side.direction, decided_by(side));
        let explanation = &evidence.explanation;
        let changed: Vec<String> = match &found.before {
            Some(before) => [
                (&before.explanation.egress, &explanation.egress),
                (&before.explanation.ingress, &explanation.ingress),
            ]
            .into_iter()
            .filter(|(was, is)| was.verdict != is.verdict)
            .map(|(_, is)| side(is))
            .collect(),
            None => Vec::new(),
        };
        if changed.is_empty() {
            format!(
                "{}; {}",
                side(&explanation.egress),
                side(&explanation.ingress)
            )
        } else {
            changed.join("; ")
        }
    });
    Why { causes, otherwise }
}

/// What has become of a policy, in a word; nothing for one that is the same.
pub(super) fn status(status: PolicyStatus) -> &'static str {
    match status {
        PolicyStatus::Added => "added",
        PolicyStatus::Removed => "removed",
        PolicyStatus::Changed => "changed",
        PolicyStatus::Same => "unchanged",
    }
}
