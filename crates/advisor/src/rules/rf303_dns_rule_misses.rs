use std::collections::BTreeMap;

use ringfence_engine::{Peer, RuleRef, Verdict};
use ringfence_model::diagnostic::Severity;
use ringfence_model::protocol::Protocol;
use serde_json::json;

use crate::context::{Context, DnsRule, Group, rule_path};
use crate::finding::{Edit, Finding, Fix, NotVerified, Place, Safety};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A rule for name servers that misses those of this cluster.
pub(super) static RULE: Rule = Rule {
    code: Code(303),
    name: "dns-rule-misses",
    severity: Severity::Error,
    summary: "the DNS rule does not match this cluster's name servers",
    page: include_str!("../../../../docs/findings/RF303.md"),
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings) {
    let mut by_rule: BTreeMap<RuleRef, (&DnsRule, Vec<&Group>)> = BTreeMap::new();
    for problem in context.dns_problems() {
        for rule in &problem.rules {
            if let Some(group) = context.dns_clients().get(problem.client) {
                let of_rule = by_rule.entry(rule.rule);
                of_rule.or_insert((rule, Vec::new())).1.push(group);
            }
        }
    }
    for alone in context.policies_alone() {
        for rule in &alone.missing {
            by_rule.entry(rule.rule).or_insert((rule, Vec::new()));
        }
    }
    for (rule, groups) in by_rule.values() {
        match rule.may_fit_others {
            true => findings.not_verified(not_verified(context, rule)),
            false => findings.extend(misses(context, rule, groups)),
        }
    }
    cache(context, findings);
}

fn not_verified(context: &Context<'_>, rule: &DnsRule) -> NotVerified {
    NotVerified {
        code: RULE.code,
        what: format!(
            "whether {} matches the name servers",
            context.snapshot.policy(rule.rule.policy).display_name()
        ),
        why: "the input has none, and the rule fits those of some clusters".to_owned(),
        how: "add the manifests of the name servers".to_owned(),
    }
}

fn misses(context: &Context<'_>, rule: &DnsRule, groups: &[&Group]) -> Option<Finding> {
    let policy = context.snapshot.policy(rule.rule.policy);
    let origin = policy.origin.as_ref();
    let affected = context.workloads(groups.iter().flat_map(|g| g.pods.iter().copied()));
    let who = match groups.is_empty() {
        true => "the pods that it selects".to_owned(),
        false => context.list(&affected),
    };
    let mut places = rule.faults.iter().filter_map(|fault| {
        Some(Place::value(
            origin?,
            fault.path.clone(),
            fault.what.clone(),
        ))
    });
    let primary = places.next();
    let related = places.collect();
    let query = groups.iter().find_map(|group| {
        let packets = context.dns.packets(context.engine, group, Protocol::Udp);
        packets.first().copied()
    });
    // Of pods that are not in the input, what the rule says is all that is known.
    let is_closed = query.map_or(groups.is_empty(), |query| {
        context.engine.can(&query) == Verdict::Denied
    });
    let certain = is_closed && rule.faults.iter().any(|fault| fault.certain);
    // What was assumed may not be so.
    let safety = match context.dns.assumed {
        true => Safety::Unsafe,
        false => Safety::Safe,
    };
    Some(Finding {
        rule: &RULE,
        severity: match certain {
            true => RULE.severity,
            false => Severity::Warning,
        },
        message: match certain {
            true => format!(
                "the DNS rule of `{}` does not match this cluster's name servers",
                policy.name
            ),
            false => format!(
                "it is not known whether the DNS rule of `{}` matches this cluster's name servers",
                policy.name
            ),
        },
        consequence: Some(match certain {
            true => format!("{who} cannot resolve names"),
            false => format!("if it does not, {who} cannot resolve names"),
        }),
        help: Some(format!(
            "write what the name servers have: they are {}",
            context.name_servers()
        )),
        object: context.policy_ref(rule.rule.policy),
        primary,
        related,
        witness: query.and_then(|query| context.witness_to_show(query)),
        affected,
        fix: origin.map(|origin| Fix {
            title: "make the rule match the name servers".to_owned(),
            safety,
            edits: rule
                .faults
                .iter()
                .map(|fault| Edit::Set {
                    origin: origin.clone(),
                    path: fault.instead.0.clone(),
                    value: fault.instead.1.clone(),
                })
                .collect(),
        }),
    })
}

/// Rules that match the name servers and not the cache in front of them.
fn cache(context: &Context<'_>, findings: &mut Findings) {
    let mut by_rule: BTreeMap<RuleRef, Vec<&Group>> = BTreeMap::new();
    for group in context.dns_clients() {
        let (dns, engine) = (&context.dns, context.engine);
        let closed = dns
            .reach_of_cache(engine, group)
            .is_some_and(|reach| reach.udp == Verdict::Denied && reach.tcp == Verdict::Denied);
        let query = dns.packets(engine, group, Protocol::Udp).into_iter().next();
        let Some(query) = query.filter(|query| closed && context.is_open(query)) else {
            continue;
        };
        if let Some(rule) = context.accepting_rule(&query) {
            by_rule.entry(rule).or_default().push(group);
        }
    }
    for (rule, groups) in by_rule {
        findings.extend(without_cache(context, rule, &groups));
    }
}

fn without_cache(context: &Context<'_>, rule: RuleRef, groups: &[&Group]) -> Option<Finding> {
    let policy = context.snapshot.policy(rule.policy);
    let affected = context.workloads(groups.iter().flat_map(|g| g.pods.iter().copied()));
    let first = groups.first()?;
    let packets = context
        .dns
        .packets_to_cache(context.engine, first, Protocol::Udp);
    let packet = *packets.first()?;
    let Peer::Address(address) = packet.destination else {
        return None;
    };
    let written = context.written_rule(rule);
    // A peer more is a wider rule on all of its ports: only where they are those of DNS.
    let dns_only =
        written.is_some_and(|w| w.is_for_dns_only() && w.ports.contains(Protocol::Udp, 53));
    let to = rule_path(rule).key("to");
    Some(Finding {
        rule: &RULE,
        severity: Severity::Warning,
        message: format!(
            "the DNS rule of `{}` does not cover the cache on every node, at {address}",
            policy.name
        ),
        consequence: Some(format!(
            "pods ask the cache first; whether a policy comes between a pod and its own node \
             depends on the CNI, and where it does, {} cannot resolve names",
            context.list(&affected)
        )),
        help: Some(format!(
            "allow UDP and TCP 53 to {}: no selector matches it, since it is no pod's address",
            ipnet::IpNet::from(address)
        )),
        object: context.policy_ref(rule.policy),
        primary: policy
            .origin
            .as_ref()
            .map(|origin| Place::value(origin, rule_path(rule), format!("{address} is not in it"))),
        related: Vec::new(),
        witness: Some(context.witness(packet)),
        affected,
        fix: policy
            .origin
            .as_ref()
            .filter(|_| dns_only)
            .map(|origin| Fix {
                title: format!("add {address} to the rule"),
                safety: Safety::Safe,
                edits: packets
                    .iter()
                    .filter_map(|packet| match packet.destination {
                        Peer::Address(address) => Some(Edit::Append {
                            origin: origin.clone(),
                            path: to.clone(),
                            value: json!({
                                "ipBlock": {"cidr": ipnet::IpNet::from(address).to_string()}
                            }),
                        }),
                        Peer::Pod(_) => None,
                    })
                    .collect(),
            }),
    })
}
