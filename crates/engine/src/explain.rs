//! One packet, explained: every policy that selects, the rule that decides, and for a
//! denial the smallest rule that would allow it.

use ringfence_model::policy::{Direction, Tier};
use ringfence_model::snapshot::PolicyId;
use ringfence_model::source::KeyPath;

use crate::packet::Verdict;

/// The verdict on one packet and everything that led to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Both sides together.
    pub verdict: Verdict,
    /// The source's egress.
    pub egress: Side,
    /// The destination's ingress.
    pub ingress: Side,
}

/// One side of a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    /// Egress or ingress.
    pub direction: Direction,
    /// The verdict of this side alone.
    pub verdict: Verdict,
    /// What decided it.
    pub decided_by: DecidedBy,
    /// Every policy that selects this end in this direction, in order of evaluation.
    pub reasons: Vec<Reason>,
}

/// What decided a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecidedBy {
    /// A rule of this tier, or for `NetworkPolicy` the absence of one (default deny of
    /// an isolated pod).
    Tier(Tier),
    /// No policy of any tier decides: Kubernetes allows by default.
    DefaultAllow,
    /// This end is not a pod, so that no policy applies to this side.
    NotAPod,
    /// This end is a host-networked pod: policies do not apply to it.
    HostNetwork,
    /// A pod talks to itself.
    SamePod,
    /// Traffic between a pod and its own node is allowed.
    OwnNode,
    /// Several outcomes are possible; the reasons say on what they depend.
    Undetermined,
}

/// What a policy, or one of its rules, does to the packet.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// The policy.
    pub policy: PolicyId,
    /// The index of the rule in the direction's list, from 0; `None` when the policy
    /// as a whole is meant (it isolates the pod, and no rule of it matches).
    pub rule: Option<usize>,
    /// What it does.
    pub effect: Effect,
    /// Whether this is what the verdict rests on.
    pub decisive: bool,
    /// Where in the policy: the rule, or the selector at fault.
    pub path: KeyPath,
    /// One sentence, such as `port 53/UDP matches and the pod is selected by ...`.
    pub text: String,
}

/// The effect of a policy or rule on one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It allows the packet (`NetworkPolicy` rule, `Accept`).
    Allows,
    /// It denies the packet (`Deny`).
    Denies,
    /// It hands the packet to the next tier (`Pass`).
    Passes,
    /// It isolates the pod and has no rule that matches.
    Isolates,
    /// It selects the pod, and none of its rules matches; no effect on the verdict.
    NoMatch,
    /// Whether it selects or matches is not known.
    MayMatch,
}
