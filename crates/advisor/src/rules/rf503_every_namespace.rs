mod few_left_out;

use ringfence_engine::{Peer, Verdict};
use ringfence_model::address::IpFamily;
use ringfence_model::diagnostic::Severity;
use ringfence_model::k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use ringfence_model::policy::Direction;
use ringfence_model::protocol::Protocol;
use ringfence_model::selector::selects_everything;
use ringfence_model::snapshot::PodId;

use crate::context::{Context, WrittenRule};
use crate::finding::{Finding, Witness};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A `namespaceSelector` as a peer that leaves no namespace out, or few.
pub(super) static RULE: Rule = Rule {
    code: Code(503),
    name: "every-namespace",
    severity: Severity::Warning,
    summary: "a namespaceSelector that leaves no namespace out, such as `{}`, or few, as a peer",
    page: include_str!("../../../../docs/findings/RF503.md"),
    check,
};

/// What follows where pods are selected by their labels.
const MAKES_PODS: &str =
    "whoever may make pods in any namespace can make one that this rule is about";

const HELP: &str = "name the namespace: `matchLabels: {kubernetes.io/metadata.name: NAME}`; for \
                    the policy's own namespace leave `namespaceSelector` out and write \
                    `podSelector: {}`";

fn check(context: &Context<'_>, findings: &mut Findings) {
    for rule in context.written_rules() {
        findings.extend(everyone(context, rule));
        for (index, peer) in rule.peers.iter().enumerate() {
            let selector = peer.namespace_selector.as_ref();
            if selector.is_some_and(|selector| context.is_every_namespace(selector)) {
                findings.extend(finding(context, rule, index, peer));
            }
        }
        few_left_out::check(context, rule, findings);
    }
}

/// An egress rule for everyone, or for most addresses, that lets pods into other
/// namespaces. Where the internet is open by it too, that is RF501, and this gives way.
fn everyone(context: &Context<'_>, rule: &WrittenRule<'_>) -> Option<Finding> {
    let is_wide = || {
        IpFamily::ALL
            .into_iter()
            .any(|family| rule.covers_the_internet(family))
    };
    if rule.id.direction != Direction::Egress || !(rule.peers.is_empty() || is_wide()) {
        return None;
    }
    let witness = shown_by(context, rule).filter(|w| w.verdict == Verdict::Allowed)?;
    if !crosses(context, &witness) {
        return None;
    }
    let what = match rule.peers.is_empty() {
        true => "names no peers",
        false => "is for most addresses there are",
    };
    let subjects = context.subjects(rule.id.policy);
    Some(Finding {
        rule: &RULE,
        severity: RULE.severity,
        message: format!(
            "{} {what}, and so allows connections to the pods of every namespace",
            rule.name()
        ),
        consequence: Some(
            "there is no boundary left between this namespace and the others, but what those \
             deny themselves"
                .to_owned(),
        ),
        help: Some(
            "name whom the pods need: the namespace by `kubernetes.io/metadata.name`, the pods \
             by their labels"
                .to_owned(),
        ),
        object: context.policy_ref(rule.id.policy),
        primary: rule.place(rule.path(), "this is for everyone"),
        related: Vec::new(),
        witness: Some(witness),
        affected: context.workloads_like(&subjects),
        fix: None,
    })
}

