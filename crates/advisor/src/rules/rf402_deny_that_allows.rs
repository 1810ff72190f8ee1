use ringfence_engine::{Packet, Peer, Verdict};
use ringfence_model::address::{IpFamily, IpRangeSet, private_networks};
use ringfence_model::diagnostic::Severity;
use ringfence_model::policy::{Direction, Policy, PolicyBody};
use ringfence_model::protocol::Protocol;
use ringfence_model::selector::selects_everything;
use ringfence_model::snapshot::{PodId, PolicyId};
use ringfence_model::source::KeyPath;
use ringfence_model::tri::Tri;

use crate::context::{Context, WrittenRule, is_whole_internet, share_in_words};
use crate::finding::{Edit, Finding, Fix, Place, Safety, Witness};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A policy whose name says deny and which only allows.
pub(super) static RULE: Rule = Rule {
    code: Code(402),
    name: "deny-that-allows",
    severity: Severity::Error,
    summary: "a policy whose name says deny and which opens everything but a few addresses",
    page: include_str!("../../../../docs/findings/RF402.md"),
    check,
};

/// Words that say by themselves that something is kept out.
const DENY: [&str; 6] = ["deny", "denies", "denied", "disallow", "forbid", "prohibit"];

/// Words that say so if what follows is what is kept out: `block-internet` is, and
/// `block-explorer` is the name of a program.
const DENY_WHAT: [&str; 11] = [
    "block",
    "blocks",
    "blocked",
    "drop",
    "drops",
    "reject",
    "isolate",
    "isolates",
    "isolated",
    "quarantine",
    "no",
];

/// Words that say that something is let through all the same.
const BUT: [&str; 14] = [
    "allow",
    "allows",
    "allowed",
    "allowing",
    "permit",
    "permits",
    "accept",
    "except",
    "exceptions",
    "but",
    "only",
    "unless",
    "whitelist",
    "allowlist",
];

/// What is kept out.
const KEPT_OUT: [&str; 22] = [
    "access",
    "all",
    "any",
    "connections",
    "egress",
    "everything",
    "external",
    "imds",
    "inbound",
    "incoming",
    "ingress",
    "internet",
    "metadata",
    "namespace",
    "network",
    "networking",
    "outbound",
    "outgoing",
    "outside",
    "pods",
    "public",
    "traffic",
];

/// Words that may stand around what is kept out.
const AROUND: [&str; 22] = [
    "and", "api", "aws", "azure", "by", "cloud", "default", "endpoint", "from", "gcp", "in",
    "instance", "of", "out", "policy", "private", "server", "service", "the", "to", "world",
    "netpol",
];

/// How a policy says that it denies something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Says {
    /// By one word, and what follows may be a name: `deny-list-service`.
    ByOneWord,
    /// With what it denies, or without anything else: `deny-metadata`, `default-deny`.
    Plainly,
}

fn check(context: &Context<'_>, findings: &mut Findings) {
    for (id, policy) in context.snapshot.policy_ids() {
        if let Some((says, direction)) = denied_direction(policy) {
            let mut found = finding(context, id, policy, direction);
            if let (Some(found), Says::ByOneWord) = (&mut found, says) {
                found.severity = Severity::Warning;
            }
            findings.extend(found);
        }
    }
}

/// What the policy says that it denies: one direction, or both.
fn denied_direction(policy: &Policy) -> Option<(Says, Option<Direction>)> {
    let description = policy.annotations.get("description");
    // A description says it first, if that is what the policy is for.
    let described = description.is_some_and(|text| {
        let words = words(text);
        let begins = words.first().is_some_and(|first| match first.as_str() {
            first if DENY_WHAT.contains(&first) => {
                let mut rest = words.iter().skip(1).map(String::as_str);
                let what = rest.find(|word| !AROUND.contains(word));
                what.is_some_and(|what| KEPT_OUT.contains(&what))
            }
            first => DENY.contains(&first),
        });
        begins && !says_but(&words)
    });
    let described = described.then_some(Says::Plainly);
    let says = name_says_deny(&policy.name).max(described)?;
    let words = words(&policy.name);
    let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(&word.as_str()));
    let ingress = has(&["ingress", "inbound", "incoming"]);
    let egress = has(&["egress", "outbound", "outgoing", "internet", "metadata"]);
    let direction = match (ingress, egress) {
        (true, false) => Some(Direction::Ingress),
        (false, true) => Some(Direction::Egress),
        _ => None,
    };
    Some((says, direction))
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect()
}

