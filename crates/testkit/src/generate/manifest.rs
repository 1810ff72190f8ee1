//! Typed objects as manifests, so that a generated cluster can be read back, kept as
//! a fixture, or looked at.

use std::fmt::Write;

use ringfence_model::parse::{Object, TypedObject};
use ringfence_model::policy::{
    Action, PodSelection, Policy, PolicyBody, PolicyFamily, Tier, TieredPeer, TieredPolicy,
    TieredPort, TieredRule,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// All objects as one multi-document text.
#[must_use]
pub fn to_yaml<'a>(objects: impl IntoIterator<Item = &'a Object>) -> String {
    let mut text = String::new();
    for object in objects {
        text.push_str("---\n");
        write_object(&mut text, &object.typed);
    }
    text
}

fn write_object(text: &mut String, typed: &TypedObject) {
    match typed {
        TypedObject::Namespace(object) => write_document(text, object),
        TypedObject::Node(object) => write_document(text, object),
        TypedObject::Pod(object) => write_document(text, object),
        TypedObject::Deployment(object) => write_document(text, object),
        TypedObject::StatefulSet(object) => write_document(text, object),
        TypedObject::DaemonSet(object) => write_document(text, object),
        TypedObject::ReplicaSet(object) => write_document(text, object),
        TypedObject::ReplicationController(object) => write_document(text, object),
        TypedObject::Job(object) => write_document(text, object),
        TypedObject::CronJob(object) => write_document(text, object),
        TypedObject::OtherWorkload {
            kind,
            metadata,
            replicas,
            template,
        } => {
            let spec = json!({"replicas": replicas, "template": template});
            write_document(
                text,
                &json!({
                    "apiVersion": "example.org/v1",
                    "kind": kind,
                    "metadata": metadata,
                    "spec": spec,
                }),
            );
        }
        TypedObject::Service(object) => write_document(text, object),
        TypedObject::Endpoints(object) => write_document(text, object),
        TypedObject::EndpointSlice(object) => write_document(text, object),
        TypedObject::Ingress(object) => write_document(text, object),
        TypedObject::Policy(policy) => write_document(text, &policy_manifest(policy)),
    }
}

fn write_document(text: &mut String, document: &impl Serialize) {
    let start = text.len();
    if serde_saphyr::to_fmt_writer(text, document).is_err() {
        // Nothing that is generated fails to serialize; if it did, the reader of the
        // text must notice.
        text.truncate(start);
        let _ = writeln!(text, "!unserializable");
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
}

fn policy_manifest(policy: &Policy) -> Value {
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), json!(policy.name));
    if let Some(namespace) = &policy.namespace {
        metadata.insert("namespace".to_owned(), json!(namespace));
    }
    let spec = match &policy.body {
        PolicyBody::Network(spec) => json!(spec),
        PolicyBody::Tiered(tiered) => tiered_spec(policy.family, tiered),
    };
    json!({
        "apiVersion": policy.family.api_version(),
        "kind": policy.family.kind(),
        "metadata": metadata,
        "spec": spec,
    })
}

fn tiered_spec(family: PolicyFamily, policy: &TieredPolicy) -> Value {
    let mut spec = Map::new();
    if family == PolicyFamily::ClusterNetworkPolicy {
        let tier = match policy.tier {
            Tier::Admin | Tier::NetworkPolicy => "Admin",
            Tier::Baseline => "Baseline",
        };
        spec.insert("tier".to_owned(), json!(tier));
    }
    if family != PolicyFamily::BaselineAdminNetworkPolicy {
        spec.insert("priority".to_owned(), json!(policy.priority));
    }
    spec.insert("subject".to_owned(), selection(&policy.subject));
    for (key, peers_key, rules) in [
        ("ingress", "from", &policy.ingress),
        ("egress", "to", &policy.egress),
    ] {
        let rules: Vec<Value> = rules.iter().map(|r| rule(family, peers_key, r)).collect();
        if !rules.is_empty() {
            spec.insert(key.to_owned(), Value::Array(rules));
        }
    }
    Value::Object(spec)
}

fn rule(family: PolicyFamily, peers_key: &str, rule: &TieredRule) -> Value {
    let of_cluster_network_policy = family == PolicyFamily::ClusterNetworkPolicy;
    let action = match rule.action {
        Action::Accept if of_cluster_network_policy => "Accept",
        Action::Accept => "Allow",
        Action::Deny => "Deny",
        Action::Pass => "Pass",
    };
    let mut written = Map::new();
    if !rule.name.is_empty() {
        written.insert("name".to_owned(), json!(rule.name));
    }
    written.insert("action".to_owned(), json!(action));
    let peers: Vec<Value> = rule.peers.iter().map(peer).collect();
    written.insert(peers_key.to_owned(), Value::Array(peers));
    if let Some(ports) = &rule.ports {
        let (key, ports): (_, Vec<Value>) = if of_cluster_network_policy {
            ("protocols", ports.iter().map(protocol_entry).collect())
        } else {
            ("ports", ports.iter().map(port_entry).collect())
        };
        written.insert(key.to_owned(), Value::Array(ports));
    }
    Value::Object(written)
}

fn peer(peer: &TieredPeer) -> Value {
    match peer {
        TieredPeer::Pods(pods) => selection(pods),
        TieredPeer::Nodes(selector) => json!({"nodes": selector}),
        TieredPeer::Networks(cidrs) => json!({"networks": cidrs}),
        TieredPeer::DomainNames(names) => json!({"domainNames": names}),
        TieredPeer::Unrecognized => json!({}),
    }
}

fn selection(selection: &PodSelection) -> Value {
    match selection {
        PodSelection::Namespaces(selector) => json!({"namespaces": selector}),
        PodSelection::Pods {
            namespace_selector,
            pod_selector,
        } => json!({"pods": {
            "namespaceSelector": namespace_selector,
            "podSelector": pod_selector,
        }}),
    }
}

/// A `ClusterNetworkPolicy` spells the protocol as the key.
fn protocol_entry(port: &TieredPort) -> Value {
    match port {
        TieredPort::Named(name) => json!({"destinationNamedPort": name}),
        TieredPort::Range {
            protocol,
            start,
            end,
        } => {
            let number = if start == end {
                json!({"number": start})
            } else {
                json!({"range": {"start": start, "end": end}})
            };
            let mut entry = Map::new();
            entry.insert(
                protocol.as_str().to_ascii_lowercase(),
                json!({"destinationPort": number}),
            );
            Value::Object(entry)
        }
    }
}

fn port_entry(port: &TieredPort) -> Value {
    match port {
        TieredPort::Named(name) => json!({"namedPort": name}),
        TieredPort::Range {
            protocol,
            start,
            end,
        } if start == end => {
            json!({"portNumber": {"protocol": protocol.as_str(), "port": start}})
        }
        TieredPort::Range {
            protocol,
            start,
            end,
        } => json!({"portRange": {"protocol": protocol.as_str(), "start": start, "end": end}}),
    }
}
