use std::collections::BTreeMap;

use ringfence_engine::{Packet, Peer, Verdict};
use ringfence_model::diagnostic::Severity;
use ringfence_model::labels::LabelValue;
use ringfence_model::policy::{Direction, Tier};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodId, PodKind, PolicyId, PortRef, ServiceEndpoint};
use ringfence_model::source::KeyPath;

use crate::context::{Context, port_text};
use crate::finding::{Finding, Place, Witness};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A policy blocks what the cluster needs of these pods.
pub(super) static RULE: Rule = Rule {
    code: Code(509),
    name: "blocked-needs",
    severity: Severity::Warning,
    summary: "a policy blocks metrics scraping, or the ingress controller's way to a backend",
    page: include_str!("../../../../docs/findings/RF509.md"),
    check,
};

/// What scrapes metrics, by the labels that it is installed with.
const SCRAPERS: [&str; 4] = [
    "prometheus",
    "prometheus-server",
    "vmagent",
    "victoria-metrics-agent",
];

/// Parts of such an installation that scrape nothing.
const NO_SCRAPERS: [&str; 4] = [
    "alertmanager",
    "pushgateway",
    "node-exporter",
    "kube-state-metrics",
];

/// Who needs a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Scrape,
    Route,
}

/// The policy that stands in between, and on which side.
type Cause = (Need, PolicyId, Direction);

fn check(context: &Context<'_>, findings: &mut Findings) {
    let mut blocked: BTreeMap<Cause, Vec<Witness>> = BTreeMap::new();
    for (need, packets) in scrapes(context).into_iter().chain(routes(context)) {
        let witnesses: Vec<Witness> = packets.into_iter().map(|p| context.witness(p)).collect();
        // One that gets through is enough.
        if witnesses.iter().all(|w| w.verdict == Verdict::Denied)
            && let Some(witness) = witnesses.first()
            && let Some((policy, direction)) = cause(context, &witness.packet)
        {
            blocked
                .entry((need, policy, direction))
                .or_default()
                .push(*witness);
        }
    }
    for ((need, policy, direction), witnesses) in blocked {
        findings.extend(finding(context, need, (policy, direction), &witnesses));
    }
}

/// For each group of pods that asks to be scraped, the packets of each scraper.
fn scrapes(context: &Context<'_>) -> Vec<(Need, Vec<Packet>)> {
    let scrapers: Vec<PodId> = context
        .groups()
        .iter()
        .map(|g| g.first)
        .filter(|id| is_scraper(context, *id))
        .collect();
    let mut found = Vec::new();
    for group in context.groups().iter().filter(|group| !group.host_network) {
        for workload in context.workloads(group.pods.iter().copied()) {
            let object = context.workload_ref(workload);
            let Some(annotations) = context.inventory.pod_annotations(&object) else {
                continue;
            };
            if annotations.get("prometheus.io/scrape").map(String::as_str) != Some("true") {
                continue;
            }
            let Some(pod) = context.snapshot.workload(workload).pod_ids().next() else {
                continue;
            };
            let written = annotations
                .get("prometheus.io/port")
                .and_then(|port| port.parse().ok());
            let named = || {
                context
                    .snapshot
                    .pod(pod)
                    .ports_named("metrics")
                    .next()
                    .map(|p| p.port)
            };
            let Some(port) = written.or_else(named) else {
                continue;
            };
            let packets = scrapers
                .iter()
                .filter_map(|s| context.between(*s, pod, (Protocol::Tcp, port)));
            found.push((Need::Scrape, packets.collect()));
        }
    }
    found
}

fn is_scraper(context: &Context<'_>, pod: PodId) -> bool {
    let labels = &context.snapshot.pod(pod).labels;
    let has = |key: &str, values: &[&str]| matches!(labels.get(key), LabelValue::Present(v) if values.contains(&v));
    let is_called = ["app.kubernetes.io/name", "app"]
        .iter()
        .any(|key| has(key, &SCRAPERS));
    is_called
        && !["app.kubernetes.io/component", "component"]
            .iter()
            .any(|key| has(key, &NO_SCRAPERS))
}

