//! Blocks that are the address of a Service: it is replaced before a policy sees the
//! connection, so that they match nothing.

use std::net::IpAddr;

use ipnet::IpNet;
use ringfence_engine::{Packet, Peer, Verdict};
use ringfence_model::address::IpFamily;
use ringfence_model::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ringfence_model::labels::METADATA_NAME;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodId, Service, ServiceEndpoint, ServiceId};
use ringfence_model::source::KeyPath;
use serde_json::{Map, Value, json};

use super::RULE;
use crate::context::{Context, WrittenBlock, WrittenRule, port_text};
use crate::finding::{Edit, Finding, Fix, Place, Safety, Witness};

/// How many pods of each end are looked at.
const TRIED: usize = 16;

/// Where a port of a Service leads.
#[derive(Clone, Copy)]
struct Led {
    protocol: Protocol,
    port: u16,
    /// The pod, or the address.
    to: Peer,
    target: u16,
}

/// The findings of an egress rule, one for each Service.
pub(super) fn findings(context: &Context<'_>, rule: &WrittenRule<'_>) -> Vec<Finding> {
    let services = rule.blocks.iter().filter_map(|block| {
        let address = block.block.cidr.addr();
        let is_one = block.block.cidr == IpNet::from(address) && !block.addresses.is_empty();
        let id = is_one.then(|| of_address(context, address)).flatten()?;
        Some((block, address, id))
    });
    services
        .filter_map(|(block, address, id)| finding(context, rule, (block, address), id))
        .collect()
}

/// The Service of an address; not that of the API server, nor those of name servers, about
/// which others know more.
fn of_address(context: &Context<'_>, address: IpAddr) -> Option<ServiceId> {
    let mut services = context.snapshot.service_ids();
    let (id, service) = services.find(|(_, s)| s.cluster_ips.contains(&address))?;
    let namespace = &context.snapshot.namespace(service.namespace).name;
    let is_api_server = (&**namespace, &*service.name) == ("default", "kubernetes");
    let is_dns = led(context, id)
        .iter()
        .any(|led| matches!(led.to, Peer::Pod(pod) if context.dns.is_server(pod)));
    (!is_api_server && !is_dns).then_some(id)
}

/// Where the ports of a Service lead for certain.
fn led(context: &Context<'_>, id: ServiceId) -> Vec<Led> {
    let ports = context.snapshot.service(id).ports.iter();
    let led = ports.flat_map(|port| {
        let endpoints = context.snapshot.service_endpoints(id, port);
        endpoints.into_iter().filter_map(|endpoint| {
            let (to, target) = match endpoint {
                ServiceEndpoint::Pod {
                    pod,
                    port,
                    certain: true,
                } => (Peer::Pod(pod), port),
                ServiceEndpoint::Pod { .. } => return None,
                ServiceEndpoint::Address { address, port } => (Peer::Address(address), port),
            };
            Some(Led {
                protocol: port.protocol,
                port: port.port,
                to,
                target,
            })
        })
    });
    led.collect()
}

