//! The smallest rule that would allow a denied packet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use ringfence_model::address::IpFamily;
use ringfence_model::k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ringfence_model::labels::METADATA_NAME;
use ringfence_model::metadata;
use ringfence_model::policy::{Direction, Policy, PolicyBody, PolicyFamily, Tier};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{NamespaceId, Pod, PodId, PodKind, Service, Snapshot, WorkloadId};

use super::manifest::manifest;
use super::{DecidedBy, Explanation, Side, text};
use crate::oracle::Oracle;
use crate::packet::{Packet, Peer, Verdict};
use crate::profile::Profile;

/// What is missing for one side of a denied packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// The side that denies.
    pub direction: Direction,
    /// One sentence.
    pub text: String,
    /// A policy that can be applied as it is. It was judged: with it, this side
    /// allows the packet.
    pub manifest: Option<String>,
}

/// Labels that controllers set and that change with every rollout.
const ROLLOUT_LABELS: [&str; 8] = [
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-completion-index",
    "controller-uid",
];

/// What would have to be added for the packet to be allowed; nothing if it is not
/// denied.
#[must_use]
pub fn suggest(snapshot: &Snapshot, profile: &Profile, packet: &Packet) -> Vec<Suggestion> {
    Suggester::new(snapshot, profile)
        .suggest(&[*packet])
        .into_iter()
        .flatten()
        .collect()
}

/// Suggests for many packets; holds what is needed to judge its own suggestions.
#[derive(Debug)]
pub struct Suggester<'a> {
    snapshot: &'a Snapshot,
    profile: Profile,
    /// The snapshot with room for a suggested policy; made when it is first needed.
    changed: Option<Snapshot>,
}

/// What is suggested for one side of one packet.
struct Draft {
    /// Which of the packets.
    packet: usize,
    direction: Direction,
    /// The policy that would allow it, or why there is none.
    missing: Result<Missing, String>,
}

/// A policy that would allow a packet.
struct Missing {
    policy: Policy,
    /// The port that its rule names.
    port: (Protocol, u16),
    /// The destination as the rule sees it.
    to: String,
}

impl<'a> Suggester<'a> {
    /// For this snapshot and profile.
    #[must_use]
    pub fn new(snapshot: &'a Snapshot, profile: &Profile) -> Self {
        Self {
            snapshot,
            profile: *profile,
            changed: None,
        }
    }

    /// What would have to be added for each of the packets to be allowed; nothing for
    /// those that are not denied.
    ///
    /// Packets that differ in nothing but protocol and port share one suggestion, with
    /// all their ports: two policies of one name would replace each other.
    #[must_use]
    pub fn suggest(&mut self, packets: &[Packet]) -> Vec<Vec<Suggestion>> {
        let mut drafts: Vec<Draft> = Vec::new();
        for (index, packet) in packets.iter().enumerate() {
            let Explanation {
                egress, ingress, ..
            } = super::explain(self.snapshot, &self.profile, packet);
            for side in [egress, ingress] {
                if side.verdict == Verdict::Denied {
                    drafts.push(Draft {
                        packet: index,
                        direction: side.direction,
                        missing: self.for_side(packet, &side),
                    });
                }
            }
        }
        let mut suggestions: Vec<Vec<Suggestion>> = vec![Vec::new(); packets.len()];
        for draft in &drafts {
            let Some(packet) = packets.get(draft.packet) else {
                continue;
            };
            let (text, manifest) = match &draft.missing {
                Err(text) => (text.clone(), None),
                Ok(Missing { policy, to, .. }) => {
                    let ports = ports_of_all_like(policy, &drafts);
                    let names: Vec<String> = ports
                        .iter()
                        .map(|(protocol, port)| format!("{protocol} {port}"))
                        .collect();
                    let text = format!(
                        "no {} rule allows {} from {} to {}; this one would",
                        draft.direction,
                        names.join(" or "),
                        text::peer(self.snapshot, packet.source),
                        to,
                    );
                    let policy = with_ports(policy, ports.into_iter().map(port_entry).collect());
                    (text, Some(manifest(&policy)))
                }
            };
            if let Some(of_packet) = suggestions.get_mut(draft.packet) {
                of_packet.push(Suggestion {
                    direction: draft.direction,
                    text: text::one_line(&text),
                    manifest,
                });
            }
        }
        suggestions
    }

