//! Policies that are in the input and that no verdict counts: those that could not be
//! read, and those of kinds that are not evaluated, such as Cilium's and Calico's. What
//! such a policy may change is not known, and must not be told as if it were.
//!
//! Nothing but kind, namespace and name of them is known. A `NetworkPolicy` decides in its
//! tier; one of another kind may come before everything else, and decide either way.

mod hedge;
mod limits;
mod questions;

pub(crate) use hedge::hedge;
pub(crate) use limits::{Doubt, Limits, Outside};
pub(crate) use questions::{concerning_pods, how, questions};

use std::collections::BTreeMap;
use std::fmt;

use ringfence_engine::explain::{DecidedBy, Side, explain};
use ringfence_engine::{Packet, Peer, Profile, Verdict};
use ringfence_model::diagnostic::{Diagnostic, Severity};
use ringfence_model::object::ObjectRef;
use ringfence_model::policy::{PolicyFamily, Tier};
use ringfence_model::snapshot::{NamespaceId, Pod, Snapshot, WorkloadId};

/// Why verdicts do not count a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Why {
    /// It could not be read.
    NotRead,
    /// It is of a kind that is not evaluated.
    NotEvaluated,
}

impl Why {
    /// The end of a sentence that begins with the policy.
    #[must_use]
    pub fn says(self) -> &'static str {
        match self {
            Self::NotRead => "could not be read",
            Self::NotEvaluated => "is not evaluated",
        }
    }
}

/// A policy that verdicts do not count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotCountedPolicy {
    /// Kind, namespace and name; the namespace is the one that it would be applied to.
    pub name: String,
    /// Why it is not counted.
    pub why: Why,
    /// What it is taken for: the tiers in which it may decide.
    family: PolicyFamily,
    /// The object as the reader of the input names it.
    object: ObjectRef,
}

impl NotCountedPolicy {
    /// Whether a problem of the input, or a finding, is about this policy.
    #[must_use]
    pub fn is(&self, object: &ObjectRef) -> bool {
        self.object == *object
    }

    /// Whether it may decide before the policies of namespaces do.
    #[must_use]
    pub fn is_before_namespaces(&self) -> bool {
        matches!(
            self.family,
            PolicyFamily::ClusterNetworkPolicy | PolicyFamily::AdminNetworkPolicy
        )
    }

    /// Whether it is a `NetworkPolicy`.
    #[must_use]
    pub fn is_network_policy(&self) -> bool {
        self.family == PolicyFamily::NetworkPolicy
    }

    /// The name and why it is not counted: the beginning of a sentence.
    #[must_use]
    pub fn says(&self) -> String {
        format!("{} {}", self.name, self.why.says())
    }

    /// Whether it could decide a side of a connection. Of several packets that share a
    /// verdict (not `is_single`) each may have it for another reason.
    fn could_decide(&self, side: &Side, pod: &Pod, is_single: bool) -> bool {
        if pod.host_network {
            return false;
        }
        let decided_in = match side.decided_by {
            DecidedBy::NotAPod | DecidedBy::HostNetwork => return false,
            _ if !is_single => return true,
            DecidedBy::SamePod | DecidedBy::OwnNode => return false,
            DecidedBy::DefaultAllow | DecidedBy::Undetermined => return true,
            DecidedBy::Tier(tier) => tier,
        };
        // A tier is asked only when those before it have not decided.
        let first = match self.family {
            PolicyFamily::ClusterNetworkPolicy | PolicyFamily::AdminNetworkPolicy => Tier::Admin,
            PolicyFamily::NetworkPolicy => Tier::NetworkPolicy,
            PolicyFamily::BaselineAdminNetworkPolicy => Tier::Baseline,
        };
        // Of NetworkPolicies one that allows is enough; whatever else is there, it stays.
        let is_settled = decided_in == Tier::NetworkPolicy && side.verdict == Verdict::Allowed;
        first < decided_in || (first == decided_in && !is_settled)
    }
}

impl fmt::Display for NotCountedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why {
            Why::NotRead => f.write_str(&self.name),
            Why::NotEvaluated => write!(f, "{} (not evaluated)", self.name),
        }
    }
}

/// The policies of an input that verdicts do not count, by whose pods they may select.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotCounted {
    cluster_wide: Vec<NotCountedPolicy>,
    of_namespace: BTreeMap<String, Vec<NotCountedPolicy>>,
}

