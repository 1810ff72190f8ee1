use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ringfence_engine::{Engine, Frontend, Packet, Peer, Verdict};
use ringfence_model::address::IpFamily;
use ringfence_model::labels::LabelValue;
use ringfence_model::parse::{self, Input, Limits, Object, TypedObject};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{Pod, PodId, PortRef, ServiceEndpoint, ServiceId, Snapshot};

use super::{Group, Inventory};

/// What answers name queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DnsFlavour {
    /// CoreDNS or kube-dns in `kube-system`, labelled `k8s-app: kube-dns`.
    KubeDns,
    /// The same, behind a cache on every node.
    NodeLocal,
    /// The DNS operator of OpenShift: `openshift-dns`, port 5353 on the pods.
    OpenShift,
    /// Something else that stands behind a well-known Service.
    Other,
}

/// The name servers of the cluster.
#[derive(Clone, Debug)]
pub struct Dns {
    /// What they are.
    pub flavour: DnsFlavour,
    /// Whether nothing in the input says so, and it was assumed.
    pub assumed: bool,
    /// The Service in front of them.
    pub service: Option<ServiceId>,
    /// The pods that answer, each with its port, ascending.
    pub servers: Vec<(PodId, u16)>,
    /// The addresses of the cache on every node.
    pub cache: Vec<IpAddr>,
    /// By which ports of the Service clients come to a port of a server.
    frontends: BTreeMap<(PodId, u16, Protocol), Frontend>,
}

/// What a pod can ask of the name servers: the worst of them counts, since a query goes
/// to any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DnsReach {
    /// Over UDP.
    pub udp: Verdict,
    /// Over TCP.
    pub tcp: Verdict,
}

/// Services in front of the name servers: kubeadm and most others, K3s and Helm, RKE2,
/// OpenShift.
pub const NAME_SERVER_SERVICES: [(&str, &str); 5] = [
    ("kube-system", "kube-dns"),
    ("kube-system", "coredns"),
    ("kube-system", "rke2-coredns-rke2-coredns"),
    ("openshift-dns", "dns-default"),
    ("kube-system", "dns-default"),
];

/// The labels of name server pods in nearly every installation.
pub const NAME_SERVER_LABELS: [(&str, &str); 2] = [
    ("k8s-app", "kube-dns"),
    ("dns.operator.openshift.io/daemonset-dns", "default"),
];

/// The label of the cache's pods.
const CACHE_LABEL: (&str, &str) = ("k8s-app", "node-local-dns");

/// The address that the cache listens on unless told otherwise.
pub(crate) const CACHE_ADDRESS: [u8; 4] = [169, 254, 20, 10];

/// What stands for the name servers of a cluster whose manifests do not have them.
const ASSUMED: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: coredns, namespace: kube-system}
spec:
  selector: {matchLabels: {k8s-app: kube-dns}}
  template:
    metadata: {labels: {k8s-app: kube-dns}}
    spec:
      containers:
        - name: coredns
          ports:
            - {name: dns, containerPort: 53, protocol: UDP}
            - {name: dns-tcp, containerPort: 53, protocol: TCP}
            - {name: metrics, containerPort: 9153, protocol: TCP}
";

/// Name servers to add to objects that have none, so that rules about DNS can be judged:
/// CoreDNS as nearly every installer lays it out. They have no origin. Empty when the
/// objects have name servers.
#[must_use]
pub fn assumed_name_servers(objects: &[Object]) -> Vec<Object> {
    if objects.iter().any(is_name_server) {
        return Vec::new();
    }
    let input = Input {
        name: String::new(),
        bytes: ASSUMED.as_bytes().to_vec(),
    };
    let mut objects = parse::load(vec![input], &Limits::default()).objects;
    for object in &mut objects {
        object.origin = None;
    }
    objects
}

fn is_name_server(object: &Object) -> bool {
    let typed = &object.typed;
    let named = typed.metadata().is_some_and(|metadata| {
        typed.kind() == "Service"
            && NAME_SERVER_SERVICES.iter().any(|(namespace, name)| {
                metadata.namespace.as_deref() == Some(namespace)
                    && metadata.name.as_deref() == Some(name)
            })
    });
    named || is_labelled(object) || is_service_by_selector(object)
}

