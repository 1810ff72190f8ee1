use ringfence_engine::sets::PortSet;
use ringfence_engine::{Packet, Peer, Verdict};
use ringfence_model::address::{IpFamily, IpRangeSet, public_internet};
use ringfence_model::diagnostic::Severity;
use ringfence_model::policy::Direction;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodId, WorkloadId};

use crate::context::{Context, InternetInParts, WrittenRule, is_whole_internet, share_in_words};
use crate::finding::{Finding, Witness};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A rule opens egress to the internet, or to a large part of it.
pub(super) static RULE: Rule = Rule {
    code: Code(501),
    name: "internet-egress",
    severity: Severity::Error,
    summary: "a rule opens egress to the internet, on all ports or on named ones",
    page: include_str!("../../../../docs/findings/RF501.md"),
    check,
};

/// How many pods are looked at for a packet that shows it.
const TRIED: usize = 16;

fn check(context: &Context<'_>, findings: &mut Findings) {
    let rules = context.written_rules().iter();
    let egress = rules.filter(|rule| rule.id.direction == Direction::Egress);
    findings.extend(egress.filter_map(|rule| finding(context, rule)));
    let parts = context.internet_in_parts().iter();
    findings.extend(parts.filter_map(|whole| together(context, whole)));
}

/// Rules that are the internet together.
fn together(context: &Context<'_>, whole: &InternetInParts) -> Option<Finding> {
    let rules: Vec<&WrittenRule<'_>> = whole
        .rules
        .iter()
        .filter_map(|id| context.written_rules().iter().find(|rule| rule.id == *id))
        .collect();
    let [first, others @ ..] = rules.as_slice() else {
        return None;
    };
    let anywhere = Peer::Address(std::net::Ipv4Addr::UNSPECIFIED.into());
    let port = context.telling_port(&whole.ports, anywhere)?;
    let open = |family: IpFamily| {
        let all = rules.iter().map(|rule| rule.addresses(family));
        let all = all.fold(IpRangeSet::empty(family), |a, b| a.union(&b));
        all.intersection(public_internet(family))
    };
    let witness = whole.families.iter().find_map(|family| {
        let open = open(*family);
        context
            .witness_to(&whole.subjects, &open, port)
            .or_else(|| on_another_port(context, &whole.subjects, &open, &whole.ports))
    });
    // Something else denies it.
    if witness.is_none() && !whole.subjects.is_empty() {
        return None;
    }
    let is_one_policy = others.iter().all(|o| o.id.policy == first.id.policy);
    let names = match is_one_policy {
        true => {
            let numbers: Vec<String> = whole
                .rules
                .iter()
                .map(|rule| (rule.rule + 1).to_string())
                .collect();
            format!("egress rules {} of `{}`", and(&numbers), first.policy.name)
        }
        false => and(&rules.iter().map(|rule| rule.name()).collect::<Vec<_>>()),
    };
    let affected = context.workloads_like(&whole.subjects);
    let place = |rule: &WrittenRule<'_>, label| rule.place(rule.path(), label);
    let has_no_ports = rules.iter().all(|rule| rule.port_entries.is_empty());
    let (which, severity) = which_ports(&whole.ports, has_no_ports);
    let opened: Vec<IpRangeSet> = whole.families.iter().map(|family| open(*family)).collect();
    Some(Finding {
        rule: &RULE,
        severity,
        message: format!(
            "{names} together allow {which} to {}",
            share_in_words(&opened)
        ),
        consequence: Some(consequence(
            context,
            &affected,
            opened.iter().any(is_whole_internet),
        )),
        help: Some(HELP.to_owned()),
        object: context.policy_ref(first.id.policy),
        primary: place(first, "a part of the internet"),
        related: others
            .iter()
            .filter_map(|rule| place(rule, "another part"))
            .collect(),
        witness,
        affected,
        fix: None,
    })
}

