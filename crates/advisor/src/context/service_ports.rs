use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodId, ServiceEndpoint, ServiceId};
use rustc_hash::FxHashMap;

use super::Context;

/// A port of a Service that is another number on a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Translated {
    /// The Service.
    pub service: ServiceId,
    /// Its protocol.
    pub protocol: Protocol,
    /// The port that clients use.
    pub port: u16,
    /// The port on the pod.
    pub target: u16,
}

/// What Services do with ports, pod by pod.
#[derive(Debug, Default)]
pub struct ServicePorts {
    translated: FxHashMap<PodId, Vec<Translated>>,
    headless: FxHashMap<PodId, Vec<Translated>>,
    targets: FxHashMap<PodId, Vec<(Protocol, u16)>>,
}

impl ServicePorts {
    /// The ports of Services that are other numbers on this pod, in the order of the
    /// Services.
    #[must_use]
    pub fn translated(&self, pod: PodId) -> &[Translated] {
        self.translated.get(&pod).map_or(&[], Vec::as_slice)
    }

    /// The port of a headless Service that is another number on this pod: it stands in the
    /// Service and leads nowhere, since clients connect to the pod itself.
    #[must_use]
    pub fn headless(&self, pod: PodId, (protocol, port): (Protocol, u16)) -> Option<&Translated> {
        let mut ports = self.headless.get(&pod).into_iter().flatten();
        ports.find(|service| (service.protocol, service.port) == (protocol, port))
    }

    /// Whether some Service leads to this port of the pod.
    #[must_use]
    pub fn is_target(&self, pod: PodId, port: (Protocol, u16)) -> bool {
        let targets = self.targets.get(&pod);
        targets.is_some_and(|targets| targets.contains(&port))
    }
}

pub(super) fn of(context: &Context<'_>) -> ServicePorts {
    let mut found = ServicePorts::default();
    for (id, service) in context.snapshot.service_ids() {
        for port in &service.ports {
            for endpoint in context.snapshot.service_endpoints(id, port) {
                let ServiceEndpoint::Pod {
                    pod,
                    port: target,
                    certain: true,
                } = endpoint
                else {
                    continue;
                };
                let targets = found.targets.entry(pod).or_default();
                targets.push((port.protocol, target));
                if target == port.port {
                    continue;
                }
                // Clients of a headless Service use the pod's own port.
                let of_kind = match service.headless {
                    true => &mut found.headless,
                    false => &mut found.translated,
                };
                of_kind.entry(pod).or_default().push(Translated {
                    service: id,
                    protocol: port.protocol,
                    port: port.port,
                    target,
                });
            }
        }
    }
    found
}
