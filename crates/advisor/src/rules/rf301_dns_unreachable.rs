mod other_resolvers;

use std::collections::BTreeMap;

use ringfence_engine::{Packet, Verdict};
use ringfence_model::address::{IpFamily, private_networks};
use ringfence_model::diagnostic::Severity;
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::policy::{Direction, PolicyBody, Tier};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{NamespaceId, PolicyId, ServiceId};
use ringfence_model::source::KeyPath;
use ringfence_model::tri::Tri;

use crate::context::{Context, DnsAlone, DnsReach, Group, PoliciesAlone, WrittenBlock};
use crate::finding::{Edit, Finding, Fix, NotVerified, Place, Safety};
use crate::proposal;
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// Egress is isolated and names cannot be resolved.
pub(super) static RULE: Rule = Rule {
    code: Code(301),
    name: "dns-unreachable",
    severity: Severity::Error,
    summary: "egress is isolated and the cluster's name servers cannot be reached",
    page: include_str!("../../../../docs/findings/RF301.md"),
    check,
};

/// What follows when names are not resolved.
const CONSEQUENCE: &str =
    "nearly every connection begins with a name, so that even what is allowed fails";

/// How certain it is that no query gets through.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Doubt {
    /// It is.
    None,
    /// Unless a name server has a public address, in these blocks.
    OnlyAt(String),
    /// It is not known.
    Some,
}

/// The blocks of public addresses in which a name server would have to be for the pods of a
/// group to reach it; `None` if it depends on anything else. Pods may have such addresses,
/// so that the verdict is Unknown; that this is how the name servers of a cluster are
/// reached, nobody means.
fn only_at(context: &Context<'_>, group: &Group) -> Option<String> {
    let (dns, engine) = (&context.dns, context.engine);
    let by_cache = dns.reach_of_cache(engine, group);
    let is_closed = |reach: DnsReach| (reach.udp, reach.tcp) == (Verdict::Denied, Verdict::Denied);
    if group.egress_isolated != Tri::Yes || !by_cache.is_none_or(is_closed) {
        return None;
    }
    let mut blocks: Vec<String> = Vec::new();
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        for query in dns.packets(engine, group, protocol) {
            if engine.can(&query) == Verdict::Denied {
                continue;
            }
            let rules = engine.matching_rules(
                group.first,
                Direction::Egress,
                query.destination,
                query.family,
                (query.protocol, query.port),
            );
            if rules.is_empty() {
                return None;
            }
            for matching in rules {
                let rule = context.written_rule(matching.rule)?;
                let mut policies = engine.policies_for(group.first, Direction::Egress);
                let applies = policies.any(|(id, a)| id == matching.rule.policy && a == Tri::Yes);
                let is_public = |block: &WrittenBlock| {
                    let private = private_networks(IpFamily::V4);
                    block.block.family() == IpFamily::V4 && block.addresses.is_disjoint(private)
                };
                let by_blocks = rule.blocks.len() == rule.peers.len() && !rule.is_for_everybody();
                if !applies || !by_blocks || !rule.blocks.iter().all(is_public) {
                    return None;
                }
                blocks.extend(rule.blocks.iter().map(|b| b.block.cidr.to_string()));
            }
        }
    }
    blocks.sort_unstable();
    blocks.dedup();
    (!blocks.is_empty()).then(|| blocks.join(" or "))
}

