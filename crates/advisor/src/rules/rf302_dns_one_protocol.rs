use std::collections::BTreeMap;

use ringfence_engine::{Packet, RuleRef, Verdict};
use ringfence_model::diagnostic::Severity;
use ringfence_model::policy::Tier;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::PolicyId;
use ringfence_model::source::KeyPath;
use serde_json::json;

use crate::context::{Context, Group, WrittenRule, numbers_of, rule_path};
use crate::finding::{Edit, Finding, Fix, Place, Safety};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// Name servers can be asked over one of UDP and TCP only.
pub(super) static RULE: Rule = Rule {
    code: Code(302),
    name: "dns-one-protocol",
    severity: Severity::Warning,
    summary: "name servers can be asked over UDP only, or over TCP only",
    page: include_str!("../../../../docs/findings/RF302.md"),
    check,
};

/// The cluster-wide policy that denies one protocol, the rule that allows the other, and
/// that other one.
type Key = (Option<PolicyId>, RuleRef, Protocol);

fn check(context: &Context<'_>, findings: &mut Findings) {
    let mut by_rule: BTreeMap<Key, Vec<(&Group, Packet)>> = BTreeMap::new();
    for group in context.dns_clients() {
        let reach = context.dns.resolves(context.engine, group);
        let (open, closed) = match (reach.udp, reach.tcp) {
            (Verdict::Allowed, Verdict::Denied) => (Protocol::Udp, Protocol::Tcp),
            (Verdict::Denied, Verdict::Allowed) => (Protocol::Tcp, Protocol::Udp),
            _ => continue,
        };
        if let Some((rule, packet)) = opened_by(context, group, open) {
            let shown = Packet {
                protocol: closed,
                ..packet
            };
            let denying = context.denied_cluster_wide(&shown);
            let key = (denying.map(|reason| reason.policy), rule, open);
            by_rule.entry(key).or_default().push((group, shown));
        }
    }
    for ((_, rule, open), groups) in by_rule {
        findings.extend(finding(context, rule, open, &groups));
    }
}

/// The rule that lets the queries of a group through, and one of them.
fn opened_by(context: &Context<'_>, group: &Group, over: Protocol) -> Option<(RuleRef, Packet)> {
    let (dns, engine) = (&context.dns, context.engine);
    let mut packets = dns.packets(engine, group, over);
    packets.extend(dns.packets_to_cache(engine, group, over));
    let packet = packets.into_iter().find(|packet| context.is_open(packet))?;
    Some((context.accepting_rule(&packet)?, packet))
}

fn finding(
    context: &Context<'_>,
    rule: RuleRef,
    open: Protocol,
    groups: &[(&Group, Packet)],
) -> Option<Finding> {
    let (_, packet) = groups.first()?;
    let closed = packet.protocol;
    let affected = context.workloads(groups.iter().flat_map(|(g, _)| g.pods.iter().copied()));
    let who = context.list(&affected);
    let explanation = context.explain(packet);
    let denying = context.denied_cluster_wide(packet).or_else(|| {
        // The rule lets it out, and the name servers do not let it in.
        let mut reasons = explanation.ingress.reasons.into_iter();
        let kept_out = explanation.egress.verdict == Verdict::Allowed
            && explanation.ingress.verdict == Verdict::Denied;
        reasons.find(|reason| kept_out && reason.decisive)
    });
    let at_fault = denying.as_ref().map_or(rule.policy, |reason| reason.policy);
    let policy = context.snapshot.policy(at_fault);
    let written = context.written_rule(rule);
    let entry = written.and_then(|written| entry_of(written, open, packet.port));
    let (severity, consequence) = match open {
        Protocol::Udp => (
            RULE.severity,
            "an answer that does not fit into one datagram is asked for again over TCP, and then \
             fails: names with many addresses break first",
        ),
        // Nothing asks over TCP first.
        _ => (
            Severity::Error,
            "resolvers ask over UDP first, and most of them never over TCP unless they are told \
             to: names are not resolved",
        ),
    };
    let ports = rule_path(rule).key("ports");
    let origin = policy.origin.as_ref();
    let place = origin.map(|origin| match entry {
        _ if denying.is_some() => {
            let path = denying.as_ref().map(|reason| reason.path.clone());
            let label = format!("keeps {closed} out");
            Place::value(origin, path.unwrap_or_else(KeyPath::root), label)
        }
        Some(index) if written.is_some_and(|w| is_implied(w, index)) => {
            Place::value(origin, ports.index(index), "without `protocol` this is TCP")
        }
        Some(index) => Place::value(origin, ports.index(index), format!("{open} only")),
        None => Place::value(origin, rule_path(rule), format!("{open} only")),
    });
    let port = packet.port;
    Some(Finding {
        rule: &RULE,
        severity,
        message: format!("{who} may ask the name servers over {open} and not over {closed}"),
        consequence: Some(consequence.to_owned()),
        help: Some(match &denying {
            Some(reason) if policy.tier() != Tier::NetworkPolicy => {
                context.help_against(reason, &format!("port {port} over {closed}"))
            }
            Some(_) => format!("let port {port} over {closed} in at the name servers"),
            None => format!("allow port {port} over both UDP and TCP"),
        }),
        object: context.policy_ref(at_fault),
        primary: place,
        related: Vec::new(),
        witness: context.witness_to_show(*packet),
        affected,
        fix: origin
            .zip(entry)
            .filter(|_| denying.is_none())
            .map(|(origin, _)| Fix {
                title: format!("add port {port}/{closed}"),
                safety: Safety::Safe,
                edits: vec![Edit::Append {
                    origin: origin.clone(),
                    path: ports,
                    value: json!({"port": port, "protocol": closed.as_str()}),
                }],
            }),
    })
}

/// The entry of a rule's `ports` that opens a port.
fn entry_of(rule: &WrittenRule<'_>, protocol: Protocol, port: u16) -> Option<usize> {
    let mut entries = rule.port_entries.iter();
    let numbered = entries.position(|entry| numbers_of(entry).contains(protocol, port));
    // Else it is opened by a name.
    numbered.or_else(|| (!rule.port_entries.is_empty()).then_some(0))
}

fn is_implied(rule: &WrittenRule<'_>, index: usize) -> bool {
    let entry = rule.port_entries.get(index);
    entry.is_some_and(|entry| entry.protocol.is_none())
}