fn says_but(words: &[String]) -> bool {
    words.iter().any(|word| BUT.contains(&word.as_str()))
}

fn name_says_deny(name: &str) -> Option<Says> {
    let words = words(name);
    if says_but(&words) {
        return None;
    }
    let is_kept_out = |word: &String| KEPT_OUT.contains(&word.as_str());
    let fits = |word: &String| is_kept_out(word) || AROUND.contains(&word.as_str());
    let denial = |(index, word): (usize, &String)| {
        let rest = words.get(index + 1..).unwrap_or_default();
        if DENY.contains(&word.as_str()) {
            let what = rest.iter().find(|word| !AROUND.contains(&word.as_str()));
            return Some(match what.is_none_or(is_kept_out) {
                true => Says::Plainly,
                false => Says::ByOneWord,
            });
        }
        let before = index.checked_sub(1).and_then(|i| words.get(i));
        let is_thing = before.is_some_and(|before| before == "ip");
        // Nothing may follow but what is kept out.
        let says = DENY_WHAT.contains(&word.as_str())
            && !is_thing
            && rest.iter().any(is_kept_out)
            && rest.iter().all(fits);
        says.then_some(Says::Plainly)
    };
    words.iter().enumerate().filter_map(denial).max()
}

/// What a rule opens, against the name of its policy.
struct Opened<'a> {
    rule: &'a WrittenRule<'a>,
    families: Vec<IpFamily>,
}

fn finding(
    context: &Context<'_>,
    id: PolicyId,
    policy: &Policy,
    direction: Option<Direction>,
) -> Option<Finding> {
    let PolicyBody::Network(spec) = &policy.body else {
        return None;
    };
    let opened: Vec<Opened<'_>> = context
        .written_rules_of(id)
        .iter()
        .filter(|rule| direction.is_none_or(|direction| rule.id.direction == direction))
        .filter(|rule| !rule.is_for_dns_only())
        .map(|rule| Opened {
            families: IpFamily::ALL
                .into_iter()
                .filter(|family| rule.covers_the_internet(*family))
                .collect(),
            rule,
        })
        .filter(|opened| !opened.families.is_empty())
        .collect();
    let first = opened.first()?;
    let subjects: Vec<PodId> = context
        .engine
        .subjects_of(id)
        .into_iter()
        .filter(|(pod, selected)| *selected == Tri::Yes && !context.snapshot.pod(*pod).host_network)
        .map(|(pod, _)| pod)
        .collect();
    let witness = opened.iter().find_map(|o| witness(context, o, &subjects));
    // With pods in the input that it does not select, or to which something else is
    // closed, it opens nothing.
    if witness.is_none() && context.has_pods_beside(policy) {
        return None;
    }
    let everyone = spec.pod_selector.as_ref().is_none_or(selects_everything);
    let whom = match (everyone, &policy.namespace) {
        (true, Some(namespace)) => format!("every pod of namespace `{namespace}`"),
        _ => "every pod that it selects".to_owned(),
    };
    let origin = policy.origin.as_ref();
    let all_isolated = !subjects.is_empty()
        && opened.iter().all(|opened| {
            let direction = opened.rule.id.direction;
            subjects.iter().all(|pod| {
                let mut others = context.engine.policies_for(*pod, direction);
                others.any(|(other, applies)| other != id && applies == Tri::Yes)
            })
        });
    Some(Finding {
        rule: &RULE,
        severity: RULE.severity,
        message: format!(
            "`{}` denies nothing: a NetworkPolicy only allows, and this one opens {}",
            policy.name,
            what(first)
        ),
        consequence: Some(format!(
            "it opens them for {whom}, on top of what other policies allow; no policy takes \
             away what another one gives"
        )),
        help: Some(
            "keep pods from an address by isolating them (RF201) and leaving it out of every rule \
             that allows; remove this policy, or name it after what it allows"
                .to_owned(),
        ),
        object: context.policy_ref(id),
        primary: origin.map(|origin| {
            let name = KeyPath::root().key("metadata").key("name");
            Place::value(origin, name, "says that it denies")
        }),
        related: origin
            .map(|origin| Place::value(origin, first.rule.path(), "allows"))
            .into_iter()
            .collect(),
        witness,
        affected: context.workloads(subjects),
        fix: origin.filter(|_| all_isolated).map(|origin| Fix {
            title: "remove the policy (others isolate these pods)".to_owned(),
            safety: Safety::Unsafe,
            edits: vec![Edit::RemoveObject {
                origin: origin.clone(),
            }],
        }),
    })
}