/// Whether an object is a Service for queries that selects pods called as name servers
/// are, whatever its own name and namespace are.
fn is_service_by_selector(object: &Object) -> bool {
    let TypedObject::Service(service) = &object.typed else {
        return false;
    };
    service.spec.as_ref().is_some_and(|spec| {
        let mut ports = spec.ports.iter().flatten();
        let is_asked = ports.any(|port| port.port == 53 && port.protocol.as_deref() == Some("UDP"));
        is_asked && spec.selector.as_ref().is_some_and(selects_name_servers)
    })
}

/// Whether a Service's selector has a value that name servers are called by.
fn selects_name_servers(selector: &BTreeMap<String, String>) -> bool {
    let mut values = selector.values();
    values.any(|value| matches!(value.as_str(), "coredns" | "kube-dns"))
}

/// The Service for queries that selects pods called as name servers are.
fn service_by_selector(snapshot: &Snapshot) -> Option<ServiceId> {
    let mut services = snapshot.service_ids();
    let found = services.find(|(_, service)| {
        let mut ports = service.ports.iter();
        ports.any(|port| port.port == 53 && port.protocol == Protocol::Udp)
            && service.selector.as_ref().is_some_and(selects_name_servers)
    });
    found.map(|(id, _)| id)
}

/// Whether pods among the objects are labelled as name servers.
pub(crate) fn has_labelled_name_servers(objects: &[Object]) -> bool {
    objects.iter().any(is_labelled)
}

/// The labels by which name servers are known.
pub(crate) fn name_server_labels() -> impl Iterator<Item = (&'static str, &'static str)> {
    NAME_SERVER_LABELS.into_iter()
}

fn is_labelled(object: &Object) -> bool {
    let typed = &object.typed;
    let labels = match typed.pod_template() {
        Some(template) => template.metadata.as_ref().and_then(|m| m.labels.as_ref()),
        None if typed.kind() == "Pod" => typed.metadata().and_then(|m| m.labels.as_ref()),
        None => None,
    };
    labels.is_some_and(|labels| {
        let mut known = NAME_SERVER_LABELS.iter();
        known.any(|(key, value)| labels.get(*key).is_some_and(|v| v == value))
    })
}

impl Dns {
    /// Finds the name servers of a cluster.
    #[must_use]
    pub fn find(snapshot: &Snapshot, inventory: &Inventory, assumed: bool) -> Self {
        let service = NAME_SERVER_SERVICES
            .iter()
            .find_map(|(namespace, name)| snapshot.find_service(namespace, name));
        let service = service.or_else(|| service_by_selector(snapshot));
        let mut servers = service.map_or_else(Vec::new, |id| behind(snapshot, id));
        if servers.is_empty() {
            servers = labelled(snapshot);
        }
        servers.sort_unstable();
        servers.dedup();
        let cache = cache_addresses(snapshot, inventory);
        let in_openshift = |(pod, _): &(PodId, u16)| {
            let namespace = snapshot.pod(*pod).namespace;
            &*snapshot.namespace(namespace).name == "openshift-dns"
        };
        let in_kube_system = |(pod, _): &(PodId, u16)| {
            let pod = snapshot.pod(*pod);
            &*snapshot.namespace(pod.namespace).name == "kube-system"
                && pod.labels.get(NAME_SERVER_LABELS[0].0)
                    == LabelValue::Present(NAME_SERVER_LABELS[0].1)
        };
        let flavour = if !cache.is_empty() {
            DnsFlavour::NodeLocal
        } else if servers.iter().any(in_openshift) {
            DnsFlavour::OpenShift
        } else if servers.is_empty() || servers.iter().all(in_kube_system) {
            DnsFlavour::KubeDns
        } else {
            DnsFlavour::Other
        };
        Self {
            flavour,
            assumed,
            service,
            servers,
            cache,
            frontends: service.map_or_else(BTreeMap::new, |id| frontends(snapshot, id)),
        }
    }

    /// Whether a pod is not in the input, and was assumed.
    #[must_use]
    pub fn is_assumed(&self, pod: PodId) -> bool {
        self.assumed && self.servers.iter().any(|(server, _)| *server == pod)
    }