/// For each backend of an Ingress, the packets of each ingress controller.
fn routes(context: &Context<'_>) -> Vec<(Need, Vec<Packet>)> {
    let controllers: Vec<PodId> = context
        .snapshot
        .ingress_controllers()
        .into_iter()
        .filter_map(|id| context.snapshot.workload(id).pod_ids().next())
        .filter(|pod| context.snapshot.pod(*pod).kind != PodKind::Outside)
        .collect();
    let mut found = Vec::new();
    for route in &context.snapshot.ingress_routes {
        let namespace = &context.snapshot.namespace(route.namespace).name;
        let Some(id) = context.snapshot.find_service(namespace, &route.service) else {
            continue;
        };
        let service = context.snapshot.service(id);
        let port = service.ports.iter().find(|port| match &route.port {
            PortRef::Number(number) => port.port == *number,
            PortRef::Name(name) => port.name.as_ref() == Some(name),
        });
        let Some(port) = port else {
            continue;
        };
        let mut packets = Vec::new();
        for endpoint in context.snapshot.service_endpoints(id, port) {
            let ServiceEndpoint::Pod {
                pod,
                port: target,
                certain: true,
            } = endpoint
            else {
                continue;
            };
            let from = controllers.iter();
            packets.extend(from.filter_map(|c| context.between(*c, pod, (port.protocol, target))));
        }
        found.push((Need::Route, packets));
    }
    found
}

/// The network policy that denies a packet: of the destination, else of the source.
fn cause(context: &Context<'_>, packet: &Packet) -> Option<(PolicyId, Direction)> {
    let (Peer::Pod(source), Peer::Pod(destination)) = (packet.source, packet.destination) else {
        return None;
    };
    let sides = [
        (destination, Direction::Ingress, packet.source),
        (source, Direction::Egress, packet.destination),
    ];
    sides.into_iter().find_map(|(end, direction, other)| {
        let open = context
            .engine
            .one_sided(end, direction, other, packet.family);
        if open
            .allow
            .union(&open.maybe)
            .contains(packet.protocol, packet.port)
        {
            return None;
        }
        let mut policies = context.engine.policies_for(end, direction);
        let policy = policies.find(|(id, applies)| {
            applies.certain() && context.snapshot.policy(*id).tier() == Tier::NetworkPolicy
        });
        policy.map(|(id, _)| (id, direction))
    })
}

fn finding(
    context: &Context<'_>,
    need: Need,
    (id, direction): (PolicyId, Direction),
    witnesses: &[Witness],
) -> Option<Finding> {
    let witness = *witnesses.first()?;
    let pods = |end: fn(&Packet) -> Peer| {
        let ends = witnesses.iter().map(move |w| end(&w.packet));
        ends.filter_map(|peer| match peer {
            Peer::Pod(pod) => Some(pod),
            Peer::Address(_) => None,
        })
    };
    let sources = context.workloads(pods(|packet| packet.source));
    let affected = context.workloads(pods(|packet| packet.destination));
    let (from, to) = (context.list(&sources), context.list(&affected));
    let policy = context.snapshot.policy(id);
    let port = port_text((witness.packet.protocol, witness.packet.port));
    let whose = match direction {
        Direction::Egress => "egress",
        Direction::Ingress => "ingress",
    };
    let (message, consequence) = match need {
        Need::Scrape => (
            format!("`{}` keeps {from} from scraping {to}", policy.name),
            "the annotations of these pods ask for their metrics to be read, and nobody can",
        ),
        Need::Route => (
            format!(
                "`{}` keeps the ingress controller {from} from {to}",
                policy.name
            ),
            "an Ingress leads there: whoever comes in through it gets an error",
        ),
    };
    let path = KeyPath::root().key("spec").key("podSelector");
    Some(Finding {
        rule: &RULE,
        severity: RULE.severity,
        message,
        consequence: Some(consequence.to_owned()),
        help: Some(format!(
            "allow it with an {whose} rule for port {port}, from {from} to {to}"
        )),
        object: context.policy_ref(id),
        primary: policy.origin.as_ref().map(|origin| {
            Place::key(
                origin,
                path,
                format!("isolates the {whose} of these pods, and no rule allows it"),
            )
        }),
        related: Vec::new(),
        witness: Some(witness),
        affected,
        fix: None,
    })
}
