use std::collections::BTreeMap;
use std::sync::Arc;

use ringfence_engine::sets::PortSet;
use ringfence_engine::{RuleRef, Verdict};
use ringfence_model::k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort};
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ringfence_model::labels::{LabelValue, Labels, METADATA_NAME, UnknownKeys};
use ringfence_model::policy::Direction;
use ringfence_model::protocol::Protocol;
use ringfence_model::selector::matches;
use ringfence_model::snapshot::{PodId, ServiceId};
use ringfence_model::source::KeyPath;
use ringfence_model::tri::Tri;
use serde_json::{Value, json};

use super::dns::{CACHE_ADDRESS, NAME_SERVER_LABELS};
use super::{Context, DnsReach, Group, WrittenRule, dns_elsewhere};

/// A group that cannot resolve names, as far as is known.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsProblem {
    /// The index of the group among the clients of the name servers.
    pub client: usize,
    /// What it can ask.
    pub reach: DnsReach,
    /// Rules for its pods that are meant for name servers and miss them.
    pub rules: Vec<DnsRule>,
    /// Where the name servers were assumed: a Service of the input for queries that it may
    /// ask, and that may be in front of the real ones.
    pub may_ask: Option<ServiceId>,
}

impl DnsProblem {
    /// Whether no query gets through, for certain.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.reach.udp == Verdict::Denied && self.reach.tcp == Verdict::Denied
    }
}

/// A rule that is meant for name servers and misses them.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsRule {
    /// The rule.
    pub rule: RuleRef,
    /// What is wrong with it; never empty.
    pub faults: Vec<DnsFault>,
    /// Whether name servers were assumed, and the rule matches those of another common
    /// installation.
    pub may_fit_others: bool,
}

/// One thing that is wrong with a rule for name servers.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsFault {
    /// Where.
    pub path: KeyPath,
    /// What, as a sentence without a full stop.
    pub what: String,
    /// Whether it is so for certain.
    pub certain: bool,
    /// The value that should stand at a path.
    pub instead: (KeyPath, Value),
}

/// Name servers of installations that the input may be for when it has none: namespace,
/// label, port.
const OTHERS: [(&str, (&str, &str), u16); 4] = [
    ("openshift-dns", NAME_SERVER_LABELS[1], 5353),
    ("kube-system", ("k8s-app", "coredns"), 53),
    ("kube-system", ("app.kubernetes.io/name", "coredns"), 53),
    ("kube-system", ("k8s-app", "node-local-dns"), 53),
];

/// Values of labels that name servers have.
const NAMES: [&str; 6] = [
    "kube-dns",
    "coredns",
    "node-local-dns",
    "nodelocaldns",
    "dns-default",
    "rke2-coredns",
];

pub(super) fn problems(context: &Context<'_>) -> Vec<DnsProblem> {
    let mut of_rule: BTreeMap<RuleRef, Option<DnsRule>> = BTreeMap::new();
    let mut problems = Vec::new();
    for (index, group) in context.dns_clients().iter().enumerate() {
        let reach = context.dns.resolves(context.engine, group);
        if reach.udp == Verdict::Allowed || reach.tcp == Verdict::Allowed {
            continue;
        }
        let may_ask = dns_elsewhere::may_ask(context, group);
        let mut rules = Vec::new();
        // What the real name servers are, and so what misses them, is not known then.
        let for_group = rules_for(context, group).filter(|_| may_ask.is_none());
        for rule in for_group {
            let known = of_rule.entry(rule.id);
            let missing = known.or_insert_with(|| what_is_wrong(context, rule));
            rules.extend(missing.clone());
        }
        problems.push(DnsProblem {
            client: index,
            reach,
            rules,
            may_ask,
        });
    }
    problems
}

/// The egress rules of the policies that select a group.
fn rules_for<'c>(
    context: &'c Context<'_>,
    group: &Group,
) -> impl Iterator<Item = &'c WrittenRule<'c>> {
    let policies = context.engine.policies_for(group.first, Direction::Egress);
    let rules = policies.flat_map(|(policy, _)| context.written_rules_of(policy));
    let rules: Vec<_> = rules
        .filter(|rule| rule.id.direction == Direction::Egress)
        .collect();
    rules.into_iter()
}

/// What is wrong with a rule that is evidently there for the name servers, and misses them.
pub(super) fn what_is_wrong(context: &Context<'_>, rule: &WrittenRule<'_>) -> Option<DnsRule> {
    if !is_meant_for_dns(context, rule) {
        return None;
    }
    let (server, port) = *context.dns.servers.first()?;
    let mut faults = Vec::new();
    faults.extend(fault_of_peers(context, rule, server));
    faults.extend(faults_of_ports(context, rule, server, port));
    (!faults.is_empty()).then(|| DnsRule {
        rule: rule.id,
        faults,
        may_fit_others: context.dns.assumed
            && (fits_others(rule) || dns_elsewhere::names_unseen(context, rule)),
    })
}