    /// The policy that would make this side allow the packet, or why there is none.
    fn for_side(&mut self, packet: &Packet, side: &Side) -> Result<Missing, String> {
        let snapshot = self.snapshot;
        let direction = side.direction;
        let port = text::port(packet);
        let (from, to) = (
            text::peer(snapshot, packet.source),
            text::peer(snapshot, packet.destination),
        );
        let decisive = side.reasons.iter().find(|reason| reason.decisive);
        if let (DecidedBy::Tier(tier @ (Tier::Admin | Tier::Baseline)), Some(reason)) =
            (side.decided_by, decisive)
        {
            let policy = snapshot.policy(reason.policy).display_name();
            let rule = reason.rule.map_or(0, |rule| rule + 1);
            return Err(match tier {
                Tier::Admin => format!(
                    "{policy} denies it with {direction} rule {rule} before any NetworkPolicy is \
                     asked: put an accepting rule for {port} from {from} to {to} before that rule, \
                     or into a policy of lower priority number"
                ),
                _ => format!(
                    "{policy} denies it with {direction} rule {rule} because no NetworkPolicy \
                     isolates the pod: put an accepting rule before it, or let a NetworkPolicy \
                     decide (which then denies everything that it does not allow)"
                ),
            });
        }
        if packet.protocol == Protocol::Icmp {
            return Err(format!(
                "no NetworkPolicy can allow ICMP alone: only a rule without `ports` admits it, \
                 and with it every port from {from} to {to}"
            ));
        }
        if let Peer::Address(address) = packet.destination
            && let Some(endpoint) = metadata::ENDPOINTS
                .iter()
                .find(|endpoint| endpoint.address == address && endpoint.gives_secrets)
        {
            return Err(format!(
                "no {direction} rule allows {port} from {from} to {to}, and none should: it is \
                 the metadata service of {}, which hands out credentials",
                endpoint.provider
            ));
        }
        let oracle = Oracle::new(snapshot, self.profile);
        let seen = oracle.service_of(packet, direction);
        let to = match seen {
            Some((service, _)) => text::service(snapshot, service),
            None => to,
        };
        missing_policy(snapshot, packet, direction, seen)
            .filter(|(policy, _)| self.allows_with(packet, direction, policy))
            .map(|(policy, port)| Missing {
                policy,
                port,
                to: to.clone(),
            })
            .ok_or_else(|| {
                format!(
                    "no {direction} rule allows {port} from {from} to {to}, and no selector or \
                     address is known by which a rule could name the other end"
                )
            })
    }

    /// Whether the side allows the packet once `policy` is there.
    fn allows_with(&mut self, packet: &Packet, direction: Direction, policy: &Policy) -> bool {
        let changed = self.changed.get_or_insert_with(|| self.snapshot.clone());
        changed.policies.push(policy.clone());
        let decision = Oracle::new(changed, self.profile).judge(packet);
        changed.policies.pop();
        let side = match direction {
            Direction::Egress => decision.egress,
            Direction::Ingress => decision.ingress,
        };
        side.verdict == Verdict::Allowed
    }
}

/// The ports of all packets for which `policy` is suggested, its own ports aside. Each
/// was judged by itself, and another port in a rule takes nothing away.
fn ports_of_all_like(policy: &Policy, drafts: &[Draft]) -> BTreeSet<(Protocol, u16)> {
    let without_ports = with_ports(policy, Vec::new());
    let missing = drafts
        .iter()
        .filter_map(|draft| draft.missing.as_ref().ok());
    missing
        .filter(|missing| {
            missing.policy.name == policy.name
                && with_ports(&missing.policy, Vec::new()) == without_ports
        })
        .map(|missing| missing.port)
        .collect()
}

/// The policy with other ports in all its rules.
fn with_ports(policy: &Policy, ports: Vec<NetworkPolicyPort>) -> Policy {
    let mut changed = policy.clone();
    if let PolicyBody::Network(spec) = &mut changed.body {
        let egress = spec.egress.iter_mut().flatten().map(|rule| &mut rule.ports);
        let ingress = spec.ingress.iter_mut().flatten();
        for of_rule in egress.chain(ingress.map(|rule| &mut rule.ports)) {
            *of_rule = Some(ports.clone());
        }
    }
    changed
}

/// A port as a rule writes it.
fn port_entry((protocol, port): (Protocol, u16)) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.as_str().to_owned()),
        port: Some(IntOrString::Int(i32::from(port))),
        end_port: None,
    }
}

/// The smallest policy that names exactly the two ends and the port.
fn missing_policy(
    snapshot: &Snapshot,
    packet: &Packet,
    direction: Direction,
    seen: Option<(&Service, u16)>,
) -> Option<(Policy, (Protocol, u16))> {
    let (subject, other) = match direction {
        Direction::Egress => (packet.source, packet.destination),
        Direction::Ingress => (packet.destination, packet.source),
    };
    let Peer::Pod(subject) = subject else {
        return None;
    };
    let pod = snapshot.pod(subject);
    let (peer, port) = match seen {
        Some((service, port)) => service_peer(snapshot, packet, pod, (service, port))?,
        None => (
            network_policy_peer(snapshot, packet, pod, other)?,
            packet.port,
        ),
    };
    let peer = vec![peer];
    let port = (packet.protocol, port);
    let ports = Some(vec![port_entry(port)]);
    let (egress, ingress) = match direction {
        Direction::Egress => (
            Some(vec![NetworkPolicyEgressRule {
                to: Some(peer),
                ports,
            }]),
            None,
        ),
        Direction::Ingress => (
            None,
            Some(vec![NetworkPolicyIngressRule {
                from: Some(peer),
                ports,
            }]),
        ),
    };
    let other_name = match other {
        Peer::Pod(id) => short_name(snapshot, snapshot.pod(id).workload, true),
        Peer::Address(address) => address.to_string().replace([':', '.'], "-"),
    };
    let own_name = short_name(snapshot, pod.workload, false);
    let preposition = match direction {
        Direction::Egress => "to",
        Direction::Ingress => "from",
    };
    let policy = Policy {
        family: PolicyFamily::NetworkPolicy,
        namespace: Some(Arc::clone(&snapshot.namespace(pod.namespace).name)),
        name: object_name(&format!("allow-{own_name}-{preposition}-{other_name}")).into(),
        annotations: BTreeMap::new(),
        body: PolicyBody::Network(NetworkPolicySpec {
            pod_selector: Some(pod_selector(snapshot, subject)?),
            policy_types: Some(vec![direction.policy_type().to_owned()]),
            egress,
            ingress,
        }),
        origin: None,
    };
    Some((policy, port))
}

