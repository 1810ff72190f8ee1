use ringfence_engine::{Packet, Peer, Verdict};
use ringfence_model::address::{IpFamily, from_number};
use ringfence_model::diagnostic::Severity;
use ringfence_model::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ringfence_model::policy::Direction;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodId, PolicyId};
use ringfence_model::tri::Tri;
use serde_json::json;

use crate::context::{Context, WrittenRule};
use crate::finding::{Edit, Finding, Fix, Place, Safety, Witness};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A port without a protocol, of a service that uses UDP.
pub(super) static RULE: Rule = Rule {
    code: Code(510),
    name: "protocol-left-out",
    severity: Severity::Note,
    summary: "a port without `protocol`, which means TCP, of a service that uses UDP",
    page: include_str!("../../../../docs/findings/RF510.md"),
    check,
};

/// What is spoken over UDP on a port; `true` where nothing else is. DNS is not among them:
/// RF302 knows whether it works.
const OVER_UDP: [(u16, &str, bool); 11] = [
    (88, "Kerberos", false),
    (123, "NTP", true),
    (161, "SNMP", true),
    (443, "HTTP/3", false),
    (500, "IPsec key exchange", true),
    (514, "syslog", false),
    (1194, "OpenVPN", false),
    (1812, "RADIUS", true),
    (3478, "STUN", false),
    (4500, "IPsec", true),
    (51820, "WireGuard", true),
];

fn check(context: &Context<'_>, findings: &mut Findings) {
    for (id, _) in context.snapshot.policy_ids() {
        let rules = context.written_rules_of(id).iter();
        let egress = rules.filter(|rule| rule.id.direction == Direction::Egress);
        findings.extend(egress.filter_map(|rule| finding(context, id, rule)));
    }
}

/// The first entry of `ports` without a protocol that is for one of those.
fn entry(rule: &WrittenRule<'_>) -> Option<(usize, (u16, &'static str, bool))> {
    let entries = rule.port_entries.iter().enumerate();
    let mut found = entries.filter_map(|(index, entry)| {
        let Some(IntOrString::Int(number)) = entry.port else {
            return None;
        };
        let is_it = |known: &&(u16, &str, bool)| i32::from(known.0) == number;
        let known = OVER_UDP.iter().find(is_it)?;
        (entry.protocol.is_none() && entry.end_port.is_none()).then_some((index, *known))
    });
    found.next()
}

fn finding(context: &Context<'_>, id: PolicyId, rule: &WrittenRule<'_>) -> Option<Finding> {
    let (index, (port, service, is_alone)) = entry(rule)?;
    // Between pods one knows what is spoken. The other end of an address is somebody else's.
    let address = IpFamily::ALL.into_iter().find_map(|family| {
        let covered = rule.addresses(family);
        let (first, _) = covered.ranges().first()?;
        rule.public_address(family)
            .or_else(|| Some(from_number(family, *first)))
    })?;
    let policy = context.snapshot.policy(id);
    let subjects: Vec<PodId> = context
        .engine
        .subjects_of(id)
        .into_iter()
        .filter(|(pod, selected)| *selected == Tri::Yes && !context.snapshot.pod(*pod).host_network)
        .map(|(pod, _)| pod)
        .collect();
    let witnesses = subjects.iter().filter_map(|pod| {
        let family = IpFamily::of(address);
        let families = context.snapshot.families_of(context.snapshot.pod(*pod));
        families.contains(&family).then(|| {
            context.witness(Packet {
                source: Peer::Pod(*pod),
                destination: Peer::Address(address),
                family,
                protocol: Protocol::Udp,
                port,
                through_service: None,
            })
        })
    });
    let is_denied = |witness: &Witness| witness.verdict == Verdict::Denied;
    let witness = witnesses.into_iter().find(is_denied);
    // Another rule allows it, or nobody is selected.
    if witness.is_none() && context.has_pods_beside(policy) {
        return None;
    }
    let ports = rule.path().key("ports");
    let origin = policy.origin.as_ref();
    Some(Finding {
        rule: &RULE,
        severity: match is_alone {
            true => Severity::Warning,
            false => RULE.severity,
        },
        message: format!(
            "port {port} of `{}` has no `protocol`, which means TCP alone",
            policy.name
        ),
        consequence: Some(match is_alone {
            true => format!("{service} uses UDP, and that stays closed"),
            false => format!("what uses UDP there ({service}) stays closed"),
        }),
        help: Some(match is_alone {
            true => "write `protocol: UDP`".to_owned(),
            false => "write `protocol: TCP` if that is what is meant, and one more entry with \
                      `protocol: UDP` if it is not"
                .to_owned(),
        }),
        object: context.policy_ref(id),
        primary: origin.map(|origin| Place::value(origin, ports.index(index), "TCP alone")),
        related: Vec::new(),
        witness,
        affected: match witness {
            Some(_) => context.workloads(subjects),
            None => Vec::new(),
        },
        fix: origin.map(|origin| Fix {
            title: match is_alone {
                true => "set the protocol to UDP".to_owned(),
                false => "say that it is TCP".to_owned(),
            },
            safety: match is_alone {
                true => Safety::Unsafe,
                // It says what holds already.
                false => Safety::Safe,
            },
            edits: vec![Edit::Set {
                origin: origin.clone(),
                path: ports.index(index).key("protocol"),
                value: match is_alone {
                    true => json!("UDP"),
                    false => json!("TCP"),
                },
            }],
        }),
    })
}
