use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringfence_model::diagnostic::Severity;
use ringfence_model::k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ringfence_model::labels::METADATA_NAME;
use ringfence_model::policy::{Direction, Policy, PolicyBody, PolicyFamily};
use ringfence_model::snapshot::Snapshot;

use super::Proposal;
use super::request::PortRange;
use crate::context::Context;

/// The label that says who wrote a policy.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "ringfence");

/// The annotation that says what a policy is for.
const DESCRIPTION: &str = "description";

/// The annotation that says which findings are meant.
const IGNORE: &str = "ringfence.dev/ignore";

/// A policy that is not there yet.
#[derive(Clone, Debug, PartialEq)]
pub struct ProposedPolicy {
    /// What somebody who reads the manifest should know; a paragraph each.
    pub comment: Vec<String>,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// The rest of it.
    pub policy: Policy,
}

impl ProposedPolicy {
    /// A policy with what all of them have. `body` is what it says.
    pub(super) fn new(
        family: PolicyFamily,
        namespace: Option<&str>,
        name: &str,
        description: &str,
        body: PolicyBody,
    ) -> Self {
        let (key, value) = MANAGED_BY;
        Self {
            comment: Vec::new(),
            labels: [(key.to_owned(), value.to_owned())].into(),
            policy: Policy {
                family,
                namespace: namespace.map(Arc::from),
                name: object_name(name).into(),
                annotations: [(DESCRIPTION.to_owned(), description.to_owned())].into(),
                body,
                origin: None,
            },
        }
    }

    /// A `NetworkPolicy`.
    pub(super) fn network(
        namespace: &str,
        name: &str,
        description: &str,
        spec: NetworkPolicySpec,
    ) -> Self {
        Self::new(
            PolicyFamily::NetworkPolicy,
            Some(namespace),
            name,
            description,
            PolicyBody::Network(spec),
        )
    }

    /// With a paragraph of comment.
    pub(super) fn saying(mut self, paragraph: impl Into<String>) -> Self {
        self.comment.push(paragraph.into());
        self
    }

    /// With findings that are meant: each a code and the reason, in which there is no `;`.
    pub(super) fn ignoring(mut self, findings: &[&str]) -> Self {
        let annotations = &mut self.policy.annotations;
        annotations.insert(IGNORE.to_owned(), findings.join("; "));
        self
    }
}

/// A valid object name: at most 253 characters, ending in a letter or digit.
fn object_name(text: &str) -> &str {
    const LONGEST: usize = 253;
    let cut = text.get(..LONGEST).unwrap_or(text);
    cut.trim_end_matches(|c: char| !c.is_ascii_alphanumeric())
}

/// A policy for egress.
pub(super) fn egress(
    pod_selector: LabelSelector,
    rules: Vec<NetworkPolicyEgressRule>,
) -> NetworkPolicySpec {
    NetworkPolicySpec {
        pod_selector: Some(pod_selector),
        policy_types: Some(vec![Direction::Egress.policy_type().to_owned()]),
        egress: Some(rules),
        ingress: None,
    }
}

/// A policy for ingress.
pub(super) fn ingress(
    pod_selector: LabelSelector,
    rules: Vec<NetworkPolicyIngressRule>,
) -> NetworkPolicySpec {
    NetworkPolicySpec {
        pod_selector: Some(pod_selector),
        policy_types: Some(vec![Direction::Ingress.policy_type().to_owned()]),
        egress: None,
        ingress: Some(rules),
    }
}

/// A selector of labels; without any it selects everything.
pub(super) fn selector(labels: &BTreeMap<String, String>) -> LabelSelector {
    LabelSelector {
        match_labels: (!labels.is_empty()).then(|| labels.clone()),
        match_expressions: None,
    }
}

/// Pods of a namespace by their labels, from anywhere.
pub(super) fn pods_of(namespace: &str, pods: LabelSelector) -> NetworkPolicyPeer {
    let name = (METADATA_NAME.to_owned(), namespace.to_owned());
    NetworkPolicyPeer {
        namespace_selector: Some(selector(&[name].into())),
        pod_selector: Some(pods),
        ip_block: None,
    }
}

/// Pods of the policy's own namespace.
pub(super) fn pods(pods: LabelSelector) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        pod_selector: Some(pods),
        ..NetworkPolicyPeer::default()
    }
}

/// A block of addresses without some of them.
pub(super) fn block(cidr: impl ToString, except: Vec<String>) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        ip_block: Some(IPBlock {
            cidr: cidr.to_string(),
            except: (!except.is_empty()).then_some(except),
        }),
        ..NetworkPolicyPeer::default()
    }
}

