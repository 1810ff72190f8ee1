use std::net::IpAddr;

use ringfence_engine::Verdict;
use ringfence_model::diagnostic::Severity;
use ringfence_model::metadata;

use crate::context::{Cause, Context, Opening, list_exceptions};
use crate::finding::{Finding, Place};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// The IPv4 metadata endpoint is closed, and one of IPv6 is open.
pub(super) static RULE: Rule = Rule {
    code: Code(404),
    name: "ipv6-metadata-open",
    severity: Severity::Error,
    summary: "the IPv4 metadata endpoint is closed and the IPv6 endpoint is open",
    page: include_str!("../../../../docs/findings/RF404.md"),
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings) {
    for (cause, openings) in context.openings() {
        let over_ipv6: Vec<&Opening> = openings
            .iter()
            .filter(|opening| opening.address.is_ipv6() && opening.certain)
            .filter(|opening| context.leaks_over_ipv6(opening.group))
            .collect();
        findings.extend(finding(context, *cause, &over_ipv6));
    }
}

fn finding(context: &Context<'_>, cause: Cause, openings: &[&Opening]) -> Option<Finding> {
    // What is not isolated is open over IPv4 as well.
    let Cause::Rule(rule, _) = cause else {
        return None;
    };
    let shown = openings.iter().min_by_key(|opening| {
        (
            !opening.served,
            provider_order(opening.address),
            opening.group,
        )
    })?;
    let group = context.groups().get(shown.group)?;
    let witness = context.witness(shown.packet(group));
    if witness.verdict != Verdict::Allowed {
        return None;
    }
    let (affected, addresses) = context.concerned_by(openings);
    let others = match addresses.len() - 1 {
        0 => String::new(),
        1 => " and at one more address".to_owned(),
        more => format!(" and at {more} more addresses"),
    };
    let provider = context.providers_at(shown.address);
    let exceptions = context.exceptions(rule, &addresses);
    let help = match &exceptions {
        Some(exceptions) => format!(
            "add to the `except` of the IPv6 block: {}; or allow 2000::/3 instead of ::/0, which \
             has the public addresses only",
            list_exceptions(context, &exceptions.entries)
        ),
        None => "say which IPv6 addresses are needed: 2000::/3 has the public ones only, and \
                 metadata is served at private ones"
            .to_owned(),
    };
    let v4_entry = v4_exception(context, group);
    Some(Finding {
        rule: &RULE,
        severity: if shown.served {
            RULE.severity
        } else {
            Severity::Warning
        },
        message: format!(
            "{} cannot reach cloud metadata over IPv4 and can over IPv6, at {} ({provider}){others}",
            context.list(&affected),
            shown.at()
        ),
        consequence: Some(
            "an address of one family is never inside a block of the other, so that no IPv4 \
             exception keeps the credentials of the node safe here"
                .to_owned(),
        ),
        help: Some(help),
        object: context.policy_ref(rule.policy),
        primary: context.covering_place(
            rule,
            shown.address,
            format!("this covers {}", shown.address),
        ),
        related: v4_entry.into_iter().collect(),
        witness: Some(witness),
        affected,
        fix: exceptions.and_then(|exceptions| exceptions.fix),
    })
}

/// The place of an address in the table: the endpoints of most clusters come first.
fn provider_order(address: IpAddr) -> usize {
    let mut endpoints = metadata::ENDPOINTS.iter();
    endpoints
        .position(|endpoint| endpoint.address == address)
        .unwrap_or(usize::MAX)
}

/// The IPv4 exception that was written for these pods, if there is one.
fn v4_exception(context: &Context<'_>, group: &crate::context::Group) -> Option<Place> {
    use ringfence_model::policy::Direction;
    let policies = context.engine.policies_for(group.first, Direction::Egress);
    let mut rules = policies.flat_map(|(policy, _)| context.written_rules_of(policy));
    rules.find_map(|rule| {
        let origin = context.snapshot.policy(rule.id.policy).origin.as_ref()?;
        rule.blocks.iter().find_map(|block| {
            let mut except = block.block.except.iter();
            let entry = except.position(|net| net.contains(&metadata::COMMON))?;
            let path = rule.block_path(block).key("except").index(entry);
            Some(Place::value(origin, path, "this is for IPv4 only"))
        })
    })
}