    /// Whether a pod is a name server.
    #[must_use]
    pub fn is_server(&self, pod: PodId) -> bool {
        self.servers.iter().any(|(server, _)| *server == pod)
    }

    /// What the pods of a group can ask the name servers behind the Service.
    #[must_use]
    pub fn reach(&self, engine: &Engine, group: &Group) -> DnsReach {
        let over = |protocol| {
            let packets = self.packets(engine, group, protocol);
            worst(packets.iter().map(|packet| engine.can(packet)))
        };
        DnsReach {
            udp: over(Protocol::Udp),
            tcp: over(Protocol::Tcp),
        }
    }

    /// What the pods of a group can ask by whatever way there is: of the cache on their
    /// node, or of the name servers.
    #[must_use]
    pub fn resolves(&self, engine: &Engine, group: &Group) -> DnsReach {
        let servers = self.reach(engine, group);
        let Some(cache) = self.reach_of_cache(engine, group) else {
            return servers;
        };
        DnsReach {
            udp: better(servers.udp, cache.udp),
            tcp: better(servers.tcp, cache.tcp),
        }
    }

    /// What the pods of a group can ask of the cache on their node; `None` if there is
    /// none, or none of their family.
    #[must_use]
    pub fn reach_of_cache(&self, engine: &Engine, group: &Group) -> Option<DnsReach> {
        let over = |protocol| {
            let packets = self.packets_to_cache(engine, group, protocol);
            let verdicts = packets.iter().map(|packet| engine.can(packet));
            (!packets.is_empty()).then(|| worst(verdicts))
        };
        Some(DnsReach {
            udp: over(Protocol::Udp)?,
            tcp: over(Protocol::Tcp)?,
        })
    }

    /// The addresses of the cache that pods are told to ask. It may listen on the address
    /// of the Service too, for pods that are told that one.
    #[must_use]
    pub fn asked_cache(&self) -> Vec<IpAddr> {
        let is_local = |address: &&IpAddr| match address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        let local: Vec<IpAddr> = self.cache.iter().filter(is_local).copied().collect();
        match local.is_empty() {
            true => self.cache.clone(),
            false => local,
        }
    }

    /// The queries of a group to the cache on its node.
    #[must_use]
    pub fn packets_to_cache(
        &self,
        engine: &Engine,
        group: &Group,
        protocol: Protocol,
    ) -> Vec<Packet> {
        let snapshot = engine.snapshot();
        let families = snapshot.families_of(snapshot.pod(group.first));
        let asked = self.asked_cache().into_iter();
        asked
            .filter(|address| families.contains(&IpFamily::of(*address)))
            .map(|address| Packet {
                source: Peer::Pod(group.first),
                destination: Peer::Address(address),
                family: IpFamily::of(address),
                protocol,
                port: 53,
                through_service: None,
            })
            .collect()
    }

    /// The queries of a group, one to each name server, in the first family that both
    /// ends have.
    #[must_use]
    pub fn packets(&self, engine: &Engine, group: &Group, protocol: Protocol) -> Vec<Packet> {
        let snapshot = engine.snapshot();
        let of_source = snapshot.families_of(snapshot.pod(group.first));
        let family_with = |server: &Pod| {
            let of_server = snapshot.families_of(server);
            let mut families = IpFamily::ALL.into_iter();
            families.find(|family| of_source.contains(family) && of_server.contains(family))
        };
        let mut packets = Vec::new();
        for (server, port) in &self.servers {
            if let Some(family) = family_with(snapshot.pod(*server)) {
                packets.push(Packet {
                    source: Peer::Pod(group.first),
                    destination: Peer::Pod(*server),
                    family,
                    protocol,
                    port: *port,
                    through_service: self.frontends.get(&(*server, *port, protocol)).copied(),
                });
            }
        }
        packets
    }
}

/// The verdict on what can be had in two ways.
pub(super) fn better(a: Verdict, b: Verdict) -> Verdict {
    match (a, b) {
        (Verdict::Allowed, _) | (_, Verdict::Allowed) => Verdict::Allowed,
        (Verdict::Denied, Verdict::Denied) => Verdict::Denied,
        (Verdict::Unknown, _) | (_, Verdict::Unknown) => Verdict::Unknown,
    }
}

