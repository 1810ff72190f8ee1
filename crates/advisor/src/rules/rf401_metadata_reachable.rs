use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use ringfence_engine::{Peer, RuleRef, Verdict};
use ringfence_model::address::{IpFamily, IpRangeSet};
use ringfence_model::diagnostic::Severity;
use ringfence_model::metadata;
use ringfence_model::policy::{Action, Direction, PolicyBody, Tier, TieredPeer};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{NamespaceId, WorkloadId};
use ringfence_model::source::KeyPath;
use ringfence_model::tri::Tri;

use crate::context::{Cause, Context, Opening, WrittenRule, address_text, list_exceptions};
use crate::finding::{Finding, Fix, Place};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A pod can reach a cloud metadata endpoint.
pub(super) static RULE: Rule = Rule {
    code: Code(401),
    name: "metadata-reachable",
    severity: Severity::Error,
    summary: "a pod can reach a cloud metadata endpoint, and the credentials behind it",
    page: include_str!("../../../../docs/findings/RF401.md"),
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings) {
    let ipv6_alone_has_a_rule = context.options.wants(Code(404));
    for (cause, openings) in context.openings() {
        let openings: Vec<&Opening> = openings
            .iter()
            .filter(|opening| {
                // IPv6 alone is open: RF404.
                let by_404 = opening.address.is_ipv6() && opening.certain && ipv6_alone_has_a_rule;
                !(by_404 && context.leaks_over_ipv6(opening.group))
            })
            .collect();
        let Some(mut finding) = finding(context, *cause, &openings) else {
            continue;
        };
        match cause {
            Cause::NotIsolated(namespace) if context.role(*namespace).is_protected() => {
                finding.help = None;
                let name = &context.snapshot.namespace(*namespace).name;
                findings.push_suppressed(
                    finding,
                    "a default deny there breaks the cluster",
                    format!("`{name}` is {}", context.role(*namespace).describe()),
                );
            }
            _ => findings.push(finding),
        }
    }
    let rules = context.written_rules().iter();
    let egress = rules.filter(|rule| rule.id.direction == Direction::Egress);
    let alone = egress.filter(|rule| !context.has_pods_beside(rule.policy));
    let alone = alone.map(Alone::of_namespace);
    findings.extend(alone.filter_map(|rule| without_pods(context, &rule)));
    if !context.has_pods() {
        let cluster_wide = accepted_cluster_wide(context).into_iter();
        findings.extend(cluster_wide.filter_map(|rule| without_pods(context, &rule)));
    }
}

/// A rule that is for pods that are not in the input.
struct Alone {
    id: RuleRef,
    /// What it is called in a sentence.
    name: String,
    /// The addresses that it covers in each family; `None` for whatever there is.
    addresses: Option<[IpRangeSet; 2]>,
    /// Whether another rule may decide before it.
    may_be_denied: bool,
}

impl Alone {
    fn of_namespace(rule: &WrittenRule<'_>) -> Self {
        let addresses = IpFamily::ALL.map(|family| rule.addresses(family));
        Self {
            id: rule.id,
            name: rule.name(),
            addresses: (!rule.peers.is_empty()).then_some(addresses),
            may_be_denied: false,
        }
    }

    fn covers(&self, context: &Context<'_>, address: IpAddr) -> bool {
        match &self.addresses {
            Some(sets) => sets.iter().any(|set| set.contains(address)),
            // In a family that nobody names only if pods have it.
            None => context
                .snapshot
                .default_families
                .contains(&IpFamily::of(address)),
        }
    }
}

/// The rules of cluster-wide policies that accept connections to addresses.
fn accepted_cluster_wide(context: &Context<'_>) -> Vec<Alone> {
    let mut accepting = Vec::new();
    let mut has_others = false;
    for (policy, written) in context.snapshot.policy_ids() {
        let PolicyBody::Tiered(body) = &written.body else {
            continue;
        };
        for (index, rule) in body.egress.iter().enumerate() {
            if rule.action != Action::Accept {
                has_others = true;
                continue;
            }
            let blocks = rule.peers.iter().flat_map(|peer| match peer {
                TieredPeer::Networks(blocks) => blocks.as_slice(),
                _ => &[],
            });
            let nets: Vec<IpNet> = blocks.filter_map(|block| block.parse().ok()).collect();
            accepting.push(Alone {
                id: RuleRef {
                    policy,
                    direction: Direction::Egress,
                    rule: index,
                },
                name: format!("egress rule {} of {}", index + 1, written.display_name()),
                addresses: Some(IpFamily::ALL.map(|f| IpRangeSet::from_nets(f, &nets))),
                // Policies of namespaces decide before those of the baseline.
                may_be_denied: body.tier != Tier::Admin,
            });
        }
    }
    for rule in &mut accepting {
        rule.may_be_denied |= has_others;
    }
    accepting
}

