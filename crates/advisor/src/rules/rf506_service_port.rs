mod service_address;

use ringfence_engine::{Peer, Verdict};
use ringfence_model::diagnostic::Severity;
use ringfence_model::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ringfence_model::policy::Direction;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::PodId;
use serde_json::json;

use crate::context::{Context, Translated, WrittenRule, port_text};
use crate::finding::{Edit, Finding, Fix, Place, Safety};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A rule uses a Service's port where the pods listen on another, or its address.
pub(super) static RULE: Rule = Rule {
    code: Code(506),
    name: "service-port",
    severity: Severity::Error,
    summary: "a rule uses the port of a Service, and the pods behind it listen on another; or its \
              address, which no policy sees",
    page: include_str!("../../../../docs/findings/RF506.md"),
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings) {
    for rule in context.written_rules() {
        findings.extend(of_rule(context, rule));
        // Judged before translation, the Service's address is right.
        let before = context.engine.profile().judges_before_dnat;
        if rule.id.direction == Direction::Egress && !before {
            findings.extend(service_address::findings(context, rule));
        }
    }
}

/// The rules that have such a port.
pub(super) fn mistaken_rules<'a>(
    context: &'a Context<'_>,
) -> impl Iterator<Item = &'a WrittenRule<'a>> {
    let rules = context.written_rules().iter();
    rules.filter(|rule| of_rule(context, rule).next().is_some())
}

fn of_rule(context: &Context<'_>, rule: &WrittenRule<'_>) -> impl Iterator<Item = Finding> {
    // Judged before translation, the Service's port is right.
    let before = context.engine.profile().judges_before_dnat;
    let is_egress = rule.id.direction == Direction::Egress;
    // A rule for addresses is about what is outside, even where a block covers pods.
    let names_pods = !rule.peers.is_empty() && rule.peers.iter().all(|p| p.ip_block.is_none());
    let is_right = is_egress && (before || !names_pods);
    let ports = if is_right { 0 } else { rule.port_entries.len() };
    (0..ports).filter_map(|index| finding(context, rule, index))
}

/// A pod that a Service leads to on another port than the rule allows, so that clients
/// of the Service are denied.
fn mistaken(
    context: &Context<'_>,
    rule: &WrittenRule<'_>,
    (protocol, number): (Protocol, u16),
    destinations: &[PodId],
) -> Option<(PodId, Translated)> {
    let services = context.service_ports();
    destinations.iter().find_map(|pod| {
        let mut declared = context.snapshot.pod(*pod).ports.iter();
        let listens = declared.any(|p| (p.protocol, p.port) == (protocol, number));
        if listens || services.is_target(*pod, (protocol, number)) {
            return None;
        }
        let open = context.engine.ports_of(rule.id, Some(*pod));
        let mut translated = services.translated(*pod).iter();
        let found = translated.find(|t| {
            (t.protocol, t.port) == (protocol, number) && !open.allow.contains(protocol, t.target)
        })?;
        Some((*pod, *found))
    })
}

fn finding(context: &Context<'_>, rule: &WrittenRule<'_>, index: usize) -> Option<Finding> {
    let written = rule.port_entries.get(index)?;
    let Some(IntOrString::Int(number)) = &written.port else {
        return None;
    };
    let number = u16::try_from(*number).ok()?;
    let protocol = Protocol::from_field(written.protocol.as_deref())?;
    if written.end_port.is_some() {
        return None;
    }
    let (sources, destinations) = context.ends(rule.id);
    let (pod, service) = mistaken(context, rule, (protocol, number), &destinations)?;
    let target = service.target;
    // Another rule of the same side may allow what this one was meant to.
    let denied_here = |source: PodId, family| {
        let (end, other) = match rule.id.direction {
            Direction::Egress => (source, pod),
            Direction::Ingress => (pod, source),
        };
        let other = Peer::Pod(other);
        let open = context
            .engine
            .one_sided(end, rule.id.direction, other, family);
        !open.allow.contains(protocol, target) && !open.maybe.contains(protocol, target)
    };
    let witness = sources.iter().find_map(|source| {
        let packet = context.between(*source, pod, (protocol, target))?;
        let witness = context.witness(packet);
        let shows = witness.verdict == Verdict::Denied && denied_here(*source, packet.family);
        shows.then_some(witness)
    })?;
    let name = |id| {
        let service = context.snapshot.service(id);
        let namespace = &context.snapshot.namespace(service.namespace).name;
        format!("{namespace}/{}", service.name)
    };
    // Where the number is right for other pods of the rule, it is there for them.
    let services = context.service_ports();
    let is_right = |other: &PodId| {
        let mut declared = context.snapshot.pod(*other).ports.iter();
        declared.any(|p| (p.protocol, p.port) == (protocol, number))
            || services.is_target(*other, (protocol, number))
    };
    if destinations.iter().any(is_right) {
        return None;
    }
    let is_translated = |other: &PodId| {
        let mut translated = services.translated(*other).iter();
        translated.any(|t| (t.protocol, t.port, t.target) == (protocol, number, target))
    };
    let is_evident = destinations.iter().all(is_translated);
    let path = rule.port_path(index).key("port");
    let fix = rule.policy.origin.as_ref().map(|origin| {
        let (title, edit) = if is_evident {
            let edit = Edit::Set {
                origin: origin.clone(),
                path: path.clone(),
                value: json!(target),
            };
            (format!("allow the pods' port {target}"), edit)
        } else {
            let edit = Edit::Append {
                origin: origin.clone(),
                path: rule.path().key("ports"),
                value: json!({"protocol": protocol.to_string(), "port": target}),
            };
            (format!("allow port {target} too"), edit)
        };
        Fix {
            title,
            safety: if is_evident {
                Safety::Safe
            } else {
                Safety::Unsafe
            },
            edits: vec![edit],
        }
    });
    let origin = context.snapshot.service(service.service).origin.as_ref();
    let related = origin.map(|origin| {
        let path = ringfence_model::source::KeyPath::root()
            .key("spec")
            .key("ports");
        Place::value(
            origin,
            path,
            format!("{number} leads to {target} on the pods"),
        )
    });
    let subjects = context.subjects(rule.id.policy);
    Some(Finding {
        rule: &RULE,
        severity: match is_evident {
            true => RULE.severity,
            false => Severity::Warning,
        },
        message: format!(
            "{} allows {}, the port of Service {}, and {} listens on {target}",
            rule.name(),
            port_text((protocol, number)),
            name(service.service),
            context.name_of(pod),
        ),
        consequence: Some(
            "a policy sees a connection after the Service's address and port have been \
             replaced by the pod's: it is denied"
                .to_owned(),
        ),
        help: Some(format!("allow the port of the pods: {target}")),
        object: context.policy_ref(rule.id.policy),
        primary: rule.place(path, "a port of the Service, not of the pods"),
        related: related.into_iter().collect(),
        witness: Some(witness),
        affected: context.workloads_like(&subjects),
        fix,
    })
}
