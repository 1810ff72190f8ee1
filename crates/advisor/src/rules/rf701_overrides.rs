use ringfence_engine::sets::PortSet;
use ringfence_engine::{Influence, Packet, Peer, RuleRef, Verdict};
use ringfence_model::diagnostic::Severity;
use ringfence_model::policy::{Action, Direction, PolicyBody, Tier};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::PodId;
use ringfence_model::source::KeyPath;
use ringfence_model::tri::Tri;

use crate::context::{Context, port_text};
use crate::finding::{Finding, Place, Witness};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A cluster-wide policy overrides a namespace's.
pub(super) static RULE: Rule = Rule {
    code: Code(701),
    name: "overrides-namespace",
    severity: Severity::Warning,
    summary: "a cluster-wide policy overrides what a namespace's policy says",
    page: include_str!("../../../../docs/findings/RF701.md"),
    check,
};

/// How many of the differences a rule makes are looked through for one to show.
const TRIED: usize = 64;

fn check(context: &Context<'_>, findings: &mut Findings) {
    let mut rules = Vec::new();
    for (policy, object) in context.snapshot.policy_ids() {
        let PolicyBody::Tiered(tiered) = &object.body else {
            continue;
        };
        for direction in [Direction::Egress, Direction::Ingress] {
            if tiered.tier == Tier::Admin {
                let count = tiered.rules(direction).len();
                rules.extend((0..count).map(|rule| RuleRef {
                    policy,
                    direction,
                    rule,
                }));
            }
        }
    }
    for (rule, influences) in rules.iter().zip(context.engine.influence(&rules)) {
        for action in [Action::Accept, Action::Deny] {
            findings.extend(finding(context, *rule, action, &influences));
        }
    }
}

/// A packet that a network policy of its namespace decides the other way.
struct Shown {
    witness: Witness,
    pod: PodId,
    other: Peer,
}

fn shown_by(
    context: &Context<'_>,
    rule: RuleRef,
    ports: &PortSet,
    influence: &Influence,
    wanted: Verdict,
) -> Option<Shown> {
    let family = influence.family;
    influence.pods.iter().take(TRIED).find_map(|pod| {
        let has_family = context
            .snapshot
            .families_of(context.snapshot.pod(*pod))
            .contains(&family);
        if !has_family || context.engine.isolated(*pod, rule.direction) != Tri::Yes {
            return None;
        }
        let (source, destination) = match rule.direction {
            Direction::Egress => (Peer::Pod(*pod), influence.other),
            Direction::Ingress => (influence.other, Peer::Pod(*pod)),
        };
        let (protocol, port) = context.telling_port(ports, destination)?;
        let is_one = source == destination;
        let witness = context.witness(Packet {
            source,
            destination,
            family,
            protocol,
            port,
            through_service: None,
        });
        let shows = !is_one && witness.verdict == wanted;
        shows.then_some(Shown {
            witness,
            pod: *pod,
            other: influence.other,
        })
    })
}

fn finding(
    context: &Context<'_>,
    rule: RuleRef,
    action: Action,
    influences: &[Influence],
) -> Option<Finding> {
    let wanted = match action {
        Action::Accept => Verdict::Allowed,
        Action::Deny | Action::Pass => Verdict::Denied,
    };
    let icmp = PortSet::protocol(Protocol::Icmp);
    let ports_of = |influence: &Influence| {
        let ports = match action {
            Action::Accept => &influence.opens,
            Action::Deny | Action::Pass => &influence.closes,
        };
        ports.difference(&icmp)
    };
    let concerned: Vec<&Influence> = influences
        .iter()
        .filter(|i| !ports_of(i).is_empty())
        .collect();
    let shown = concerned
        .iter()
        .take(TRIED)
        .find_map(|influence| shown_by(context, rule, &ports_of(influence), influence, wanted))?;
    let policy = context.snapshot.policy(rule.policy);
    let (protocol, port) = (shown.witness.packet.protocol, shown.witness.packet.port);
    let isolated = |pod: &PodId| context.engine.isolated(*pod, rule.direction) == Tri::Yes;
    let pods = concerned.iter().flat_map(|i| i.pods.iter().copied());
    let affected = context.workloads(pods.filter(isolated));
    let name = |peer: Peer| match peer {
        Peer::Pod(pod) => context.name_of(pod),
        Peer::Address(address) => address.to_string(),
    };
    let (from, to) = (
        name(shown.witness.packet.source),
        name(shown.witness.packet.destination),
    );
    let connection = format!("{from} to {to}, port {}", port_text((protocol, port)));
    let number = rule.rule + 1;
    let this = format!(
        "{} rule {number} of {} `{}`",
        rule.direction,
        policy.family.kind(),
        policy.name
    );
    let (severity, message, consequence, related) = match action {
        Action::Accept => (
            RULE.severity,
            format!("{this} allows what network policies of the namespace deny: {connection}"),
            "the namespace's own default deny doesn't count for these connections, and nothing \
             in the namespace shows it",
            isolating(context, shown.pod, rule.direction),
        ),
        Action::Deny | Action::Pass => (
            Severity::Note,
            format!("{this} denies what a network policy of the namespace allows: {connection}"),
            "the rule in the namespace has no effect on these connections",
            allowing(context, &shown, rule.direction),
        ),
    };
    let path = KeyPath::root()
        .key("spec")
        .key(rule.direction.rules_key())
        .index(rule.rule);
    Some(Finding {
        rule: &RULE,
        severity,
        message,
        consequence: Some(consequence.to_owned()),
        help: Some(match action {
            Action::Accept => {
                "use `Pass` to leave the decision to the namespace, or narrow the rule".to_owned()
            }
            Action::Deny | Action::Pass => {
                "if it is meant to be final, take the rule out of the namespace's policy".to_owned()
            }
        }),
        object: context.policy_ref(rule.policy),
        primary: policy
            .origin
            .as_ref()
            .map(|o| Place::value(o, path, "decided here, before the namespace is asked")),
        related,
        witness: Some(shown.witness),
        affected,
        fix: None,
    })
}

/// The network policies that isolate a pod.
fn isolating(context: &Context<'_>, pod: PodId, direction: Direction) -> Vec<Place> {
    let policies = context.engine.policies_for(pod, direction);
    let policies = policies.map(|(id, _)| context.snapshot.policy(id));
    policies
        .filter(|policy| policy.tier() == Tier::NetworkPolicy)
        .filter_map(|policy| {
            let path = KeyPath::root().key("spec").key("podSelector");
            let label = "this policy would deny it";
            Some(Place::key(policy.origin.as_ref()?, path, label))
        })
        .take(1)
        .collect()
}

/// The rules of network policies that allow the packet.
fn allowing(context: &Context<'_>, shown: &Shown, direction: Direction) -> Vec<Place> {
    let packet = &shown.witness.packet;
    let port = (packet.protocol, packet.port);
    let rules =
        context
            .engine
            .matching_rules(shown.pod, direction, shown.other, packet.family, port);
    rules
        .iter()
        .filter(|matching| matching.tier == Tier::NetworkPolicy)
        .filter_map(|matching| {
            let policy = context.snapshot.policy(matching.rule.policy);
            let spec = KeyPath::root().key("spec");
            let path = spec.key(direction.rules_key()).index(matching.rule.rule);
            Some(Place::value(
                policy.origin.as_ref()?,
                path,
                "this rule would allow it",
            ))
        })
        .take(1)
        .collect()
}
