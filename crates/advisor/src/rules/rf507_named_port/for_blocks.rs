//! Named ports of rules for blocks: a name is one that a pod gives its port, and an address
//! outside the cluster gives none.

use ringfence_engine::{Packet, Peer, Verdict};
use ringfence_model::address::{IpFamily, public_internet};
use ringfence_model::diagnostic::Severity;
use ringfence_model::protocol::Protocol;

use super::names::well_known;
use super::{Declared, RULE, TRIED};
use crate::context::{Context, WrittenRule};
use crate::finding::{Finding, Witness};

/// Whether a rule is for blocks and nobody else.
pub(super) fn is_for_blocks(rule: &WrittenRule<'_>) -> bool {
    !rule.peers.is_empty() && rule.peers.iter().all(|peer| peer.ip_block.is_some())
}

pub(super) fn finding(
    context: &Context<'_>,
    rule: &WrittenRule<'_>,
    (index, name, protocol): (usize, &str, Protocol),
    declared: &[Declared<'_>],
) -> Option<Finding> {
    let is_declared = declared
        .iter()
        .any(|(n, p, _)| (*n, *p) == (name, protocol));
    // Where a block is for pods, their names count.
    let is_outside = IpFamily::ALL.into_iter().any(|family| {
        let addresses = rule.addresses(family);
        !addresses.intersection(public_internet(family)).is_empty()
    });
    if is_declared && !is_outside {
        return None;
    }
    let number = well_known(name);
    let witness = shown_by(context, rule, (protocol, number.unwrap_or(443)));
    if witness.is_none() && context.has_pods_beside(rule.policy) {
        return None;
    }
    let subjects = context.subjects(rule.id.policy);
    let (severity, consequence) = match is_declared {
        false => (Severity::Error, "this port of the rule allows nothing"),
        true => (
            RULE.severity,
            "this port of the rule allows connections to pods whose addresses the block covers, \
             and none to an address outside the cluster",
        ),
    };
    Some(Finding {
        rule: &RULE,
        severity,
        message: format!(
            "{} names the {protocol} port `{name}`, and a name means nothing for an address",
            rule.name()
        ),
        consequence: Some(consequence.to_owned()),
        help: Some(match number {
            Some(number) => format!(
                "names are those that pods give their ports: write the number, `port: {number}`"
            ),
            None => "names are those that pods give their ports: write the number".to_owned(),
        }),
        object: context.policy_ref(rule.id.policy),
        primary: rule.place(
            rule.port_path(index).key("port"),
            "an address has no such name",
        ),
        related: Vec::new(),
        witness,
        affected: context.workloads_like(&subjects),
        // The number that is meant is not written anywhere.
        fix: None,
    })
}

/// A packet to one of the addresses, denied if there is one.
fn shown_by(
    context: &Context<'_>,
    rule: &WrittenRule<'_>,
    (protocol, port): (Protocol, u16),
) -> Option<Witness> {
    let subjects = context.subjects(rule.id.policy);
    let mut found = Vec::new();
    for family in IpFamily::ALL {
        let addresses = rule.addresses(family);
        let Some(address) = context.unremarkable(&addresses).first().copied() else {
            continue;
        };
        let of_family = subjects.iter().take(TRIED).filter(|subject| {
            let pod = context.snapshot.pod(**subject);
            context.snapshot.families_of(pod).contains(&family)
        });
        found.extend(of_family.map(|subject| {
            context.witness(Packet {
                source: Peer::Pod(*subject),
                destination: Peer::Address(address),
                family,
                protocol,
                port,
                through_service: None,
            })
        }));
    }
    let denied = found.iter().find(|w| w.verdict == Verdict::Denied);
    denied.or(found.first()).copied()
}