/// Whether a rule is evidently there for the name servers of the cluster.
fn is_meant_for_dns(context: &Context<'_>, rule: &WrittenRule<'_>) -> bool {
    let policy = context.snapshot.policy(rule.id.policy);
    let mut words = policy.name.split(|c: char| !c.is_ascii_alphanumeric());
    let by_name = words.any(|word| word == "dns" || NAMES.contains(&word));
    let by_port = rule.port_entries.iter().any(is_dns_port);
    let by_peer = rule.peers.iter().any(|peer| {
        let pods = peer.pod_selector.iter();
        pods.flat_map(|selector| selector.match_labels.iter().flatten())
            .any(|(key, value)| NAMES.contains(&value.as_str()) || key == NAME_SERVER_LABELS[1].0)
    });
    if rule.peers.iter().any(|peer| peer.ip_block.is_none()) || rule.is_for_everybody() {
        // A rule for DNS may name other ports, but one without any is about more.
        return by_peer || by_port || (by_name && rule.is_for_dns_only());
    }
    // Blocks only: a resolver outside the cluster, unless it is the address of the Service.
    by_port
        && rule
            .blocks
            .iter()
            .any(|block| covers_service(context, block))
}

fn covers_service(context: &Context<'_>, block: &super::WrittenBlock) -> bool {
    let service = context.dns.service.map(|id| context.snapshot.service(id));
    let mut addresses = service.into_iter().flat_map(|service| &service.cluster_ips);
    addresses.any(|address| block.addresses.contains(*address))
}

fn is_dns_port(entry: &NetworkPolicyPort) -> bool {
    match &entry.port {
        Some(IntOrString::Int(port)) => matches!(port, 53 | 5353),
        Some(IntOrString::String(name)) => name.starts_with("dns"),
        None => false,
    }
}

/// What is wrong with the peers, where none of them is the name server.
fn fault_of_peers(context: &Context<'_>, rule: &WrittenRule<'_>, server: PodId) -> Vec<DnsFault> {
    let pod = context.snapshot.pod(server);
    let namespace = context.snapshot.namespace(pod.namespace);
    let policy = context.snapshot.policy(rule.id.policy);
    let own = policy.namespace.as_deref() == Some(&*namespace.name);
    let in_namespace = |peer: &NetworkPolicyPeer| match &peer.namespace_selector {
        Some(selector) => matches(selector, &namespace.labels),
        None => Tri::from(own),
    };
    let is_pod = |peer: &NetworkPolicyPeer| match &peer.pod_selector {
        Some(selector) => matches(selector, &pod.labels),
        None => Tri::Yes,
    };
    let selectors = || {
        let numbered = rule.peers.iter().enumerate();
        numbered.filter(|(_, peer)| peer.ip_block.is_none())
    };
    let fits = |peer: &NetworkPolicyPeer| in_namespace(peer).and(is_pod(peer)) == Tri::Yes;
    if rule.is_for_everybody() || selectors().any(|(_, peer)| fits(peer)) {
        return Vec::new();
    }
    let name = &namespace.name;
    let right_namespace = json!({"matchLabels": {METADATA_NAME: &**name}});
    let labels = labels_of(context, server);
    let right_pods = json!({"matchLabels": labels});
    // The peer that comes nearest.
    let nearest = selectors().max_by_key(|(index, peer)| {
        let right = |is: Tri| i32::from(is == Tri::Yes);
        let near = right(in_namespace(peer)) + right(is_pod(peer));
        (near, std::cmp::Reverse(*index))
    });
    let Some((index, peer)) = nearest else {
        let block = rule
            .blocks
            .iter()
            .find(|block| covers_service(context, block));
        let right = json!({"namespaceSelector": right_namespace, "podSelector": right_pods});
        return block
            .map(|block| DnsFault {
                path: rule.block_path(block).key("cidr"),
                what: "this is the address of the Service: policies see the pods behind it"
                    .to_owned(),
                certain: true,
                instead: (rule.peer_path(block.peer), right),
            })
            .into_iter()
            .collect();
    };
    let path = rule.peer_path(index);
    let mut faults = Vec::new();
    let there = in_namespace(peer);
    if there != Tri::Yes {
        let written = peer.namespace_selector.is_some();
        let what = match (written, there) {
            (true, Tri::Unknown) => format!(
                "it is not known whether namespace `{name}`, where the name servers are, has this \
                 label: the control plane only sets `{METADATA_NAME}`"
            ),
            (true, _) => {
                format!("namespace `{name}`, where the name servers are, has other labels")
            }
            (false, _) => format!(
                "without `namespaceSelector` this means pods of the policy's own namespace: the \
                 name servers are in `{name}`"
            ),
        };
        let key = match written {
            true => "namespaceSelector",
            false => "podSelector",
        };
        faults.push(DnsFault {
            path: path.key(key),
            what,
            certain: there == Tri::No,
            instead: (path.key("namespaceSelector"), right_namespace),
        });
    }
    if is_pod(peer) != Tri::Yes {
        faults.push(DnsFault {
            path: path.key("podSelector"),
            what: format!("the name servers are labelled {}", shown(&labels)),
            certain: is_pod(peer) == Tri::No,
            instead: (path.key("podSelector"), right_pods),
        });
    }
    faults
}

