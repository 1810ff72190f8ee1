//! Classes and atoms that come after the sets were made.

use std::sync::Arc;

use ringfence_model::address::{IpBlock, IpFamily};
use ringfence_model::selector;
use ringfence_model::snapshot::NamespaceId;
use ringfence_model::tri::Tri;
use rustc_hash::FxHashMap;

use super::{Context, NamespaceSpec, PeerSetId, PeerSpec, Peers, covers};
use crate::resolve::classes::{AddressFeature, ClassId, Features, family_index};

/// A set with pods of more namespaces than this is not listed for each of them.
const FEW_NAMESPACES: usize = 8;

/// The sets that a new class is, or may be, in; for IPv4 and IPv6.
#[derive(Clone, Debug, Default)]
pub(crate) struct Joined(FxHashMap<PeerSetId, [Tri; 2]>);

impl Joined {
    /// Whether the class is in a set.
    pub(crate) fn member(&self, set: PeerSetId, family: IpFamily) -> Tri {
        #[expect(clippy::indexing_slicing, reason = "two families, an array of two")]
        self.0
            .get(&set)
            .map_or(Tri::No, |families| families[family_index(family)])
    }

    /// The sets, in no order.
    pub(crate) fn sets(&self) -> impl Iterator<Item = PeerSetId> + '_ {
        self.0.keys().copied()
    }
}

impl Peers {
    /// Adds a class that `context.classes` has and the sets do not. Gives the sets it
    /// is, or may be, in.
    pub(crate) fn add_class(&mut self, class: ClassId, context: Context<'_>) -> Joined {
        let in_blocks = self.in_blocks(class, context);
        let mut joined = Joined::default();
        for id in self.candidates(context.classes.get(class)) {
            let index = id.0 as usize;
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
            joined.0.insert(id, if same { [v4, v4] } else { [v4, v6] });
        }
        joined
    }

    /// Remembers in which namespaces a new set may select pods.
    pub(super) fn list_by_namespace(&mut self, id: PeerSetId, specs: &[PeerSpec]) {
        let mut namespaces = Vec::new();
        for spec in specs {
            let PeerSpec::Pods { namespaces: of, .. } = spec else {
                self.sets_of_any.push(id);
                return;
            };
            match of {
                NamespaceSpec::Own(own) => namespaces.push(*own),
                NamespaceSpec::Selected(selector) => {
                    let selected = self.namespaces_selected.get(selector);
                    let selected = selected.into_iter().flat_map(|set| &set.possible);
                    namespaces.extend(selected.take(FEW_NAMESPACES + 1).map(NamespaceId));
                }
            }
            if namespaces.len() > FEW_NAMESPACES {
                self.sets_of_any.push(id);
                return;
            }
        }
        namespaces.sort_unstable();
        namespaces.dedup();
        for namespace in namespaces {
            self.sets_of_namespace
                .entry(namespace)
                .or_default()
                .push(id);
        }
    }

    /// The sets that a class with these features may be in.
    fn candidates(&self, features: &Features) -> Vec<PeerSetId> {
        if features.outside {
            // It may be in any namespace.
            let all = 0..u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
            return all.map(PeerSetId).collect();
        }
        let of_namespace = self.sets_of_namespace.get(&features.namespace);
        let of_namespace = of_namespace.into_iter().flatten();
        of_namespace.chain(&self.sets_of_any).copied().collect()
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
                AddressFeature::SomePod => covers(
                    &block.addresses(),
                    context.snapshot.addresses_for_pods(family),
                ),
                AddressFeature::Anywhere => covers(
                    &block.addresses(),
                    context.snapshot.assignable_addresses(family),
                ),
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
