//! What several formats say alike.

use std::net::IpAddr;

use ringfence_advisor::{Code, Witness};
use ringfence_engine::Peer;
use ringfence_model::diagnostic::Severity;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodKind, Snapshot};

/// Where the page of a rule can be read.
pub(super) fn page(code: Code) -> String {
    format!("https://ringfence.dev/findings/{code}")
}

/// The word for a severity.
pub(super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// The two arguments of the `explain` that confirms a witness.
pub(super) fn explain_arguments(snapshot: &Snapshot, witness: &Witness) -> (String, String) {
    let packet = &witness.packet;
    let port = match packet.protocol {
        Protocol::Icmp => "icmp".to_owned(),
        Protocol::Tcp => packet.port.to_string(),
        Protocol::Udp => format!("{}/udp", packet.port),
        Protocol::Sctp => format!("{}/sctp", packet.port),
    };
    let source = end(snapshot, packet.source);
    let destination = match packet.destination {
        Peer::Address(IpAddr::V6(address)) => format!("[{address}]"),
        other => end(snapshot, other),
    };
    (source, format!("{destination}:{port}"))
}

fn end(snapshot: &Snapshot, peer: Peer) -> String {
    match peer {
        Peer::Address(address) => address.to_string(),
        Peer::Pod(id) => {
            let pod = snapshot.pod(id);
            let namespace = &snapshot.namespace(pod.namespace).name;
            let workload = snapshot.workload(pod.workload);
            match pod.kind {
                PodKind::Single => format!("{namespace}/Pod/{}", pod.name),
                PodKind::Template | PodKind::Outside => {
                    let names_alike = snapshot.find_workload(namespace, None, &workload.name);
                    if names_alike.len() > 1 {
                        format!("{namespace}/{}/{}", workload.kind, workload.name)
                    } else {
                        format!("{namespace}/{}", workload.name)
                    }
                }
            }
        }
    }
}
