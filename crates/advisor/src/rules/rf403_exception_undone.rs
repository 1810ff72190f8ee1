use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use ringfence_engine::sets::PortSet;
use ringfence_engine::{Packet, Peer, RuleRef, Verdict};
use ringfence_model::address::{IpRangeSet, from_number};
use ringfence_model::diagnostic::Severity;
use ringfence_model::metadata;
use ringfence_model::policy::Direction;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodId, PolicyId};
use ringfence_model::tri::Tri;

use crate::context::{Context, Group, WrittenRule, append_exceptions};
use crate::finding::{Finding, Fix, Place, Safety, Witness};
use crate::report::Findings;
use crate::rule::{Code, Rule};
use crate::undoing::{Undoing, candidates};

/// An exception that another rule of the same pods undoes.
pub(super) static RULE: Rule = Rule {
    code: Code(403),
    name: "exception-undone",
    severity: Severity::Error,
    summary: "an `except` that another policy or rule of the same pods undoes",
    page: include_str!("../../../../docs/findings/RF403.md"),
    check,
};

/// The block whose exceptions are undone, by rule and peer, and what undoes them: a rule,
/// and one of its blocks unless it covers everything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    excepting: (RuleRef, usize),
    undoing: (RuleRef, Option<usize>),
}

/// An exception that is undone for some pods.
struct Undone {
    /// Its index in the list.
    index: usize,
    entry: IpNet,
    witness: Witness,
    pods: Vec<PodId>,
}

fn check(context: &Context<'_>, findings: &mut Findings) {
    let mut found: BTreeMap<Key, Vec<Undone>> = BTreeMap::new();
    let mut served: Vec<(IpAddr, u16)> = context
        .metadata_endpoints()
        .map(|endpoint| (endpoint.address, endpoint.port.unwrap_or(80)))
        .collect();
    served.sort_unstable();
    served.dedup();
    let about_addresses = about_addresses(context);
    // Most pods have the policies of others.
    let mut by_policies: BTreeMap<Vec<PolicyId>, Vec<Undoing<'_>>> = BTreeMap::new();
    for group in context.groups().iter().filter(|group| !group.host_network) {
        let policies: Vec<PolicyId> = context
            .engine
            .policies_for(group.first, Direction::Egress)
            .filter(|(policy, applies)| *applies == Tri::Yes && about_addresses.contains(policy))
            .map(|(policy, _)| policy)
            .collect();
        let candidates = by_policies.entry(policies).or_insert_with_key(|policies| {
            let rules: Vec<&WrittenRule<'_>> = policies
                .iter()
                .flat_map(|policy| context.written_rules_of(*policy))
                .filter(|rule| is_about_addresses(rule))
                .collect();
            candidates(&rules, &served)
        });
        for candidate in candidates {
            try_out(context, group, candidate, &mut found);
        }
    }
    for (key, undone) in found {
        findings.extend(finding(context, key, &undone));
    }
}

/// Whether a rule may except something or undo it.
fn is_about_addresses(rule: &WrittenRule<'_>) -> bool {
    rule.id.direction == Direction::Egress && (rule.is_for_everybody() || !rule.blocks.is_empty())
}

/// The policies with such rules.
fn about_addresses(context: &Context<'_>) -> BTreeSet<PolicyId> {
    let rules = context.written_rules().iter();
    rules
        .filter(|rule| is_about_addresses(rule))
        .map(|rule| rule.id.policy)
        .collect()
}

/// Notes the exception if a packet from the group shows it undone.
fn try_out(
    context: &Context<'_>,
    group: &Group,
    candidate: &Undoing<'_>,
    found: &mut BTreeMap<Key, Vec<Undone>>,
) {
    let (excepting, block, undoing) = (candidate.excepting, candidate.block, candidate.undoing);
    let Some(entry) = block.block.except.get(candidate.entry) else {
        return;
    };
    let ports = (
        &excepting.ports.intersection(&undoing.ports),
        &undoing.ports,
    );
    let Some(witness) = witness(context, group, entry, &candidate.covered, ports) else {
        return;
    };
    let key = Key {
        excepting: (excepting.id, block.peer),
        undoing: (undoing.id, candidate.peer),
    };
    let of_key = found.entry(key).or_default();
    let mut known = of_key.iter_mut();
    match known.find(|undone| undone.index == candidate.entry) {
        Some(undone) => undone.pods.extend(&group.pods),
        None => of_key.push(Undone {
            index: candidate.entry,
            entry: *entry,
            witness,
            pods: group.pods.clone(),
        }),
    }
}

