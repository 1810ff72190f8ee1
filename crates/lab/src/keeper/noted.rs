//! What is noted of a lab that stays up, for those who enter it.

use std::os::fd::AsRawFd as _;

use ringfence_model::snapshot::Snapshot;

use crate::error::LabError;
use crate::lab::Lab;
use crate::schedule::DNS_NAMESPACE;
use crate::state::{HostState, PodState, State, started};

/// A lab as it is.
pub(super) fn state(name: &str, lab: &Lab) -> Result<State, LabError> {
    let snapshot = &lab.schedule().snapshot;
    let network = lab.network();
    let pid = i32::try_from(std::process::id()).unwrap_or_default();
    let mut pods = Vec::new();
    for (id, pod) in snapshot.pod_ids() {
        let Some(namespace) = network.pod(id) else {
            continue;
        };
        let workload = snapshot.workload(pod.workload);
        pods.push(PodState {
            namespace: snapshot.namespace(pod.namespace).name.to_string(),
            name: pod.name.to_string(),
            workload: format!("{}/{}", workload.kind, workload.name),
            addresses: pod.addresses.clone(),
            node: pod.node.as_deref().unwrap_or_default().to_owned(),
            fd: namespace.fd().as_raw_fd(),
        });
    }
    let hosts = network.namespaces().map(|(_, namespace)| HostState {
        name: namespace.name().to_owned(),
        fd: namespace.fd().as_raw_fd(),
    });
    Ok(State {
        name: name.to_owned(),
        pid,
        started: started(pid).ok_or_else(|| LabError::Bug("we do not run".to_owned()))?,
        building: false,
        pods,
        hosts: hosts.filter(|host| !host.name.contains('/')).collect(),
        name_servers: match lab.schedule().node_local_dns {
            Some(address) => vec![address],
            None => name_servers(snapshot),
        },
    })
}

/// The addresses of the cluster's name server: those of its Service.
fn name_servers(snapshot: &Snapshot) -> Vec<std::net::IpAddr> {
    let services = snapshot.services.iter().filter(|service| {
        let namespace = &*snapshot.namespace(service.namespace).name;
        let answers = service.ports.iter().any(|port| port.port == 53);
        matches!(namespace, DNS_NAMESPACE | "openshift-dns") && answers
    });
    services
        .flat_map(|service| service.cluster_ips.clone())
        .collect()
}

/// The pods of one state that the other has not: neither there nor with these addresses.
pub(super) fn missing_in(other: &State, state: &State) -> Vec<PodState> {
    let is_there = |pod: &&PodState| {
        let mut others = other.pods.iter();
        others.any(|other| {
            other.namespace == pod.namespace
                && other.name == pod.name
                && other.addresses == pod.addresses
                && other.node == pod.node
        })
    };
    let pods = state.pods.iter();
    pods.filter(|pod| !is_there(pod)).cloned().collect()
}