impl NotCounted {
    /// As far as the diagnostics know what was left out.
    #[must_use]
    pub fn new(diagnostics: &[Diagnostic], default_namespace: &str) -> Self {
        let mut all = Self::default();
        for diagnostic in diagnostics {
            let Some(object) = &diagnostic.object else {
                continue;
            };
            if diagnostic.code == "unsupported-policy" && limits_connections(&object.kind) {
                // Of some makers for one namespace, of some for the whole cluster.
                let namespace = object.namespace.as_deref();
                let namespace = namespace.filter(|_| !is_cluster_wide(&object.kind));
                let policy = NotCountedPolicy {
                    name: object.to_string(),
                    why: Why::NotEvaluated,
                    family: PolicyFamily::ClusterNetworkPolicy,
                    object: object.clone(),
                };
                all.add(namespace, policy);
            } else if diagnostic.severity == Severity::Error && diagnostic.left_out.is_some() {
                let Some(family) = family_of(diagnostic, object) else {
                    continue;
                };
                let default = object.namespace.as_deref().unwrap_or(default_namespace);
                let namespace = (family == PolicyFamily::NetworkPolicy).then_some(default);
                let place = namespace.map_or_else(String::new, |name| format!("{name}/"));
                let policy = NotCountedPolicy {
                    name: format!("{} {place}{}", object.kind, object.name),
                    why: Why::NotRead,
                    family,
                    object: object.clone(),
                };
                all.add(namespace, policy);
            }
        }
        all
    }

    fn add(&mut self, namespace: Option<&str>, policy: NotCountedPolicy) {
        let list = match namespace {
            Some(namespace) => self.of_namespace.entry(namespace.to_owned()).or_default(),
            None => &mut self.cluster_wide,
        };
        if !list.contains(&policy) {
            list.push(policy);
        }
    }

    /// Whether every policy of the input counts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cluster_wide.is_empty() && self.of_namespace.is_empty()
    }

    /// Those that may select pods of every namespace.
    #[must_use]
    pub fn cluster_wide(&self) -> &[NotCountedPolicy] {
        &self.cluster_wide
    }

    /// Those that may select pods of one namespace and no others, by its name.
    pub fn of_namespaces(&self) -> impl Iterator<Item = (&str, &[NotCountedPolicy])> {
        let all = self.of_namespace.iter();
        all.map(|(namespace, policies)| (&**namespace, policies.as_slice()))
    }

    /// Those that may select pods of the namespace of this name, cluster-wide ones first.
    pub fn in_namespace<'s>(&'s self, name: &str) -> impl Iterator<Item = &'s NotCountedPolicy> {
        let own = self.of_namespace.get(name).into_iter().flatten();
        self.cluster_wide.iter().chain(own)
    }

    /// The same for a namespace of a snapshot.
    pub fn about<'s>(
        &'s self,
        snapshot: &Snapshot,
        namespace: NamespaceId,
    ) -> impl Iterator<Item = &'s NotCountedPolicy> + use<'s> {
        let own = self.of_namespace.get(&*snapshot.namespace(namespace).name);
        self.cluster_wide.iter().chain(own.into_iter().flatten())
    }

    /// Whether such a policy may select a pod of a workload.
    #[must_use]
    pub fn may_select(&self, snapshot: &Snapshot, id: WorkloadId) -> bool {
        let workload = snapshot.workload(id);
        let mut pods = workload.pod_ids().map(|pod| snapshot.pod(pod));
        !self.is_empty()
            && pods.any(|pod| !pod.host_network)
            && self.about(snapshot, workload.namespace).next().is_some()
    }

    /// The policies that could give a packet another verdict, ascending. It may stand for
    /// several packets that share a verdict, and is not `is_single` then.
    #[must_use]
    pub fn could_change(
        &self,
        snapshot: &Snapshot,
        profile: &Profile,
        packet: &Packet,
        is_single: bool,
    ) -> Vec<&NotCountedPolicy> {
        let mut ends = [packet.source, packet.destination].into_iter();
        let may_be_selected = |end: Peer| match end {
            Peer::Pod(id) => {
                let namespace = snapshot.pod(id).namespace;
                self.about(snapshot, namespace).next().is_some()
            }
            Peer::Address(_) => false,
        };
        if self.is_empty() || !ends.any(may_be_selected) {
            return Vec::new();
        }
        let explanation = explain(snapshot, profile, packet);
        let of_side = |side: &Side, end: Peer| -> Vec<&NotCountedPolicy> {
            let Peer::Pod(id) = end else {
                return Vec::new();
            };
            let pod = snapshot.pod(id);
            let policies = self.about(snapshot, pod.namespace);
            policies
                .filter(|policy| policy.could_decide(side, pod, is_single))
                .collect()
        };
        let egress = of_side(&explanation.egress, packet.source);
        let ingress = of_side(&explanation.ingress, packet.destination);
        let stays_denied = |side: &Side, doubts: &[&NotCountedPolicy]| {
            is_single && side.verdict == Verdict::Denied && doubts.is_empty()
        };
        if stays_denied(&explanation.egress, &egress)
            || stays_denied(&explanation.ingress, &ingress)
        {
            return Vec::new();
        }
        let mut all = [egress, ingress].concat();
        all.sort();
        all.dedup();
        all
    }
}