/// The ports of a rule.
pub(super) fn ports(ranges: impl IntoIterator<Item = PortRange>) -> Option<Vec<NetworkPolicyPort>> {
    let port = |range: PortRange| NetworkPolicyPort {
        protocol: Some(range.protocol.as_str().to_owned()),
        port: Some(IntOrString::Int(i32::from(range.start))),
        end_port: (range.end != range.start).then(|| i32::from(range.end)),
    };
    Some(ranges.into_iter().map(port).collect())
}

/// A rule for egress.
pub(super) fn to(
    peers: Vec<NetworkPolicyPeer>,
    ports: Option<Vec<NetworkPolicyPort>>,
) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule {
        to: Some(peers),
        ports,
    }
}

/// A rule for ingress.
pub(super) fn from(
    peers: Vec<NetworkPolicyPeer>,
    ports: Option<Vec<NetworkPolicyPort>>,
) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule {
        from: Some(peers),
        ports,
    }
}

/// The names that policies have already.
pub(super) struct Names<'a> {
    snapshot: &'a Snapshot,
    taken: BTreeSet<(PolicyFamily, Option<Arc<str>>, Arc<str>)>,
}

impl<'a> Names<'a> {
    /// Those of a cluster, of policies that were left out of it too.
    pub(super) fn of(context: &Context<'a>) -> Self {
        let policies = context.snapshot.policies.iter();
        let applied_to = context.options.applied_to.as_deref().unwrap_or("default");
        let diagnosed = context.diagnostics.iter();
        let left_out = diagnosed.filter(|d| d.severity == Severity::Error && d.left_out.is_some());
        let left_out = left_out.filter_map(|diagnostic| {
            let object = diagnostic.object.as_ref()?;
            let mut families = PolicyFamily::ALL.into_iter();
            let family = families.find(|family| family.kind() == &*object.kind)?;
            let namespace = match family {
                PolicyFamily::NetworkPolicy => {
                    let own = object.namespace.clone();
                    Some(own.unwrap_or_else(|| applied_to.into()))
                }
                _ => None,
            };
            Some((family, namespace, Arc::clone(&object.name)))
        });
        Self {
            snapshot: context.snapshot,
            taken: policies.map(key).chain(left_out).collect(),
        }
    }

    /// Sees to it that no two policies have one name. A policy of the cluster keeps its
    /// name when something is added to it; otherwise it is said that it is replaced.
    pub(super) fn settle(mut self, patch: bool, proposal: &mut Proposal) {
        let mut new = BTreeSet::new();
        for proposed in &mut proposal.policies {
            let policy = &mut proposed.policy;
            let old = key(policy);
            let is_there = self.taken.contains(&old);
            let is_read = self.snapshot.policies.iter().any(|p| key(p) == old);
            let is_equal = |there: &&Policy| key(there) == old && there.body == policy.body;
            if is_there && !patch && !self.snapshot.policies.iter().any(|p| is_equal(&p)) {
                proposal.notes.push(format!(
                    "{} is in the input and says something else: applying this one replaces it \
                     (--patch writes only what is missing)",
                    policy.display_name()
                ));
            }
            if (is_there && patch) || new.contains(&old) {
                policy.name = self.free(policy, &new);
                if is_there && patch {
                    let why = match is_read {
                        true => "does not do what its name says",
                        false => "could not be read",
                    };
                    proposal.notes.push(format!(
                        "{} {why}, and stays: what is missing is called {}",
                        display_name(&old),
                        policy.name
                    ));
                }
            }
            new.insert(key(policy));
        }
        self.taken.clear();
    }

    fn free(&self, policy: &Policy, new: &BTreeSet<Key>) -> Arc<str> {
        let candidates = (0u32..).map(|number| match number {
            0 => format!("ringfence-{}", policy.name),
            number => format!("ringfence-{}-{}", policy.name, number + 1),
        });
        for candidate in candidates.take(usize::from(u16::MAX)) {
            let name: Arc<str> = object_name(&candidate).into();
            let candidate = (policy.family, policy.namespace.clone(), Arc::clone(&name));
            if !self.taken.contains(&candidate) && !new.contains(&candidate) {
                return name;
            }
        }
        Arc::clone(&policy.name)
    }
}

type Key = (PolicyFamily, Option<Arc<str>>, Arc<str>);

fn key(policy: &Policy) -> Key {
    (
        policy.family,
        policy.namespace.clone(),
        Arc::clone(&policy.name),
    )
}

fn display_name((family, namespace, name): &Key) -> String {
    match namespace {
        Some(namespace) => format!("{} {namespace}/{name}", family.kind()),
        None => format!("{} {name}", family.kind()),
    }
}