/// A packet to an excepted address that the other rule lets through.
///
/// Cloud metadata was excepted because of what is served there, so that any port counts
/// on which that is; other addresses count on the ports that the exception is about, and
/// if all of them are covered.
fn witness(
    context: &Context<'_>,
    group: &Group,
    entry: &IpNet,
    covered: &IpRangeSet,
    (common, opened): (&PortSet, &PortSet),
) -> Option<Witness> {
    let family = covered.family();
    let mut candidates: Vec<(IpAddr, Protocol, u16)> = Vec::new();
    for endpoint in context.metadata_endpoints() {
        let address = endpoint.address;
        if entry.contains(&address) && covered.contains(address) {
            let port = endpoint.port.unwrap_or(80);
            if opened.contains(Protocol::Tcp, port) {
                candidates.push((address, Protocol::Tcp, port));
            } else if let Some((protocol, port)) =
                context.telling_port(common, Peer::Address(address))
            {
                candidates.push((address, protocol, port));
            }
        }
    }
    candidates.sort_by_key(|(address, ..)| *address != metadata::COMMON);
    let all = IpRangeSet::from_nets(family, [entry]);
    if all.is_subset(covered)
        && let Some(address) = nobodys_address(context, &all)
        && let Some((protocol, port)) = context.telling_port(common, Peer::Address(address))
    {
        candidates.push((address, protocol, port));
    }
    let families = context
        .snapshot
        .families_of(context.snapshot.pod(group.first));
    if !families.contains(&family) {
        return None;
    }
    candidates
        .into_iter()
        .map(|(address, protocol, port)| {
            context.witness(Packet {
                source: Peer::Pod(group.first),
                destination: Peer::Address(address),
                family,
                protocol,
                port,
                through_service: None,
            })
        })
        .find(|witness| witness.verdict == Verdict::Allowed)
}

/// An address of the set that is no pod's.
fn nobodys_address(context: &Context<'_>, addresses: &IpRangeSet) -> Option<IpAddr> {
    const TRIED: u128 = 64;
    let (start, end) = *addresses.ranges().first()?;
    // The first address of a network is nobody's to connect to, if there are others.
    let start = if start < end { start + 1 } else { start };
    (start..=end.min(start.saturating_add(TRIED)))
        .map(|number| from_number(addresses.family(), number))
        .find(|address| context.snapshot.pod_with_address(*address).is_none())
}

fn finding(context: &Context<'_>, key: Key, undone: &[Undone]) -> Option<Finding> {
    let opens_metadata = |undone: &Undone| match undone.witness.packet.destination {
        Peer::Address(address) => metadata::gives_secrets(address),
        Peer::Pod(_) => false,
    };
    let shown = undone.iter().min_by_key(|undone| {
        let is_common = undone.entry.contains(&metadata::COMMON);
        (!opens_metadata(undone), !is_common, undone.index)
    })?;
    let (rule, peer) = key.excepting;
    let excepting = context.written_rule(rule)?;
    let block = excepting.blocks.iter().find(|block| block.peer == peer)?;
    let undoing = context.written_rule(key.undoing.0)?;
    let by = context.snapshot.policy(key.undoing.0.policy);
    let policy = context.snapshot.policy(rule.policy);
    let same_policy = key.undoing.0.policy == rule.policy;
    let entry = shown.entry;
    let others = match undone.len() - 1 {
        0 => String::new(),
        1 => " and one more".to_owned(),
        more => format!(" and {more} more"),
    };
    let undoer = match same_policy {
        true if key.undoing.0 == rule => "another block of the same rule".to_owned(),
        true => "another rule of the same policy".to_owned(),
        false => format!("`{}`", by.name),
    };
    let affected = context.workloads(undone.iter().flat_map(|u| u.pods.iter().copied()));
    let Peer::Address(address) = shown.witness.packet.destination else {
        return None;
    };
    let port = shown.witness.packet.port;
    let undoing_block = undoing
        .blocks
        .iter()
        .find(|block| Some(block.peer) == key.undoing.1);
    let related = by.origin.as_ref().map(|origin| {
        let path = undoing_block.map_or_else(
            || undoing.path(),
            |block| undoing.block_path(block).key("cidr"),
        );
        Place::value(origin, path, format!("this allows {address} all the same"))
    });
    let fix = undoing_block
        .zip(by.origin.as_ref())
        .and_then(|(block, origin)| {
            let cidr = block.block.cidr;
            let inside = |entry: &IpNet| cidr.contains(entry) && *entry != cidr;
            let mut entries: Vec<IpNet> = undone.iter().map(|undone| undone.entry).collect();
            entries.retain(inside);
            // What one of the entries covers need not be written.
            let all = entries.clone();
            entries.retain(|one| !all.iter().any(|other| other != one && other.contains(one)));
            (!entries.is_empty()).then(|| Fix {
                title: format!("write the exceptions into the block of {undoer} too"),
                safety: Safety::Unsafe,
                edits: append_exceptions(origin, undoing, block, &entries),
            })
        });
    Some(Finding {
        rule: &RULE,
        severity: match undone.iter().any(opens_metadata) {
            true => RULE.severity,
            false => Severity::Warning,
        },
        message: format!(
            "{undoer} undoes the exception of {entry} in `{}`{others}",
            policy.name
        ),
        consequence: Some(format!(
            "what any rule allows is allowed: {} may connect to {address} port {port}, whatever \
             is excepted here",
            context.list(&affected)
        )),
        help: Some(match undoing_block {
            Some(_) => format!("except {entry} there as well"),
            None => {
                "that rule has no `to`, so that it covers every address: name its peers".to_owned()
            }
        }),
        object: context.policy_ref(rule.policy),
        primary: policy.origin.as_ref().map(|origin| {
            let path = excepting.block_path(block).key("except").index(shown.index);
            Place::value(origin, path, "excepted here")
        }),
        related: related.into_iter().collect(),
        witness: Some(shown.witness),
        affected,
        fix,
    })
}
