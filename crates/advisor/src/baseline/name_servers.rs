use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use ringfence_model::k8s_openapi::api::networking::v1::NetworkPolicyPort;
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::labels::LabelValue;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodId, PortRef, ServiceEndpoint, ServiceId};

use super::proposed::{ProposedPolicy, block, egress, pods_of, ports, selector, to};
use super::request::{DnsChoice, PortRange};
use crate::context::{Context, DnsFlavour, name_server_labels};

/// Pods by their namespace and labels.
type PodsOf = (Arc<str>, BTreeMap<String, String>);

/// Port numbers, of UDP and TCP.
type Ports = BTreeSet<u16>;

/// What must be open for names to be resolved.
#[derive(Clone, Debug, Default)]
pub(super) struct NameServers {
    /// Pods by namespace and labels, with the ports on which they answer.
    pods: BTreeMap<PodsOf, Ports>,
    /// Name servers that no selector means, and their ports.
    addresses: BTreeMap<IpAddr, Ports>,
    /// Those that use their node's network.
    on_nodes: OnNodes,
    /// The addresses of the cache on every node, and those it answers for.
    pub(super) cache: BTreeSet<IpAddr>,
    /// Where all of it comes from.
    evidence: String,
}

/// What is known of name servers that use their node's network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum OnNodes {
    /// There are none.
    #[default]
    None,
    /// The addresses of their nodes.
    Known,
    /// Only which nodes there are.
    AnyNode,
    /// No address.
    Unknown,
}

/// The port that the cache on every node listens on.
const CACHE_PORT: u16 = 53;

impl NameServers {
    /// Those of the input, or those that are said.
    pub(super) fn find(
        context: &Context<'_>,
        choice: Option<DnsChoice>,
        notes: &mut Vec<String>,
    ) -> Self {
        if choice.is_none() && context.dns.assumed {
            notes.push(
                "the input has no name servers: allow-dns is for CoreDNS in kube-system with the \
                 label k8s-app=kube-dns and port 53; say otherwise with --dns"
                    .to_owned(),
            );
        }
        let mut found = Self::default();
        match choice {
            Some(DnsChoice::OpenShift) => found.standard(
                "openshift-dns",
                ("dns.operator.openshift.io/daemonset-dns", "default"),
                5353,
            ),
            Some(DnsChoice::KubeDns) => {
                found.standard("kube-system", ("k8s-app", "kube-dns"), 53);
            }
            Some(DnsChoice::NodeLocal) | None => found.read(context),
        }
        if found.on_nodes == OnNodes::AnyNode {
            notes.push(
                "the name servers use their node's network, and the input does not say which nodes \
                 they are on: allow-dns opens port 53 of every node of the input; nodes that are \
                 added later are not in it"
                    .to_owned(),
            );
        }
        if choice == Some(DnsChoice::NodeLocal) || choice.is_none() && has_cache(context) {
            found.cache.extend(context.dns.cache.iter().copied());
            if found.cache.is_empty() {
                found.cache.insert(crate::context::CACHE_ADDRESS.into());
            }
            let service = context.dns.service.map(|id| context.snapshot.service(id));
            let addresses = service.map(|service| &service.cluster_ips);
            found.cache.extend(addresses.into_iter().flatten());
        }
        found
    }

    /// The name servers of an installer.
    fn standard(&mut self, namespace: &str, (key, value): (&str, &str), port: u16) {
        let labels = [(key.to_owned(), value.to_owned())].into();
        self.pods.insert((namespace.into(), labels), [port].into());
        self.evidence = format!("the pods labelled {key}={value} in {namespace}");
    }

    /// The name servers of the input, by the selector of their Service.
    fn read(&mut self, context: &Context<'_>) {
        if let Some(id) = context.dns.service {
            self.read_service(context, id);
        }
        if self.pods.is_empty() && self.addresses.is_empty() && self.on_nodes == OnNodes::None {
            self.read_labelled(context);
        }
        let is_nothing_known = self.on_nodes == OnNodes::None;
        if self.pods.is_empty() && self.addresses.is_empty() && is_nothing_known {
            self.standard("kube-system", ("k8s-app", "kube-dns"), 53);
        }
    }

    /// Whether nothing can be written that would let anybody ask: name servers with the
    /// network of nodes are selected by their addresses, and none is known.
    pub(super) fn is_out_of_reach(&self) -> bool {
        self.pods.is_empty() && self.addresses.is_empty() && self.cache.is_empty()
    }

    /// A name server that uses its node's network: no selector means it.
    fn add_on_node(&mut self, context: &Context<'_>, pod: PodId, port: u16) {
        let pod = context.snapshot.pod(pod);
        let (addresses, known) = match pod.addresses.is_empty() {
            false => (pod.addresses.clone(), OnNodes::Known),
            true => (context.snapshot.node_addresses(), OnNodes::AnyNode),
        };
        let known = match addresses.is_empty() {
            true => OnNodes::Unknown,
            false => known,
        };
        self.on_nodes = self.on_nodes.max(known);
        for address in addresses {
            self.addresses.entry(address).or_default().insert(port);
        }
    }

