use ipnet::IpNet;
use ringfence_engine::{Packet, Peer, RuleRef, Verdict};
use ringfence_model::address::{IpFamily, IpRangeSet};
use ringfence_model::diagnostic::Severity;
use ringfence_model::policy::{
    Action, Direction, PodSelection, PolicyBody, TieredPeer, TieredRule,
};
use ringfence_model::protocol::Protocol;
use ringfence_model::selector::selects_everything;
use ringfence_model::snapshot::PodId;
use ringfence_model::tri::Tri;

use crate::context::{Context, PortWidth, WidePorts, is_the_internet, rule_path, share_in_words};
use crate::finding::{Finding, Place, Witness};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A cluster-wide rule that accepts more than it names.
pub(super) static RULE: Rule = Rule {
    code: Code(703),
    name: "wide-accept",
    severity: Severity::Warning,
    summary: "a cluster-wide rule accepts egress without naming whom, or on all ports",
    page: include_str!("../../../../docs/findings/RF703.md"),
    check,
};

/// How many pods of each end are tried when a packet is looked for that shows it.
const TRIED: usize = 16;

fn check(context: &Context<'_>, findings: &mut Findings) {
    for (policy, written) in context.snapshot.policy_ids() {
        let PolicyBody::Tiered(body) = &written.body else {
            continue;
        };
        for (index, rule) in body.egress.iter().enumerate() {
            let at = RuleRef {
                policy,
                direction: Direction::Egress,
                rule: index,
            };
            if rule.action == Action::Accept {
                findings.extend(finding(context, at, rule));
            }
        }
    }
}

/// What is wide about a rule, for a sentence.
fn width(context: &Context<'_>, at: RuleRef, rule: &TieredRule) -> Option<String> {
    let is_everybody = |peer: &TieredPeer| match peer {
        TieredPeer::Pods(PodSelection::Namespaces(selector)) => {
            context.is_every_namespace(selector)
        }
        TieredPeer::Pods(PodSelection::Pods {
            namespace_selector,
            pod_selector,
        }) => context.is_every_namespace(namespace_selector) && selects_everything(pod_selector),
        TieredPeer::Networks(_)
        | TieredPeer::Nodes(_)
        | TieredPeer::DomainNames(_)
        | TieredPeer::Unrecognized => false,
    };
    let nets: Vec<IpNet> = networks(rule).collect();
    let blocks = IpFamily::ALL.map(|family| IpRangeSet::from_nets(family, &nets));
    let wide: Vec<IpRangeSet> = blocks.into_iter().filter(is_the_internet).collect();
    // Whoever is not named, whatever namespaces there are.
    let is_nearly_everybody = |peer: &TieredPeer| {
        let selector = match peer {
            TieredPeer::Pods(PodSelection::Namespaces(selector)) => Some(selector),
            TieredPeer::Pods(PodSelection::Pods {
                namespace_selector,
                pod_selector,
            }) => selects_everything(pod_selector).then_some(namespace_selector),
            TieredPeer::Networks(_)
            | TieredPeer::Nodes(_)
            | TieredPeer::DomainNames(_)
            | TieredPeer::Unrecognized => None,
        };
        let few = selector.and_then(|selector| context.nearly_every_namespace(None, &[selector]));
        few.is_some_and(|few| few.is_open_ended)
    };
    if rule.peers.iter().any(is_everybody) {
        Some("egress to the pods of every namespace".to_owned())
    } else if rule.peers.iter().any(is_nearly_everybody) {
        Some("egress to the pods of nearly every namespace".to_owned())
    } else if !wide.is_empty() {
        Some(format!("egress to {}", share_in_words(&wide)))
    } else {
        let ports = WidePorts::of(&context.engine.ports_of(at, None).allow)?;
        let which = match rule.ports {
            None => "every port".to_owned(),
            Some(_) => ports.in_words(),
        };
        (ports.width == PortWidth::Every).then(|| format!("{which} of its peers"))
    }
}

