use ringfence_engine::sets::PortSet;
use ringfence_engine::{Packet, Peer, Verdict};
use ringfence_model::address::{IpFamily, IpRangeSet, public_internet};
use ringfence_model::diagnostic::Severity;
use ringfence_model::policy::Direction;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::PodId;

use crate::context::{Context, EffectiveRule};
use crate::finding::{Finding, Witness};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A rule opens egress to the whole internet.
pub(super) static RULE: Rule = Rule {
    code: Code(501),
    name: "internet-egress",
    severity: Severity::Error,
    summary: "a rule opens egress to the whole internet, on all ports or on named ones",
    page: include_str!("../../../../docs/findings/RF501.md"),
    check,
};

/// How many pods are looked at for a packet that shows it.
const TRIED: usize = 16;

fn check(context: &Context<'_>, findings: &mut Findings) {
    let rules = context.rules().iter();
    let egress = rules.filter(|rule| rule.id.direction == Direction::Egress);
    findings.extend(egress.filter_map(|rule| finding(context, rule)));
}

fn finding(context: &Context<'_>, rule: &EffectiveRule<'_>) -> Option<Finding> {
    let wide: Vec<IpFamily> = IpFamily::ALL
        .into_iter()
        .filter(|family| rule.is_wide(*family))
        .collect();
    let ports = context.engine.ports_of(rule.id, None).allow;
    let anywhere = Peer::Address(std::net::Ipv4Addr::UNSPECIFIED.into());
    let port = context.telling_port(&ports, anywhere)?;
    // A way out through DNS is another finding, RF304.
    if wide.is_empty() || ports.is_subset(&dns()) {
        return None;
    }
    let subjects = context.subjects(rule.id.policy);
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
    let any_port = Protocol::WITH_PORTS
        .into_iter()
        .find(|protocol| PortSet::protocol(*protocol).is_subset(&ports));
    let which = match any_port {
        Some(_) if rule.ports.is_empty() => "every port".to_owned(),
        Some(protocol) => format!("every {protocol} port"),
        None => ports.to_string(),
    };
    let whole = match wide.as_slice() {
        _ if rule.peers.is_empty() => "to every address",
        [IpFamily::V4] => "to the public IPv4 internet",
        [IpFamily::V6] => "to the public IPv6 internet",
        _ => "to the public internet",
    };
    let block = match rule.blocks().collect::<Vec<_>>().as_slice() {
        [(index, _)] => rule.peer_path(*index).key("ipBlock").key("cidr"),
        _ => rule.path(),
    };
    let affected = context.workloads_like(&subjects);
    let who = match affected.len() {
        0 => "the pods that it selects".to_owned(),
        _ => context.list(&affected),
    };
    Some(Finding {
        rule: &RULE,
        severity: match any_port {
            Some(_) => RULE.severity,
            None => Severity::Warning,
        },
        message: format!("{} allows {which} {whole}", rule.name()),
        consequence: Some(format!(
            "whoever gets into {who} can fetch tools from anywhere and send data anywhere"
        )),
        help: Some(
            "name the blocks that are needed, or lead this traffic through a proxy; where it \
             has to be the whole internet, keep to the ports and say why with the annotation \
             `ringfence.dev/ignore`"
                .to_owned(),
        ),
        object: context.policy_ref(rule.id.policy),
        primary: rule.place(block, "this is the internet"),
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
