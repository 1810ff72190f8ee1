use ringfence_engine::{Packet, Peer, Verdict};
use ringfence_model::address::{IpFamily, IpRangeSet};
use ringfence_model::diagnostic::Severity;
use ringfence_model::policy::Direction;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodId, PolicyId};
use ringfence_model::tri::Tri;
use serde_json::Value;

use crate::context::{
    Context, WrittenRule, is_the_internet, is_whole_internet, numbers_of, share_in_words,
};
use crate::finding::{Edit, Finding, Fix, Place, Safety, Witness};
use crate::proposal;
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// Queries to any address.
pub(super) static RULE: Rule = Rule {
    code: Code(304),
    name: "dns-to-anywhere",
    severity: Severity::Warning,
    summary: "DNS is allowed to any address: data can leave in the names that are asked for",
    page: include_str!("../../../../docs/findings/RF304.md"),
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings) {
    for (id, policy) in context.snapshot.policy_ids() {
        let namespace = policy.namespace.as_deref();
        let namespace = namespace.and_then(|name| context.snapshot.find_namespace(name));
        // Name servers ask others; what runs the cluster may need it.
        if namespace.is_some_and(|id| context.role(id).is_protected()) {
            continue;
        }
        for rule in context.written_rules_of(id) {
            if rule.id.direction == Direction::Egress && opens_dns(rule) {
                findings.extend(finding(context, id, rule));
            }
        }
    }
}

/// Whether the rule is for port 53 and covers the internet. A rule without ports, or with
/// ranges of them, is about more than DNS: RF501 and RF502.
fn opens_dns(rule: &WrittenRule<'_>) -> bool {
    let mut families = IpFamily::ALL.into_iter();
    dns_entry(rule).is_some() && families.any(|family| rule.covers_the_internet(family))
}

/// Where queries may go, for a sentence.
fn to_whom(rule: &WrittenRule<'_>) -> String {
    let addresses = IpFamily::ALL.map(|family| rule.addresses(family));
    let wide: Vec<IpRangeSet> = addresses.into_iter().filter(is_the_internet).collect();
    match wide.iter().any(is_whole_internet) {
        true => "any address".to_owned(),
        false => share_in_words(&wide),
    }
}

/// The first entry of `ports` that is port 53 and nothing else.
fn dns_entry(rule: &WrittenRule<'_>) -> Option<usize> {
    rule.port_entries.iter().position(|entry| {
        let numbers = numbers_of(entry);
        let only_53 = |protocol| numbers.ranges(protocol) == [(53, 53)];
        only_53(Protocol::Udp) || only_53(Protocol::Tcp)
    })
}

fn finding(context: &Context<'_>, id: PolicyId, rule: &WrittenRule<'_>) -> Option<Finding> {
    let policy = context.snapshot.policy(id);
    let subjects: Vec<PodId> = context
        .engine
        .subjects_of(id)
        .into_iter()
        .filter(|(pod, selected)| {
            *selected == Tri::Yes
                && !context.snapshot.pod(*pod).host_network
                && !context.dns.is_server(*pod)
        })
        .map(|(pod, _)| pod)
        .collect();
    let witness = witness(context, rule, &subjects);
    // With pods in the input that it does not select, or to which something else is
    // closed, it opens nothing.
    if witness.is_none() && context.has_pods_beside(policy) {
        return None;
    }
    let affected = context.workloads(subjects);
    let origin = policy.origin.as_ref();
    let entry = dns_entry(rule)?;
    let place = origin.map(|origin| {
        let ports = rule.path().key("ports");
        match (rule.blocks.first(), rule.is_for_everybody()) {
            (Some(block), false) => {
                let path = rule.block_path(block).key("cidr");
                Place::value(origin, path, "covers the internet")
            }
            _ => Place::value(
                origin,
                ports.index(entry),
                "the rule has no `to`: this is open to every address",
            ),
        }
    });
    let whom = match affected.is_empty() {
        true => "the pods that it selects".to_owned(),
        false => context.list(&affected),
    };
    // One rule cannot say two pairs of peers and ports, nor should a fix take away what
    // else the rule allows.
    let replacement = match proposal::dns_egress_rules(context).as_slice() {
        [one] if rule.is_for_dns_only() => one.get("to").cloned().zip(one.get("ports").cloned()),
        _ => None,
    };
    Some(Finding {
        rule: &RULE,
        severity: RULE.severity,
        message: format!(
            "`{}` lets {whom} send DNS queries to {}",
            policy.name,
            to_whom(rule)
        ),
        consequence: Some(
            "whoever has a name server on the internet can take data out in the names that are \
             asked for, and let anything answer on port 53"
                .to_owned(),
        ),
        help: Some(
            "allow DNS to the name servers of the cluster only: they ask others for the pods"
                .to_owned(),
        ),
        object: context.policy_ref(id),
        primary: place,
        related: Vec::new(),
        witness,
        affected,
        fix: origin.zip(replacement).map(|(origin, (to, ports))| {
            let set = |key: &str, value: Value| Edit::Set {
                origin: origin.clone(),
                path: rule.path().key(key),
                value,
            };
            Fix {
                title: "allow DNS to the cluster's name servers only".to_owned(),
                safety: Safety::Unsafe,
                edits: vec![set("to", to), set("ports", ports)],
            }
        }),
    })
}

fn witness(context: &Context<'_>, rule: &WrittenRule<'_>, subjects: &[PodId]) -> Option<Witness> {
    let protocol = match rule.ports.contains(Protocol::Udp, 53) {
        true => Protocol::Udp,
        false => Protocol::Tcp,
    };
    IpFamily::ALL.into_iter().find_map(|family| {
        let address = rule.public_address(family)?;
        let pod = subjects.iter().find(|pod| {
            let families = context.snapshot.families_of(context.snapshot.pod(**pod));
            families.contains(&family)
        })?;
        let witness = context.witness(Packet {
            source: Peer::Pod(*pod),
            destination: Peer::Address(address),
            family,
            protocol,
            port: 53,
            through_service: None,
        });
        (witness.verdict == Verdict::Allowed).then_some(witness)
    })
}
