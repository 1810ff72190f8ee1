//! Services among the peers of rules, for implementations that see their addresses.

use ringfence_model::address::IpFamily;
use ringfence_model::labels::Labels;
use ringfence_model::selector;
use ringfence_model::snapshot::{Service, assignable_addresses};
use ringfence_model::tri::Tri;

use super::{NamespaceSpec, PeerSetId, PeerSpec, Peers, covers};

impl Peers {
    /// What a set is made of.
    pub(crate) fn specs(&self, set: PeerSetId) -> &[PeerSpec] {
        self.specs.get(set.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// Whether a Service, by what it selects or by its address, is among the peers of a
    /// spec.
    pub(crate) fn service_in(&self, spec: &PeerSpec, service: &Service, family: IpFamily) -> Tri {
        match spec {
            PeerSpec::Everyone => Tri::Yes,
            PeerSpec::Pods { namespaces, pods } => {
                let in_namespace = match namespaces {
                    NamespaceSpec::Own(own) => Tri::from(service.namespace == *own),
                    NamespaceSpec::Selected(id) => self
                        .namespaces_selected
                        .get(id)
                        .map_or(Tri::No, |members| members.contains(service.namespace.0)),
                };
                let selector = pods.and_then(|id| self.selectors.get(id.0 as usize));
                let selected = selector.map_or(Tri::Yes, |selector| {
                    let selects_by: Labels = service.selector.iter().flatten().collect();
                    selector::matches(selector, &selects_by)
                });
                // The first address is the one that is published for selectors.
                let first = service.cluster_ips.first().copied().map(IpFamily::of);
                let published = match first.is_none_or(|of| of == family) {
                    true => Tri::Yes,
                    false => Tri::Unknown,
                };
                in_namespace.and(selected).and(published)
            }
            PeerSpec::Block(index) => match self.blocks.get(*index as usize) {
                Some(block) if block.family() == family => {
                    let mut known = service.cluster_ips.iter();
                    match known.find(|address| IpFamily::of(**address) == family) {
                        Some(address) => block.addresses().contains(*address).into(),
                        None => covers(&block.addresses(), assignable_addresses(family)),
                    }
                }
                _ => Tri::No,
            },
            PeerSpec::Nodes(_) => Tri::No,
            PeerSpec::DomainNames => Tri::Unknown,
        }
    }
}