fn finding(
    context: &Context<'_>,
    rule: &WrittenRule<'_>,
    index: usize,
    peer: &NetworkPolicyPeer,
) -> Option<Finding> {
    let subjects = context.subjects(rule.id.policy);
    let witness = shown_by(context, rule);
    // Nothing is selected by it: another finding says so.
    if witness.is_none() && context.has_pods() {
        return None;
    }
    let narrowed = peer
        .pod_selector
        .as_ref()
        .filter(|s| !selects_everything(s));
    let (severity, who) = match narrowed {
        Some(selector) => {
            let labels: Vec<String> = selector
                .match_labels
                .iter()
                .flatten()
                .map(|(key, value)| format!("`{key}: {value}`"))
                .collect();
            let who = match labels.is_empty() {
                true => "the selected pods of every namespace".to_owned(),
                false => format!(
                    "the pods of every namespace that are labelled {}",
                    labels.join(", ")
                ),
            };
            (Severity::Note, who)
        }
        None => (RULE.severity, "all pods of every namespace".to_owned()),
    };
    let (verb, consequence) = match (rule.id.direction, narrowed) {
        (_, Some(_)) => (
            match rule.id.direction {
                Direction::Egress => "allows connections to",
                Direction::Ingress => "allows connections from",
            },
            MAKES_PODS,
        ),
        (Direction::Egress, None) => (
            "allows connections to",
            "there is no boundary left between this namespace and the others, kube-system \
             included, but what those deny themselves",
        ),
        (Direction::Ingress, None) => (
            "allows connections from",
            "a pod that is taken over in any namespace, however little it is trusted, can \
             connect",
        ),
    };
    // Something else denies what it allows, as long as it is there.
    let is_denied = witness.is_some_and(|witness| witness.verdict == Verdict::Denied);
    let (severity, consequence) = match is_denied {
        true => (
            Severity::Note,
            format!("something else denies these connections now; without that, {consequence}"),
        ),
        false => (severity, consequence.to_owned()),
    };
    let path = rule.peer_path(index).key("namespaceSelector");
    let is_empty = peer
        .namespace_selector
        .as_ref()
        .is_some_and(selects_everything);
    let label = match is_empty {
        true => "an empty selector selects every namespace",
        false => "no namespace is left out by this",
    };
    Some(Finding {
        rule: &RULE,
        severity,
        message: format!("{} {verb} {who}", rule.name()),
        consequence: Some(consequence),
        help: Some(HELP.to_owned()),
        object: context.policy_ref(rule.id.policy),
        primary: rule.place(path, label),
        related: Vec::new(),
        witness,
        affected: context.workloads_like(&subjects),
        fix: None,
    })
}

/// Whether a packet leaves the namespace of its source for another.
fn crosses(context: &Context<'_>, witness: &Witness) -> bool {
    let namespace = |peer: Peer| match peer {
        Peer::Pod(pod) => Some(context.snapshot.pod(pod).namespace),
        Peer::Address(_) => None,
    };
    let ends = (witness.packet.source, witness.packet.destination);
    match (namespace(ends.0), namespace(ends.1)) {
        (Some(source), Some(destination)) => source != destination,
        _ => false,
    }
}

/// A packet that crosses namespaces and is let through; else one that is not.
fn shown_by(context: &Context<'_>, rule: &WrittenRule<'_>) -> Option<Witness> {
    let (sources, destinations) = context.ends(rule.id);
    let namespace = |pod: PodId| context.snapshot.pod(pod).namespace;
    let others = match rule.id.direction {
        Direction::Egress => &destinations,
        Direction::Ingress => &sources,
    };
    let home = rule.policy.namespace.as_deref();
    let home = home.and_then(|name| context.snapshot.find_namespace(name));
    let (away, at_home): (Vec<PodId>, Vec<PodId>) = others
        .iter()
        .partition(|pod| Some(namespace(**pod)) != home);
    let port = |destination: PodId| {
        let ports = context.engine.ports_of(rule.id, Some(destination)).allow;
        let port = context.telling_port(&ports, Peer::Pod(destination));
        port.unwrap_or((Protocol::Tcp, 80))
    };
    for others in [&away, &at_home] {
        let ends = match rule.id.direction {
            Direction::Egress => (sources.as_slice(), others.as_slice()),
            Direction::Ingress => (others.as_slice(), destinations.as_slice()),
        };
        for verdict in [Verdict::Allowed, Verdict::Denied, Verdict::Unknown] {
            let witness = context.witness_between(ends, &port, verdict);
            if witness.is_some() {
                return witness;
            }
        }
    }
    None
}
