//! Sentences about single steps.

use ringfence_model::k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use ringfence_model::labels::UnknownKeys;
use ringfence_model::policy::{Direction, PolicyBody, TieredPeer};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodId, PodKind, Service, Snapshot};
use ringfence_model::tri::Tri;

use super::Effect;
use crate::oracle::{Oracle, Step};
use crate::packet::{Packet, Peer};
use crate::profile::Profile;

/// `namespace/name` of a pod or the workload it stands for, or an address.
pub(super) fn peer(snapshot: &Snapshot, peer: Peer) -> String {
    match peer {
        Peer::Address(address) => address.to_string(),
        Peer::Pod(id) => pod(snapshot, id),
    }
}

pub(super) fn pod(snapshot: &Snapshot, id: PodId) -> String {
    let pod = snapshot.pod(id);
    let namespace = snapshot.namespace(pod.namespace);
    match pod.kind {
        PodKind::Outside => pod.name.to_string(),
        PodKind::Single | PodKind::Template => format!("{}/{}", namespace.name, pod.name),
    }
}

/// The same text on one line: names of a manifest that no API server has seen can have
/// line breaks and control characters in them, and a sentence must stay one.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// `TCP 80`, or `ICMP`.
pub(super) fn port(packet: &Packet) -> String {
    match packet.protocol {
        Protocol::Icmp => "ICMP".to_owned(),
        protocol => format!("{protocol} {}", packet.port),
    }
}

/// `service namespace/name`.
pub(super) fn service(snapshot: &Snapshot, service: &Service) -> String {
    let namespace = snapshot.namespace(service.namespace);
    format!("service {}/{}", namespace.name, service.name)
}

/// One sentence about a step.
pub(super) fn step(
    snapshot: &Snapshot,
    profile: &Profile,
    packet: &Packet,
    direction: Direction,
    step: &Step,
) -> String {
    let (subject, other) = match direction {
        Direction::Egress => (packet.source, packet.destination),
        Direction::Ingress => (packet.destination, packet.source),
    };
    let subject = peer(snapshot, subject);
    let oracle = Oracle::new(snapshot, *profile);
    let seen = oracle.service_of(packet, direction);
    let (other_name, port) = match seen {
        Some((seen, number)) => {
            let packet = Packet {
                port: number,
                ..*packet
            };
            (service(snapshot, seen), port(&packet))
        }
        None => (peer(snapshot, other), port(packet)),
    };
    let preposition = match direction {
        Direction::Egress => "to",
        Direction::Ingress => "from",
    };
    let number = step.rule.map_or(0, |rule| rule + 1);
    if step.selects == Tri::Unknown {
        return format!(
            "may select {subject}: a label that it asks for is set by a controller or is not \
             in the input"
        );
    }
    match (step.effect, step.peers, step.ports) {
        (Effect::Isolates, Tri::Unknown, _) => {
            format!(
                "isolates {subject} for {direction}; whether one of its rules matches is not known"
            )
        }
        (Effect::Isolates, ..) => match rule_count(snapshot, direction, step) {
            0 => format!("isolates {subject} for {direction} and has no {direction} rule"),
            1 => format!(
                "isolates {subject} for {direction}; its only {direction} rule does not match"
            ),
            n => format!(
                "isolates {subject} for {direction}; none of its {n} {direction} rules matches"
            ),
        },
        (Effect::NoMatch, Tri::Yes, _) => {
            format!("rule {number} matches {other_name}, but not {port}")
        }
        (Effect::NoMatch, Tri::Unknown, _) => {
            format!("rule {number} may match {other_name}, but not {port}")
        }
        (Effect::NoMatch, ..) => {
            format!("rule {number} matches {port}, but not {preposition} {other_name}")
        }
        (_, Tri::Unknown, _) => format!(
            "rule {number} may match {port} {preposition} {other_name}: {}",
            match seen {
                Some((seen, _)) => why_unknown_of_service(snapshot, seen),
                None => why_unknown(snapshot, step, direction, other),
            }
        ),
        (_, _, Tri::Unknown) if seen.is_some() => format!(
            "rule {number} may match {port} {preposition} {other_name}: which port of the service \
             is taken for the rule's depends on pods that are not known well enough"
        ),
        (_, _, Tri::Unknown) => format!(
            "rule {number} may match {port} {preposition} {other_name}: what its named port stands \
             for is not known"
        ),
        (Effect::Allows | Effect::MayMatch, ..) => {
            format!("rule {number} allows {port} {preposition} {other_name}")
        }
        (Effect::Denies, ..) => format!("rule {number} denies {port} {preposition} {other_name}"),
        (Effect::Passes, ..) => {
            format!("rule {number} passes {port} {preposition} {other_name} on to the next tier")
        }
    }
}

