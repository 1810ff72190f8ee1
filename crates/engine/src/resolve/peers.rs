mod additions;
mod services;

use std::collections::BTreeMap;
use std::sync::Arc;

use ringfence_model::address::{IpBlock, IpFamily, IpRangeSet};
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::selector;
use ringfence_model::snapshot::{NamespaceId, Snapshot};
use ringfence_model::tri::Tri;
use roaring::RoaringBitmap;
use rustc_hash::FxHashMap;

use super::atoms::Atoms;
use super::classes::{ClassId, Classes, family_index};
use super::label_index::LabelIndex;
use crate::profile::Profile;
use crate::sets::TriSet;

/// The index of an interned selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SelectorId(u32);

/// The index of an interned set of peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PeerSetId(pub(crate) u32);

/// One peer of a rule, in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum PeerSpec {
    /// Everything, addresses outside the cluster too.
    Everyone,
    /// Pods by selectors.
    Pods {
        namespaces: NamespaceSpec,
        pods: Option<SelectorId>,
    },
    /// Addresses, by index of an interned block.
    Block(u32),
    /// The addresses of nodes.
    Nodes(SelectorId),
    /// Whatever addresses some domain names have.
    DomainNames,
}

/// The namespaces of a [`PeerSpec::Pods`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum NamespaceSpec {
    /// The policy's own.
    Own(NamespaceId),
    /// Those that a selector selects.
    Selected(SelectorId),
}

/// What makes two selectors equal.
type SelectorKey = (BTreeMap<String, String>, Vec<(String, String, Vec<String>)>);

/// All peers that policies mention, each distinct one evaluated once.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    selectors: Vec<LabelSelector>,
    selector_ids: FxHashMap<SelectorKey, SelectorId>,
    /// selector -> the classes it selects, as far as it was asked: of the classes below
    /// the number beside it.
    pods_selected: FxHashMap<SelectorId, (TriSet, ClassId)>,
    /// selector -> the namespaces it selects.
    namespaces_selected: FxHashMap<SelectorId, TriSet>,
    pod_labels: LabelIndex,
    /// How many classes `pod_labels` has; those that came later are asked one by one.
    indexed: ClassId,
    namespace_labels: LabelIndex,
    blocks: Vec<IpBlock>,
    block_ids: FxHashMap<IpBlock, u32>,
    /// The specs of each set, sorted.
    specs: Vec<Vec<PeerSpec>>,
    set_ids: FxHashMap<Vec<PeerSpec>, PeerSetId>,
    /// The members of each set, for IPv4 and IPv6; one and the same where the set
    /// does not depend on the family.
    sets: Vec<[Arc<TriSet>; 2]>,
    /// namespace -> the sets that select pods in it and in few others.
    sets_of_namespace: FxHashMap<NamespaceId, Vec<PeerSetId>>,
    /// The other sets: anything may be in them.
    sets_of_any: Vec<PeerSetId>,
}

/// What peers are evaluated against.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) profile: Profile,
    pub(crate) atoms: &'a [Atoms; 2],
    pub(crate) classes: &'a Classes,
}

impl Peers {
    pub(crate) fn new(snapshot: &Snapshot, classes: &Classes) -> Self {
        let mut namespace_labels = LabelIndex::default();
        for (id, namespace) in (0u32..).zip(&snapshot.namespaces) {
            namespace_labels.insert(id, &namespace.labels);
        }
        let mut pod_labels = LabelIndex::default();
        for (id, features) in (0u32..).zip(&classes.features) {
            if !features.host_network {
                pod_labels.insert(id, &features.labels);
            }
        }
        Self {
            selectors: Vec::new(),
            selector_ids: FxHashMap::default(),
            pods_selected: FxHashMap::default(),
            namespaces_selected: FxHashMap::default(),
            pod_labels,
            indexed: classes.len(),
            namespace_labels,
            blocks: Vec::new(),
            block_ids: FxHashMap::default(),
            specs: Vec::new(),
            set_ids: FxHashMap::default(),
            sets: Vec::new(),
            sets_of_namespace: FxHashMap::default(),
            sets_of_any: Vec::new(),
        }
    }

