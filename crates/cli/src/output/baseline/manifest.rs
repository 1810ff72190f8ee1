//! A policy as a manifest whose keys are in the order in which people write them.

use std::collections::BTreeMap;

use ringfence_advisor::baseline::ProposedPolicy;
use ringfence_model::k8s_openapi::api::networking::v1::{
    NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ringfence_model::policy::{
    Action, Direction, PodSelection, PolicyBody, Tier, TieredPeer, TieredPolicy, TieredPort,
    TieredRule,
};
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};

/// A value in a manifest.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(String),
    Number(i64),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// A text.
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// A mapping in this order.
    pub(super) fn map<'k>(entries: impl IntoIterator<Item = (&'k str, Self)>) -> Self {
        let entries = entries.into_iter();
        Self::Map(
            entries
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        )
    }

    fn texts<'t>(texts: impl IntoIterator<Item = &'t String>) -> Self {
        Self::List(texts.into_iter().cloned().map(Self::Text).collect())
    }

    fn pairs(pairs: &BTreeMap<String, String>) -> Self {
        Self::map(pairs.iter().map(|(k, v)| (k.as_str(), Self::text(v))))
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

/// The manifest of a policy.
pub(super) fn of(proposed: &ProposedPolicy) -> Node {
    let policy = &proposed.policy;
    let mut metadata = vec![("name", Node::text(&policy.name))];
    if let Some(namespace) = &policy.namespace {
        metadata.push(("namespace", Node::text(namespace)));
    }
    if !proposed.labels.is_empty() {
        metadata.push(("labels", Node::pairs(&proposed.labels)));
    }
    if !policy.annotations.is_empty() {
        metadata.push(("annotations", Node::pairs(&policy.annotations)));
    }
    let spec = match &policy.body {
        PolicyBody::Network(spec) => network(spec),
        PolicyBody::Tiered(spec) => cluster_wide(spec),
    };
    Node::map([
        ("apiVersion", Node::text(policy.family.api_version())),
        ("kind", Node::text(policy.family.kind())),
        ("metadata", Node::map(metadata)),
        ("spec", spec),
    ])
}

fn network(spec: &NetworkPolicySpec) -> Node {
    let pods = spec.pod_selector.clone().unwrap_or_default();
    let mut entries = vec![("podSelector", selector(&pods))];
    if let Some(types) = &spec.policy_types {
        entries.push(("policyTypes", Node::texts(types)));
    }
    if let Some(rules) = &spec.ingress {
        let rules = rules.iter();
        let rules = rules.map(|rule| network_rule("from", &rule.from, &rule.ports));
        entries.push(("ingress", Node::List(rules.collect())));
    }
    if let Some(rules) = &spec.egress {
        let rules = rules.iter();
        let rules = rules.map(|rule| network_rule("to", &rule.to, &rule.ports));
        entries.push(("egress", Node::List(rules.collect())));
    }
    Node::map(entries)
}

fn network_rule(
    peers_key: &'static str,
    peers: &Option<Vec<NetworkPolicyPeer>>,
    ports: &Option<Vec<NetworkPolicyPort>>,
) -> Node {
    let mut entries = Vec::new();
    if let Some(peers) = peers {
        let peers = peers.iter().map(network_peer).collect();
        entries.push((peers_key, Node::List(peers)));
    }
    if let Some(ports) = ports {
        let ports = ports.iter().map(network_port).collect();
        entries.push(("ports", Node::List(ports)));
    }
    Node::map(entries)
}

fn network_peer(peer: &NetworkPolicyPeer) -> Node {
    let mut entries = Vec::new();
    if let Some(namespaces) = &peer.namespace_selector {
        entries.push(("namespaceSelector", selector(namespaces)));
    }
    if let Some(pods) = &peer.pod_selector {
        entries.push(("podSelector", selector(pods)));
    }
    if let Some(block) = &peer.ip_block {
        let mut of_block = vec![("cidr", Node::text(&block.cidr))];
        if let Some(except) = &block.except {
            of_block.push(("except", Node::texts(except)));
        }
        entries.push(("ipBlock", Node::map(of_block)));
    }
    Node::map(entries)
}

fn network_port(port: &NetworkPolicyPort) -> Node {
    let mut entries = Vec::new();
    if let Some(protocol) = &port.protocol {
        entries.push(("protocol", Node::text(protocol)));
    }
    match &port.port {
        Some(IntOrString::Int(number)) => {
            entries.push(("port", Node::Number(i64::from(*number))));
        }
        Some(IntOrString::String(name)) => entries.push(("port", Node::text(name))),
        None => {}
    }
    if let Some(end) = port.end_port {
        entries.push(("endPort", Node::Number(i64::from(end))));
    }
    Node::map(entries)
}

fn selector(selector: &LabelSelector) -> Node {
    let mut entries = Vec::new();
    if let Some(labels) = &selector.match_labels {
        entries.push(("matchLabels", Node::pairs(labels)));
    }
    if let Some(expressions) = &selector.match_expressions {
        let expressions = expressions.iter().map(|expression| {
            let mut entries = vec![
                ("key", Node::text(&expression.key)),
                ("operator", Node::text(&expression.operator)),
            ];
            if let Some(values) = &expression.values {
                entries.push(("values", Node::texts(values)));
            }
            Node::map(entries)
        });
        entries.push(("matchExpressions", Node::List(expressions.collect())));
    }
    Node::map(entries)
}

/// The `spec` of a `ClusterNetworkPolicy`.
fn cluster_wide(policy: &TieredPolicy) -> Node {
    let tier = match policy.tier {
        Tier::Admin | Tier::NetworkPolicy => "Admin",
        Tier::Baseline => "Baseline",
    };
    let mut entries = vec![
        ("tier", Node::text(tier)),
        ("priority", Node::Number(i64::from(policy.priority))),
        ("subject", selection(&policy.subject)),
    ];
    for direction in [Direction::Ingress, Direction::Egress] {
        let rules = policy.rules(direction);
        if !rules.is_empty() {
            let rules = rules.iter().map(|r| tiered_rule(direction.peers_key(), r));
            entries.push((direction.rules_key(), Node::List(rules.collect())));
        }
    }
    Node::map(entries)
}

fn tiered_rule(peers_key: &'static str, rule: &TieredRule) -> Node {
    let action = match rule.action {
        Action::Accept => "Accept",
        Action::Deny => "Deny",
        Action::Pass => "Pass",
    };
    let mut entries = Vec::new();
    if !rule.name.is_empty() {
        entries.push(("name", Node::text(&rule.name)));
    }
    entries.push(("action", Node::text(action)));
    let peers = rule.peers.iter().map(tiered_peer).collect();
    entries.push((peers_key, Node::List(peers)));
    if let Some(ports) = &rule.ports {
        let ports = ports.iter().map(tiered_port).collect();
        entries.push(("protocols", Node::List(ports)));
    }
    Node::map(entries)
}

fn tiered_peer(peer: &TieredPeer) -> Node {
    match peer {
        TieredPeer::Pods(pods) => selection(pods),
        TieredPeer::Nodes(nodes) => Node::map([("nodes", selector(nodes))]),
        TieredPeer::Networks(cidrs) => Node::map([("networks", Node::texts(cidrs))]),
        TieredPeer::DomainNames(names) => Node::map([("domainNames", Node::texts(names))]),
        TieredPeer::Unrecognized => Node::map([]),
    }
}

fn selection(selection: &PodSelection) -> Node {
    match selection {
        PodSelection::Namespaces(namespaces) => Node::map([("namespaces", selector(namespaces))]),
        PodSelection::Pods {
            namespace_selector,
            pod_selector,
        } => Node::map([(
            "pods",
            Node::map([
                ("namespaceSelector", selector(namespace_selector)),
                ("podSelector", selector(pod_selector)),
            ]),
        )]),
    }
}

fn tiered_port(port: &TieredPort) -> Node {
    match port {
        TieredPort::Named(name) => Node::map([("destinationNamedPort", Node::text(name))]),
        TieredPort::Range {
            protocol,
            start,
            end,
        } => {
            let number = |port: &u16| Node::Number(i64::from(*port));
            let ports = match start == end {
                true => ("number", number(start)),
                false => (
                    "range",
                    Node::map([("start", number(start)), ("end", number(end))]),
                ),
            };
            let protocol = protocol.as_str().to_ascii_lowercase();
            let destination = Node::map([("destinationPort", Node::map([ports]))]);
            Node::map([(protocol.as_str(), destination)])
        }
    }
}