/// `a`, `a and b`, `a, b and c`.
fn and(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

const HELP: &str = "name the blocks that are needed, or lead this traffic through a proxy; where \
                    it has to be the whole internet, keep to the ports and say why with the \
                    annotation `ringfence.dev/ignore`";

/// The ports for a sentence, and how bad it is that they are open.
fn which_ports(ports: &PortSet, has_no_ports: bool) -> (String, Severity) {
    let any_port = Protocol::WITH_PORTS
        .into_iter()
        .find(|protocol| PortSet::protocol(*protocol).is_subset(ports));
    match any_port {
        Some(_) if has_no_ports => ("every port".to_owned(), RULE.severity),
        Some(protocol) => (format!("every {protocol} port"), RULE.severity),
        None => (ports.to_string(), Severity::Warning),
    }
}

fn consequence(context: &Context<'_>, affected: &[WorkloadId], is_whole: bool) -> String {
    let who = match affected.len() {
        0 => "the pods that it selects".to_owned(),
        _ => context.list(affected),
    };
    match is_whole {
        true => {
            format!("whoever gets into {who} can fetch tools from anywhere and send data anywhere")
        }
        false => format!(
            "so many addresses are nobody's in particular: whoever gets into {who} has one of \
             them to fetch tools from and to send data to"
        ),
    }
}

fn finding(context: &Context<'_>, rule: &WrittenRule<'_>) -> Option<Finding> {
    let wide: Vec<IpFamily> = IpFamily::ALL
        .into_iter()
        .filter(|family| rule.covers_the_internet(*family))
        .collect();
    let ports = context.engine.ports_of(rule.id, None).allow;
    let anywhere = Peer::Address(std::net::Ipv4Addr::UNSPECIFIED.into());
    let port = context.telling_port(&ports, anywhere)?;
    // A way out through DNS is another finding, RF304.
    if wide.is_empty() || ports.is_subset(&dns()) {
        return None;
    }
    let subjects = context.subjects(rule.id.policy);
    // With others it is more of the internet.
    let mut wholes = context.internet_in_parts().iter();
    if wholes.any(|whole| {
        whole.rules.contains(&rule.id) && subjects.iter().all(|s| whole.subjects.contains(s))
    }) {
        return None;
    }
    let witness = wide.iter().find_map(|family| {
        let open = rule
            .addresses(*family)
            .intersection(public_internet(*family));
        context
            .witness_to(&subjects, &open, port)
            .or_else(|| on_another_port(context, &subjects, &open, &ports))
    });
    // Either it selects nothing, which is another finding, or something else denies it.
    if witness.is_none() && context.has_pods_beside(rule.policy) {
        return None;
    }
    let (which, severity) = which_ports(&ports, rule.port_entries.is_empty());
    let opened: Vec<IpRangeSet> = wide.iter().map(|f| rule.addresses(*f)).collect();
    let is_whole = opened.iter().any(is_whole_internet);
    let label = match is_whole {
        true => "this is the internet",
        false => "this is a large part of the internet",
    };
    let whole = match rule.peers.is_empty() {
        true => "to every address".to_owned(),
        false => format!("to {}", share_in_words(&opened)),
    };
    let block = match rule.blocks.as_slice() {
        [block] => rule.block_path(block).key("cidr"),
        _ => rule.path(),
    };
    let affected = context.workloads_like(&subjects);
    Some(Finding {
        rule: &RULE,
        severity,
        message: format!("{} allows {which} {whole}", rule.name()),
        consequence: Some(consequence(context, &affected, is_whole)),
        help: Some(HELP.to_owned()),
        object: context.policy_ref(rule.id.policy),
        primary: rule.place(block, label),
        related: Vec::new(),
        witness,
        affected,
        fix: None,
    })
}

/// A packet on whatever port is open for certain, where the one that tells most is not.
fn on_another_port(
    context: &Context<'_>,
    subjects: &[PodId],
    addresses: &IpRangeSet,
    ports: &PortSet,
) -> Option<Witness> {
    let nets = addresses.to_nets();
    let family = IpFamily::of(nets.first()?.addr());
    subjects.iter().take(TRIED).find_map(|source| {
        let pod = context.snapshot.pod(*source);
        if !context.snapshot.families_of(pod).contains(&family) {
            return None;
        }
        let engine = context.engine;
        let regions = engine.outside(*source, Direction::Egress, family, &nets);
        regions.iter().find_map(|region| {
            let destination = Peer::Address(region.addresses.first()?.addr());
            let open = region.open.allow.intersection(ports).difference(&dns());
            let (protocol, port) = context.telling_port(&open, destination)?;
            let witness = context.witness(Packet {
                source: Peer::Pod(*source),
                destination,
                family,
                protocol,
                port,
                through_service: None,
            });
            (witness.verdict == Verdict::Allowed).then_some(witness)
        })
    })
}

fn dns() -> PortSet {
    let udp = PortSet::range(Protocol::Udp, 53, 53);
    udp.union(&PortSet::range(Protocol::Tcp, 53, 53))
}