/// The worst of some verdicts; `Unknown` of none.
fn worst(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    verdicts
        .reduce(|a, b| match (a, b) {
            (Verdict::Denied, _) | (_, Verdict::Denied) => Verdict::Denied,
            (Verdict::Unknown, _) | (_, Verdict::Unknown) => Verdict::Unknown,
            (Verdict::Allowed, Verdict::Allowed) => Verdict::Allowed,
        })
        .unwrap_or(Verdict::Unknown)
}

/// The ports of a Service by the pods and ports that they lead to.
fn frontends(
    snapshot: &Snapshot,
    service: ServiceId,
) -> BTreeMap<(PodId, u16, Protocol), Frontend> {
    let mut frontends = BTreeMap::new();
    for port in &snapshot.service(service).ports {
        let frontend = Frontend {
            service,
            port: port.port,
        };
        for endpoint in snapshot.service_endpoints(service, port) {
            if let ServiceEndpoint::Pod {
                pod, port: target, ..
            } = endpoint
            {
                frontends.insert((pod, target, port.protocol), frontend);
            }
        }
    }
    frontends
}

/// The pods behind the DNS ports of a Service.
fn behind(snapshot: &Snapshot, id: ServiceId) -> Vec<(PodId, u16)> {
    let service = snapshot.service(id);
    let ports = service.ports.iter().filter(|port| {
        port.port == 53 || matches!(&port.target_port, PortRef::Name(n) if n.starts_with("dns"))
    });
    ports
        .flat_map(|port| snapshot.service_endpoints(id, port))
        .filter_map(|endpoint| match endpoint {
            ServiceEndpoint::Pod {
                pod,
                port,
                certain: true,
            } => Some((pod, port)),
            ServiceEndpoint::Pod { .. } | ServiceEndpoint::Address { .. } => None,
        })
        .collect()
}

/// The pods that are labelled as name servers.
fn labelled(snapshot: &Snapshot) -> Vec<(PodId, u16)> {
    let is_labelled = |pod: &Pod| {
        let mut labels = NAME_SERVER_LABELS.iter();
        labels.any(|(key, value)| pod.labels.get(key) == LabelValue::Present(value))
    };
    let servers = snapshot.pod_ids().filter(|(_, pod)| is_labelled(pod));
    servers.map(|(id, pod)| (id, dns_port(pod))).collect()
}

/// The port on which a pod answers: the one it calls `dns`, else 53.
fn dns_port(pod: &Pod) -> u16 {
    let mut named = pod.ports_named("dns");
    named.next().map_or(53, |port| port.port)
}

/// The addresses of the cache on every node, if there is one: what its `-localip` says,
/// else the address that its documentation uses.
fn cache_addresses(snapshot: &Snapshot, inventory: &Inventory) -> Vec<IpAddr> {
    let is_cache = |pod: &Pod| pod.labels.get(CACHE_LABEL.0) == LabelValue::Present(CACHE_LABEL.1);
    let Some((_, pod)) = snapshot.pod_ids().find(|(_, pod)| is_cache(pod)) else {
        return Vec::new();
    };
    let workload = snapshot.workload(pod.workload);
    let object = ringfence_model::object::ObjectRef {
        api_version: Arc::default(),
        kind: workload.kind.clone(),
        namespace: Some(snapshot.namespace(workload.namespace).name.clone()),
        name: workload.name.clone(),
    };
    let containers = inventory.containers(&object).iter();
    let mut addresses: Vec<IpAddr> = containers
        .flat_map(|container| local_addresses(&container.arguments))
        .collect();
    if addresses.is_empty() {
        addresses.push(CACHE_ADDRESS.into());
    }
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// What `-localip a,b`, `-localip=a,b` or the same with two dashes says.
fn local_addresses(arguments: &[String]) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let Some(option) = argument.trim_start_matches('-').strip_prefix("localip") else {
            continue;
        };
        let list = match option.strip_prefix('=') {
            Some(list) => list,
            None => arguments.next().map_or("", String::as_str),
        };
        found.extend(
            list.split(',')
                .filter_map(|item| item.trim().parse::<IpAddr>().ok()),
        );
    }
    found
}
