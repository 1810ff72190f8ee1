//! Classes and atoms that come after the sets were made.

use std::sync::Arc;

use ringfence_model::address::{IpBlock, IpFamily};
use ringfence_model::selector;
use ringfence_model::snapshot::assignable_addresses;
use ringfence_model::tri::Tri;

use super::{Context, NamespaceSpec, PeerSetId, PeerSpec, Peers, covers, pod_space};
use crate::resolve::classes::{AddressFeature, ClassId, family_index};

impl Peers {
    /// Adds a class that `context.classes` has and the sets do not. Gives the sets it
    /// is, or may be, in.
    pub(crate) fn add_class(&mut self, class: ClassId, context: Context<'_>) -> Vec<PeerSetId> {
        let in_blocks = self.in_blocks(class, context);
        let mut joined = Vec::new();
        for index in 0..self.sets.len() {
            let Some(specs) = self.specs.get(index) else {
                continue;
            };
            let same = specs
                .iter()
                .all(|spec| matches!(spec, PeerSpec::Pods { .. }));
            let member = |family| {
                Tri::any(
                    specs
                        .iter()
                        .map(|spec| self.class_in(spec, class, family, &in_blocks, context)),
                )
            };
            let membership = [
                member(IpFamily::V4),
                if same { Tri::No } else { member(IpFamily::V6) },
            ];
            let [v4, v6] = membership;
            if !v4.or(v6).possible() {
                continue;
            }
            if let Some([of_v4, of_v6]) = self.sets.get_mut(index) {
                Arc::make_mut(of_v4).insert(class, v4);
                if same {
                    *of_v6 = Arc::clone(of_v4);
                } else {
                    Arc::make_mut(of_v6).insert(class, v6);
                }
            }
            joined.push(PeerSetId(u32::try_from(index).unwrap_or(u32::MAX)));
        }
        joined
    }

    /// For each interned block and family, whether it covers the address of a class.
    fn in_blocks(&self, class: ClassId, context: Context<'_>) -> Vec<[Tri; 2]> {
        let features = context.classes.get(class);
        let in_block = |block: &IpBlock, family: IpFamily| {
            if block.family() != family || !context.profile.blocks_match_cluster_addresses {
                return Tri::No;
            }
            #[expect(clippy::indexing_slicing, reason = "two families, arrays of two")]
            let (atoms, address) = (
                &context.atoms[family_index(family)],
                features.address[family_index(family)],
            );
            match address {
                AddressFeature::None => Tri::No,
                AddressFeature::Atom(atom) => atoms.in_block(block).contains(atom).into(),
                AddressFeature::SomePod => {
                    covers(&block.addresses(), pod_space(context.snapshot, family))
                }
                AddressFeature::Anywhere => {
                    covers(&block.addresses(), assignable_addresses(family))
                }
            }
        };
        let blocks = self.blocks.iter();
        blocks
            .map(|block| IpFamily::ALL.map(|family| in_block(block, family)))
            .collect()
    }

    /// Whether a class that [`Peers::add_class`] was told of is among the peers of a spec;
    /// `in_blocks` says which blocks its address is in.
    pub(crate) fn class_in(
        &self,
        spec: &PeerSpec,
        class: ClassId,
        family: IpFamily,
        in_blocks: &[[Tri; 2]],
        context: Context<'_>,
    ) -> Tri {
        let features = context.classes.get(class);
        match spec {
            PeerSpec::Everyone => Tri::Yes,
            PeerSpec::Pods { .. } if features.host_network => Tri::No,
            PeerSpec::Pods { namespaces, pods } => {
                let in_namespace = match namespaces {
                    NamespaceSpec::Own(_) if features.outside => Tri::Unknown,
                    NamespaceSpec::Own(own) => Tri::from(features.namespace == *own),
                    NamespaceSpec::Selected(id) => self
                        .namespaces_selected
                        .get(id)
                        .map_or(Tri::No, |members| members.contains(features.namespace.0)),
                };
                if in_namespace == Tri::No {
                    return Tri::No;
                }
                let selector = pods.and_then(|id| self.selectors.get(id.0 as usize));
                let selected =
                    selector.map_or(Tri::Yes, |s| selector::matches(s, &features.labels));
                let is_pod = if features.outside {
                    Tri::Unknown
                } else {
                    Tri::Yes
                };
                in_namespace.and(selected).and(is_pod)
            }
            PeerSpec::Block(block) => {
                let membership = in_blocks.get(*block as usize);
                #[expect(clippy::indexing_slicing, reason = "two families, an array of two")]
                membership.map_or(Tri::No, |families| families[family_index(family)])
            }
            PeerSpec::Nodes(_) | PeerSpec::DomainNames if !features.host_network => Tri::No,
            PeerSpec::Nodes(id) => self
                .selectors
                .get(id.0 as usize)
                .map_or(Tri::No, |s| self.host_on_nodes(s, class, context)),
            PeerSpec::DomainNames => Tri::Unknown,
        }
    }

    /// Adds atoms that were cut out of others: they are where those are.
    pub(crate) fn add_atoms(&mut self, family: IpFamily, made: &[(u32, u32)]) {
        for families in &mut self.sets {
            #[expect(clippy::indexing_slicing, reason = "two families, an array of two")]
            let set = &mut families[family_index(family)];
            for (parent, atom) in made {
                let member = set.contains(*parent);
                if member.possible() {
                    Arc::make_mut(set).insert(*atom, member);
                }
            }
        }
    }
}
