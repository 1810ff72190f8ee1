use ringfence_engine::explain::{DecidedBy, Effect, Reason};
use ringfence_engine::{Packet, RuleRef, Verdict};
use ringfence_model::policy::{Action, Tier};
use ringfence_model::tri::Tri;

use super::Context;

impl Context<'_> {
    /// The rule of a cluster-wide policy that denies a packet on its way out of its pod,
    /// if that is what decides. No `NetworkPolicy` is at fault then.
    #[must_use]
    pub fn denied_cluster_wide(&self, packet: &Packet) -> Option<Reason> {
        // Most inputs have no such rule, and an explanation costs more.
        let rules = self.egress_rules_matching(packet);
        let mut rules = rules.iter();
        if !rules.any(|rule| rule.action == Action::Deny && rule.matches == Tri::Yes) {
            return None;
        }
        let side = self.explain(packet).egress;
        let is_cluster_wide = matches!(
            side.decided_by,
            DecidedBy::Tier(Tier::Admin | Tier::Baseline)
        );
        if side.verdict != Verdict::Denied || !is_cluster_wide {
            return None;
        }
        let mut reasons = side.reasons.into_iter();
        reasons.find(|reason| reason.decisive && reason.effect == Effect::Denies)
    }

    /// A rule further down in the same policy that would deny a packet which this rule
    /// accepts: it comes too late.
    #[must_use]
    pub fn denied_too_late(&self, rule: RuleRef, packet: &Packet) -> Option<RuleRef> {
        let rules = self.egress_rules_matching(packet).into_iter();
        let mut later = rules.filter(|m| {
            m.rule.policy == rule.policy && m.rule.rule > rule.rule && m.matches == Tri::Yes
        });
        let denies = later.find(|m| m.action == Action::Deny)?;
        Some(denies.rule)
    }

    /// What to do about a cluster-wide policy that denies `what`, as a sentence.
    #[must_use]
    pub(crate) fn help_against(&self, denying: &Reason, what: &str) -> String {
        let policy = self.snapshot.policy(denying.policy);
        let name = &policy.name;
        match policy.tier() {
            Tier::Admin | Tier::NetworkPolicy => format!(
                "no NetworkPolicy can allow what `{name}` denies: let {what} through before that \
                 rule"
            ),
            Tier::Baseline => format!(
                "let {what} through before that rule of `{name}`, or isolate the pods and allow it \
                 in a NetworkPolicy"
            ),
        }
    }
}