fn check(context: &Context<'_>, findings: &mut Findings) {
    of_policies_alone(context, findings);
    for question in other_resolvers::questions(context) {
        findings.not_verified(question);
    }
    let problems = context.dns_problems();
    if context.dns.servers.is_empty() && context.dns.cache.is_empty() {
        if !problems.is_empty() {
            findings.not_verified(NotVerified {
                code: RULE.code,
                what: "whether pods can resolve names".to_owned(),
                why: "no pod of the input is behind the Service of the name servers".to_owned(),
                how: "add the manifests of the name servers".to_owned(),
            });
        }
        return;
    }
    let misses_have_a_rule = context.options.wants(Code(303));
    let mut by_namespace: BTreeMap<(NamespaceId, Doubt), Vec<&Group>> = BTreeMap::new();
    let mut by_hint: BTreeMap<(NamespaceId, Option<ServiceId>), Vec<&Group>> = BTreeMap::new();
    let mut by_denying: BTreeMap<PolicyId, Vec<&Group>> = BTreeMap::new();
    for problem in problems {
        // A rule was written for it and misses: RF303 says what is wrong with it.
        if misses_have_a_rule && !problem.rules.is_empty() {
            continue;
        }
        let Some(group) = context.dns_clients().get(problem.client) else {
            continue;
        };
        if problem.may_ask.is_some() || problem.rules.iter().any(|rule| rule.may_fit_others) {
            let key = (group.namespace, problem.may_ask);
            by_hint.entry(key).or_default().push(group);
            continue;
        }
        // Of what is not isolated, nothing is known to be closed.
        if !problem.is_certain() && group.egress_isolated == Tri::No {
            continue;
        }
        let denying = query(context, group).and_then(|query| context.denied_cluster_wide(&query));
        if let Some(reason) = denying.filter(|_| problem.is_certain()) {
            by_denying.entry(reason.policy).or_default().push(group);
            continue;
        }
        let doubt = match problem.is_certain() {
            true => Doubt::None,
            false => only_at(context, group).map_or(Doubt::Some, Doubt::OnlyAt),
        };
        let key = (group.namespace, doubt);
        by_namespace.entry(key).or_default().push(group);
    }
    for ((namespace, doubt), groups) in by_namespace {
        findings.extend(finding(context, namespace, &doubt, &groups));
    }
    for ((_, may_ask), groups) in by_hint {
        findings.not_verified(not_known_which(context, &groups, may_ask));
    }
    for groups in by_denying.values() {
        findings.extend(denied(context, groups));
    }
}

/// What holds of pods that are not in the input, and what does not.
fn of_policies_alone(context: &Context<'_>, findings: &mut Findings) {
    for alone in context.policies_alone() {
        // A rule was written for it and misses: RF303 says what is wrong with it.
        let has_a_rule = context.options.wants(Code(303)) && !alone.missing.is_empty();
        match alone.dns {
            DnsAlone::Fine => {}
            DnsAlone::Closed | DnsAlone::Unknown if has_a_rule => {}
            DnsAlone::Closed if alone.missing.is_empty() => {
                findings.extend(closed_to_all(context, alone));
            }
            DnsAlone::Closed | DnsAlone::Unknown => {
                let name = &context.snapshot.namespace(alone.namespace).name;
                findings.not_verified(NotVerified {
                    code: RULE.code,
                    what: format!("whether the pods of namespace `{name}` can resolve names"),
                    why: "the input has policies and no pods of it, and what these policies allow \
                          depends on the pods, or on policies beside them"
                        .to_owned(),
                    how: "add its workloads to the input".to_owned(),
                });
            }
        }
    }
}

/// The finding where policies isolate whatever pods there are, and none lets any of them
/// ask. That another file may do so is why it is no error.
fn closed_to_all(context: &Context<'_>, alone: &PoliciesAlone) -> Option<Finding> {
    let id = *alone.isolating.first()?;
    let name = &context.snapshot.namespace(alone.namespace).name;
    let origin = context.snapshot.policy(id).origin.as_ref();
    Some(Finding {
        rule: &RULE,
        severity: Severity::Warning,
        message: format!(
            "the pods of namespace `{name}` cannot resolve names: every one is isolated, and no \
             policy of the input lets any of them ask the name servers"
        ),
        consequence: Some(CONSEQUENCE.to_owned()),
        help: Some(format!(
            "allow UDP and TCP to the name servers ({}), or add the policy that does to the input",
            context.name_servers()
        )),
        object: context.policy_ref(id),
        primary: origin.map(|origin| {
            let label = "nothing is let out of any pod but what a rule allows";
            Place::key(origin, place_of_isolation(context, id), label)
        }),
        related: Vec::new(),
        witness: None,
        affected: Vec::new(),
        // Another file may have it.
        fix: None,
    })
}

/// The question where name servers were assumed, and the input hints at others.
fn not_known_which(
    context: &Context<'_>,
    groups: &[&Group],
    may_ask: Option<ServiceId>,
) -> NotVerified {
    let affected = context.workloads(groups.iter().flat_map(|g| g.pods.iter().copied()));
    let hint = match may_ask.map(|id| context.snapshot.service(id)) {
        Some(service) => format!(
            "Service {}/{}, which they may ask, answers on port 53",
            context.snapshot.namespace(service.namespace).name,
            service.name
        ),
        None => "a rule for name servers fits those of other clusters".to_owned(),
    };
    NotVerified {
        code: RULE.code,
        what: format!("whether {} can resolve names", context.list(&affected)),
        why: format!("the input has no name servers that are known as such, and {hint}"),
        how: "add the manifests of the name servers, or label their pods `k8s-app: kube-dns`"
            .to_owned(),
    }
}