fn rule_count(snapshot: &Snapshot, direction: Direction, step: &Step) -> usize {
    match (&snapshot.policy(step.policy).body, direction) {
        (PolicyBody::Network(spec), Direction::Egress) => spec.egress.as_ref().map_or(0, Vec::len),
        (PolicyBody::Network(spec), Direction::Ingress) => {
            spec.ingress.as_ref().map_or(0, Vec::len)
        }
        (PolicyBody::Tiered(policy), direction) => policy.rules(direction).len(),
    }
}

fn why_unknown_of_service(snapshot: &Snapshot, service: &Service) -> String {
    let namespace = snapshot.namespace(service.namespace);
    if namespace.labels.unknown != UnknownKeys::None {
        return format!(
            "the labels of namespace {} are not known, because its Namespace object is not in \
             the input",
            namespace.name
        );
    }
    "the address of the service that counts is not known".to_owned()
}

fn why_unknown(snapshot: &Snapshot, step: &Step, direction: Direction, other: Peer) -> String {
    let Peer::Pod(id) = other else {
        return "which addresses are meant is not in the input".to_owned();
    };
    let pod = snapshot.pod(id);
    let namespace = snapshot.namespace(pod.namespace);
    if pod.kind == PodKind::Outside {
        return "nothing is known about it, because it is not in the input".to_owned();
    }
    let mut reasons = Vec::new();
    if names_addresses(snapshot, step, direction) && pod.addresses.is_empty() {
        reasons.push("its address is not known (see --pod-cidr)".to_owned());
    }
    if !pod.host_network && namespace.labels.unknown != UnknownKeys::None {
        reasons.push(format!(
            "the labels of namespace {} are not known, because its Namespace object is not in \
             the input",
            namespace.name
        ));
    }
    if reasons.is_empty() {
        reasons.push("a label that a controller sets is not in the input".to_owned());
    }
    reasons.join("; ")
}

/// Whether the rule is, in part, about addresses.
fn names_addresses(snapshot: &Snapshot, step: &Step, direction: Direction) -> bool {
    let Some(rule) = step.rule else { return true };
    let any_block = |peers: &Option<Vec<NetworkPolicyPeer>>| {
        peers.iter().flatten().any(|peer| peer.ip_block.is_some())
    };
    match (&snapshot.policy(step.policy).body, direction) {
        (PolicyBody::Network(spec), Direction::Egress) => {
            let rule = spec.egress.as_ref().and_then(|rules| rules.get(rule));
            rule.is_some_and(|rule| any_block(&rule.to))
        }
        (PolicyBody::Network(spec), Direction::Ingress) => {
            let rule = spec.ingress.as_ref().and_then(|rules| rules.get(rule));
            rule.is_some_and(|rule| any_block(&rule.from))
        }
        (PolicyBody::Tiered(policy), direction) => {
            policy.rules(direction).get(rule).is_some_and(|rule| {
                let mut peers = rule.peers.iter();
                peers.any(|peer| !matches!(peer, TieredPeer::Pods(_)))
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_stays_on_one_line_whatever_names_are_in_it() {
        let text = "isolates shop/we\nb\r\u{1b}[1m for egress\u{2028}";
        assert_eq!(
            one_line(text),
            "isolates shop/we\\nb\\r\\u{1b}[1m for egress\\u{2028}"
        );
        assert_eq!(
            one_line("rule 1 allows TCP 80 to x/ä"),
            "rule 1 allows TCP 80 to x/ä"
        );
    }
}
