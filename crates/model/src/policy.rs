//! The four policy families in one vocabulary.
//!
//! `NetworkPolicy` keeps its typed form from `k8s-openapi`. `ClusterNetworkPolicy`,
//! `AdminNetworkPolicy` and `BaselineAdminNetworkPolicy` say the same things in
//! three spellings and are read into [`TieredPolicy`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::networking::v1::NetworkPolicySpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::protocol::Protocol;
use crate::source::Origin;

/// Which API a policy was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PolicyFamily {
    /// `networking.k8s.io/v1` `NetworkPolicy`.
    NetworkPolicy,
    /// `policy.networking.k8s.io/v1alpha2` and `v1beta1` `ClusterNetworkPolicy`.
    ClusterNetworkPolicy,
    /// `policy.networking.k8s.io/v1alpha1` `AdminNetworkPolicy`.
    AdminNetworkPolicy,
    /// `policy.networking.k8s.io/v1alpha1` `BaselineAdminNetworkPolicy`.
    BaselineAdminNetworkPolicy,
}

impl PolicyFamily {
    /// Every family, in the order of a snapshot's policies.
    pub const ALL: [Self; 4] = [
        Self::NetworkPolicy,
        Self::ClusterNetworkPolicy,
        Self::AdminNetworkPolicy,
        Self::BaselineAdminNetworkPolicy,
    ];

    /// The `kind` as written in manifests.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::NetworkPolicy => "NetworkPolicy",
            Self::ClusterNetworkPolicy => "ClusterNetworkPolicy",
            Self::AdminNetworkPolicy => "AdminNetworkPolicy",
            Self::BaselineAdminNetworkPolicy => "BaselineAdminNetworkPolicy",
        }
    }

    /// Every `apiVersion` in which manifests of this family are read. They differ in name
    /// only.
    #[must_use]
    pub fn api_versions(self) -> &'static [&'static str] {
        match self {
            Self::NetworkPolicy => &["networking.k8s.io/v1"],
            // Version 0.3 of the API serves both, with one schema, and gives back `v1beta1`.
            Self::ClusterNetworkPolicy => &[
                "policy.networking.k8s.io/v1alpha2",
                "policy.networking.k8s.io/v1beta1",
            ],
            Self::AdminNetworkPolicy | Self::BaselineAdminNetworkPolicy => {
                &["policy.networking.k8s.io/v1alpha1"]
            }
        }
    }

    /// The `apiVersion` that we write: the one that most clusters serve.
    #[must_use]
    pub fn api_version(self) -> &'static str {
        match self {
            Self::NetworkPolicy => "networking.k8s.io/v1",
            Self::ClusterNetworkPolicy => "policy.networking.k8s.io/v1alpha2",
            Self::AdminNetworkPolicy | Self::BaselineAdminNetworkPolicy => {
                "policy.networking.k8s.io/v1alpha1"
            }
        }
    }
}

/// Where in the order of evaluation a policy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// Evaluated first.
    Admin,
    /// `NetworkPolicy`: final for the pods and directions it isolates.
    NetworkPolicy,
    /// Evaluated last.
    Baseline,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Admin => "Admin",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::Baseline => "Baseline",
        })
    }
}

/// The direction of a rule, as seen from the pod that the policy selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Connections that the pod opens.
    Egress,
    /// Connections that the pod accepts.
    Ingress,
}

impl Direction {
    /// The key of the rule list in a policy's `spec`.
    #[must_use]
    pub fn rules_key(self) -> &'static str {
        match self {
            Self::Egress => "egress",
            Self::Ingress => "ingress",
        }
    }

    /// The key of the peer list in a rule.
    #[must_use]
    pub fn peers_key(self) -> &'static str {
        match self {
            Self::Egress => "to",
            Self::Ingress => "from",
        }
    }

    /// The name as `policyTypes` writes it.
    #[must_use]
    pub fn policy_type(self) -> &'static str {
        match self {
            Self::Egress => "Egress",
            Self::Ingress => "Ingress",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.rules_key())
    }
}

