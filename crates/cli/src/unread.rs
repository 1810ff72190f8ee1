//! Policies that are in the input and could not be read, or are of kinds that are not
//! evaluated: whatever they could change is not known, and must not be told as if it were.

use std::collections::BTreeMap;

use ringfence_advisor::unjudged;
use ringfence_engine::explain::{DecidedBy, Side, explain};
use ringfence_engine::reach::{End, Reachability};
use ringfence_engine::sets::PortSet;
use ringfence_engine::{Peer, Profile, Verdict};
use ringfence_model::diagnostic::{Diagnostic, Severity};
use ringfence_model::policy::{PolicyFamily, Tier};
use ringfence_model::snapshot::{NamespaceId, Pod, Snapshot, WorkloadId};

use crate::entry_points::EntryPoint;
use crate::packets::Outcome;

/// A policy that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Policy {
    /// Kind, namespace and name.
    name: String,
    /// The tiers that it may be in.
    family: PolicyFamily,
}

/// What stands after the name of a policy of a kind that is not evaluated.
const NOT_EVALUATED: &str = " (not evaluated)";

/// The policies that were left out because of an error, or of their kind.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    cluster_wide: Vec<Policy>,
    of_namespace: BTreeMap<String, Vec<Policy>>,
}

const FAMILIES: [PolicyFamily; 4] = [
    PolicyFamily::NetworkPolicy,
    PolicyFamily::ClusterNetworkPolicy,
    PolicyFamily::AdminNetworkPolicy,
    PolicyFamily::BaselineAdminNetworkPolicy,
];