/// A metadata address that a rule covers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Covered {
    /// Not served on any of the rule's ports, as far as is known.
    unserved: bool,
    /// Not the address that everybody knows.
    uncommon: bool,
    address: IpAddr,
    port: (Protocol, u16),
}

/// The metadata addresses that a rule covers, the one that tells most first.
fn covered(context: &Context<'_>, rule: &Alone) -> Vec<Covered> {
    let ports = context.engine.ports_of(rule.id, None).allow;
    let mut covered = BTreeMap::new();
    for endpoint in context.metadata_endpoints() {
        let address = endpoint.address;
        if !rule.covers(context, address) {
            continue;
        }
        let served = (Protocol::Tcp, endpoint.port.unwrap_or(80));
        let is_served = ports.contains(served.0, served.1);
        let port = match is_served {
            true => Some(served),
            false => context.telling_port(&ports, Peer::Address(address)),
        };
        if let Some(port) = port {
            let found = Covered {
                unserved: !is_served,
                uncommon: address != metadata::COMMON,
                address,
                port,
            };
            let known = covered.entry(address).or_insert(found);
            *known = found.min(*known);
        }
    }
    let mut covered: Vec<Covered> = covered.into_values().collect();
    covered.sort_unstable();
    covered
}

/// A rule of a policy whose pods are not in the input. What it allows is certain, whoever
/// they are.
fn without_pods(context: &Context<'_>, rule: &Alone) -> Option<Finding> {
    let covered = covered(context, rule);
    let shown = covered.first()?;
    let mut addresses: Vec<IpAddr> = covered.iter().map(|c| c.address).collect();
    addresses.sort_unstable();
    let blame = by_rule(context, rule.id, shown.address, &addresses);
    let provider = context.providers_at(shown.address);
    let (severity, consequence) = how_bad(
        is_named(context, rule.id, &addresses),
        !shown.unserved,
        covered.iter().any(|c| c.port.0 == Protocol::Tcp),
        &provider,
    );
    let at = address_text(shown.address, shown.port);
    let at = match shown.uncommon {
        false => at,
        true => format!("{at} ({provider})"),
    };
    let is_namespaced = context.namespace_of(rule.id.policy).is_some();
    let may_be_denied =
        rule.may_be_denied || is_namespaced && context.may_be_decided_cluster_wide();
    Some(Finding {
        rule: &RULE,
        severity: match may_be_denied {
            true => Severity::Warning,
            false => severity,
        },
        message: format!(
            "{} opens cloud metadata at {at}{} to the pods that it selects",
            rule.name,
            others(&addresses)
        ),
        consequence: Some(match may_be_denied {
            true => format!("{consequence}; a cluster-wide policy may deny it to them"),
            false => consequence,
        }),
        help: Some(blame.help),
        object: blame.object,
        primary: blame.primary,
        related: Vec::new(),
        witness: None,
        affected: Vec::new(),
        fix: blame.fix,
    })
}

/// That there are more addresses than the one that is shown.
fn others(addresses: &[IpAddr]) -> String {
    match addresses.len().saturating_sub(1) {
        0 => String::new(),
        1 => " and one more metadata address".to_owned(),
        more => format!(" and {more} more metadata addresses"),
    }
}

/// How bad it is that the address can be reached for certain, and what follows from it.
fn how_bad(is_named: bool, is_served: bool, over_tcp: bool, provider: &str) -> (Severity, String) {
    if !over_tcp {
        let other = "credentials are served over HTTP, and no TCP port is open".to_owned();
        return (Severity::Note, other);
    }
    if is_named {
        let meant = format!(
            "the rule names the address, so it is probably meant; {provider} gives credentials \
             there to whoever asks"
        );
        return (Severity::Warning, meant);
    }
    match is_served {
        true => (
            RULE.severity,
            format!(
                "one forged request is enough to read the credentials of the node (served there by \
                 {provider} to whoever asks)"
            ),
        ),
        false => (
            Severity::Warning,
            "no provider is known to serve credentials on the ports that are open, but \
             nothing but that stands in between"
                .to_owned(),
        ),
    }
}

/// What a finding says of the policies at fault.
struct Blame {
    object: ringfence_model::object::ObjectRef,
    primary: Option<Place>,
    help: String,
    fix: Option<Fix>,
}

