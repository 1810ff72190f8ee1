//! Policies into our vocabulary, one for all cluster-wide families. Runs only on what passed the
//! checks; `None` means that a check is missing.
//!
//! A rule of a live policy may have fields of a later version of the API. Which traffic
//! it means is not known then, and the whole rule fails closed.

use k8s_openapi::api::networking::v1::NetworkPolicySpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::cidr;
use super::schema::{Field, Shape, is_known, shape_at};
use super::tiered::{Dialect, PortSyntax, TierSyntax};
use crate::parse::deserialize::{Mask, read};
use crate::parse::node::Node;
use crate::policy::{
    Action, Direction, PodSelection, Tier, TieredPeer, TieredPolicy, TieredPort, TieredRule,
};
use crate::protocol::Protocol;

pub(super) fn tiered_policy(
    spec: &Node<'_>,
    dialect: &Dialect,
    schema: &[Field],
) -> Option<TieredPolicy> {
    let tier = match dialect.tier {
        TierSyntax::Fixed(tier) => tier,
        TierSyntax::Field => match spec.get("tier")?.text()? {
            "Admin" => Tier::Admin,
            "Baseline" => Tier::Baseline,
            _ => return None,
        },
    };
    let priority = match spec.get("priority") {
        Some(priority) => u16::try_from(priority.whole()?).ok()?,
        None => 0,
    };
    let rules = |direction: Direction| -> Option<Vec<TieredRule>> {
        let Some(rules) = spec.get(direction.rules_key()) else {
            return Some(Vec::new());
        };
        let Shape::List(shape) = shape_at(schema, &["spec", direction.rules_key()])? else {
            return None;
        };
        let rules = rules.items().iter();
        rules
            .map(|item| rule(item, direction, dialect, shape))
            .collect()
    };
    Some(TieredPolicy {
        tier,
        priority,
        subject: pod_selection(spec.get("subject")?)?,
        ingress: rules(Direction::Ingress)?,
        egress: rules(Direction::Egress)?,
    })
}

fn selector(node: &Node<'_>) -> Option<LabelSelector> {
    read(node, &Mask::All).ok()
}

fn pod_selection(node: &Node<'_>) -> Option<PodSelection> {
    if let Some(namespaces) = node.get("namespaces") {
        return selector(namespaces).map(PodSelection::Namespaces);
    }
    let pods = node.get("pods")?;
    let part = |key| match pods.get(key) {
        Some(node) => selector(node),
        None => Some(LabelSelector::default()),
    };
    Some(PodSelection::Pods {
        namespace_selector: part("namespaceSelector")?,
        pod_selector: part("podSelector")?,
    })
}

fn rule(
    node: &Node<'_>,
    direction: Direction,
    dialect: &Dialect,
    shape: &Shape,
) -> Option<TieredRule> {
    let action = match node.get("action")?.text()? {
        "Deny" => Action::Deny,
        "Pass" => Action::Pass,
        accept if accept == dialect.accept => Action::Accept,
        _ => return None,
    };
    let peers: Option<Vec<TieredPeer>> = node
        .get(direction.peers_key())?
        .items()
        .iter()
        .map(|item| peer(item, direction, dialect))
        .collect();
    let name = node.get("name").and_then(Node::text).unwrap_or_default();
    let listed = node.get(dialect.ports_key);
    let ports = match listed.filter(|ports| !ports.items().is_empty()) {
        Some(ports) => {
            let ports = ports.items().iter().map(|item| port(item, dialect));
            Some(ports.collect::<Option<Vec<TieredPort>>>())
        }
        None => None,
    };
    let (peers, ports) = match ports {
        _ if !is_known(node, shape) => (vec![TieredPeer::Unrecognized], None),
        // A port with no field at all, from which the API server has dropped what it
        // does not know.
        Some(None) => (vec![TieredPeer::Unrecognized], None),
        Some(ports) => (peers?, ports),
        None => (peers?, None),
    };
    Some(TieredRule {
        name: name.to_owned(),
        action,
        peers,
        ports,
    })
}