fn finding(
    context: &Context<'_>,
    rule: &WrittenRule<'_>,
    (block, address): (&WrittenBlock, IpAddr),
    id: ServiceId,
) -> Option<Finding> {
    let service = context.snapshot.service(id);
    let mut led = led(context, id);
    // The ports that the rule lists, the Service's or the pods', if it lists any of them.
    let is_listed = |led: &Led| {
        let mut ports = [led.port, led.target].into_iter();
        ports.any(|port| rule.ports.contains(led.protocol, port))
    };
    if led.iter().any(is_listed) {
        led.retain(is_listed);
    }
    let subjects = context.subjects(rule.id.policy);
    let (shown, witness) = shown_by(context, &subjects, IpFamily::of(address), &led)?;
    let namespace = &context.snapshot.namespace(service.namespace).name;
    let at = port_text((shown.protocol, shown.target));
    let is_pod = |to: Peer| match to {
        Peer::Pod(pod) => !context.snapshot.pod(pod).host_network,
        Peer::Address(_) => false,
    };
    let are_pods = led.iter().all(|led| is_pod(led.to));
    let help = match (shown.to, are_pods) {
        (Peer::Address(to), _) => format!("allow the address behind the Service: {to}, {at}"),
        (Peer::Pod(_), true) => format!(
            "select the pods of the Service, in namespace `{namespace}`, and allow their port: {at}"
        ),
        (Peer::Pod(_), false) => {
            format!("the pods are in the network of their nodes: allow the nodes' addresses, {at}")
        }
    };
    let origin = service.origin.as_ref();
    let related = origin.map(|origin| {
        let path = KeyPath::root().key("metadata").key("name");
        Place::value(origin, path, format!("{address} is the address of this"))
    });
    Some(Finding {
        rule: &RULE,
        severity: RULE.severity,
        message: format!(
            "{} allows {address}, the address of Service {namespace}/{}, which no policy sees",
            rule.name(),
            service.name,
        ),
        consequence: Some(
            "a policy sees a connection after the Service's address and port have been \
             replaced by those behind it: it is denied"
                .to_owned(),
        ),
        help: Some(help),
        object: context.policy_ref(rule.id.policy),
        primary: rule.place(rule.block_path(block).key("cidr"), "matches nothing"),
        related: related.into_iter().collect(),
        witness: Some(witness),
        affected: context.workloads_like(&subjects),
        fix: are_pods
            .then(|| fix(context, rule, block, (service, &led)))
            .flatten(),
    })
}

/// A connection through the Service that is denied.
fn shown_by(
    context: &Context<'_>,
    subjects: &[PodId],
    family: IpFamily,
    led: &[Led],
) -> Option<(Led, Witness)> {
    led.iter().take(TRIED).find_map(|led| {
        let mut sources = subjects.iter().take(TRIED);
        sources.find_map(|source| {
            let packet = match led.to {
                Peer::Pod(pod) => context.between(*source, pod, (led.protocol, led.target))?,
                Peer::Address(_) => Packet {
                    source: Peer::Pod(*source),
                    destination: led.to,
                    family,
                    protocol: led.protocol,
                    port: led.target,
                    through_service: None,
                },
            };
            let witness = context.witness(packet);
            (witness.verdict == Verdict::Denied).then_some((*led, witness))
        })
    })
}

/// Selects the pods instead, where the rule is for nobody else and says which ports.
fn fix(
    context: &Context<'_>,
    rule: &WrittenRule<'_>,
    block: &WrittenBlock,
    (service, led): (&Service, &[Led]),
) -> Option<Fix> {
    let origin = rule.policy.origin.as_ref()?;
    let selector = service.selector.as_ref().filter(|s| !s.is_empty())?;
    let namespace = &context.snapshot.namespace(service.namespace).name;
    let mut peer = Map::new();
    if rule.policy.namespace.as_ref() != Some(namespace) {
        let labels = json!({ "matchLabels": { METADATA_NAME: &**namespace } });
        peer.insert("namespaceSelector".to_owned(), labels);
    }
    peer.insert("podSelector".to_owned(), json!({ "matchLabels": selector }));
    let mut edits = vec![Edit::Set {
        origin: origin.clone(),
        path: rule.peer_path(block.peer),
        value: Value::Object(peer),
    }];
    for (index, entry) in rule.port_entries.iter().enumerate() {
        let Some(IntOrString::Int(number)) = entry.port else {
            return None;
        };
        let protocol = Protocol::from_field(entry.protocol.as_deref())?;
        let led = led.iter().filter(|led| led.protocol == protocol);
        let mut targets: Vec<u16> = led
            .filter(|led| number == i32::from(led.port))
            .map(|led| led.target)
            .collect();
        targets.sort_unstable();
        targets.dedup();
        let [target] = targets.as_slice() else {
            return None;
        };
        if entry.end_port.is_some() {
            return None;
        }
        if i32::from(*target) != number {
            edits.push(Edit::Set {
                origin: origin.clone(),
                path: rule.port_path(index).key("port"),
                value: json!(target),
            });
        }
    }
    // Without ports more than the Service's would be open.
    let is_whole = rule.peers.len() == 1 && !rule.port_entries.is_empty();
    is_whole.then(|| Fix {
        title: "select the pods of the Service, and allow their port".to_owned(),
        safety: Safety::Safe,
        edits,
    })
}
