use ringfence_engine::sets::PortSet;
use ringfence_engine::{Influence, MatchingRule, Packet, Peer, RuleRef, Verdict};
use ringfence_model::diagnostic::Severity;
use ringfence_model::policy::{Action, Direction, PolicyBody, Tier};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::PodId;
use ringfence_model::source::KeyPath;
use ringfence_model::tri::Tri;

use crate::context::{Cause, Context, port_text, rule_path};
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
    let mut actions = Vec::new();
    for (policy, object) in context.snapshot.policy_ids() {
        let PolicyBody::Tiered(tiered) = &object.body else {
            continue;
        };
        if tiered.tier != Tier::Admin {
            continue;
        }
        for direction in [Direction::Egress, Direction::Ingress] {
            for (rule, written) in tiered.rules(direction).iter().enumerate() {
                // `Pass` decides nothing: what follows it does.
                if written.action != Action::Pass {
                    rules.push(RuleRef {
                        policy,
                        direction,
                        rule,
                    });
                    actions.push(written.action);
                }
            }
        }
    }
    let influences = context.engine.influence(&rules);
    for ((rule, action), influences) in rules.iter().zip(actions).zip(influences) {
        findings.extend(finding(context, *rule, action, &influences));
    }
}

/// A connection that network policies of a namespace decide the other way.
struct Overridden<'a> {
    influence: &'a Influence,
    protocol: Protocol,
    port: u16,
    /// The rule of a network policy that allows it, if one does.
    allowed_by: Option<RuleRef>,
}

/// What of an influence network policies decide the other way; `None` if they don't, and
/// another cluster-wide policy does.
fn overridden<'a>(
    context: &Context<'_>,
    rule: RuleRef,
    action: Action,
    influence: &'a Influence,
) -> Option<Overridden<'a>> {
    // They have the same policies: one is as good as all.
    let pod = *influence.pods.first()?;
    if context.engine.isolated(pod, rule.direction) != Tri::Yes {
        return None;
    }
    let destination = match rule.direction {
        Direction::Egress => influence.other,
        Direction::Ingress => Peer::Pod(pod),
    };
    let of_destination = match destination {
        Peer::Pod(pod) => Some(pod),
        Peer::Address(_) => None,
    };
    let matching = |port| {
        let (direction, other, family) = (rule.direction, influence.other, influence.family);
        let rules = context
            .engine
            .matching_rules(pod, direction, other, family, port);
        rules
            .into_iter()
            .filter(|matching| matching.tier == Tier::NetworkPolicy)
    };
    let icmp = PortSet::protocol(Protocol::Icmp);
    let shown = |(protocol, port), allowed_by| Overridden {
        influence,
        protocol,
        port,
        allowed_by,
    };
    if action == Action::Accept {
        let mut ports = influence.opens.difference(&icmp);
        // Each round takes away the ports of a rule that allows the last one.
        loop {
            let port = context.telling_port(&ports, destination)?;
            let Some(allowing) = matching(port).next() else {
                return Some(shown(port, None));
            };
            let of_rule = context.engine.ports_of(allowing.rule, of_destination);
            let (protocol, number) = port;
            ports = ports
                .difference(&of_rule.allow.union(&of_rule.maybe))
                .difference(&PortSet::range(protocol, number, number));
        }
    }
    let closed = influence.closes.difference(&icmp);
    let policies = context.engine.policies_for(pod, rule.direction);
    let rules = policies.flat_map(|(policy, _)| context.written_rules_of(policy));
    let mut of_direction = rules.filter(|written| written.id.direction == rule.direction);
    of_direction.find_map(|written| {
        let of_rule = context.engine.ports_of(written.id, of_destination).allow;
        let port = context.telling_port(&closed.intersection(&of_rule), destination)?;
        let is_by_it = |m: &MatchingRule| m.rule == written.id && m.matches == Tri::Yes;
        let is_allowed = matching(port).any(|m| is_by_it(&m));
        is_allowed.then(|| shown(port, Some(written.id)))
    })
}

/// A packet that shows it, between pods that the input has.
fn shown_by(
    context: &Context<'_>,
    rule: RuleRef,
    overridden: &Overridden<'_>,
    wanted: Verdict,
) -> Option<(Witness, PodId)> {
    let influence = overridden.influence;
    let pods = influence.pods.iter().take(TRIED);
    pods.filter_map(|pod| {
        let families = context.snapshot.families_of(context.snapshot.pod(*pod));
        let (source, destination) = match rule.direction {
            Direction::Egress => (Peer::Pod(*pod), influence.other),
            Direction::Ingress => (influence.other, Peer::Pod(*pod)),
        };
        let can_show = families.contains(&influence.family)
            && source != destination
            && context.is_in_input(source)
            && context.is_in_input(destination);
        can_show.then(|| {
            let witness = context.witness(Packet {
                source,
                destination,
                family: influence.family,
                protocol: overridden.protocol,
                port: overridden.port,
                through_service: None,
            });
            (witness, *pod)
        })
    })
    .find(|(witness, _)| witness.verdict == wanted)
}

