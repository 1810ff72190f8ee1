use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};

use ringfence_model::snapshot::{PodKind, ServiceEndpoint, Snapshot};

use super::message::Question;
use crate::world;

/// The domain of the cluster's own names.
pub const CLUSTER_DOMAIN: &str = "cluster.local";

/// The names that name servers answer for now.
#[derive(Debug, Default)]
pub struct Names(RwLock<Zone>);

impl Names {
    /// Answers for these names.
    #[must_use]
    pub fn new(zone: Zone) -> Self {
        Self(RwLock::new(zone))
    }

    /// Answers for other names from now on.
    pub fn replace(&self, zone: Zone) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = zone;
    }

    /// The answer to a question; `None` to what is no question.
    #[must_use]
    pub fn answer(&self, asked: &[u8]) -> Option<Vec<u8>> {
        let zone = self.0.read().unwrap_or_else(PoisonError::into_inner);
        zone.answer(asked)
    }
}

/// All names and their addresses.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    names: BTreeMap<String, Vec<IpAddr>>,
}

impl Zone {
    /// The names of a cluster, and of the lab's internet.
    #[must_use]
    pub fn new(snapshot: &Snapshot) -> Self {
        let mut zone = Self::default();
        for host in world::HOSTS {
            zone.add(host.name.to_owned(), [host.v4.into(), host.v6.into()]);
        }
        for pod in &snapshot.pods {
            if pod.kind != PodKind::Single || pod.host_network {
                continue;
            }
            let namespace = &snapshot.namespace(pod.namespace).name;
            for address in &pod.addresses {
                let dashed = address.to_string().replace(['.', ':'], "-");
                let name = format!("{dashed}.{namespace}.pod.{CLUSTER_DOMAIN}");
                zone.add(name, [*address]);
            }
        }
        for (id, service) in snapshot.service_ids() {
            let namespace = &snapshot.namespace(service.namespace).name;
            let name = format!("{}.{namespace}.svc.{CLUSTER_DOMAIN}", service.name);
            if !service.headless {
                zone.add(name, service.cluster_ips.iter().copied());
                continue;
            }
            for port in &service.ports {
                for endpoint in snapshot.service_endpoints(id, port) {
                    match endpoint {
                        ServiceEndpoint::Pod { pod, .. } => {
                            let pod = snapshot.pod(pod);
                            let own = format!("{}.{name}", pod.name);
                            zone.add(own, pod.addresses.iter().copied());
                            zone.add(name.clone(), pod.addresses.iter().copied());
                        }
                        ServiceEndpoint::Address { address, .. } => {
                            zone.add(name.clone(), [address]);
                        }
                    }
                }
            }
        }
        // Another name for somewhere else: where that is known, its addresses.
        for service in &snapshot.services {
            let namespace = &snapshot.namespace(service.namespace).name;
            let elsewhere = service.external_name.as_deref();
            let elsewhere = elsewhere.map(|name| name.trim_end_matches('.').to_ascii_lowercase());
            if let Some(addresses) = elsewhere.and_then(|name| zone.names.get(&name).cloned()) {
                let name = format!("{}.{namespace}.svc.{CLUSTER_DOMAIN}", service.name);
                zone.add(name, addresses);
            }
        }
        zone
    }

    fn add(&mut self, name: String, addresses: impl IntoIterator<Item = IpAddr>) {
        let known = self.names.entry(name.to_ascii_lowercase()).or_default();
        for address in addresses {
            if !known.contains(&address) {
                known.push(address);
            }
        }
    }

    /// The addresses of a name; `None` if there is no such name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&[IpAddr]> {
        self.names.get(name).map(Vec::as_slice)
    }

    /// The answer to a question; `None` to what is no question.
    #[must_use]
    pub fn answer(&self, asked: &[u8]) -> Option<Vec<u8>> {
        let question = Question::read(asked)?;
        let addresses = self.find(&question.name);
        Some(question.answer(asked, addresses))
    }
}
