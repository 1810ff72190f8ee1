use std::collections::BTreeMap;

use ringfence_engine::{Packet, Verdict};
use ringfence_model::diagnostic::Severity;
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::policy::{Direction, PolicyBody, Tier};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{NamespaceId, PolicyId};
use ringfence_model::source::KeyPath;
use ringfence_model::tri::Tri;

use crate::context::{Context, Group};
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

fn check(context: &Context<'_>, findings: &mut Findings) {
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
    let mut by_namespace: BTreeMap<(NamespaceId, bool), Vec<&Group>> = BTreeMap::new();
    let mut by_denying: BTreeMap<PolicyId, Vec<&Group>> = BTreeMap::new();
    for problem in problems {
        // A rule was written for it and misses: RF303 says what is wrong with it.
        if misses_have_a_rule && !problem.rules.is_empty() {
            continue;
        }
        let Some(group) = context.groups().get(problem.group) else {
            continue;
        };
        // Of what is not isolated, nothing is known to be closed.
        if !problem.is_certain() && group.egress_isolated == Tri::No {
            continue;
        }
        let denying = query(context, group).and_then(|query| context.denied_cluster_wide(&query));
        if let Some(reason) = denying.filter(|_| problem.is_certain()) {
            by_denying.entry(reason.policy).or_default().push(group);
            continue;
        }
        let key = (group.namespace, problem.is_certain());
        by_namespace.entry(key).or_default().push(group);
    }
    for ((namespace, certain), groups) in by_namespace {
        findings.extend(finding(context, namespace, certain, &groups));
    }
    for groups in by_denying.values() {
        findings.extend(denied(context, groups));
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
    certain: bool,
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
    let (severity, message) = match certain {
        true => (
            RULE.severity,
            format!("{who} cannot resolve names: no query reaches the cluster's name servers"),
        ),
        false => (
            Severity::Warning,
            format!("it is not known whether {who} can resolve names"),
        ),
    };
    let fix = fix(context, namespace, groups, &isolating);
    Some(Finding {
        rule: &RULE,
        severity,
        message,
        consequence: Some(match certain {
            true => CONSEQUENCE.to_owned(),
            false => "whether a policy or a rule applies depends on something that the input does \
                      not say"
                .to_owned(),
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