fn faults_of_ports(
    context: &Context<'_>,
    rule: &WrittenRule<'_>,
    server: PodId,
    port: u16,
) -> Vec<DnsFault> {
    let right =
        PortSet::range(Protocol::Udp, port, port).union(&PortSet::range(Protocol::Tcp, port, port));
    let named = rule.port_entries.iter().any(|entry| match &entry.port {
        Some(IntOrString::String(name)) => {
            let mut numbers = context.snapshot.pod(server).ports_named(name);
            numbers.any(|number| number.port == port)
        }
        _ => false,
    });
    if named || !rule.ports.intersection(&right).is_empty() {
        return Vec::new();
    }
    let ports = rule.path().key("ports");
    let entries = rule.port_entries.iter().enumerate();
    let wrong = entries.filter(|(_, entry)| is_dns_port(entry));
    wrong
        .map(|(index, _)| DnsFault {
            path: ports.index(index).key("port"),
            what: format!("the name servers listen on {port}"),
            certain: true,
            instead: (ports.index(index).key("port"), json!(port)),
        })
        .collect()
}

/// Whether a rule matches the name servers of another common installation.
fn fits_others(rule: &WrittenRule<'_>) -> bool {
    let by_selector = OTHERS.iter().any(|(namespace, (key, value), port)| {
        let namespace = Labels {
            known: Arc::new(BTreeMap::from([(
                METADATA_NAME.to_owned(),
                (*namespace).to_owned(),
            )])),
            unknown: UnknownKeys::AllButName,
        };
        let pod: Labels = [(*key, *value)].into_iter().collect();
        let selects = |selector: Option<&LabelSelector>, labels: &Labels| {
            selector.is_none_or(|selector| matches(selector, labels).possible())
        };
        let fits = |peer: &NetworkPolicyPeer| {
            peer.ip_block.is_none()
                && peer.namespace_selector.is_some()
                && selects(peer.namespace_selector.as_ref(), &namespace)
                && selects(peer.pod_selector.as_ref(), &pod)
        };
        let numbered = [Protocol::Udp, Protocol::Tcp]
            .into_iter()
            .any(|protocol| rule.ports.contains(protocol, *port));
        let named = rule
            .port_entries
            .iter()
            .any(|entry| matches!(entry.port, Some(IntOrString::String(_))) && is_dns_port(entry));
        rule.peers.iter().any(fits) && (numbered || named)
    });
    let cache = CACHE_ADDRESS.into();
    by_selector || rule.blocks.iter().any(|b| b.addresses.contains(cache))
}

/// The labels by which name servers are selected: the well-known one, else those of the
/// Service in front of them.
fn labels_of(context: &Context<'_>, server: PodId) -> BTreeMap<String, String> {
    let pod = context.snapshot.pod(server);
    let known = NAME_SERVER_LABELS
        .iter()
        .find(|(key, value)| pod.labels.get(key) == LabelValue::Present(value));
    if let Some((key, value)) = known {
        return BTreeMap::from([((*key).to_owned(), (*value).to_owned())]);
    }
    let service = context.dns.service.map(|id| context.snapshot.service(id));
    service
        .and_then(|service| service.selector.clone())
        .filter(|selector| !selector.is_empty())
        .unwrap_or_else(|| (*pod.labels.known).clone())
}

fn shown(labels: &BTreeMap<String, String>) -> String {
    let texts: Vec<String> = labels.iter().map(|(k, v)| format!("`{k}: {v}`")).collect();
    match texts.is_empty() {
        true => "with nothing".to_owned(),
        false => texts.join(", "),
    }
}

impl Context<'_> {
    /// Where the name servers are, for a sentence.
    #[must_use]
    pub fn name_servers(&self) -> String {
        let servers = self.dns.servers.iter();
        let mut found: Vec<String> = servers
            .map(|(pod, port)| {
                let where_else = match self.snapshot.pod(*pod).host_network {
                    true => " at the addresses of its nodes, which no selector means",
                    false => "",
                };
                format!("{} port {port}{where_else}", self.name_of(*pod))
            })
            .collect();
        found.dedup();
        let cache = self.dns.cache.iter();
        found.extend(cache.map(|address| format!("the cache at {address} port 53")));
        match self.dns.assumed {
            true => format!("{}, as far as is assumed", found.join(", ")),
            false => found.join(", "),
        }
    }
}
