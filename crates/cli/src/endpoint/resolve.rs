//! What an endpoint stands for in a snapshot.

mod nearest;
pub(crate) use nearest::nearest;
mod well_known;

use std::net::IpAddr;

use ipnet::IpNet;
use ringfence_engine::reach::Selection;
use ringfence_model::address::{IpFamily, public_internet};
use ringfence_model::metadata;
use ringfence_model::snapshot::{
    PodId, ServiceEndpoint, ServiceId, Snapshot, Workload, WorkloadId,
};

use super::{EndpointArg, EndpointName, PortWord, Word};

/// What an endpoint stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// What was found.
    pub(crate) kind: TargetKind,
    /// The port that was given with it.
    pub(crate) port: Option<PortWord>,
    /// The ports that the word itself implies (`dns`), if none was given.
    pub(crate) implied_ports: Vec<PortWord>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TargetKind {
    /// Workloads: all of their pods. Sorted, never empty.
    Workloads(Vec<WorkloadId>),
    /// One live pod of a workload.
    Pod(PodId),
    /// A service.
    Service(ServiceId),
    /// Addresses outside the cluster, and the word they were called by.
    Addresses {
        word: Option<Word>,
        nets: Vec<IpNet>,
    },
}

/// Why an endpoint stands for nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error("there is no namespace `{name}` in the input{hint}")]
    NoNamespace { name: String, hint: String },
    #[error("there is no workload or pod `{name}` in namespace `{namespace}`{hint}")]
    NoObject {
        namespace: String,
        name: String,
        hint: String,
    },
    #[error(
        "there is no workload `{0}` in the input; if it is a domain name: policies see addresses, so name the address behind it, or `internet`"
    )]
    DomainName(String),
    #[error("no workload in the input matches `{0}`")]
    NoMatch(String),
    #[error("there is no service `{name}` in namespace `{namespace}`{hint}")]
    NoService {
        namespace: String,
        name: String,
        hint: String,
    },
    #[error("`{name}` is ambiguous: it may be {}", candidates.join(" or "))]
    Ambiguous {
        name: String,
        candidates: Vec<String>,
    },
    #[error(
        "the input has no name server that Ringfence recognises (a Service such as kube-system/kube-dns, or pods labelled k8s-app=kube-dns): add it to the input, or name it"
    )]
    NoDns,
    #[error(
        "the input has no Service default/kubernetes, whose endpoints are the API servers: add it to the input (`kubectl get -n default service,endpointslice -o yaml`), or name their address and port, as in 10.0.0.1:6443"
    )]
    NoApiServer,
}

/// Looks endpoints up in one snapshot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolver<'a> {
    snapshot: &'a Snapshot,
    default_namespace: &'a str,
}

impl<'a> Resolver<'a> {
    /// Names without a namespace are looked for in `default_namespace`.
    pub(crate) fn new(snapshot: &'a Snapshot, default_namespace: &'a str) -> Self {
        Self {
            snapshot,
            default_namespace,
        }
    }

    /// What `arg` stands for.
    pub(crate) fn resolve(&self, arg: &EndpointArg) -> Result<Target, ResolveError> {
        let mut implied_ports = Vec::new();
        let kind = match &arg.name {
            EndpointName::Object {
                namespace,
                kind,
                name,
            } => {
                let is_domain_name = namespace.is_none() && name.contains('.');
                let namespace = namespace.as_deref().unwrap_or(self.default_namespace);
                match self.object(namespace, kind.as_deref(), name) {
                    Err(_) if is_domain_name => {
                        return Err(ResolveError::DomainName(name.clone()));
                    }
                    found => found?,
                }
            }
            EndpointName::Service { namespace, name } => {
                let namespace = namespace.as_deref().unwrap_or(self.default_namespace);
                TargetKind::Service(self.service(namespace, name)?)
            }
            EndpointName::Address(address) => self.address(*address),
            EndpointName::Block(block) => TargetKind::Addresses {
                word: None,
                nets: vec![*block],
            },
            EndpointName::Word(word) => self.word(*word, &mut implied_ports)?,
        };
        Ok(Target {
            kind,
            port: arg.port.clone(),
            implied_ports,
        })
    }

    fn object(
        &self,
        namespace: &str,
        kind: Option<&str>,
        name: &str,
    ) -> Result<TargetKind, ResolveError> {
        let kind = kind.map(|kind| self.canonical_kind(kind));
        let kind = kind.as_deref();
        if namespace == "*" || name == "*" {
            return self.pattern(namespace, kind, name);
        }
        if self.snapshot.find_namespace(namespace).is_none() {
            return Err(self.no_namespace(namespace, name));
        }
        let workloads = self.snapshot.find_workload(namespace, kind, name);
        if workloads.len() > 1 {
            let candidates = workloads
                .iter()
                .map(|id| format!("{namespace}/{}/{name}", self.snapshot.workload(*id).kind))
                .collect();
            return Err(ResolveError::Ambiguous {
                name: format!("{namespace}/{name}"),
                candidates,
            });
        }
        if !workloads.is_empty() {
            return Ok(TargetKind::Workloads(workloads));
        }
        let may_be_pod = kind.is_none_or(|kind| kind == "Pod");
        match self.snapshot.find_pod(namespace, name) {
            Some(pod) if may_be_pod => Ok(TargetKind::Pod(pod)),
            _ => Err(self.no_object(namespace, kind, name)),
        }
    }

