mod for_blocks;
mod names;

use ringfence_engine::Verdict;
use ringfence_model::diagnostic::Severity;
use ringfence_model::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ringfence_model::policy::Direction;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodId, PodKind};
use serde_json::json;

use crate::context::{Context, WrittenRule};
use crate::finding::{Edit, Finding, Fix, Safety, Witness};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A named port that no destination has.
pub(super) static RULE: Rule = Rule {
    code: Code(507),
    name: "named-port-nowhere",
    severity: Severity::Warning,
    summary: "a rule names a port that none of the pods it leads to declares, or that an address \
              cannot have",
    page: include_str!("../../../../docs/findings/RF507.md"),
    check,
};

/// How alike two names must be for one to be a slip of the other.
const ALIKE: f64 = 0.8;

/// How many pods are looked at for a packet that shows it.
const TRIED: usize = 16;

/// A named port of a pod.
type Declared<'a> = (&'a str, Protocol, u16);

fn check(context: &Context<'_>, findings: &mut Findings) {
    for rule in context.written_rules() {
        for (index, port) in rule.port_entries.iter().enumerate() {
            let protocol = Protocol::from_field(port.protocol.as_deref());
            if let (Some(IntOrString::String(name)), Some(protocol)) = (&port.port, protocol) {
                findings.extend(finding(context, rule, index, name, protocol));
            }
        }
    }
}

fn finding(
    context: &Context<'_>,
    rule: &WrittenRule<'_>,
    index: usize,
    name: &str,
    protocol: Protocol,
) -> Option<Finding> {
    let (sources, destinations) = context.ends(rule.id);
    let is_egress = rule.id.direction == Direction::Egress;
    let is_for_blocks = is_egress && for_blocks::is_for_blocks(rule);
    let mut declared: Vec<Declared<'_>> = Vec::new();
    for pod in all_destinations(context, rule) {
        let pod = context.snapshot.pod(pod);
        // Nothing is known of the ports of an endpoint outside the input.
        if pod.kind == PodKind::Outside {
            continue;
        }
        // A name means nothing for an address, or is looked up all the same.
        if pod.host_network {
            match is_for_blocks {
                true => continue,
                false => return None,
            }
        }
        let ports = pod.ports.iter();
        declared.extend(ports.filter_map(|p| Some((p.name.as_deref()?, p.protocol, p.port))));
    }
    declared.sort_unstable();
    declared.dedup();
    if is_for_blocks {
        return for_blocks::finding(context, rule, (index, name, protocol), &declared);
    }
    if declared
        .iter()
        .any(|(n, p, _)| (*n, *p) == (name, protocol))
    {
        return None;
    }
    let other_protocol = declared.iter().find(|(n, _, _)| *n == name);
    let nearest = declared
        .iter()
        .filter(|(n, p, _)| *p == protocol && !names::are_two_ports(n, name))
        .map(|found| (strsim::jaro_winkler(found.0, name), found))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, found)| found);
    let (number, protocol_shown) = other_protocol
        .or(nearest)
        .or(declared.first())
        .map_or((80, protocol), |(_, protocol, number)| (*number, *protocol));
    let witness = shown_by(context, (&sources, &destinations), (protocol_shown, number))?;
    let (help, edit) = match (other_protocol, nearest, &rule.policy.origin) {
        (Some((_, p, _)), _, origin) => (
            format!("`{name}` is a port of {p}: say `protocol: {p}`"),
            origin.as_ref().map(|origin| Edit::Set {
                origin: origin.clone(),
                path: rule.port_path(index).key("protocol"),
                value: json!(p.to_string()),
            }),
        ),
        (None, Some((near, _, _)), origin) => (
            format!("did you mean `{near}`?"),
            origin.as_ref().map(|origin| Edit::Set {
                origin: origin.clone(),
                path: rule.port_path(index).key("port"),
                value: json!(near),
            }),
        ),
        (None, None, _) => {
            let mut names: Vec<String> =
                declared.iter().map(|(n, _, _)| format!("`{n}`")).collect();
            names.dedup();
            let names = match names.is_empty() {
                true => "they declare no named port".to_owned(),
                false => format!("they declare {}", names.join(", ")),
            };
            (
                format!("{names}; name the port under `ports` of the container, or use its number"),
                None,
            )
        }
    };
    let whose = match rule.id.direction {
        Direction::Egress => "none of the pods that it leads to",
        Direction::Ingress => "none of the pods that the policy selects",
    };
    // What is outside the cluster has no names, and nothing says that it is meant to be open.
    let has_block = is_egress && rule.peers.iter().any(|peer| peer.ip_block.is_some());
    let (help, edit) = match has_block {
        true => (
            format!("{help}; for the block write the number: a name means nothing for an address"),
            None,
        ),
        false => (help, edit),
    };
    let subjects = context.subjects(rule.id.policy);
    Some(Finding {
        rule: &RULE,
        severity: match edit {
            Some(_) => Severity::Error,
            None => RULE.severity,
        },
        message: format!(
            "{} names the {protocol} port `{name}`, and {whose} has one",
            rule.name()
        ),
        consequence: Some("this port of the rule allows nothing".to_owned()),
        help: Some(help),
        object: context.policy_ref(rule.id.policy),
        primary: rule.place(rule.port_path(index).key("port"), "no such port"),
        related: Vec::new(),
        witness: Some(witness),
        affected: context.workloads_like(&subjects),
        fix: edit.map(|edit| Fix {
            title: "name a port that there is".to_owned(),
            safety: Safety::Unsafe,
            edits: vec![edit],
        }),
    })
}

/// Every pod that the rule leads to, or may.
fn all_destinations(context: &Context<'_>, rule: &WrittenRule<'_>) -> Vec<PodId> {
    use ringfence_model::address::IpFamily;
    let pods = match rule.id.direction {
        Direction::Ingress => context.engine.subjects_of(rule.id.policy),
        Direction::Egress => {
            let mut pods = context.engine.peers_of(rule.id, IpFamily::V4);
            pods.extend(context.engine.peers_of(rule.id, IpFamily::V6));
            pods
        }
    };
    pods.into_iter().map(|(pod, _)| pod).collect()
}

fn shown_by(
    context: &Context<'_>,
    ends: (&[PodId], &[PodId]),
    port: (Protocol, u16),
) -> Option<Witness> {
    let mut verdicts = [Verdict::Denied, Verdict::Allowed, Verdict::Unknown].into_iter();
    verdicts.find_map(|verdict| context.witness_between(ends, &|_| port, verdict))
}