fn peer(node: &Node<'_>, direction: Direction, dialect: &Dialect) -> Option<TieredPeer> {
    let known = dialect.peers(direction);
    let Some(key) = known.iter().find(|key| node.get(key).is_some()) else {
        return Some(TieredPeer::Unrecognized);
    };
    let value = node.get(key)?;
    match *key {
        "nodes" => selector(value).map(TieredPeer::Nodes),
        "networks" => {
            let mut networks = texts(value)?;
            networks.iter_mut().for_each(rewrite_cidr);
            Some(TieredPeer::Networks(networks))
        }
        "domainNames" => texts(value).map(TieredPeer::DomainNames),
        _ => pod_selection(node).map(TieredPeer::Pods),
    }
}

/// The `spec` of a NetworkPolicy.
pub(super) fn network_policy(spec: &Node<'_>) -> Option<NetworkPolicySpec> {
    let mut spec: NetworkPolicySpec = read(spec, &Mask::All).ok()?;
    let egress = spec.egress.iter_mut().flatten().map(|rule| &mut rule.to);
    let ingress = spec.ingress.iter_mut().flatten().map(|rule| &mut rule.from);
    let peers = egress.chain(ingress).flatten().flatten();
    for block in peers.filter_map(|peer| peer.ip_block.as_mut()) {
        rewrite_cidr(&mut block.cidr);
        block.except.iter_mut().flatten().for_each(rewrite_cidr);
    }
    Some(spec)
}

/// A live policy may have a CIDR in a form that is accepted no longer.
fn rewrite_cidr(text: &mut String) {
    if let Some(rewritten) = cidr::rewritten(text) {
        *text = rewritten;
    }
}

fn texts(node: &Node<'_>) -> Option<Vec<String>> {
    let texts = node.items().iter().map(Node::text);
    texts.map(|text| text.map(str::to_owned)).collect()
}

fn port(node: &Node<'_>, dialect: &Dialect) -> Option<TieredPort> {
    if let Some(name) = node.get(dialect.named_port()) {
        return Some(TieredPort::Named(name.text()?.to_owned()));
    }
    match dialect.port_syntax {
        PortSyntax::Protocols => protocol_match(node),
        PortSyntax::Ports => port_match(node),
    }
}

fn protocol_match(node: &Node<'_>) -> Option<TieredPort> {
    let (transport, protocol) = [
        ("tcp", Protocol::Tcp),
        ("udp", Protocol::Udp),
        ("sctp", Protocol::Sctp),
    ]
    .into_iter()
    .find_map(|(key, protocol)| Some((node.get(key)?, protocol)))?;
    let destination = transport.get("destinationPort")?;
    match destination.get("range") {
        Some(bounds) => range(bounds, protocol),
        None => {
            let number = number(destination, "number")?;
            Some(TieredPort::Range {
                protocol,
                start: number,
                end: number,
            })
        }
    }
}

fn port_match(node: &Node<'_>) -> Option<TieredPort> {
    let protocol =
        |node: &Node<'_>| Protocol::from_field(node.get("protocol").and_then(Node::text));
    if let Some(bounds) = node.get("portRange") {
        return range(bounds, protocol(bounds)?);
    }
    let exact = node.get("portNumber")?;
    let number = number(exact, "port")?;
    Some(TieredPort::Range {
        protocol: protocol(exact)?,
        start: number,
        end: number,
    })
}

fn range(node: &Node<'_>, protocol: Protocol) -> Option<TieredPort> {
    Some(TieredPort::Range {
        protocol,
        start: number(node, "start")?,
        end: number(node, "end")?,
    })
}

fn number(node: &Node<'_>, key: &str) -> Option<u16> {
    u16::try_from(node.get(key)?.whole()?).ok()
}