    /// All workloads that `*` in place of a namespace or name means.
    fn pattern(
        &self,
        namespace: &str,
        kind: Option<&str>,
        name: &str,
    ) -> Result<TargetKind, ResolveError> {
        if namespace != "*" && self.snapshot.find_namespace(namespace).is_none() {
            return Err(self.no_namespace(namespace, name));
        }
        let matches = |workload: &Workload| {
            let namespace_name = &*self.snapshot.namespace(workload.namespace).name;
            (namespace == "*" || namespace == namespace_name)
                && (name == "*" || name == &*workload.name)
                && kind.is_none_or(|kind| kind == &*workload.kind)
        };
        let found: Vec<WorkloadId> = self
            .snapshot
            .workload_ids()
            .filter(|(_, workload)| matches(workload))
            .map(|(id, _)| id)
            .collect();
        if found.is_empty() {
            let kind = kind.map_or_else(String::new, |kind| format!("{kind}/"));
            return Err(ResolveError::NoMatch(format!("{namespace}/{kind}{name}")));
        }
        Ok(TargetKind::Workloads(found))
    }

    fn service(&self, namespace: &str, name: &str) -> Result<ServiceId, ResolveError> {
        if self.snapshot.find_namespace(namespace).is_none() {
            return Err(self.no_namespace(namespace, name));
        }
        self.snapshot
            .find_service(namespace, name)
            .ok_or_else(|| self.no_service(namespace, name))
    }

    /// An address of a pod or service means that pod or service.
    fn address(&self, address: IpAddr) -> TargetKind {
        if let Some(pod) = self.snapshot.pod_with_address(address) {
            return TargetKind::Pod(pod);
        }
        let service = self
            .snapshot
            .service_ids()
            .find(|(_, service)| service.cluster_ips.contains(&address));
        match service {
            Some((id, _)) => TargetKind::Service(id),
            None => TargetKind::Addresses {
                word: None,
                nets: vec![IpNet::from(address)],
            },
        }
    }

    fn word(
        &self,
        word: Word,
        implied_ports: &mut Vec<PortWord>,
    ) -> Result<TargetKind, ResolveError> {
        let nets = match word {
            Word::Internet => IpFamily::ALL
                .into_iter()
                .flat_map(|family| public_internet(family).to_nets())
                .collect(),
            Word::Metadata => metadata::secret_addresses()
                .into_iter()
                .map(IpNet::from)
                .collect(),
            Word::Dns => {
                let (kind, ports) =
                    well_known::name_servers(self.snapshot).ok_or(ResolveError::NoDns)?;
                *implied_ports = ports;
                return Ok(kind);
            }
            Word::ApiServer => {
                return self
                    .snapshot
                    .find_service("default", "kubernetes")
                    .map(TargetKind::Service)
                    .ok_or(ResolveError::NoApiServer);
            }
        };
        Ok(TargetKind::Addresses {
            word: Some(word),
            nets,
        })
    }

    /// `deploy` for `Deployment` and so on; other kinds as the input spells them.
    fn canonical_kind(&self, kind: &str) -> String {
        let lower = kind.to_ascii_lowercase();
        let known = SHORT_KINDS
            .iter()
            .find(|(canonical, short)| {
                lower == *short
                    || canonical.eq_ignore_ascii_case(lower.trim_end_matches('s'))
                    || canonical.eq_ignore_ascii_case(&lower)
            })
            .map(|(canonical, _)| (*canonical).to_owned());
        let in_input = || {
            let workloads = self.snapshot.workloads.iter();
            workloads
                .map(|workload| &*workload.kind)
                .find(|k| k.eq_ignore_ascii_case(kind))
                .map(str::to_owned)
        };
        known.or_else(in_input).unwrap_or_else(|| kind.to_owned())
    }
}

const SHORT_KINDS: [(&str, &str); 8] = [
    ("CronJob", "cj"),
    ("DaemonSet", "ds"),
    ("Deployment", "deploy"),
    ("Job", "job"),
    ("Pod", "po"),
    ("ReplicaSet", "rs"),
    ("ReplicationController", "rc"),
    ("StatefulSet", "sts"),
];

impl Target {
    /// The workloads and addresses that it covers. A pod counts as its workload, a
    /// service as what is behind it.
    pub(crate) fn selection(&self, snapshot: &Snapshot) -> Selection {
        let mut workloads = Vec::new();
        let mut addresses = Vec::new();
        match &self.kind {
            TargetKind::Workloads(ids) => workloads.clone_from(ids),
            TargetKind::Pod(pod) => workloads.push(snapshot.pod(*pod).workload),
            TargetKind::Addresses { nets, .. } => addresses.clone_from(nets),
            TargetKind::Service(id) => {
                for port in &snapshot.service(*id).ports {
                    for endpoint in snapshot.service_endpoints(*id, port) {
                        match endpoint {
                            ServiceEndpoint::Pod { pod, .. } => {
                                workloads.push(snapshot.pod(pod).workload);
                            }
                            ServiceEndpoint::Address { address, .. } => {
                                addresses.push(IpNet::from(address));
                            }
                        }
                    }
                }
            }
        }
        workloads.sort_unstable();
        workloads.dedup();
        addresses.sort_unstable();
        addresses.dedup();
        // A word means the addresses that matter to a pod; who writes one out means it.
        let any_family = !matches!(&self.kind, TargetKind::Addresses { word: Some(_), .. });
        Selection {
            workloads: Some(workloads),
            addresses: Some(addresses),
            any_family,
        }
    }
}
