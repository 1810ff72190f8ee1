//! Policies that a fix adds to a namespace, made for the cluster at hand.

use std::collections::BTreeSet;

use ringfence_model::labels::METADATA_NAME;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::NamespaceId;
use serde_json::{Value, json};

use crate::context::{Context, DnsFlavour};

/// A policy that isolates the egress of all pods of a namespace and allows nothing.
pub(crate) fn deny_egress(context: &Context<'_>, namespace: NamespaceId) -> Value {
    policy(
        context,
        namespace,
        "default-deny-egress",
        json!({"podSelector": {}, "policyTypes": ["Egress"]}),
    )
}

/// A policy that lets all pods of a namespace ask the name servers of this cluster.
/// `None` where it is not known what they are.
pub(crate) fn allow_dns(context: &Context<'_>, namespace: NamespaceId) -> Option<Value> {
    let dns = &context.dns;
    let snapshot = context.snapshot;
    let labels = match dns.flavour {
        DnsFlavour::KubeDns | DnsFlavour::NodeLocal => json!({"k8s-app": "kube-dns"}),
        DnsFlavour::OpenShift => json!({"dns.operator.openshift.io/daemonset-dns": "default"}),
        DnsFlavour::Other => json!(snapshot.service(dns.service?).selector.as_ref()?),
    };
    let namespaces: BTreeSet<NamespaceId> = dns
        .servers
        .iter()
        .map(|(pod, _)| snapshot.pod(*pod).namespace)
        .collect();
    let ports: BTreeSet<u16> = dns.servers.iter().map(|(_, port)| *port).collect();
    let mut peers: Vec<Value> = namespaces
        .iter()
        .map(|id| {
            json!({
                "namespaceSelector": {"matchLabels": {METADATA_NAME: &*snapshot.namespace(*id).name}},
                "podSelector": {"matchLabels": labels},
            })
        })
        .collect();
    peers.extend(dns.cache.iter().map(|address| {
        let length = if address.is_ipv4() { 32 } else { 128 };
        json!({"ipBlock": {"cidr": format!("{address}/{length}")}})
    }));
    let ports: Vec<Value> = ports
        .iter()
        .chain((!dns.cache.is_empty() && !ports.contains(&53)).then_some(&53))
        .flat_map(|port| {
            [Protocol::Udp, Protocol::Tcp]
                .map(|protocol| json!({"protocol": protocol.to_string(), "port": port}))
        })
        .collect();
    (!peers.is_empty()).then(|| {
        policy(
            context,
            namespace,
            "allow-dns",
            json!({
                "podSelector": {},
                "policyTypes": ["Egress"],
                "egress": [{"to": peers, "ports": ports}],
            }),
        )
    })
}

/// A policy under a name that no other policy of the namespace has.
fn policy(context: &Context<'_>, namespace: NamespaceId, name: &str, spec: Value) -> Value {
    let namespace = &context.snapshot.namespace(namespace).name;
    let is_taken = |name: &str| {
        let mut policies = context.snapshot.policies.iter();
        policies.any(|p| p.namespace.as_ref() == Some(namespace) && &*p.name == name)
    };
    let numbered = (2_u32..).map(|number| format!("{name}-{number}"));
    let name = std::iter::once(name.to_owned())
        .chain(numbered)
        .find(|name| !is_taken(name));
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": &**namespace},
        "spec": spec,
    })
}