/// A workload's name, with its kind and its namespace as far as others share it, so
/// that policies for different ends have different names. The namespace that the policy
/// is in needs no telling.
fn short_name(snapshot: &Snapshot, id: WorkloadId, tell_namespace: bool) -> String {
    let workload = snapshot.workload(id);
    let of_same_name = || {
        let others = snapshot.workloads.iter();
        others.filter(|other| other.name == workload.name)
    };
    let mut name = workload.name.to_string();
    if of_same_name().any(|w| w.namespace == workload.namespace && w.kind != workload.kind) {
        name = format!("{}-{name}", workload.kind.to_lowercase());
    }
    if tell_namespace && of_same_name().any(|w| w.namespace != workload.namespace) {
        name = format!("{}-{name}", snapshot.namespace(workload.namespace).name);
    }
    name
}

/// A valid object name: at most 253 characters, ending in a letter or digit.
fn object_name(text: &str) -> &str {
    let cut = text.get(..253).unwrap_or(text);
    cut.trim_end_matches(|c: char| !c.is_ascii_alphanumeric())
}

/// A Service by what it selects, at the port behind it; one that selects nothing by its
/// address, at its own.
fn service_peer(
    snapshot: &Snapshot,
    packet: &Packet,
    subject: &Pod,
    (service, port): (&Service, u16),
) -> Option<(NetworkPolicyPeer, u16)> {
    let selects_by = service.selector.clone().unwrap_or_default();
    if selects_by.is_empty() {
        let mut addresses = service.cluster_ips.iter();
        let address = addresses.find(|address| IpFamily::of(**address) == packet.family)?;
        return Some((block(*address), port));
    }
    let peer = NetworkPolicyPeer {
        ip_block: None,
        namespace_selector: other_namespace(snapshot, subject, service.namespace),
        pod_selector: Some(LabelSelector {
            match_labels: Some(selects_by),
            match_expressions: None,
        }),
    };
    Some((peer, packet.port))
}

fn block(address: IpAddr) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        ip_block: Some(IPBlock {
            cidr: IpNet::from(address).to_string(),
            except: None,
        }),
        ..NetworkPolicyPeer::default()
    }
}

/// The selector of a namespace that is not the subject's own.
fn other_namespace(
    snapshot: &Snapshot,
    subject: &Pod,
    namespace: NamespaceId,
) -> Option<LabelSelector> {
    let name = || snapshot.namespace(namespace).name.to_string();
    (namespace != subject.namespace).then(|| LabelSelector {
        match_labels: Some([(METADATA_NAME.to_owned(), name())].into()),
        match_expressions: None,
    })
}

fn network_policy_peer(
    snapshot: &Snapshot,
    packet: &Packet,
    subject: &Pod,
    other: Peer,
) -> Option<NetworkPolicyPeer> {
    let id = match other {
        Peer::Address(address) => return Some(block(address)),
        Peer::Pod(id) => id,
    };
    let pod = snapshot.pod(id);
    if pod.host_network {
        return pod.address(packet.family).map(block);
    }
    if pod.kind == PodKind::Outside {
        return None;
    }
    Some(NetworkPolicyPeer {
        ip_block: None,
        namespace_selector: other_namespace(snapshot, subject, pod.namespace),
        pod_selector: Some(pod_selector(snapshot, id)?),
    })
}

/// The labels by which the workload selects its own pods, or the pod's labels that do
/// not change with a rollout. `None` without any: an empty selector would select every
/// pod of the namespace.
#[must_use]
pub fn pod_selector(snapshot: &Snapshot, id: PodId) -> Option<LabelSelector> {
    let pod = snapshot.pod(id);
    let workload = snapshot.workload(pod.workload);
    let labels = workload.selector_labels.as_ref().unwrap_or(&pod.labels);
    let stable: BTreeMap<String, String> = labels
        .known
        .iter()
        .filter(|(key, _)| !ROLLOUT_LABELS.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    (!stable.is_empty()).then_some(LabelSelector {
        match_labels: Some(stable),
        match_expressions: None,
    })
}
