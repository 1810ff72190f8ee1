//! The naive reading of the specification.
//!
//! One packet at a time, no index, no cache, no set arithmetic: each function is one
//! paragraph of the specification and says which. Slow on purpose. The fast path in
//! [`Engine`](crate::Engine) is tested against it, and explanations are made from its
//! steps. Nothing here may be used by the fast path.

mod network_policy;
mod peers;
mod services;
mod tiered;

use ringfence_model::policy::{Direction, PolicyBody, PolicyFamily, Tier};
use ringfence_model::snapshot::{Pod, PodKind, PolicyId, Snapshot};
use ringfence_model::tri::Tri;

use crate::explain::{DecidedBy, Effect};
use crate::packet::{Packet, Peer, Verdict};
use crate::profile::Profile;

/// Judges packets by reading every policy, every time.
#[derive(Clone, Copy, Debug)]
pub struct Oracle<'a> {
    snapshot: &'a Snapshot,
    profile: Profile,
}

/// The verdict on one packet, with every step that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Both sides together.
    pub verdict: Verdict,
    /// The source's egress.
    pub egress: SideDecision,
    /// The destination's ingress.
    pub ingress: SideDecision,
}

/// The verdict of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideDecision {
    /// The verdict of this side alone.
    pub verdict: Verdict,
    /// What decided it.
    pub decided_by: DecidedBy,
    /// Whether the other end may be the node of this one, so that policies may not matter.
    pub may_be_own_node: bool,
    /// What each policy that selects, or may select, this end does, in the order of
    /// evaluation. Policies of a tier that was not reached are left out.
    pub steps: Vec<Step>,
}

/// What one policy, or one of its rules, does to the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The policy.
    pub policy: PolicyId,
    /// The rule's index in its direction's list; `None` for the policy as a whole.
    pub rule: Option<usize>,
    /// What it does if it selects and matches.
    pub effect: Effect,
    /// Whether the policy selects this end.
    pub selects: Tri,
    /// Whether the rule's peers match the other end; for a policy as a whole, whether
    /// some rule matches.
    pub peers: Tri,
    /// Whether the rule's ports match; for a policy as a whole, as `peers`.
    pub ports: Tri,
}

impl Step {
    /// Whether the rule matches the packet.
    #[must_use]
    pub fn matches(&self) -> Tri {
        self.peers.and(self.ports)
    }
}

/// The outcomes that are possible at some stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Possible {
    accept: bool,
    deny: bool,
    /// The tier is left by a `Pass`.
    pass: bool,
    /// Nothing matched.
    undecided: bool,
}

impl Possible {
    const UNDECIDED: Self = Self {
        accept: false,
        deny: false,
        pass: false,
        undecided: true,
    };
}

/// One side of the packet, from the point of view of the pod that policies select.
#[derive(Clone, Copy, Debug)]
struct Question<'a> {
    packet: &'a Packet,
    direction: Direction,
    /// The pod whose policies are asked.
    subject: &'a Pod,
    /// The other end.
    other: Peer,
}

impl<'a> Oracle<'a> {
    /// An oracle for this snapshot and profile.
    #[must_use]
    pub fn new(snapshot: &'a Snapshot, profile: Profile) -> Self {
        Self { snapshot, profile }
    }

    /// Judges a packet: a connection needs both sides (NetworkPolicy rule 8).
    #[must_use]
    pub fn judge(&self, packet: &Packet) -> Decision {
        let egress = self.side(packet, Direction::Egress);
        let ingress = self.side(packet, Direction::Ingress);
        Decision {
            verdict: egress.verdict.both(ingress.verdict),
            egress,
            ingress,
        }
    }