/// `80 and 443 of the whole IPv4 internet`.
fn what(opened: &Opened<'_>) -> String {
    let ports = &opened.rule.ports;
    let tcp: Vec<String> = ports
        .ranges(Protocol::Tcp)
        .into_iter()
        .map(|(start, end)| match start == end {
            true => start.to_string(),
            false => format!("{start}-{end}"),
        })
        .collect();
    let is_tcp_only = ports.is_subset(&ringfence_engine::sets::PortSet::protocol(Protocol::Tcp));
    let ports = match tcp.as_slice() {
        _ if ports.is_all() => "every port".to_owned(),
        [one] if is_tcp_only => format!("port {one}"),
        [first @ .., last] if is_tcp_only => format!("ports {} and {last}", first.join(", ")),
        _ => ports.to_string(),
    };
    let addresses = opened.families.iter().map(|f| opened.rule.addresses(*f));
    let addresses: Vec<IpRangeSet> = addresses.collect();
    let internet = match (
        addresses.iter().any(is_whole_internet),
        opened.families.as_slice(),
    ) {
        (true, [one]) => format!("the whole {one} internet"),
        (true, _) => "the whole internet".to_owned(),
        (false, _) => share_in_words(&addresses),
    };
    let private = opened.families.iter().any(|family| {
        let covered = opened.rule.addresses(*family);
        private_networks(*family).is_subset(&covered)
    });
    let private = match private {
        true => " and of every private network",
        false => "",
    };
    match opened.rule.id.direction {
        Direction::Egress => format!("{ports} of {internet}{private}"),
        Direction::Ingress => format!("{ports} to {internet}{private}"),
    }
}

fn witness(context: &Context<'_>, opened: &Opened<'_>, subjects: &[PodId]) -> Option<Witness> {
    let ports = &opened.rule.ports;
    let (protocol, port) = Protocol::WITH_PORTS.into_iter().find_map(|protocol| {
        let (start, _) = *ports.ranges(protocol).first()?;
        let everyday = [443, 80].into_iter().find(|p| ports.contains(protocol, *p));
        Some((protocol, everyday.unwrap_or(start)))
    })?;
    opened.families.iter().find_map(|family| {
        let address = opened.rule.public_address(*family)?;
        let pod = subjects.iter().find(|pod| {
            let families = context.snapshot.families_of(context.snapshot.pod(**pod));
            families.contains(family)
        })?;
        let (source, destination) = match opened.rule.id.direction {
            Direction::Egress => (Peer::Pod(*pod), Peer::Address(address)),
            Direction::Ingress => (Peer::Address(address), Peer::Pod(*pod)),
        };
        let witness = context.witness(Packet {
            source,
            destination,
            family: *family,
            protocol,
            port,
            through_service: None,
        });
        (witness.verdict == Verdict::Allowed).then_some(witness)
    })
}

#[cfg(test)]
mod tests {
    use super::{Says, name_says_deny};

    #[test]
    fn a_name_says_deny_unless_it_says_what_it_lets_through() {
        for name in [
            "deny-metadata-service",
            "deny-all",
            "block-internet",
            "no-egress",
            "default-deny-all-egress",
            "isolate-namespace",
            "shop-block-aws-metadata",
            "no-external-traffic",
            "drop-all",
        ] {
            assert_eq!(name_says_deny(name), Some(Says::Plainly), "{name}");
        }
        for name in [
            "deny-list-service",
            "denied-party-screening",
            "deny-prod-egress",
        ] {
            assert_eq!(name_says_deny(name), Some(Says::ByOneWord), "{name}");
        }
        for name in [
            "allow-https",
            "deny-all-except-dns",
            "default-deny-allow-dns",
            "block-storage-csi",
            "block-explorer",
            "blocks-api",
            "block-list",
            "drop-shipping",
            "non-blocking-io",
            "no-traffic-limit",
            "isolated-workloads-egress",
            "isolated-db",
            "reject-nothing",
            "no-op",
            "ip-block-partners",
            "nodeny",
            "",
        ] {
            assert_eq!(name_says_deny(name), None, "{name}");
        }
    }
}