    pub(crate) fn selector(&mut self, selector: &LabelSelector) -> SelectorId {
        let key: SelectorKey = (
            selector.match_labels.clone().unwrap_or_default(),
            selector
                .match_expressions
                .iter()
                .flatten()
                .map(|r| {
                    let values = r.values.clone().unwrap_or_default();
                    (r.key.clone(), r.operator.clone(), values)
                })
                .collect(),
        );
        if let Some(id) = self.selector_ids.get(&key) {
            return *id;
        }
        let id = SelectorId(u32::try_from(self.selectors.len()).unwrap_or(u32::MAX));
        self.selectors.push(selector.clone());
        self.selector_ids.insert(key, id);
        id
    }

    pub(crate) fn block(&mut self, block: IpBlock) -> PeerSpec {
        if let Some(id) = self.block_ids.get(&block) {
            return PeerSpec::Block(*id);
        }
        let id = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
        self.block_ids.insert(block.clone(), id);
        self.blocks.push(block);
        PeerSpec::Block(id)
    }

    /// The set of everything that any of `specs` matches.
    pub(crate) fn set(&mut self, mut specs: Vec<PeerSpec>, context: Context<'_>) -> PeerSetId {
        specs.sort_unstable();
        specs.dedup();
        if let Some(id) = self.set_ids.get(&specs) {
            return *id;
        }
        let id = PeerSetId(u32::try_from(self.sets.len()).unwrap_or(u32::MAX));
        let members = self.evaluate(&specs, context);
        self.list_by_namespace(id, &specs);
        self.sets.push(members);
        self.set_ids.insert(specs.clone(), id);
        self.specs.push(specs);
        id
    }

    pub(crate) fn members(&self, id: PeerSetId, family: IpFamily) -> &Arc<TriSet> {
        #[expect(
            clippy::indexing_slicing,
            reason = "ids are issued by `set`; two families"
        )]
        &self.sets[id.0 as usize][family_index(family)]
    }

    /// Whether the set has the same members in both families.
    pub(crate) fn same_in_both_families(&self, id: PeerSetId) -> bool {
        Arc::ptr_eq(
            self.members(id, IpFamily::V4),
            self.members(id, IpFamily::V6),
        )
    }

    fn evaluate(&mut self, specs: &[PeerSpec], context: Context<'_>) -> [Arc<TriSet>; 2] {
        let by_family = specs.iter().any(|spec| match spec {
            PeerSpec::Pods { .. } => false,
            PeerSpec::Everyone
            | PeerSpec::Block(_)
            | PeerSpec::Nodes(_)
            | PeerSpec::DomainNames => true,
        });
        let mut of_family = |family| {
            let mut members = TriSet::default();
            for spec in specs {
                members.union_with(&self.spec(spec, family, context));
            }
            Arc::new(members)
        };
        let v4 = of_family(IpFamily::V4);
        let v6 = if by_family {
            of_family(IpFamily::V6)
        } else {
            Arc::clone(&v4)
        };
        [v4, v6]
    }

    fn spec(&mut self, spec: &PeerSpec, family: IpFamily, context: Context<'_>) -> TriSet {
        #[expect(clippy::indexing_slicing, reason = "two families, an array of two")]
        let atoms = &context.atoms[family_index(family)];
        match spec {
            PeerSpec::Everyone => {
                let mut all = atoms.all();
                all.insert_range(0..context.classes.len());
                TriSet::exactly(all)
            }
            PeerSpec::Pods { namespaces, pods } => self.pods(*namespaces, *pods, context.classes),
            PeerSpec::Block(block) => match self.blocks.get(*block as usize) {
                Some(block) => in_block(block, family, atoms, context),
                None => TriSet::default(),
            },
            PeerSpec::Nodes(selector) => self.on_nodes(*selector, family, atoms, context),
            PeerSpec::DomainNames => TriSet {
                certain: RoaringBitmap::new(),
                possible: atoms.all() | &context.classes.host_network,
            },
        }
    }

    /// Pods of some namespaces; endpoints outside the input may be in any namespace.
    pub(crate) fn pods(
        &mut self,
        namespaces: NamespaceSpec,
        pods: Option<SelectorId>,
        classes: &Classes,
    ) -> TriSet {
        let mut members = match namespaces {
            NamespaceSpec::Own(namespace) => {
                let own = classes
                    .selectable_in
                    .get(&namespace)
                    .cloned()
                    .unwrap_or_default();
                let possible = &own | &classes.outside;
                TriSet {
                    certain: own,
                    possible,
                }
            }
            NamespaceSpec::Selected(selector) => self.in_namespaces(selector, classes),
        };
        if let Some(selected) = pods.and_then(|id| self.selected_pods(id, classes)) {
            members.intersect_with(selected);
        }
        // They may be host-networked, or no pods at all.
        members.certain -= &classes.outside;
        members
    }

    fn selected_pods(&mut self, id: SelectorId, classes: &Classes) -> Option<&TriSet> {
        let selector = self.selectors.get(id.0 as usize)?;
        let (selected, known) = self
            .pods_selected
            .entry(id)
            .or_insert_with(|| (self.pod_labels.select(selector), self.indexed));
        for class in *known..classes.len() {
            let features = classes.get(class);
            if !features.host_network {
                selected.insert(class, selector::matches(selector, &features.labels));
            }
        }
        *known = classes.len();
        Some(selected)
    }

    fn in_namespaces(&mut self, id: SelectorId, classes: &Classes) -> TriSet {
        let Some(selector) = self.selectors.get(id.0 as usize) else {
            return TriSet::default();
        };
        let namespaces = self
            .namespaces_selected
            .entry(id)
            .or_insert_with(|| self.namespace_labels.select(selector));
        let classes_in = |namespaces: &RoaringBitmap| {
            let mut members = RoaringBitmap::new();
            for namespace in namespaces {
                if let Some(classes) = classes.selectable_in.get(&NamespaceId(namespace)) {
                    members |= classes;
                }
            }
            members
        };
        TriSet {
            certain: classes_in(&namespaces.certain),
            possible: classes_in(&namespaces.possible),
        }
    }

    /// The addresses of selected nodes, and the host-networked pods on them.
    fn on_nodes(
        &self,
        id: SelectorId,
        family: IpFamily,
        atoms: &Atoms,
        context: Context<'_>,
    ) -> TriSet {
        let nodes = &context.snapshot.nodes;
        let mut members = TriSet::default();
        let Some(selector) = self.selectors.get(id.0 as usize) else {
            return members;
        };
        if nodes.is_empty() {
            members.possible |= atoms.all();
        }
        for node in nodes {
            let selected = selector::matches(selector, &node.labels);
            if node.addresses.is_empty() && selected.possible() {
                members.possible |= atoms.all();
            }
            for address in &node.addresses {
                if IpFamily::of(*address) == family {
                    members.insert(atoms.of(*address), selected);
                }
            }
        }
        for class in &context.classes.host_network {
            members.insert(class, self.host_on_nodes(selector, class, context));
        }
        members
    }

    fn host_on_nodes(&self, selector: &LabelSelector, class: ClassId, context: Context<'_>) -> Tri {
        let node = context.classes.get(class).node.as_deref();
        let nodes = &context.snapshot.nodes;
        nodes
            .iter()
            .find(|n| Some(&*n.name) == node)
            .map_or(Tri::Unknown, |n| selector::matches(selector, &n.labels))
    }
}