fn finding(context: &Context<'_>, at: RuleRef, rule: &TieredRule) -> Option<Finding> {
    let width = width(context, at, rule)?;
    let subjects = context.subjects(at.policy);
    let witness = witness(context, at, rule, &subjects);
    // Without one it opens nothing to anybody: what it accepts is closed at the other end,
    // or denied before. Unless there are only policies, and nobody to show it with.
    if witness.is_none() && context.has_pods() {
        return None;
    }
    let policy = context.snapshot.policy(at.policy);
    let affected = context.workloads_like(&subjects);
    let who = match affected.is_empty() {
        true => "the pods that it selects".to_owned(),
        false => context.list(&affected),
    };
    Some(Finding {
        rule: &RULE,
        severity: RULE.severity,
        message: format!(
            "egress rule {} of `{}` accepts {width}",
            at.rule + 1,
            policy.name
        ),
        consequence: Some(format!(
            "it holds for {who}, whatever the policies of their namespaces say"
        )),
        help: Some(
            "name the namespaces or the blocks, and the ports; or use the action Pass, which \
             leaves it to the policies of the namespace"
                .to_owned(),
        ),
        object: context.policy_ref(at.policy),
        primary: policy
            .origin
            .as_ref()
            .map(|origin| Place::value(origin, rule_path(at), "this accepts it")),
        related: Vec::new(),
        witness,
        affected,
        fix: None,
    })
}

/// The blocks of a rule.
fn networks(rule: &TieredRule) -> impl Iterator<Item = IpNet> {
    let blocks = rule.peers.iter().flat_map(|peer| match peer {
        TieredPeer::Networks(blocks) => blocks.as_slice(),
        _ => &[],
    });
    blocks.filter_map(|block| block.parse().ok())
}

/// A packet that the rule lets through to somebody outside of the source's namespace.
fn witness(
    context: &Context<'_>,
    at: RuleRef,
    rule: &TieredRule,
    subjects: &[PodId],
) -> Option<Witness> {
    let snapshot = context.snapshot;
    let peers = context.peers(at);
    let addresses: Vec<std::net::IpAddr> = networks(rule)
        .flat_map(|block| known_addresses(&block))
        .collect();
    subjects.iter().take(TRIED).find_map(|source| {
        let own = snapshot.pod(*source).namespace;
        let pods = peers
            .iter()
            .filter(|pod| snapshot.pod(**pod).namespace != own)
            .map(|pod| Peer::Pod(*pod));
        let others = addresses.iter().map(|address| Peer::Address(*address));
        let families = snapshot.families_of(snapshot.pod(*source));
        let ends = others.chain(pods.take(TRIED));
        ends.flat_map(|end| families.iter().map(move |family| (end, *family)))
            .find_map(|(end, family)| shown(context, at, *source, end, family))
    })
}

/// An address inside a block that people know, and its first.
fn known_addresses(block: &IpNet) -> Vec<std::net::IpAddr> {
    let known: std::net::IpAddr = match block {
        IpNet::V4(_) => [8, 8, 8, 8].into(),
        IpNet::V6(_) => [0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888].into(),
    };
    let known = block.contains(&known).then_some(known);
    known.into_iter().chain([block.network()]).collect()
}

fn shown(
    context: &Context<'_>,
    at: RuleRef,
    source: PodId,
    destination: Peer,
    family: IpFamily,
) -> Option<Witness> {
    if let Peer::Address(address) = destination
        && IpFamily::of(address) != family
    {
        return None;
    }
    let pod = match destination {
        Peer::Pod(pod) => Some(pod),
        Peer::Address(_) => None,
    };
    let of_rule = context.engine.ports_of(at, pod).allow;
    let open = context.engine.ports(Peer::Pod(source), destination, family);
    let ports = open.allow.intersection(&of_rule);
    let (protocol, port) = context.telling_port(&ports, destination)?;
    let rules = context.engine.matching_rules(
        source,
        Direction::Egress,
        destination,
        family,
        (protocol, port),
    );
    let is_by_it = rules.iter().any(|m| m.rule == at && m.matches == Tri::Yes);
    let witness = context.witness(Packet {
        source: Peer::Pod(source),
        destination,
        family,
        protocol,
        port,
        through_service: None,
    });
    let is_open = witness.verdict == Verdict::Allowed && protocol != Protocol::Icmp;
    (is_by_it && is_open).then_some(witness)
}