/// Whether policies of a kind limit connections by address and port. Those of service
/// meshes decide about requests, and only where a proxy sees them.
fn limits_connections(kind: &str) -> bool {
    kind.ends_with("NetworkPolicy") || kind == "EgressFirewall"
}

/// Whether a kind of another maker has no namespace, whatever is written in an object.
fn is_cluster_wide(kind: &str) -> bool {
    kind.starts_with("Global") || kind.contains("Cluster")
}

/// What a policy that could not be read is, or was meant to be.
fn family_of(diagnostic: &Diagnostic, object: &ObjectRef) -> Option<PolicyFamily> {
    let find = |kind: &str| PolicyFamily::ALL.into_iter().find(|f| f.kind() == kind);
    find(&object.kind).or_else(|| match diagnostic.code {
        "unknown-kind" => find(diagnostic.replacement.as_deref()?),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(code: &'static str, severity: Severity, object: ObjectRef) -> Diagnostic {
        Diagnostic {
            severity,
            code,
            message: String::new(),
            object: Some(object),
            primary: None,
            related: Vec::new(),
            help: None,
            replacement: None,
            left_out: Some("this policy was left out".to_owned()),
        }
    }

    fn object(kind: &str, namespace: Option<&str>, name: &str) -> ObjectRef {
        ObjectRef {
            api_version: "v1".into(),
            kind: kind.into(),
            namespace: namespace.map(Into::into),
            name: name.into(),
        }
    }

    fn listed(diagnostics: &[Diagnostic]) -> Vec<String> {
        let all = NotCounted::new(diagnostics, "staging");
        let of_namespaces = all.of_namespaces().flat_map(|(namespace, policies)| {
            policies.iter().map(move |p| format!("{namespace}: {p}"))
        });
        let cluster_wide = all.cluster_wide().iter().map(|p| format!("all: {p}"));
        cluster_wide.chain(of_namespaces).collect()
    }

    #[test]
    fn policies_of_other_makers_are_known_by_their_kinds() {
        let foreign = |kind, namespace| {
            left_out(
                "unsupported-policy",
                Severity::Warning,
                object(kind, namespace, "p"),
            )
        };
        assert_eq!(
            listed(&[
                foreign("CiliumNetworkPolicy", Some("shop")),
                foreign("GlobalNetworkPolicy", None),
                foreign("CiliumClusterwideNetworkPolicy", Some("shop")),
                foreign("EgressFirewall", Some("shop")),
                foreign("AuthorizationPolicy", Some("shop")),
            ]),
            [
                "all: GlobalNetworkPolicy p (not evaluated)",
                "all: CiliumClusterwideNetworkPolicy shop/p (not evaluated)",
                "shop: CiliumNetworkPolicy shop/p (not evaluated)",
                "shop: EgressFirewall shop/p (not evaluated)",
            ]
        );
    }

    #[test]
    fn policies_that_could_not_be_read_are_in_the_namespace_they_would_be_applied_to() {
        let broken = |kind, namespace| {
            left_out(
                "unknown-value",
                Severity::Error,
                object(kind, namespace, "p"),
            )
        };
        let misspelt = Diagnostic {
            replacement: Some("NetworkPolicy".to_owned()),
            ..left_out(
                "unknown-kind",
                Severity::Error,
                object("NetworkPolcy", None, "q"),
            )
        };
        assert_eq!(
            listed(&[
                broken("NetworkPolicy", None),
                broken("NetworkPolicy", None),
                broken("ClusterNetworkPolicy", None),
                broken("Deployment", Some("shop")),
                misspelt,
            ]),
            [
                "all: ClusterNetworkPolicy p",
                "staging: NetworkPolicy staging/p",
                "staging: NetworkPolcy staging/q",
            ]
        );
    }
}
