use k8s_openapi::api::core::v1::PodSpec;
use rustc_hash::FxHashSet;

use super::notices::{Notices, Subject};
use crate::protocol::Protocol;
use crate::snapshot::ContainerPort;
use crate::source::KeyPath;

/// The ports that the containers declare, then those of restartable init containers
/// (sidecars), each once, in the order in which a Service looks for a named one. `root` is the path of the value that has `spec`.
pub(super) fn ports(
    spec: &PodSpec,
    subject: Subject<'_>,
    root: &KeyPath,
    notices: &mut Notices<'_>,
) -> Vec<ContainerPort> {
    let sidecars = spec
        .init_containers
        .iter()
        .flatten()
        .enumerate()
        .filter(|(_, container)| container.restart_policy.as_deref() == Some("Always"))
        .map(|(index, container)| ("initContainers", index, container));
    let containers = spec
        .containers
        .iter()
        .enumerate()
        .map(|(index, container)| ("containers", index, container));

    let mut ports = Vec::new();
    for (list, container_index, container) in containers.chain(sidecars) {
        for (index, port) in container.ports.iter().flatten().enumerate() {
            let path = || {
                root.key("spec")
                    .key(list)
                    .index(container_index)
                    .key("ports")
                    .index(index)
            };
            let Some(protocol) = Protocol::from_field(port.protocol.as_deref()) else {
                let text = port.protocol.as_deref().unwrap_or_default();
                notices.unknown_protocol(subject, text, &path().key("protocol"));
                continue;
            };
            let Some(number) =
                notices.port(subject, port.container_port, || path().key("containerPort"))
            else {
                continue;
            };
            ports.push(ContainerPort {
                name: port
                    .name
                    .as_deref()
                    .filter(|name| !name.is_empty())
                    .map(Into::into),
                protocol,
                port: number,
            });
        }
    }
    let mut seen = FxHashSet::default();
    ports.retain(|port| seen.insert(port.clone()));
    ports
}
