use std::collections::BTreeMap;

use ringfence_engine::{Packet, Peer, Tie, Verdict};
use ringfence_model::diagnostic::Severity;
use ringfence_model::policy::{Direction, PolicyBody};
use ringfence_model::snapshot::PolicyId;
use ringfence_model::source::KeyPath;

use crate::context::{Context, port_text};
use crate::finding::{Finding, Place, Witness};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// Equal priorities, and the outcome depends on the tie.
pub(super) static RULE: Rule = Rule {
    code: Code(702),
    name: "priority-tie",
    severity: Severity::Warning,
    summary: "two cluster-wide policies of one priority contradict each other",
    page: include_str!("../../../../docs/findings/RF702.md"),
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings) {
    let mut by_pair: BTreeMap<(PolicyId, PolicyId), Vec<Tie>> = BTreeMap::new();
    for tie in context.engine.ties() {
        by_pair
            .entry((tie.accepting, tie.denying))
            .or_default()
            .push(tie);
    }
    for ((accepting, denying), ties) in by_pair {
        findings.extend(finding(context, accepting, denying, &ties));
    }
}

fn finding(
    context: &Context<'_>,
    accepting: PolicyId,
    denying: PolicyId,
    ties: &[Tie],
) -> Option<Finding> {
    let (tie, witness) = ties
        .iter()
        .find_map(|tie| Some((tie, shown_by(context, tie)?)))?;
    let name = |peer: Peer| match peer {
        Peer::Pod(pod) => context.name_of(pod),
        Peer::Address(address) => address.to_string(),
    };
    let (from, to) = (
        name(witness.packet.source),
        name(witness.packet.destination),
    );
    let port = port_text((witness.packet.protocol, witness.packet.port));
    let first = context.snapshot.policy(accepting);
    let second = context.snapshot.policy(denying);
    let priority = match &first.body {
        PolicyBody::Tiered(tiered) => tiered.priority,
        PolicyBody::Network(_) => return None,
    };
    let path = KeyPath::root().key("spec").key("priority");
    let place = |policy: &ringfence_model::policy::Policy, label: &str| {
        Some(Place::value(policy.origin.as_ref()?, path.clone(), label))
    };
    let pods = ties.iter().flat_map(|tie| tie.pods.iter().copied());
    let pods = pods.filter(|pod| context.is_in_input(Peer::Pod(*pod)));
    Some(Finding {
        rule: &RULE,
        severity: RULE.severity,
        message: format!(
            "`{}` and `{}` both have priority {priority}, and contradict each other on {from} to {to}, port {port}",
            first.name, second.name
        ),
        consequence: Some(format!(
            "which of them is asked first is left to the implementation: the {} may be open or \
             closed, and may change",
            tie.direction
        )),
        help: Some("give them different priorities; the lower number is asked first".to_owned()),
        object: context.policy_ref(accepting),
        primary: place(first, "this one allows it"),
        related: place(second, "this one denies it").into_iter().collect(),
        witness: Some(witness),
        affected: context.workloads(pods),
        fix: None,
    })
}

fn shown_by(context: &Context<'_>, tie: &Tie) -> Option<Witness> {
    tie.pods.iter().take(64).find_map(|pod| {
        let pod_families = context.snapshot.families_of(context.snapshot.pod(*pod));
        if !pod_families.contains(&tie.family) {
            return None;
        }
        let (source, destination) = match tie.direction {
            Direction::Egress => (Peer::Pod(*pod), tie.other),
            Direction::Ingress => (tie.other, Peer::Pod(*pod)),
        };
        if !context.is_in_input(source) || !context.is_in_input(destination) {
            return None;
        }
        let (protocol, port) = context.telling_port(&tie.ports, destination)?;
        let witness = context.witness(Packet {
            source,
            destination,
            family: tie.family,
            protocol,
            port,
            through_service: None,
        });
        let shows = witness.verdict == Verdict::Unknown && source != destination;
        shows.then_some(witness)
    })
}