impl Unread {
    /// As far as the diagnostics know what was left out.
    pub(crate) fn new(diagnostics: &[Diagnostic], default_namespace: &str) -> Self {
        let mut unread = Self::default();
        let left_out = diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error && d.left_out.is_some());
        for object in left_out.filter_map(|diagnostic| diagnostic.object.as_ref()) {
            let family = FAMILIES.into_iter().find(|f| f.kind() == &*object.kind);
            let Some(family) = family else { continue };
            let namespace = object.namespace.as_deref().unwrap_or(default_namespace);
            if family == PolicyFamily::NetworkPolicy {
                let name = format!("{} {namespace}/{}", object.kind, object.name);
                unread.add(Some(namespace), Policy { name, family });
            } else {
                let name = format!("{} {}", object.kind, object.name);
                unread.add(None, Policy { name, family });
            }
        }
        for diagnostic in unjudged::policies(diagnostics) {
            let Some(object) = &diagnostic.object else {
                continue;
            };
            let place = object.namespace.as_deref();
            let place_of_name = place.map_or_else(String::new, |namespace| format!("{namespace}/"));
            let (kind, name) = (&object.kind, &object.name);
            let name = format!("{kind} {place_of_name}{name}{NOT_EVALUATED}");
            // It may come before everything else, and decide either way.
            let family = PolicyFamily::ClusterNetworkPolicy;
            unread.add(place, Policy { name, family });
        }
        unread
    }

    fn add(&mut self, namespace: Option<&str>, policy: Policy) {
        let list = match namespace {
            Some(namespace) => self.of_namespace.entry(namespace.to_owned()).or_default(),
            None => &mut self.cluster_wide,
        };
        if !list.contains(&policy) {
            list.push(policy);
        }
    }

    fn is_empty(&self) -> bool {
        self.cluster_wide.is_empty() && self.of_namespace.is_empty()
    }

    /// Those that may select pods of a namespace.
    fn about<'a>(
        &'a self,
        snapshot: &Snapshot,
        namespace: NamespaceId,
    ) -> impl Iterator<Item = &'a Policy> {
        let name = &*snapshot.namespace(namespace).name;
        let own = self.of_namespace.get(name).into_iter().flatten();
        self.cluster_wide.iter().chain(own)
    }

    fn may_select(&self, snapshot: &Snapshot, id: WorkloadId) -> bool {
        let workload = snapshot.workload(id);
        let mut pods = workload.pod_ids().map(|pod| snapshot.pod(pod));
        pods.any(|pod| !pod.host_network)
            && self.about(snapshot, workload.namespace).next().is_some()
    }

    /// Makes outcomes that such a policy could change unknown, and says which it is.
    pub(crate) fn doubt(&self, snapshot: &Snapshot, profile: &Profile, outcomes: &mut [Outcome]) {
        if self.is_empty() {
            return;
        }
        for outcome in outcomes {
            outcome.not_counted = self.could_change(snapshot, profile, outcome);
            if !outcome.not_counted.is_empty() {
                outcome.verdict = Verdict::Unknown;
            }
        }
    }

    /// The policies that could make an outcome another one.
    fn could_change(
        &self,
        snapshot: &Snapshot,
        profile: &Profile,
        outcome: &Outcome,
    ) -> Vec<String> {
        let packet = &outcome.packet;
        let own = PortSet::range(packet.protocol, packet.port, packet.port);
        // Of several packets that share a verdict each may have it for another reason.
        let is_single = outcome.pairs.0 == 1 && outcome.ports == own;
        let explanation = explain(snapshot, profile, packet);
        let of_side = |side: &Side, end: Peer| -> Vec<String> {
            let Peer::Pod(id) = end else {
                return Vec::new();
            };
            let pod = snapshot.pod(id);
            let policies = self.about(snapshot, pod.namespace);
            policies
                .filter(|policy| could_decide(policy, side, pod, is_single))
                .map(|policy| policy.name.clone())
                .collect()
        };
        let egress = of_side(&explanation.egress, packet.source);
        let ingress = of_side(&explanation.ingress, packet.destination);
        let stays_denied = |side: &Side, doubts: &[String]| {
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

    /// Makes connections that such a policy could close unknown.
    pub(crate) fn doubt_connections(&self, snapshot: &Snapshot, reachability: &mut Reachability) {
        if !self.is_empty() {
            reachability.doubt(|end| self.is_doubtful(snapshot, end));
        }
    }

    /// Whether what an end can open or accept is not known because of such a policy.
    pub(crate) fn is_doubtful(&self, snapshot: &Snapshot, end: &End) -> bool {
        match end {
            End::Workload(id) => !self.is_empty() && self.may_select(snapshot, *id),
            End::Addresses(_) => false,
        }
    }

    /// The same for ways into the cluster.
    pub(crate) fn doubt_entry_points(&self, points: &mut [EntryPoint]) {
        let is_doubtful = |name: &str| {
            let namespace = name.split('/').next().unwrap_or_default();
            !self.cluster_wide.is_empty() || self.of_namespace.contains_key(namespace)
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
        let names = |policies: &[Policy]| {
            let names: Vec<&str> = policies.iter().map(|policy| &*policy.name).collect();
            match names.iter().all(|name| name.ends_with(NOT_EVALUATED)) {
                true => format!("{} may decide otherwise", names.join(", ")),
                false => format!("{} could not be read", names.join(", ")),
            }
        };
        let mut warnings: Vec<String> = self
            .of_namespace
            .iter()
            .map(|(namespace, policies)| {
                format!(
                    "{}: what pods of {namespace} can open or accept is not known, connections that are not listed included",
                    names(policies)
                )
            })
            .collect();
        if !self.cluster_wide.is_empty() {
            warnings.push(format!(
                "{}: what any pod can open or accept is not known, connections that are not listed included",
                names(&self.cluster_wide)
            ));
        }
        warnings
    }
}

/// Whether a policy of which nothing but the name is known could decide a side.
fn could_decide(policy: &Policy, side: &Side, pod: &Pod, is_single: bool) -> bool {
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
    let first = match policy.family {
        PolicyFamily::ClusterNetworkPolicy | PolicyFamily::AdminNetworkPolicy => Tier::Admin,
        PolicyFamily::NetworkPolicy => Tier::NetworkPolicy,
        PolicyFamily::BaselineAdminNetworkPolicy => Tier::Baseline,
    };
    // Of NetworkPolicies one that allows is enough; whatever else is there, it stays.
    let is_settled = decided_in == Tier::NetworkPolicy && side.verdict == Verdict::Allowed;
    first < decided_in || (first == decided_in && !is_settled)
}

/// What is said of an outcome beside its verdict.
pub(crate) fn remark(outcome: &Outcome) -> Option<String> {
    let names = &outcome.not_counted;
    let unread = !names.iter().all(|name| name.ends_with(NOT_EVALUATED));
    (!names.is_empty()).then(|| {
        let why = if unread {
            ", which could not be read"
        } else {
            ""
        };
        format!("this does not count {}{why}", names.join(", "))
    })
}