/// The atoms of a block, and the classes whose addresses are in it.
fn in_block(block: &IpBlock, family: IpFamily, atoms: &Atoms, context: Context<'_>) -> TriSet {
    if block.family() != family {
        return TriSet::default();
    }
    let covered = atoms.in_block(block);
    if !context.profile.blocks_match_cluster_addresses {
        let nodes = context.snapshot.node_addresses().into_iter();
        let of_nodes: RoaringBitmap = nodes
            .filter(|address| IpFamily::of(*address) == family)
            .map(|address| atoms.of(address))
            .collect();
        return TriSet::exactly(covered - of_nodes);
    }
    let classes = context.classes;
    let mut members = TriSet::exactly(&covered | classes.in_atoms(family, &covered));
    let addresses = block.addresses();
    for (candidates, space) in [
        (
            classes.some_pod(family),
            context.snapshot.addresses_for_pods(family),
        ),
        (
            classes.anywhere(family),
            context.snapshot.assignable_addresses(family),
        ),
    ] {
        let inside = covers(&addresses, space);
        if inside.certain() {
            members.certain |= candidates;
        }
        if inside.possible() {
            members.possible |= candidates;
        }
    }
    members
}

/// Whether an address that is somewhere in `space` is among `addresses`.
fn covers(addresses: &IpRangeSet, space: &IpRangeSet) -> Tri {
    if space.is_subset(addresses) {
        Tri::Yes
    } else if space.is_disjoint(addresses) {
        Tri::No
    } else {
        Tri::Unknown
    }
}
