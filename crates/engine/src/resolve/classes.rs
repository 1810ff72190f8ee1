use std::collections::BTreeMap;
use std::sync::Arc;

use ringfence_model::address::IpFamily;
use ringfence_model::labels::Labels;
use ringfence_model::snapshot::{
    ContainerPort, NamespaceId, Pod, PodId, PodKind, PossibleAddresses, Snapshot,
};
use roaring::RoaringBitmap;
use rustc_hash::FxHashMap;

use super::atoms::Atoms;

/// The index of a class in [`Classes`].
pub(crate) type ClassId = u32;

/// What policies can see of a pod. Pods with equal features form a class and get the
/// same answers, own-node traffic and traffic with themselves apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Features {
    pub(crate) namespace: NamespaceId,
    pub(crate) labels: Labels,
    pub(crate) ports: Arc<[ContainerPort]>,
    pub(crate) host_network: bool,
    pub(crate) outside: bool,
    /// The node, of host-networked pods alone: `nodes` peers see it.
    pub(crate) node: Option<Arc<str>>,
    /// What is known of the address in IPv4 and IPv6.
    pub(crate) address: [AddressFeature; 2],
}

/// What is known of a pod's address in one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum AddressFeature {
    /// The pod has no address of this family.
    None,
    /// It is in this atom.
    Atom(u32),
    /// It has one, somewhere in the ranges of pods.
    SomePod,
    /// It has one, anywhere.
    Anywhere,
}

/// Whether a pod has an address of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Presence {
    /// It has one.
    Has,
    /// Its addresses are not known, and pods of this cluster are taken to have none.
    AssumedToLack,
    /// Its addresses are known, and none is of the family.
    Lacks,
}

/// What happened to classes when a pod moved from one to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Move {
    /// The class that the pod is of now.
    pub(crate) to: ClassId,
    /// Whether no pod was ever of it.
    pub(crate) is_new: bool,
    /// The class that has no pods any more.
    pub(crate) emptied: Option<ClassId>,
    /// The class that had no pods before.
    pub(crate) filled: Option<ClassId>,
}

/// The classes of a snapshot's pods.
#[derive(Clone, Debug, Default)]
pub(crate) struct Classes {
    pub(crate) features: Vec<Features>,
    /// The pods of each class, ascending. Empty after the last one has moved away.
    pub(crate) pods: Vec<Vec<PodId>>,
    /// For IPv4 and IPv6, the classes that have an address of the family, and pods.
    present: [RoaringBitmap; 2],
    /// The class of each pod.
    pub(crate) of_pod: Vec<ClassId>,
    ids: FxHashMap<Features, ClassId>,
    /// The classes whose addresses, per family, are in an atom.
    by_atom: [BTreeMap<u32, RoaringBitmap>; 2],
    /// The classes with addresses of a family that are in the ranges of pods.
    some_pod: [RoaringBitmap; 2],
    /// The classes with addresses of a family that can be anywhere.
    anywhere: [RoaringBitmap; 2],
    /// The classes of each namespace, host-networked ones left out: selectors do not
    /// see them.
    pub(crate) selectable_in: FxHashMap<NamespaceId, RoaringBitmap>,
    /// The classes of endpoints outside the input; their namespace is not known.
    pub(crate) outside: RoaringBitmap,
    /// The host-networked classes.
    pub(crate) host_network: RoaringBitmap,
}

/// The position of a family in arrays by family.
pub(crate) fn family_index(family: IpFamily) -> usize {
    match family {
        IpFamily::V4 => 0,
        IpFamily::V6 => 1,
    }
}

impl Classes {
    pub(crate) fn new(snapshot: &Snapshot, atoms: &[Atoms; 2]) -> Self {
        let mut classes = Self {
            of_pod: Vec::with_capacity(snapshot.pods.len()),
            ..Self::default()
        };
        for (id, pod) in snapshot.pod_ids() {
            let (class, _) = classes.intern(features(snapshot, atoms, pod));
            classes.of_pod.push(class);
            if let Some(pods) = classes.pods.get_mut(class as usize) {
                pods.push(id);
            }
        }
        classes.present = IpFamily::ALL.map(|family| {
            let all = 0..classes.len();
            all.filter(|class| classes.has_family(*class, family))
                .collect()
        });
        classes
    }