/// The finding where a cluster-wide policy denies the queries: no policy of a namespace is
/// at fault, and none can mend it.
fn denied(context: &Context<'_>, groups: &[&Group]) -> Option<Finding> {
    let packet = query(context, groups.first()?)?;
    let reason = context.denied_cluster_wide(&packet)?;
    let affected = context.workloads(groups.iter().flat_map(|g| g.pods.iter().copied()));
    let policy = context.snapshot.policy(reason.policy);
    let what = format!(
        "UDP and TCP to the name servers ({})",
        context.name_servers()
    );
    Some(Finding {
        rule: &RULE,
        severity: RULE.severity,
        message: format!(
            "{} cannot resolve names: `{}` denies the queries to the cluster's name servers",
            context.list(&affected),
            policy.name
        ),
        consequence: Some(CONSEQUENCE.to_owned()),
        help: Some(context.help_against(&reason, &what)),
        object: context.policy_ref(reason.policy),
        primary: policy
            .origin
            .as_ref()
            .map(|origin| Place::value(origin, reason.path, "denies queries to the name servers")),
        related: Vec::new(),
        witness: context.witness_to_show(packet),
        affected,
        fix: None,
    })
}

fn finding(
    context: &Context<'_>,
    namespace: NamespaceId,
    doubt: &Doubt,
    groups: &[&Group],
) -> Option<Finding> {
    let first = groups.first()?;
    let affected = context.workloads(groups.iter().flat_map(|g| g.pods.iter().copied()));
    let who = context.list(&affected);
    let packet = query(context, first)?;
    let explanation = context.explain(&packet);
    let direction = match explanation.egress.verdict {
        Verdict::Allowed => Direction::Ingress,
        Verdict::Denied | Verdict::Unknown => Direction::Egress,
    };
    let isolating = match direction {
        Direction::Egress => isolating(context, groups),
        Direction::Ingress => Vec::new(),
    };
    let side = match direction {
        Direction::Egress => &explanation.egress,
        Direction::Ingress => &explanation.ingress,
    };
    let decisive = side.reasons.iter().find(|reason| reason.decisive);
    let policy = isolating
        .first()
        .copied()
        .or_else(|| decisive.map(|reason| reason.policy));
    let primary = policy.and_then(|id| {
        let label = match direction {
            Direction::Egress => "nothing is let out of these pods but what a rule allows",
            Direction::Ingress => "the name servers accept nothing from these pods",
        };
        let path = match (direction, decisive) {
            (Direction::Egress, _) if isolating.contains(&id) => place_of_isolation(context, id),
            (_, Some(reason)) => reason.path.clone(),
            _ => KeyPath::root().key("spec"),
        };
        let origin = context.snapshot.policy(id).origin.as_ref()?;
        Some(Place::key(origin, path, label))
    });
    let (severity, message) = match doubt {
        Doubt::None => (
            RULE.severity,
            format!("{who} cannot resolve names: no query reaches the cluster's name servers"),
        ),
        Doubt::OnlyAt(blocks) => (
            RULE.severity,
            format!("{who} can resolve names only if a name server has an address in {blocks}"),
        ),
        Doubt::Some => (
            Severity::Warning,
            format!("it is not known whether {who} can resolve names"),
        ),
    };
    // Of a name server on whatever node nobody knows the address: a rule for the nodes that
    // are known leaves it as doubtful as it was.
    let mut servers = context.dns.servers.iter();
    let is_somewhere = servers.any(|(pod, _)| {
        let pod = context.snapshot.pod(*pod);
        pod.host_network && pod.addresses.is_empty()
    });
    let fix = match (doubt, is_somewhere) {
        (Doubt::Some, true) => None,
        _ => fix(context, namespace, groups, &isolating),
    };
    Some(Finding {
        rule: &RULE,
        severity,
        message,
        consequence: Some(match doubt {
            Doubt::None | Doubt::OnlyAt(_) => CONSEQUENCE.to_owned(),
            Doubt::Some => {
                "whether a policy or a rule applies depends on something that the input does \
                      not say"
                    .to_owned()
            }
        }),
        help: Some(match direction {
            Direction::Egress => format!(
                "allow UDP and TCP to the name servers ({}); if these pods never resolve names, \
                 say so with `ringfence.dev/ignore`",
                context.name_servers()
            ),
            Direction::Ingress => {
                "let these pods in at the name servers: a policy there keeps them out".to_owned()
            }
        }),
        object: policy.map_or_else(
            || context.namespace_ref(namespace),
            |id| context.policy_ref(id),
        ),
        primary,
        related: Vec::new(),
        witness: context.witness_to_show(packet),
        affected,
        fix,
    })
}

