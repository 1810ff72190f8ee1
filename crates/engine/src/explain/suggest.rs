//! The smallest rule that would allow a denied packet.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

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
use ringfence_model::snapshot::{Pod, PodId, PodKind, Snapshot};

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
    let Explanation {
        egress, ingress, ..
    } = super::explain(snapshot, profile, packet);
    [egress, ingress]
        .iter()
        .filter(|side| side.verdict == Verdict::Denied)
        .map(|side| for_side(snapshot, *profile, packet, side))
        .collect()
}

fn for_side(snapshot: &Snapshot, profile: Profile, packet: &Packet, side: &Side) -> Suggestion {
    let direction = side.direction;
    let port = text::port(packet);
    let (from, to) = (
        text::peer(snapshot, packet.source),
        text::peer(snapshot, packet.destination),
    );
    let decisive = side.reasons.iter().find(|reason| reason.decisive);
    let only = |text| Suggestion {
        direction,
        text,
        manifest: None,
    };
    if let (DecidedBy::Tier(tier @ (Tier::Admin | Tier::Baseline)), Some(reason)) =
        (side.decided_by, decisive)
    {
        let policy = snapshot.policy(reason.policy).display_name();
        let rule = reason.rule.map_or(0, |rule| rule + 1);
        return only(match tier {
            Tier::Admin => format!(
                "{policy} denies it with {direction} rule {rule} before any NetworkPolicy is \
                 asked: put an accepting rule for {port} from {from} to {to} before that rule, or \
                 into a policy of lower priority number"
            ),
            _ => format!(
                "{policy} denies it with {direction} rule {rule} because no NetworkPolicy isolates \
                 the pod: put an accepting rule before it, or let a NetworkPolicy decide (which \
                 then denies everything that it does not allow)"
            ),
        });
    }
    if packet.protocol == Protocol::Icmp {
        return only(format!(
            "no NetworkPolicy can allow ICMP alone: only a rule without `ports` admits it, and \
             with it every port from {from} to {to}"
        ));
    }
    if let Peer::Address(address) = packet.destination
        && let Some(endpoint) = metadata::ENDPOINTS
            .iter()
            .find(|endpoint| endpoint.address == address && endpoint.gives_secrets)
    {
        return only(format!(
            "no {direction} rule allows {port} from {from} to {to}, and none should: it is the \
             metadata service of {}, which hands out credentials",
            endpoint.provider
        ));
    }
    let policy = missing_policy(snapshot, packet, direction)
        .filter(|policy| allows_with(snapshot, profile, packet, direction, policy));
    match policy {
        Some(policy) => Suggestion {
            direction,
            text: format!("no {direction} rule allows {port} from {from} to {to}; this one would"),
            manifest: Some(manifest(&policy)),
        },
        None => only(format!(
            "no {direction} rule allows {port} from {from} to {to}, and no selector or address is \
             known by which a rule could name the other end"
        )),
    }
}

/// Whether the side allows the packet once `policy` is there.
fn allows_with(
    snapshot: &Snapshot,
    profile: Profile,
    packet: &Packet,
    direction: Direction,
    policy: &Policy,
) -> bool {
    let mut changed = snapshot.clone();
    changed.policies.push(policy.clone());
    let decision = Oracle::new(&changed, profile).judge(packet);
    let side = match direction {
        Direction::Egress => decision.egress,
        Direction::Ingress => decision.ingress,
    };
    side.verdict == Verdict::Allowed
}

/// The smallest policy that names exactly the two ends and the port.
fn missing_policy(snapshot: &Snapshot, packet: &Packet, direction: Direction) -> Option<Policy> {
    let (subject, other) = match direction {
        Direction::Egress => (packet.source, packet.destination),
        Direction::Ingress => (packet.destination, packet.source),
    };
    let Peer::Pod(subject) = subject else {
        return None;
    };
    let pod = snapshot.pod(subject);
    let peer = vec![network_policy_peer(snapshot, packet, pod, other)?];
    let ports = Some(vec![NetworkPolicyPort {
        protocol: Some(packet.protocol.as_str().to_owned()),
        port: Some(IntOrString::Int(i32::from(packet.port))),
        end_port: None,
    }]);
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
        Peer::Pod(id) => snapshot
            .workload(snapshot.pod(id).workload)
            .name
            .to_string(),
        Peer::Address(address) => address.to_string().replace([':', '.'], "-"),
    };
    let own_name = &snapshot.workload(pod.workload).name;
    let preposition = match direction {
        Direction::Egress => "to",
        Direction::Ingress => "from",
    };
    Some(Policy {
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
    })
}