/// A policy of any family.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The API it was written in.
    pub family: PolicyFamily,
    /// The namespace; `None` for the cluster-wide families.
    pub namespace: Option<Arc<str>>,
    /// `metadata.name`.
    pub name: Arc<str>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// What it says.
    pub body: PolicyBody,
    /// Where it was read from; `None` for a live object.
    pub origin: Option<Origin>,
}

impl Policy {
    /// The tier that the policy is evaluated in.
    #[must_use]
    pub fn tier(&self) -> Tier {
        match &self.body {
            PolicyBody::Network(_) => Tier::NetworkPolicy,
            PolicyBody::Tiered(policy) => policy.tier,
        }
    }

    /// `Kind ns/name`, or `Kind name` for a cluster-wide policy.
    #[must_use]
    pub fn display_name(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", self.family.kind(), self.name),
            None => format!("{} {}", self.family.kind(), self.name),
        }
    }
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyBody {
    /// A `NetworkPolicy`.
    Network(NetworkPolicySpec),
    /// One of the cluster-wide families.
    Tiered(TieredPolicy),
}

/// A cluster-wide policy with ordered rules.
#[derive(Clone, Debug, PartialEq)]
pub struct TieredPolicy {
    /// `Admin` or `Baseline`; never `NetworkPolicy`.
    pub tier: Tier,
    /// 0..=1000, lower first. A `BaselineAdminNetworkPolicy` has none: 0.
    pub priority: u16,
    /// The pods the policy applies to. Host-networked pods are never among them.
    pub subject: PodSelection,
    /// Ingress rules in order of precedence.
    pub ingress: Vec<TieredRule>,
    /// Egress rules in order of precedence.
    pub egress: Vec<TieredRule>,
}

impl TieredPolicy {
    /// The rules of one direction, in order of precedence.
    #[must_use]
    pub fn rules(&self, direction: Direction) -> &[TieredRule] {
        match direction {
            Direction::Egress => &self.egress,
            Direction::Ingress => &self.ingress,
        }
    }
}

/// A set of pods, by namespace and pod labels.
#[derive(Clone, Debug, PartialEq)]
pub enum PodSelection {
    /// All pods of the selected namespaces.
    Namespaces(LabelSelector),
    /// The selected pods of the selected namespaces.
    Pods {
        /// Selects namespaces.
        namespace_selector: LabelSelector,
        /// Selects pods in them.
        pod_selector: LabelSelector,
    },
}

/// What a cluster-wide rule does with traffic that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Allow; final. (`Accept` in `v1alpha2`, `Allow` in `v1alpha1`.)
    Accept,
    /// Drop; final.
    Deny,
    /// Leave this tier undecided.
    Pass,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Accept => "Accept",
            Self::Deny => "Deny",
            Self::Pass => "Pass",
        })
    }
}

/// One rule of a cluster-wide policy.
#[derive(Clone, Debug, PartialEq)]
pub struct TieredRule {
    /// `name`, or empty.
    pub name: String,
    /// What happens to matching traffic.
    pub action: Action,
    /// The peers, any of which may match.
    pub peers: Vec<TieredPeer>,
    /// The protocol matches, any of which may match; `None` matches all traffic.
    pub ports: Option<Vec<TieredPort>>,
}

/// One peer of a cluster-wide rule.
#[derive(Clone, Debug, PartialEq)]
pub enum TieredPeer {
    /// Pods by selectors.
    Pods(PodSelection),
    /// The addresses of nodes (experimental, egress only).
    Nodes(LabelSelector),
    /// CIDRs; they match pod addresses too (egress only).
    Networks(Vec<String>),
    /// Domain names (experimental, egress `Accept` only).
    DomainNames(Vec<String>),
    /// No field that this version knows: the rule fails closed.
    Unrecognized,
}

/// One protocol match of a cluster-wide rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TieredPort {
    /// Ports `start..=end` of `protocol`; the whole range when none was given.
    Range {
        /// The protocol.
        protocol: Protocol,
        /// First port.
        start: u16,
        /// Last port, inclusive.
        end: u16,
    },
    /// A named container port, of whatever protocol the container declares.
    Named(String),
}