    pub(crate) fn reserve(&mut self, additional: usize) {
        self.features.reserve(additional);
        self.pods.reserve(additional);
        self.ids.reserve(additional);
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.features.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn get(&self, class: ClassId) -> &Features {
        #[expect(clippy::indexing_slicing, reason = "ids are issued by `intern`")]
        &self.features[class as usize]
    }

    pub(crate) fn class_of(&self, pod: PodId) -> ClassId {
        #[expect(clippy::indexing_slicing, reason = "every pod has a class")]
        self.of_pod[pod.0 as usize]
    }

    /// The class with these features, and whether it is new.
    pub(crate) fn intern(&mut self, features: Features) -> (ClassId, bool) {
        if let Some(id) = self.ids.get(&features) {
            return (*id, false);
        }
        let id = self.len();
        for (family, address) in features.address.iter().enumerate() {
            #[expect(clippy::indexing_slicing, reason = "two families, three arrays of two")]
            match address {
                AddressFeature::None => {}
                AddressFeature::Atom(atom) => {
                    self.by_atom[family].entry(*atom).or_default().insert(id);
                }
                AddressFeature::SomePod => {
                    self.some_pod[family].insert(id);
                }
                AddressFeature::Anywhere => {
                    self.anywhere[family].insert(id);
                }
            }
        }
        if features.outside {
            self.outside.insert(id);
        }
        if features.host_network {
            self.host_network.insert(id);
        } else {
            self.selectable_in
                .entry(features.namespace)
                .or_default()
                .insert(id);
        }
        self.ids.insert(features.clone(), id);
        self.features.push(features);
        self.pods.push(Vec::new());
        (id, true)
    }

    /// Moves a pod to the class of its new features.
    pub(crate) fn move_pod(&mut self, pod: PodId, features: Features) -> Move {
        let (to, is_new) = self.intern(features);
        let from = self.class_of(pod);
        let mut moved = Move {
            to,
            is_new,
            emptied: None,
            filled: None,
        };
        if from == to {
            return moved;
        }
        if let Some(pods) = self.pods.get_mut(from as usize) {
            pods.retain(|p| *p != pod);
            moved.emptied = pods.is_empty().then_some(from);
        }
        if let Some(pods) = self.pods.get_mut(to as usize) {
            moved.filled = pods.is_empty().then_some(to);
            let position = pods.partition_point(|p| *p < pod);
            pods.insert(position, pod);
        }
        if let Some(of_pod) = self.of_pod.get_mut(pod.0 as usize) {
            *of_pod = to;
        }
        for family in IpFamily::ALL {
            let gone = moved.emptied;
            let came = moved.filled.filter(|class| self.has_family(*class, family));
            #[expect(clippy::indexing_slicing, reason = "two families, an array of two")]
            let present = &mut self.present[family_index(family)];
            gone.map(|class| present.remove(class));
            came.map(|class| present.insert(class));
        }
        moved
    }

    pub(crate) fn has_family(&self, class: ClassId, family: IpFamily) -> bool {
        let [v4, v6] = self.get(class).address;
        match family {
            IpFamily::V4 => v4 != AddressFeature::None,
            IpFamily::V6 => v6 != AddressFeature::None,
        }
    }

    /// Whether it has addresses of the family, and how sure that is.
    pub(crate) fn presence(&self, class: ClassId, family: IpFamily) -> Presence {
        let known = |address: &AddressFeature| matches!(address, AddressFeature::Atom(_));
        if self.has_family(class, family) {
            Presence::Has
        } else if self.get(class).address.iter().any(known) {
            Presence::Lacks
        } else {
            Presence::AssumedToLack
        }
    }

    /// The same for both families.
    pub(crate) fn families(&self, class: ClassId) -> [Presence; 2] {
        IpFamily::ALL.map(|family| self.presence(class, family))
    }

    /// The classes that have an address of the family, and pods (the last one may have
    /// moved).
    pub(crate) fn present(&self, family: IpFamily) -> &RoaringBitmap {
        #[expect(clippy::indexing_slicing, reason = "two families, an array of two")]
        &self.present[family_index(family)]
    }

    /// The classes with a known address in one of `atoms`.
    pub(crate) fn in_atoms(&self, family: IpFamily, atoms: &RoaringBitmap) -> RoaringBitmap {
        #[expect(clippy::indexing_slicing, reason = "two families, an array of two")]
        let by_atom = &self.by_atom[family_index(family)];
        let mut classes = RoaringBitmap::new();
        if atoms.len() < by_atom.len() as u64 {
            for members in atoms.iter().filter_map(|atom| by_atom.get(&atom)) {
                classes |= members;
            }
        } else {
            for (_, members) in by_atom.iter().filter(|(atom, _)| atoms.contains(**atom)) {
                classes |= members;
            }
        }
        classes
    }

    /// The classes whose address is somewhere in the ranges of pods.
    pub(crate) fn some_pod(&self, family: IpFamily) -> &RoaringBitmap {
        #[expect(clippy::indexing_slicing, reason = "two families, an array of two")]
        &self.some_pod[family_index(family)]
    }

    /// The classes whose address can be anywhere.
    pub(crate) fn anywhere(&self, family: IpFamily) -> &RoaringBitmap {
        #[expect(clippy::indexing_slicing, reason = "two families, an array of two")]
        &self.anywhere[family_index(family)]
    }
}

/// What policies can see of a pod.
pub(crate) fn features(snapshot: &Snapshot, atoms: &[Atoms; 2], pod: &Pod) -> Features {
    let outside = pod.kind == PodKind::Outside;
    let families = snapshot.families_of(pod);
    let [v4, v6] = atoms;
    let address = [(IpFamily::V4, v4), (IpFamily::V6, v6)].map(|(family, atoms)| {
        if !families.contains(&family) {
            return AddressFeature::None;
        }
        match snapshot.possible_addresses(pod, family) {
            PossibleAddresses::Known(address) => AddressFeature::Atom(atoms.of(address)),
            PossibleAddresses::Within(_) if pod.host_network || outside => AddressFeature::Anywhere,
            PossibleAddresses::Within(_) => AddressFeature::SomePod,
        }
    });
    Features {
        namespace: pod.namespace,
        labels: pod.labels.clone(),
        ports: Arc::clone(&pod.ports),
        host_network: pod.host_network,
        outside,
        node: pod.node.clone().filter(|_| pod.host_network),
        address,
    }
}
