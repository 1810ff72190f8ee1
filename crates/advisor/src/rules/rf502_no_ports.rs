use ringfence_engine::sets::PortSet;
use ringfence_engine::{Packet, Peer};
use ringfence_model::address::IpFamily;
use ringfence_model::diagnostic::Severity;
use ringfence_model::policy::Direction;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::PodId;

use crate::context::{Context, WrittenRule};
use crate::finding::{Finding, Witness};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A rule without ports.
pub(super) static RULE: Rule = Rule {
    code: Code(502),
    name: "no-ports",
    severity: Severity::Warning,
    summary: "a rule without ports opens every port of its peers",
    page: include_str!("../../../../docs/findings/RF502.md"),
    check,
};

/// How many pods of each end are looked at.
const TRIED: usize = 16;

fn check(context: &Context<'_>, findings: &mut Findings) {
    for rule in context.written_rules() {
        let is_egress = rule.id.direction == Direction::Egress;
        // The whole internet is RF501's; pods of one namespace that let each other in are
        // nothing to remark on.
        let is_internet = is_from_anywhere(rule) || context.is_part_of_internet(rule.id);
        if rule.port_entries.is_empty()
            && !(is_egress && is_internet)
            && (is_egress || rule.leaves_namespace())
        {
            findings.extend(finding(context, rule));
        }
    }
}

fn finding(context: &Context<'_>, rule: &WrittenRule<'_>) -> Option<Finding> {
    let witness = shown_by(context, rule);
    if witness.is_none() && context.has_pods() {
        return None;
    }
    let (severity, consequence, help) = match rule.id.direction {
        Direction::Egress if rule.leaves_namespace() => (
            RULE.severity,
            "administration, debugging and metrics ports are open to whoever gets into one of \
             these pods",
            "list the ports that are needed under `ports`; a port is the pod's, not the Service's",
        ),
        Direction::Egress => (
            Severity::Note,
            "ports that nobody meant to offer are open to the neighbours too",
            "list the ports that are needed under `ports`",
        ),
        Direction::Ingress if is_from_anywhere(rule) => (
            RULE.severity,
            "ports that nobody meant to offer, for debugging or metrics, are open to whoever \
             has a way to these pods, from outside the cluster too",
            "list the ports that the pods serve on under `ports`",
        ),
        Direction::Ingress => (
            Severity::Note,
            "ports that nobody meant to offer, for debugging or metrics, are open too",
            "list the ports that the pods serve on under `ports`",
        ),
    };
    let subjects = context.subjects(rule.id.policy);
    let has_blocks = rule.peers.iter().any(|peer| peer.ip_block.is_some());
    let whom = match rule.id.direction {
        _ if rule.peers.is_empty() => "everyone",
        Direction::Egress => "its peers",
        Direction::Ingress if is_from_anywhere(rule) => "the public internet",
        Direction::Ingress if has_blocks => "its peers",
        Direction::Ingress => "its peers from other namespaces",
    };
    Some(Finding {
        rule: &RULE,
        severity,
        message: match rule.id.direction {
            Direction::Egress => format!(
                "{} names no ports and allows every port of {whom}",
                rule.name()
            ),
            Direction::Ingress => format!(
                "{} names no ports and opens every port to {whom}",
                rule.name()
            ),
        },
        consequence: Some(consequence.to_owned()),
        help: Some(help.to_owned()),
        object: context.policy_ref(rule.id.policy),
        primary: rule.place(rule.path(), "no `ports` in this rule"),
        related: Vec::new(),
        witness,
        affected: context.workloads_like(&subjects),
        fix: None,
    })
}

/// Whether a rule is about everyone, or about most of the public addresses.
fn is_from_anywhere(rule: &WrittenRule<'_>) -> bool {
    IpFamily::ALL
        .into_iter()
        .any(|family| rule.covers_the_internet(family))
}

/// A packet to a port that the destination doesn't even declare, between two ends of
/// which the one reaches every TCP port of the other.
fn shown_by(context: &Context<'_>, rule: &WrittenRule<'_>) -> Option<Witness> {
    let all = PortSet::protocol(Protocol::Tcp);
    let (sources, destinations) = context.ends(rule.id);
    let home = rule.policy.namespace.as_deref();
    let home = home.and_then(|name| context.snapshot.find_namespace(name));
    let is_elsewhere = |a: PodId, b: PodId| {
        let other = match rule.id.direction {
            Direction::Egress => b,
            Direction::Ingress => a,
        };
        Some(context.snapshot.pod(other).namespace) != home
    };
    let must_leave = rule.leaves_namespace();
    for destination in destinations.iter().take(TRIED) {
        let declared = &context.snapshot.pod(*destination).ports;
        let port = [22, 23, 24]
            .into_iter()
            .find(|n| declared.iter().all(|p| p.port != *n));
        for source in sources.iter().take(TRIED) {
            let packet =
                context.between(*source, *destination, (Protocol::Tcp, port.unwrap_or(22)));
            let Some(packet) = packet else {
                continue;
            };
            let open = context
                .engine
                .ports(packet.source, packet.destination, packet.family);
            if all.is_subset(&open.allow) && (!must_leave || is_elsewhere(*source, *destination)) {
                return Some(context.witness(packet));
            }
        }
    }
    outside(context, rule, &all)
}

/// The same with an address outside the cluster.
fn outside(context: &Context<'_>, rule: &WrittenRule<'_>, all: &PortSet) -> Option<Witness> {
    let subjects = context.subjects(rule.id.policy);
    for family in IpFamily::ALL {
        let addresses = rule.addresses(family);
        let is_all_open = |packet: &Packet| {
            let open = context
                .engine
                .ports(packet.source, packet.destination, family);
            all.is_subset(&open.allow)
        };
        let found = match rule.id.direction {
            Direction::Egress => context.witness_to(&subjects, &addresses, (Protocol::Tcp, 22)),
            Direction::Ingress => subjects.first().and_then(|subject| {
                let source = *context.unremarkable(&addresses).first()?;
                Some(context.witness(Packet {
                    source: Peer::Address(source),
                    destination: Peer::Pod(*subject),
                    family,
                    protocol: Protocol::Tcp,
                    port: 22,
                    through_service: None,
                }))
            }),
        };
        if let Some(witness) = found.filter(|w| is_all_open(&w.packet)) {
            return Some(witness);
        }
    }
    None
}