/// A valid object name: at most 253 characters, ending in a letter or digit.
fn object_name(text: &str) -> &str {
    let cut = text.get(..253).unwrap_or(text);
    cut.trim_end_matches(|c: char| !c.is_ascii_alphanumeric())
}

fn network_policy_peer(
    snapshot: &Snapshot,
    packet: &Packet,
    subject: &Pod,
    other: Peer,
) -> Option<NetworkPolicyPeer> {
    let block = |address: std::net::IpAddr| NetworkPolicyPeer {
        ip_block: Some(IPBlock {
            cidr: ipnet::IpNet::from(address).to_string(),
            except: None,
        }),
        ..NetworkPolicyPeer::default()
    };
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
    let namespace = snapshot.namespace(pod.namespace);
    let other_namespace = (pod.namespace != subject.namespace).then(|| LabelSelector {
        match_labels: Some([(METADATA_NAME.to_owned(), namespace.name.to_string())].into()),
        match_expressions: None,
    });
    Some(NetworkPolicyPeer {
        ip_block: None,
        namespace_selector: other_namespace,
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

/// The policy as YAML.
fn manifest(policy: &Policy) -> String {
    let mut out = String::new();
    let PolicyBody::Network(spec) = &policy.body else {
        return out;
    };
    let mut line = |indent: usize, text: &str| {
        let _ = writeln!(out, "{:indent$}{text}", "");
    };
    line(0, "apiVersion: networking.k8s.io/v1");
    line(0, "kind: NetworkPolicy");
    line(0, "metadata:");
    line(2, &format!("name: {}", scalar(&policy.name)));
    if let Some(namespace) = &policy.namespace {
        line(2, &format!("namespace: {}", scalar(namespace)));
    }
    line(0, "spec:");
    selector(&mut line, 2, "podSelector", spec.pod_selector.as_ref());
    for policy_type in spec.policy_types.iter().flatten() {
        line(2, &format!("policyTypes: [{policy_type}]"));
    }
    for rule in spec.egress.iter().flatten() {
        line(2, "egress:");
        rule_lines(&mut line, "to", rule.to.as_deref(), rule.ports.as_deref());
    }
    for rule in spec.ingress.iter().flatten() {
        line(2, "ingress:");
        rule_lines(
            &mut line,
            "from",
            rule.from.as_deref(),
            rule.ports.as_deref(),
        );
    }
    out
}

fn rule_lines(
    line: &mut impl FnMut(usize, &str),
    key: &str,
    peers: Option<&[NetworkPolicyPeer]>,
    ports: Option<&[NetworkPolicyPort]>,
) {
    line(4, &format!("- {key}:"));
    for peer in peers.unwrap_or_default() {
        if let Some(block) = &peer.ip_block {
            line(8, "- ipBlock:");
            line(12, &format!("cidr: {}", block.cidr));
            continue;
        }
        let mut first = "- ";
        for (name, labels) in [
            ("namespaceSelector", &peer.namespace_selector),
            ("podSelector", &peer.pod_selector),
        ] {
            if labels.is_some() {
                let indent = if first.is_empty() { 10 } else { 8 };
                selector_at(line, indent, first, name, labels.as_ref());
                first = "";
            }
        }
    }
    line(6, "ports:");
    for port in ports.unwrap_or_default() {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        line(8, &format!("- protocol: {protocol}"));
        if let Some(IntOrString::Int(number)) = &port.port {
            line(10, &format!("port: {number}"));
        }
    }
}

fn selector(
    line: &mut impl FnMut(usize, &str),
    indent: usize,
    key: &str,
    selector: Option<&LabelSelector>,
) {
    selector_at(line, indent, "", key, selector);
}

fn selector_at(
    line: &mut impl FnMut(usize, &str),
    indent: usize,
    dash: &str,
    key: &str,
    selector: Option<&LabelSelector>,
) {
    let labels = selector.and_then(|s| s.match_labels.as_ref());
    match labels {
        None => line(indent, &format!("{dash}{key}: {{}}")),
        Some(labels) => {
            line(indent, &format!("{dash}{key}:"));
            let inner = indent + dash.len() + 2;
            line(inner, "matchLabels:");
            for (key, value) in labels {
                line(inner + 2, &format!("{}: {}", scalar(key), scalar(value)));
            }
        }
    }
}

/// A YAML scalar that reads back as this string: plain where that is safe.
fn scalar(text: &str) -> String {
    let plain = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
        );
    if plain {
        text.to_owned()
    } else {
        // Label values and names have no characters that JSON and YAML escape differently.
        format!("{text:?}")
    }
}
