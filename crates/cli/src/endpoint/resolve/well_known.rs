//! The name servers of a cluster, by the names and labels installers give them.

use ringfence_advisor::context::{NAME_SERVER_LABELS, NAME_SERVER_SERVICES};
use ringfence_model::labels::{LabelValue, Labels};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{Snapshot, WorkloadId};

use super::TargetKind;
use crate::endpoint::{PortNumber, PortWord};

/// The name servers, and the ports to ask for.
pub(super) fn name_servers(snapshot: &Snapshot) -> Option<(TargetKind, Vec<PortWord>)> {
    let ports = [Protocol::Udp, Protocol::Tcp]
        .into_iter()
        .map(|protocol| PortWord {
            number: PortNumber::Range(53, 53),
            protocol: Some(protocol),
        })
        .collect();
    let service = NAME_SERVER_SERVICES
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
                .any(|pod| is_name_server(&snapshot.pod(pod).labels))
        })
        .map(|(id, _)| id)
        .collect();
    (!workloads.is_empty()).then_some((TargetKind::Workloads(workloads), ports))
}

fn is_name_server(labels: &Labels) -> bool {
    let mut known = NAME_SERVER_LABELS.iter();
    known.any(|(key, value)| labels.get(key) == LabelValue::Present(value))
}