fn finding(context: &Context<'_>, cause: Cause, openings: &[&Opening]) -> Option<Finding> {
    // The opening that shows most: the address that everybody knows before others, if it
    // is open for certain; served before not.
    let shown = openings.iter().min_by_key(|opening| {
        let is_common = opening.address == metadata::COMMON;
        (
            !opening.certain,
            !(is_common && opening.served),
            !opening.served,
            !is_common,
            opening.address,
            opening.group,
        )
    })?;
    let group = context.groups().get(shown.group)?;
    let witness = context.witness(shown.packet(group));
    let (affected, addresses) = context.concerned_by(openings);
    let provider = context.providers_at(shown.address);
    let others = others(&addresses);
    let at = match shown.address == metadata::COMMON {
        true => shown.at(),
        false => format!("{} ({provider})", shown.at()),
    };
    let who = context.list(&affected);
    let reach = match affected.len() {
        1 => "reaches",
        _ => "reach",
    };
    let message = match witness.verdict {
        Verdict::Allowed => format!("{who} {reach} cloud metadata at {at}{others}"),
        Verdict::Denied | Verdict::Unknown => {
            format!("it is not known whether {who} {reach} cloud metadata at {at}{others}")
        }
    };
    let (severity, consequence) = if witness.verdict != Verdict::Allowed {
        (
            Severity::Warning,
            "the verdict depends on something that the input does not say".to_owned(),
        )
    } else {
        let is_named = match cause {
            Cause::Rule(rule, _) => is_named(context, rule, &addresses),
            Cause::NotIsolated(_) => false,
        };
        let is_served = openings.iter().any(|o| o.certain && o.served);
        let over_tcp = openings.iter().any(|o| o.protocol == Protocol::Tcp);
        how_bad(is_named, is_served, over_tcp, &provider)
    };
    let blame = match cause {
        Cause::NotIsolated(namespace) => not_isolated(context, namespace, &affected),
        Cause::Rule(rule, _) => {
            let mut blame = by_rule(context, rule, shown.address, &addresses);
            if let Some(denies) = context.denied_too_late(rule, &witness.packet) {
                blame.help = format!(
                    "put the Deny first: egress rule {} of the same policy denies it, and comes \
                     after this one",
                    denies.rule + 1
                );
            }
            blame
        }
    };
    let undecided = openings.iter().any(|opening| {
        let group = context.groups().get(opening.group);
        group.is_some_and(|group| group.egress_isolated == Tri::Unknown)
    });
    let help = blame.help;
    Some(Finding {
        rule: &RULE,
        severity,
        message,
        consequence: Some(consequence),
        help: Some(match undecided {
            true => format!(
                "{help}; whether a policy selects these pods depends on labels that the input \
                 does not have"
            ),
            false => help,
        }),
        object: blame.object,
        primary: blame.primary,
        related: Vec::new(),
        witness: Some(witness),
        affected,
        fix: blame.fix,
    })
}

/// Whether a rule lists these addresses one by one: nobody does that by accident.
fn is_named(context: &Context<'_>, rule: RuleRef, addresses: &[IpAddr]) -> bool {
    let Some(written) = context.written_rule(rule) else {
        return false;
    };
    let named = |address: &IpAddr| {
        let mut blocks = written.blocks.iter().map(|block| block.block.cidr);
        blocks.any(|cidr| cidr == ipnet::IpNet::from(*address))
    };
    !written.is_for_everybody() && addresses.iter().all(named)
}

fn not_isolated(context: &Context<'_>, namespace: NamespaceId, affected: &[WorkloadId]) -> Blame {
    let origin = affected
        .iter()
        .find_map(|id| context.snapshot.workload(*id).origin.as_ref());
    let path = KeyPath::root().key("metadata").key("name");
    let label = "no policy stands between its pods and metadata";
    Blame {
        object: context.namespace_ref(namespace),
        primary: origin.map(|origin| Place::value(origin, path, label)),
        help: "isolate the egress of these pods: see RF201".to_owned(),
        fix: None,
    }
}

fn by_rule(context: &Context<'_>, rule: RuleRef, shown: IpAddr, addresses: &[IpAddr]) -> Blame {
    let exceptions = context.exceptions(rule, addresses);
    let is_everybody = context
        .written_rule(rule)
        .is_some_and(|r| r.is_for_everybody());
    let help = match &exceptions {
        Some(exceptions) => {
            let mut help = format!(
                "add to the `except` of the block: {}",
                list_exceptions(context, &exceptions.entries)
            );
            if context.options.providers.is_empty() {
                help.push_str("; `--provider` limits this to the clouds that you use");
            }
            help
        }
        None if is_everybody => "the rule has no `to`, so that it covers every address and has \
                                 no block to except one from: name the peers that are needed"
            .to_owned(),
        None => "leave the address out of what the rule allows; if it is needed, allow it only to \
                 the pods that need it and say so with `ringfence.dev/ignore`"
            .to_owned(),
    };
    let label = format!("this covers {shown}");
    Blame {
        object: context.policy_ref(rule.policy),
        primary: context.covering_place(rule, shown, label),
        help,
        fix: exceptions.and_then(|exceptions| exceptions.fix),
    }
}
