use std::collections::BTreeSet;

use ringfence_engine::sets::PortSet;
use ringfence_engine::{Packet, Peer, Verdict};
use ringfence_model::diagnostic::Severity;
use ringfence_model::policy::{Direction, Tier};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodId, PolicyId};
use ringfence_model::source::KeyPath;
use ringfence_model::tri::Tri;

use super::rf506_service_port;
use crate::context::{Context, WrittenRule, port_text};
use crate::finding::{Finding, Place};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// One side allows what the other side denies.
pub(super) static RULE: Rule = Rule {
    code: Code(505),
    name: "one-sided",
    severity: Severity::Warning,
    summary: "a rule allows connections that the other side denies, all of them",
    page: include_str!("../../../../docs/findings/RF505.md"),
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings) {
    // Where a port is a Service's by mistake, that is the finding, on both sides.
    let mistaken: BTreeSet<PolicyId> = rf506_service_port::mistaken_rules(context)
        .map(|rule| rule.id.policy)
        .collect();
    let rules = context
        .written_rules()
        .iter()
        .filter(|rule| context.is_specific(rule) && !mistaken.contains(&rule.id.policy));
    for rule in rules {
        findings.extend(finding(context, rule, &mistaken));
    }
}

/// A packet that the rule allows and the other side denies, unless there is one that the
/// other side allows, or may.
fn refused(context: &Context<'_>, rule: &WrittenRule<'_>) -> Option<Packet> {
    let (sources, destinations) = context.ends(rule.id);
    let icmp = PortSet::protocol(Protocol::Icmp);
    let mut first = None;
    for destination in &destinations {
        let ports = context.engine.ports_of(rule.id, Some(*destination));
        let offered = ports.allow.difference(&icmp);
        let Some(port) = context.telling_port(&offered, Peer::Pod(*destination)) else {
            continue;
        };
        for source in &sources {
            let Some(packet) = context.between(*source, *destination, port) else {
                continue;
            };
            let (end, direction, other) = match rule.id.direction {
                Direction::Egress => (*destination, Direction::Ingress, packet.source),
                Direction::Ingress => (*source, Direction::Egress, packet.destination),
            };
            // What a cluster-wide policy denies is another finding.
            if context.engine.isolated(end, direction) != Tri::Yes {
                return None;
            }
            let open = context
                .engine
                .one_sided(end, direction, other, packet.family);
            let accepted = open.allow.union(&open.maybe).intersection(&offered);
            if !accepted.is_empty() {
                return None;
            }
            first.get_or_insert(packet);
        }
    }
    first
}

fn finding(
    context: &Context<'_>,
    rule: &WrittenRule<'_>,
    mistaken: &BTreeSet<PolicyId>,
) -> Option<Finding> {
    let packet = refused(context, rule)?;
    let witness = context.witness(packet);
    if witness.verdict != Verdict::Denied {
        return None;
    }
    let (source, destination) = (pod(packet.source)?, pod(packet.destination)?);
    let (from, to) = (context.name_of(source), context.name_of(destination));
    let port = port_text((packet.protocol, packet.port));
    let (end, direction, message, help) = match rule.id.direction {
        Direction::Egress => (
            destination,
            Direction::Ingress,
            format!(
                "{} allows {from} to connect to {to}, and the ingress of {to} denies it",
                rule.name()
            ),
            format!(
                "let {from} in to port {port} of {to} with an ingress rule, or take this rule out"
            ),
        ),
        Direction::Ingress => (
            source,
            Direction::Egress,
            format!(
                "{} lets {from} in to {to}, and the egress of {from} denies it",
                rule.name()
            ),
            format!(
                "allow {from} to connect to port {port} of {to} with an egress rule, or take this rule out"
            ),
        ),
    };
    let help = headless(context, rule, destination, &packet).unwrap_or(help);
    let mut policies = context.engine.policies_for(end, direction);
    if policies.any(|(id, _)| mistaken.contains(&id)) {
        return None;
    }
    let isolating = context
        .engine
        .policies_for(end, direction)
        .map(|(id, _)| context.snapshot.policy(id))
        .filter(|policy| policy.tier() == Tier::NetworkPolicy);
    let related: Vec<Place> = isolating
        .filter_map(|policy| {
            let path = KeyPath::root().key("spec").key("podSelector");
            let label = format!(
                "isolates the {direction} of {} and has no rule for it",
                context.name_of(end)
            );
            Some(Place::key(policy.origin.as_ref()?, path, label))
        })
        .take(2)
        .collect();
    let subjects = context.subjects(rule.id.policy);
    Some(Finding {
        rule: &RULE,
        severity: RULE.severity,
        message,
        consequence: Some(
            "a connection needs both sides: nothing that this rule allows gets through".to_owned(),
        ),
        help: Some(help),
        object: context.policy_ref(rule.id.policy),
        primary: rule.place(rule.path(), "allowed here"),
        related,
        witness: Some(witness),
        affected: context.workloads_like(&subjects),
        fix: None,
    })
}

/// What to do where the port is one that only a headless Service has: nobody listens on it,
/// and to let it in on the other side would mend nothing.
fn headless(
    context: &Context<'_>,
    rule: &WrittenRule<'_>,
    destination: PodId,
    packet: &Packet,
) -> Option<String> {
    let port = (packet.protocol, packet.port);
    let mut declared = context.snapshot.pod(destination).ports.iter();
    if rule.port_entries.is_empty() || declared.any(|p| (p.protocol, p.port) == port) {
        return None;
    }
    let found = context.service_ports().headless(destination, port)?;
    let service = context.snapshot.service(found.service);
    Some(format!(
        "write port {} of {} on both sides: port {} is that of the headless Service `{}`, which \
         translates nothing, so that clients connect to the port of the pod",
        port_text((packet.protocol, found.target)),
        context.name_of(destination),
        packet.port,
        service.name
    ))
}

fn pod(peer: Peer) -> Option<PodId> {
    match peer {
        Peer::Pod(pod) => Some(pod),
        Peer::Address(_) => None,
    }
}