    fn side(&self, packet: &Packet, direction: Direction) -> SideDecision {
        let (subject, other) = match direction {
            Direction::Egress => (packet.source, packet.destination),
            Direction::Ingress => (packet.destination, packet.source),
        };
        let settled = |decided_by| SideDecision {
            verdict: Verdict::Allowed,
            decided_by,
            may_be_own_node: false,
            steps: Vec::new(),
        };
        let Peer::Pod(id) = subject else {
            return settled(DecidedBy::NotAPod);
        };
        let pod = self.snapshot.pod(id);
        // Rule 11: host-networked pods are in no subject.
        if pod.host_network {
            return settled(DecidedBy::HostNetwork);
        }
        // Rule 10: a pod reaches itself. A template is several pods. Through a Service,
        // cluster-wide policies are asked all the same (ClusterNetworkPolicy rule 9).
        if subject == other && pod.kind != PodKind::Template && packet.through_service.is_none() {
            return settled(DecidedBy::SamePod);
        }
        let question = Question {
            packet,
            direction,
            subject: pod,
            other,
        };
        // The address of a Service is no node's.
        let own_node = match self.service_seen(&question) {
            Some(_) => Tri::No,
            None => self.own_node(pod, other, direction),
        };
        if own_node.certain() {
            return settled(DecidedBy::OwnNode);
        }
        self.by_policies(&question, own_node)
    }

    /// Rule 10: a node reaches its pods, and a pod its node unless the profile says
    /// otherwise.
    fn own_node(&self, pod: &Pod, other: Peer, direction: Direction) -> Tri {
        if direction == Direction::Egress && !self.profile.pod_reaches_own_node {
            return Tri::No;
        }
        self.on_node_of(pod, other)
    }

    /// Whether `other` has the address of the node that `pod` runs on.
    fn on_node_of(&self, pod: &Pod, other: Peer) -> Tri {
        let node = match other {
            Peer::Pod(id) => {
                let other = self.snapshot.pod(id);
                if !other.host_network {
                    return Tri::No;
                }
                other.node.as_deref()
            }
            Peer::Address(address) => match self.snapshot.node_name_with_address(address) {
                Some(node) => Some(node),
                None => return Tri::No,
            },
        };
        match (pod.node.as_deref(), node) {
            (Some(a), Some(b)) => Tri::from(a == b),
            _ => Tri::Unknown,
        }
    }

    /// The tiers in order: Admin, NetworkPolicy, Baseline, default allow
    /// (ClusterNetworkPolicy rule 1).
    fn by_policies(&self, question: &Question<'_>, own_node: Tri) -> SideDecision {
        let mut steps = Vec::new();
        let mut allow = own_node.possible();
        let mut deny = false;
        let mut decided_by = Vec::new();
        let mut open = true;
        for tier in [Tier::Admin, Tier::NetworkPolicy, Tier::Baseline] {
            if !open {
                break;
            }
            let hairpin =
                question.packet.is_hairpin() && question.subject.kind != PodKind::Template;
            let possible = match tier {
                Tier::NetworkPolicy if hairpin => Possible::UNDECIDED,
                Tier::NetworkPolicy => self.network_policies(question, &mut steps),
                Tier::Admin | Tier::Baseline => self.tier(tier, question, &mut steps),
            };
            allow |= possible.accept;
            deny |= possible.deny;
            open = possible.undecided || possible.pass;
            if possible.accept || possible.deny {
                decided_by.push(DecidedBy::Tier(tier));
            }
        }
        if open {
            allow = true;
            decided_by.push(DecidedBy::DefaultAllow);
        }
        let decided_by = match (decided_by.as_slice(), allow && deny) {
            ([only], false) => *only,
            (_, true) => DecidedBy::Undetermined,
            // Several could, and all with one outcome: the last is what makes it certain.
            ([.., last], false) => *last,
            ([], false) => DecidedBy::DefaultAllow,
        };
        SideDecision {
            verdict: Verdict::from_possible(allow, deny),
            decided_by,
            may_be_own_node: own_node.possible(),
            steps,
        }
    }

    /// The policies of one tier and their indices, `BaselineAdminNetworkPolicy` apart
    /// from `ClusterNetworkPolicy` when `family` says so.
    fn tiered_policies(
        &self,
        tier: Tier,
        baseline_admin: bool,
    ) -> Vec<(PolicyId, &'a ringfence_model::policy::TieredPolicy)> {
        let snapshot = self.snapshot;
        let mut policies: Vec<_> = snapshot
            .policy_ids()
            .filter(|(_, p)| {
                (p.family == PolicyFamily::BaselineAdminNetworkPolicy) == baseline_admin
            })
            .filter_map(|(id, policy)| match &policy.body {
                PolicyBody::Tiered(tiered) if tiered.tier == tier => Some((id, tiered)),
                _ => None,
            })
            .collect();
        policies.sort_by_key(|(id, policy)| (policy.priority, *id));
        policies
    }
}