/// A query that does not get through.
fn query(context: &Context<'_>, group: &Group) -> Option<Packet> {
    let (dns, engine) = (&context.dns, context.engine);
    let mut packets = dns.packets(engine, group, Protocol::Udp);
    packets.extend(dns.packets_to_cache(engine, group, Protocol::Udp));
    let closed = |packet: &&Packet| engine.can(packet) != Verdict::Allowed;
    let shown = packets.iter().find(closed).or(packets.first());
    shown.copied()
}

/// The policies that isolate these groups, those first that isolate most of them.
fn isolating(context: &Context<'_>, groups: &[&Group]) -> Vec<PolicyId> {
    let mut counts: BTreeMap<PolicyId, usize> = BTreeMap::new();
    for group in groups {
        for (policy, _) in context.engine.policies_for(group.first, Direction::Egress) {
            if context.snapshot.policy(policy).tier() == Tier::NetworkPolicy {
                *counts.entry(policy).or_default() += 1;
            }
        }
    }
    let mut policies: Vec<PolicyId> = counts.keys().copied().collect();
    policies.sort_by_key(|id| (std::cmp::Reverse(counts.get(id).copied()), *id));
    policies
}

/// Where a policy says that it isolates egress.
fn place_of_isolation(context: &Context<'_>, id: PolicyId) -> KeyPath {
    let spec_path = KeyPath::root().key("spec");
    match &context.snapshot.policy(id).body {
        PolicyBody::Network(spec) if spec.policy_types.is_some() => spec_path.key("policyTypes"),
        _ => spec_path.key("egress"),
    }
}

/// Allows DNS to all pods of the namespace if all are isolated, else to those that the
/// isolating policies select: a policy for others would isolate them.
fn fix(
    context: &Context<'_>,
    namespace: NamespaceId,
    groups: &[&Group],
    isolating: &[PolicyId],
) -> Option<Fix> {
    // What a cluster-wide policy leaves open, or does not, no policy of a namespace settles.
    let is_unsettled = |group: &&&Group| {
        let mut policies = context.engine.policies_for(group.first, Direction::Egress);
        policies.any(|(id, _)| context.snapshot.policy(id).tier() == Tier::Admin)
            && query(context, group)
                .is_some_and(|packet| context.engine.can(&packet) == Verdict::Unknown)
    };
    if groups.iter().any(|group| is_unsettled(&group)) {
        return None;
    }
    let name = &context.snapshot.namespace(namespace).name;
    let mut others = context.groups().iter();
    let all_isolated = others.all(|group| {
        group.namespace != namespace || group.host_network || group.egress_isolated == Tri::Yes
    });
    let beside = isolating
        .iter()
        .find_map(|id| context.snapshot.policy(*id).origin.as_ref())?;
    let mut selectors: Vec<LabelSelector> = Vec::new();
    if all_isolated {
        selectors.push(LabelSelector::default());
    } else {
        let mut left: Vec<&&Group> = groups.iter().collect();
        for id in isolating {
            let selects = |group: &&&Group| {
                let mut policies = context.engine.policies_for(group.first, Direction::Egress);
                policies.any(|(policy, applies)| policy == *id && applies == Tri::Yes)
            };
            let before = left.len();
            left.retain(|group| !selects(group));
            if left.len() == before {
                continue;
            }
            let PolicyBody::Network(spec) = &context.snapshot.policy(*id).body else {
                continue;
            };
            let selector = spec.pod_selector.as_ref();
            selectors.push(selector.cloned().unwrap_or_default());
        }
    }
    let manifests = proposal::allow_dns(context, namespace, selectors);
    let edits: Vec<Edit> = manifests
        .into_iter()
        .map(|manifest| Edit::AddObject {
            beside: beside.clone(),
            manifest,
        })
        .collect();
    (!edits.is_empty()).then(|| Fix {
        title: format!("allow DNS in namespace `{name}`"),
        safety: Safety::Unsafe,
        edits,
    })
}
