use ipnet::IpNet;
use ringfence_engine::Peer;
use ringfence_model::address::{IpFamily, IpRangeSet, PRIVATE_BLOCKS, private_networks};
use ringfence_model::diagnostic::Severity;
use ringfence_model::policy::Direction;

use crate::context::{Context, WrittenBlock, WrittenRule, append_exceptions};
use crate::finding::{Finding, Fix, Safety};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// An "internet" rule that covers private ranges too.
pub(super) static RULE: Rule = Rule {
    code: Code(508),
    name: "private-in-internet",
    severity: Severity::Warning,
    summary: "a rule for the internet covers private ranges too",
    page: include_str!("../../../../docs/findings/RF508.md"),
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings) {
    for rule in context.written_rules() {
        if rule.id.direction != Direction::Egress {
            continue;
        }
        for block in &rule.blocks {
            // 10.0.0.1/8 is 10.0.0.0/8, written by somebody in a hurry.
            let (family, cidr) = (block.block.family(), block.block.cidr.trunc());
            if !(rule.covers_the_internet(family) || context.is_part_of_internet(rule.id)) {
                continue;
            }
            let open = block.addresses.intersection(private_networks(family));
            let missing: Vec<IpNet> = PRIVATE_BLOCKS
                .iter()
                .filter_map(|net| net.parse::<IpNet>().ok())
                .filter(|net| IpFamily::of(net.addr()) == family && cidr.contains(net))
                .filter(|net| cidr != *net)
                .filter(|net| !IpRangeSet::from_nets(family, [net]).is_disjoint(&open))
                .collect();
            if !missing.is_empty() {
                findings.extend(finding(context, rule, block, &missing));
            }
        }
    }
}

fn finding(
    context: &Context<'_>,
    rule: &WrittenRule<'_>,
    block: &WrittenBlock,
    missing: &[IpNet],
) -> Option<Finding> {
    let (family, cidr) = (block.block.family(), block.block.cidr);
    let ports = context.engine.ports_of(rule.id, None).allow;
    let port = context.telling_port(&ports, Peer::Address(cidr.addr()))?;
    let subjects = context.subjects(rule.id.policy);
    let open = IpRangeSet::from_nets(family, missing).intersection(&block.addresses);
    let open = open.intersection(private_networks(family));
    let witness = context.witness_to(&subjects, &open, port);
    if witness.is_none() && context.has_pods_beside(rule.policy) {
        return None;
    }
    let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
    let list = match names.as_slice() {
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
        [] => return None,
    };
    let origin = rule.policy.origin.as_ref();
    let edits = origin.map(|origin| append_exceptions(origin, rule, block, missing));
    Some(Finding {
        rule: &RULE,
        severity: RULE.severity,
        message: format!(
            "{} is about the internet and covers the private ranges {list} too",
            rule.name()
        ),
        consequence: Some(
            "pods, nodes, Services and the networks that the cluster is connected to are in \
             those ranges; nothing on their side takes this back"
                .to_owned(),
        ),
        help: Some("take private ranges out of it with `except`".to_owned()),
        object: context.policy_ref(rule.id.policy),
        primary: rule.place(
            rule.block_path(block).key("cidr"),
            "private ranges are in it",
        ),
        related: Vec::new(),
        witness,
        affected: context.workloads_like(&subjects),
        fix: edits.map(|edits| Fix {
            title: format!("except {list}"),
            safety: Safety::Unsafe,
            edits,
        }),
    })
}