/// Whether the influence is that a metadata endpoint is open, which RF401 reports.
fn is_metadata(context: &Context<'_>, rule: RuleRef, influence: &Influence) -> bool {
    let Peer::Address(address) = influence.other else {
        return false;
    };
    let mut openings = context.openings().iter();
    context.options.wants(Code(401))
        && openings.any(|(cause, openings)| {
            matches!(cause, Cause::Rule(of, _) if *of == rule)
                && openings.iter().any(|opening| opening.address == address)
        })
}

/// Whether the influence is that name servers can be asked, and no more: what every pod
/// needs is what an Admin tier is for.
fn is_dns(context: &Context<'_>, rule: RuleRef, influence: &Influence) -> bool {
    let ports: Vec<u16> = match influence.other {
        Peer::Pod(other) => {
            let servers = context.dns.servers.iter();
            let of_pod = servers.filter(|(server, _)| *server == other);
            of_pod.map(|(_, port)| *port).collect()
        }
        Peer::Address(address) if context.dns.cache.contains(&address) => vec![53],
        Peer::Address(_) => Vec::new(),
    };
    let queries = ports.into_iter().flat_map(|port| {
        [Protocol::Udp, Protocol::Tcp].map(|protocol| PortSet::range(protocol, port, port))
    });
    let queries = queries.fold(PortSet::none(), |all, one| all.union(&one));
    rule.direction == Direction::Egress && influence.opens.is_subset(&queries)
}

/// That a rule of the same policy would deny some of it, and comes too late.
fn too_late(context: &Context<'_>, rule: RuleRef, influences: &[Influence]) -> Option<String> {
    influences.iter().take(TRIED).find_map(|influence| {
        let (protocol, port) = context.telling_port(&influence.opens, influence.other)?;
        let packet = Packet {
            source: Peer::Pod(*influence.pods.first()?),
            destination: influence.other,
            family: influence.family,
            protocol,
            port,
            through_service: None,
        };
        let denies = context.denied_too_late(rule, &packet)?;
        Some(format!(
            "put the Deny first: egress rule {} of the same policy denies some of this, and \
             comes after it",
            denies.rule + 1
        ))
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
    let concerned: Vec<Overridden<'_>> = influences
        .iter()
        .filter(|influence| !is_metadata(context, rule, influence))
        .filter(|influence| action != Action::Accept || !is_dns(context, rule, influence))
        .filter_map(|influence| overridden(context, rule, action, influence))
        .collect();
    let (overridden, (witness, pod)) = concerned
        .iter()
        .take(TRIED)
        .find_map(|overridden| Some((overridden, shown_by(context, rule, overridden, wanted)?)))?;
    let policy = context.snapshot.policy(rule.policy);
    let pods = concerned.iter().flat_map(|o| o.influence.pods.iter());
    let in_input = pods.filter(|pod| context.is_in_input(Peer::Pod(**pod)));
    let affected = context.workloads(in_input.copied());
    let name = |peer: Peer| match peer {
        Peer::Pod(pod) => context.name_of(pod),
        Peer::Address(address) => address.to_string(),
    };
    let (from, to) = (
        name(witness.packet.source),
        name(witness.packet.destination),
    );
    let port = port_text((overridden.protocol, overridden.port));
    let connection = format!("{from} to {to}, port {port}");
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
            isolating(context, pod, rule.direction),
        ),
        Action::Deny | Action::Pass => (
            Severity::Note,
            format!("{this} denies what a network policy of the namespace allows: {connection}"),
            "the rule in the namespace has no effect on these connections",
            allowing(context, overridden.allowed_by),
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
                let narrow =
                    "use `Pass` to leave the decision to the namespace, or narrow the rule";
                match too_late(context, rule, influences) {
                    Some(first) => format!("{first}; otherwise {narrow}"),
                    None => narrow.to_owned(),
                }
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
        witness: Some(witness),
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

/// The rule of a network policy that allows it.
fn allowing(context: &Context<'_>, rule: Option<RuleRef>) -> Vec<Place> {
    let place = rule.and_then(|rule| {
        let origin = context.snapshot.policy(rule.policy).origin.as_ref()?;
        let label = "this rule would allow it";
        Some(Place::value(origin, rule_path(rule), label))
    });
    place.into_iter().collect()
}