    fn read_service(&mut self, context: &Context<'_>, id: ServiceId) {
        let service = context.snapshot.service(id);
        let namespace = &context.snapshot.namespace(service.namespace).name;
        self.evidence = format!("what is behind Service {namespace}/{}", service.name);
        let mut of_pods = BTreeSet::new();
        let is_dns = |target: &PortRef| matches!(target, PortRef::Name(n) if n.starts_with("dns"));
        for port in &service.ports {
            if port.port != 53 && !is_dns(&port.target_port) {
                continue;
            }
            let endpoints = context.snapshot.service_endpoints(id, port);
            for endpoint in &endpoints {
                match endpoint {
                    ServiceEndpoint::Pod { pod, port, .. }
                        if context.snapshot.pod(*pod).host_network =>
                    {
                        self.add_on_node(context, *pod, *port);
                    }
                    ServiceEndpoint::Pod { port, .. } => {
                        of_pods.insert(*port);
                    }
                    // With a selector it is a pod that is not in the input.
                    ServiceEndpoint::Address { port, .. } if service.selector.is_some() => {
                        of_pods.insert(*port);
                    }
                    ServiceEndpoint::Address { address, port } => {
                        self.addresses.entry(*address).or_default().insert(*port);
                    }
                }
            }
            if let (true, PortRef::Number(number)) = (endpoints.is_empty(), &port.target_port) {
                of_pods.insert(*number);
            }
        }
        if self.on_nodes != OnNodes::None && of_pods.is_empty() {
            return;
        }
        if let Some(labels) = &service.selector {
            if of_pods.is_empty() {
                // A name that only the pods could tell: as installers have it.
                let is_openshift = &**namespace == "openshift-dns";
                of_pods.insert(if is_openshift { 5353 } else { 53 });
            }
            let key = (Arc::clone(namespace), labels.clone());
            self.pods.insert(key, of_pods);
        }
    }

    /// The pods that are labelled as name servers are.
    fn read_labelled(&mut self, context: &Context<'_>) {
        for (id, port) in &context.dns.servers {
            let pod = context.snapshot.pod(*id);
            if pod.host_network {
                let namespace = &context.snapshot.namespace(pod.namespace).name;
                self.evidence = format!("{namespace}/{}", pod.name);
                self.add_on_node(context, *id, *port);
                continue;
            }
            let mut known = name_server_labels();
            let has =
                |(key, value): &(&str, &str)| pod.labels.get(key) == LabelValue::Present(value);
            let Some((key, value)) = known.find(has) else {
                continue;
            };
            let namespace = Arc::clone(&context.snapshot.namespace(pod.namespace).name);
            self.evidence = format!("the pods labelled {key}={value} in {namespace}");
            let labels = [(key.to_owned(), value.to_owned())].into();
            let of_pods = self.pods.entry((namespace, labels)).or_default();
            of_pods.insert(*port);
        }
    }

    /// The policy for a namespace. Without a rule it would close what it is to open: see
    /// [`is_out_of_reach`](Self::is_out_of_reach).
    pub(super) fn policy(&self, namespace: &str) -> ProposedPolicy {
        let mut rules = Vec::new();
        let mut by_ports: BTreeMap<&Ports, Vec<_>> = BTreeMap::new();
        for ((namespace, labels), numbers) in &self.pods {
            let peer = pods_of(namespace, selector(labels));
            by_ports.entry(numbers).or_default().push(peer);
        }
        for (address, numbers) in &self.addresses {
            let peer = block(IpNet::from(*address), Vec::new());
            by_ports.entry(numbers).or_default().push(peer);
        }
        for (numbers, peers) in by_ports {
            rules.push(to(peers, both_protocols(numbers)));
        }
        if !self.cache.is_empty() {
            let peers = self
                .cache
                .iter()
                .map(|a| block(IpNet::from(*a), Vec::new()));
            rules.push(to(peers.collect(), both_protocols(&[CACHE_PORT].into())));
        }
        let numbers = self.pods.values().chain(self.addresses.values());
        let numbers: Ports = numbers.flatten().copied().collect();
        let shown: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        let proposed = ProposedPolicy::network(
            namespace,
            "allow-dns",
            "Pods may ask the name servers of the cluster",
            egress(LabelSelector::default(), rules),
        )
        .saying(format!(
            "Names are resolved by {}, port {} on the {}. Over TCP as well as UDP: answers that \
             do not fit into a datagram are asked for again over TCP.",
            self.evidence,
            shown.join(", "),
            match self.on_nodes {
                OnNodes::None => "pods",
                OnNodes::Known | OnNodes::AnyNode | OnNodes::Unknown => "nodes",
            }
        ));
        let proposed = match self.on_nodes {
            OnNodes::None => proposed,
            OnNodes::Known | OnNodes::AnyNode | OnNodes::Unknown => proposed.saying(
                "These name servers use their node's network, so that no selector means them: the \
                 addresses of the nodes do. (Cilium reads an ipBlock as addresses outside the \
                 cluster; there it takes a policy of its own kind.)",
            ),
        };
        if self.cache.is_empty() {
            return proposed;
        }
        proposed.saying(
            "Behind the last rule is the cache on every node. It uses its node's network, so that \
             no selector means it: the addresses it listens on do. (Cilium reads an ipBlock as \
             addresses outside the cluster; there the cache needs a local redirect policy.)",
        )
    }
}

fn has_cache(context: &Context<'_>) -> bool {
    context.dns.flavour == DnsFlavour::NodeLocal
}

fn both_protocols(numbers: &Ports) -> Option<Vec<NetworkPolicyPort>> {
    let range = |protocol, number: u16| PortRange {
        protocol,
        start: number,
        end: number,
    };
    ports(
        [Protocol::Udp, Protocol::Tcp]
            .into_iter()
            .flat_map(|protocol| numbers.iter().map(move |number| range(protocol, *number))),
    )
}
