//! The name servers of a cluster, by the names and labels installers give them.

use ringfence_model::labels::LabelValue;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{Snapshot, WorkloadId};

use super::TargetKind;
use crate::endpoint::{PortNumber, PortWord};

/// Services in front of the name servers: kubeadm and most others, K3s and Helm,
/// RKE2, OpenShift.
const SERVICES: [(&str, &str); 5] = [
    ("kube-system", "kube-dns"),
    ("kube-system", "coredns"),
    ("kube-system", "rke2-coredns-rke2-coredns"),
    ("openshift-dns", "dns-default"),
    ("kube-system", "dns-default"),
];

/// The label of name server pods in nearly every installation.
const LABEL: (&str, &str) = ("k8s-app", "kube-dns");

/// The name servers, and the ports to ask for.
pub(super) fn name_servers(snapshot: &Snapshot) -> Option<(TargetKind, Vec<PortWord>)> {
    let ports = [Protocol::Udp, Protocol::Tcp]
        .into_iter()
        .map(|protocol| PortWord {
            number: PortNumber::Range(53, 53),
            protocol: Some(protocol),
        })
        .collect();
    let service = SERVICES
        .iter()
        .find_map(|(namespace, name)| snapshot.find_service(namespace, name));
    if let Some(service) = service {
        return Some((TargetKind::Service(service), ports));
    }
    let workloads: Vec<WorkloadId> = snapshot
        .workload_ids()
        .filter(|(_, workload)| {
            workload
                .pod_ids()
                .any(|pod| snapshot.pod(pod).labels.get(LABEL.0) == LabelValue::Present(LABEL.1))
        })
        .map(|(id, _)| id)
        .collect();
    (!workloads.is_empty()).then_some((TargetKind::Workloads(workloads), ports))
}
