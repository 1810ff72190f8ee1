//! One packet, explained: every policy that selects, the rule that decides, and for a
//! denial the smallest rule that would allow it.

mod manifest;
mod suggest;
mod text;

pub use suggest::{Suggester, Suggestion, pod_selector, suggest};

use ringfence_model::policy::{Direction, Tier};
use ringfence_model::snapshot::{PolicyId, Snapshot};
use ringfence_model::source::KeyPath;
use ringfence_model::tri::Tri;

use crate::oracle::{Oracle, SideDecision, Step};
use crate::packet::{Packet, Peer, Verdict};
use crate::profile::Profile;

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
    /// Whether the other end may be the node of this one: a pod and its own node reach
    /// each other whatever policies say.
    pub may_be_own_node: bool,
    /// The node whose address this end has, where it is no pod.
    pub node: Option<String>,
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
    /// Whether this is what the side's verdict rests on.
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

/// Judges a packet and says why.
///
/// Rules that miss on both peers and ports are left out of the reasons; rules that
/// match on one of them are near misses and are kept.
#[must_use]
pub fn explain(snapshot: &Snapshot, profile: &Profile, packet: &Packet) -> Explanation {
    let decision = Oracle::new(snapshot, *profile).judge(packet);
    let side = |direction, decision: SideDecision| Side {
        direction,
        verdict: decision.verdict,
        decided_by: decision.decided_by,
        may_be_own_node: decision.may_be_own_node,
        node: node_at(
            snapshot,
            match direction {
                Direction::Egress => packet.source,
                Direction::Ingress => packet.destination,
            },
        ),
        reasons: decision
            .steps
            .iter()
            .filter(|step| is_worth_saying(step))
            .map(|step| Reason {
                policy: step.policy,
                rule: step.rule,
                effect: effect(step),
                decisive: is_decisive(snapshot, &decision, step),
                path: path(direction, step),
                text: text::one_line(&text::step(snapshot, profile, packet, direction, step)),
            })
            .collect(),
    };
    Explanation {
        verdict: decision.verdict,
        egress: side(Direction::Egress, decision.egress),
        ingress: side(Direction::Ingress, decision.ingress),
    }
}

fn node_at(snapshot: &Snapshot, end: Peer) -> Option<String> {
    match end {
        Peer::Pod(_) => None,
        Peer::Address(address) => snapshot.node_name_with_address(address).map(str::to_owned),
    }
}

fn is_worth_saying(step: &Step) -> bool {
    step.effect != Effect::NoMatch || step.peers.possible() || step.ports.possible()
}

fn effect(step: &Step) -> Effect {
    match step.effect {
        Effect::NoMatch => Effect::NoMatch,
        _ if step.selects == Tri::Unknown => Effect::MayMatch,
        Effect::Isolates => Effect::Isolates,
        _ if step.matches() == Tri::Unknown => Effect::MayMatch,
        certain => certain,
    }
}

/// A step is decisive when it is of the tier that decided and does what was decided;
/// when nothing was decided for sure, when it is not certain itself or decides.
fn is_decisive(snapshot: &Snapshot, side: &SideDecision, step: &Step) -> bool {
    let effect = effect(step);
    match side.decided_by {
        DecidedBy::Tier(tier) => {
            snapshot.policy(step.policy).tier() == tier
                && match side.verdict {
                    Verdict::Allowed => effect == Effect::Allows,
                    Verdict::Denied => matches!(effect, Effect::Denies | Effect::Isolates),
                    Verdict::Unknown => effect != Effect::NoMatch,
                }
        }
        DecidedBy::Undetermined => !matches!(effect, Effect::NoMatch | Effect::Passes),
        _ => false,
    }
}

/// Where the step is written in its policy.
fn path(direction: Direction, step: &Step) -> KeyPath {
    let spec = KeyPath::root().key("spec");
    match step.rule {
        Some(rule) => spec.key(direction.rules_key()).index(rule),
        None => spec.key("podSelector"),
    }
}
