use ringfence_engine::{Packet, Peer};
use ringfence_model::address::IpFamily;
use ringfence_model::diagnostic::Severity;
use ringfence_model::policy::Direction;
use ringfence_model::snapshot::PodId;

use crate::context::{Context, PortWidth, WidePorts, WrittenRule};
use crate::finding::{Finding, Witness};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A rule without ports, or with all of them.
pub(super) static RULE: Rule = Rule {
    code: Code(502),
    name: "no-ports",
    severity: Severity::Warning,
    summary: "a rule without ports, or with all of them, opens every port of its peers",
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
        if !(is_egress && is_internet) && (is_egress || rule.leaves_namespace()) {
            let ports = WidePorts::of(&context.engine.ports_of(rule.id, None).allow);
            findings.extend(ports.and_then(|ports| finding(context, rule, &ports)));
        }
    }
}

fn finding(context: &Context<'_>, rule: &WrittenRule<'_>, ports: &WidePorts) -> Option<Finding> {
    let witness = shown_by(context, rule, ports);
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
    let has_none = rule.port_entries.is_empty();
    let which = match has_none {
        true => "every port".to_owned(),
        false => ports.in_words(),
    };
    let verb = match rule.id.direction {
        Direction::Egress => format!("allows {which} of"),
        Direction::Ingress => format!("opens {which} to"),
    };
    Some(Finding {
        rule: &RULE,
        severity: match ports.width {
            PortWidth::Every => severity,
            PortWidth::Most => Severity::Note,
        },
        message: match has_none {
            true => format!("{} names no ports and {verb} {whom}", rule.name()),
            false => format!("{} {verb} {whom}", rule.name()),
        },
        consequence: Some(consequence.to_owned()),
        help: Some(help.to_owned()),
        object: context.policy_ref(rule.id.policy),
        primary: match has_none {
            true => rule.place(rule.path(), "no `ports` in this rule"),
            false => rule.place(rule.path().key("ports"), "so many ports name none"),
        },
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
/// which the one reaches as many ports of the other as the rule opens.
fn shown_by(context: &Context<'_>, rule: &WrittenRule<'_>, ports: &WidePorts) -> Option<Witness> {
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
        let declared = context.snapshot.pod(*destination).ports.iter();
        let declared: Vec<_> = declared.map(|p| (p.protocol, p.port)).collect();
        let Some(port) = ports.unnamed_port(&declared) else {
            continue;
        };
        for source in sources.iter().take(TRIED) {
            let Some(packet) = context.between(*source, *destination, port) else {
                continue;
            };
            let open = context
                .engine
                .ports(packet.source, packet.destination, packet.family);
            let is_open = ports.are_open(&open.allow) && open.allow.contains(port.0, port.1);
            if is_open && (!must_leave || is_elsewhere(*source, *destination)) {
                return Some(context.witness(packet));
            }
        }
    }
    outside(context, rule, ports)
}

/// The same with an address outside the cluster.
fn outside(context: &Context<'_>, rule: &WrittenRule<'_>, ports: &WidePorts) -> Option<Witness> {
    let subjects = context.subjects(rule.id.policy);
    let port = ports.unnamed_port(&[])?;
    for family in IpFamily::ALL {
        let addresses = rule.addresses(family);
        let is_all_open = |packet: &Packet| {
            let open = context
                .engine
                .ports(packet.source, packet.destination, family);
            ports.are_open(&open.allow)
        };
        let found = match rule.id.direction {
            Direction::Egress => context.witness_to(&subjects, &addresses, port),
            Direction::Ingress => subjects.first().and_then(|subject| {
                let source = *context.unremarkable(&addresses).first()?;
                Some(context.witness(Packet {
                    source: Peer::Address(source),
                    destination: Peer::Pod(*subject),
                    family,
                    protocol: port.0,
                    port: port.1,
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
