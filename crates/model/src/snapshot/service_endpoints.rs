//! Where connections to a service end up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{
    EndpointAddress, EndpointSlice, Pod, PodId, PortRef, Service, ServiceId, ServicePort, Snapshot,
};
use crate::labels::{LabelValue, Labels};
use crate::tri::Tri;

/// One place where connections to a service end up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServiceEndpoint {
    /// A pod of the snapshot.
    Pod {
        /// The pod.
        pod: PodId,
        /// The port on the pod.
        port: u16,
        /// Whether it certainly is an endpoint. `false` when the service selects by
        /// a label whose value on this pod is not known.
        certain: bool,
    },
    /// An address that no pod of the snapshot has.
    Address {
        /// The address.
        address: IpAddr,
        /// The port at the address.
        port: u16,
    },
}

impl Snapshot {
    /// Where connections to `port` of a service end up, sorted, each once. None for
    /// an `ExternalName` service, which is another name for somewhere else.
    ///
    /// A service with a selector leads to the pods it selects, each at its own number
    /// of a named target port; a pod that has no port of that name is no endpoint. A
    /// service without one leads where its endpoint slices say. So does one with a
    /// selector whose pods are not in the input.
    #[must_use]
    pub fn service_endpoints(&self, id: ServiceId, port: &ServicePort) -> Vec<ServiceEndpoint> {
        let service = self.service(id);
        if &*service.service_type == "ExternalName" {
            return Vec::new();
        }
        if let Some(selector) = &service.selector {
            let mut selected = self
                .pods_in(service.namespace)
                .map(|(id, pod)| (id, pod, selects(selector, &pod.labels)))
                .filter(|(_, _, selected)| selected.possible())
                .peekable();
            if selected.peek().is_some() {
                let endpoints: BTreeSet<ServiceEndpoint> = selected
                    .flat_map(|(id, pod, selected)| {
                        target_ports(pod, port)
                            .into_iter()
                            .map(move |port| ServiceEndpoint::Pod {
                                pod: id,
                                port,
                                certain: selected.certain(),
                            })
                    })
                    .collect();
                return endpoints.into_iter().collect();
            }
        }
        let endpoints: BTreeSet<ServiceEndpoint> = self
            .slices_of(service)
            .flat_map(|slice| self.endpoints_of_slice(slice, port))
            .collect();
        endpoints.into_iter().collect()
    }

    fn slices_of(&self, service: &Service) -> impl Iterator<Item = &EndpointSlice> {
        self.slices_by_service
            .get(&service.namespace)
            .and_then(|slices| slices.get(&service.name))
            .into_iter()
            .flatten()
            .filter_map(|index| self.endpoint_slices.get(*index as usize))
    }

    fn endpoints_of_slice(
        &self,
        slice: &EndpointSlice,
        port: &ServicePort,
    ) -> Vec<ServiceEndpoint> {
        let ports: Vec<u16> = slice
            .ports
            .iter()
            .filter(|p| p.name == port.name && p.protocol == port.protocol)
            .map(|p| p.port)
            .collect();
        let mut endpoints = Vec::new();
        for endpoint in &slice.addresses {
            let pod = self.pod_behind(slice, endpoint);
            endpoints.extend(ports.iter().map(|port| match pod {
                Some(pod) => ServiceEndpoint::Pod {
                    pod,
                    port: *port,
                    certain: true,
                },
                None => ServiceEndpoint::Address {
                    address: endpoint.address,
                    port: *port,
                },
            }));
        }
        endpoints
    }

    /// The pod that the slice names, or the one that has the address.
    fn pod_behind(&self, slice: &EndpointSlice, endpoint: &EndpointAddress) -> Option<PodId> {
        let named = endpoint.pod.as_deref();
        named
            .and_then(|name| self.live_pod(slice.namespace, name))
            .or_else(|| self.pod_with_address(endpoint.address))
    }
}

/// Whether a service with `selector` leads to a pod with `labels`.
fn selects(selector: &BTreeMap<String, String>, labels: &Labels) -> Tri {
    Tri::all(selector.iter().map(|(key, value)| match labels.get(key) {
        LabelValue::Present(found) => Tri::from(found == value),
        LabelValue::Absent => Tri::No,
        LabelValue::Unknown => Tri::Unknown,
    }))
}

/// The numbers of a service's target port on one pod: the first declared port of that
/// name and protocol, as the endpoints controller takes it.
fn target_ports(pod: &Pod, port: &ServicePort) -> Option<u16> {
    match &port.target_port {
        PortRef::Number(number) => Some(*number),
        PortRef::Name(name) => pod
            .ports_named(name)
            .find(|declared| declared.protocol == port.protocol)
            .map(|declared| declared.port),
    }
}
