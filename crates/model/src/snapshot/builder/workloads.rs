use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::collect::Named;
use super::endpoint::Endpoint;
use super::interner::Interner;
use super::namespaces::{NamespaceIds, Namespaces};
use super::nodes::Nodes;
use super::notices::{Notices, Subject};
use super::owners::{OwnerName, Owners};
use super::pods::LivePod;
use super::templates::{self, WorkloadObject};
use crate::labels::{Labels, UnknownKeys};
use crate::snapshot::ingress_controller::{self, STAND_IN_KIND};
use crate::snapshot::{NamespaceId, Pod, PodId, PodKind, Workload, WorkloadId};
use crate::source::Origin;

/// The namespace of the stand-in for an ingress controller outside the input.
const OUTSIDE_NAMESPACE: &str = "(ingress controller)";
const OUTSIDE_NAME: &str = "ingress-controller";

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    namespace: Arc<str>,
    owner: OwnerName,
}

/// A workload while its pods are being gathered.
#[derive(Debug, Default)]
struct Draft {
    declared: Option<Declared>,
    live: Vec<LivePod>,
}

/// What a manifest says about a workload.
#[derive(Debug)]
struct Declared {
    replicas: Option<u32>,
    selector: Option<Labels>,
    labels: Labels,
    endpoint: Endpoint,
    origin: Option<Origin>,
    /// For a workload that is known only through an object that it manages: that
    /// object. The one with the most replicas speaks for the workload.
    through: Option<(std::cmp::Reverse<u32>, Arc<str>)>,
}

/// The workloads of the cluster with their pods.
#[derive(Debug, Default)]
pub(super) struct Workloads {
    drafts: FxHashMap<Key, Draft>,
    outside: Option<Labels>,
}

impl Workloads {
    /// Gives each pod to its workload, and each workload its template.
    pub(super) fn group(
        objects: Vec<Named<Box<WorkloadObject>>>,
        live: Vec<LivePod>,
        nodes: &Nodes,
        interner: &mut Interner,
        notices: &mut Notices<'_>,
    ) -> Self {
        let owners = Owners::of(&objects);
        let mut workloads = Self::default();
        for named in objects {
            workloads.declare(named, &owners, nodes, interner, notices);
        }
        for pod in live {
            let namespace = pod.id.namespace.clone().unwrap_or_default();
            let owner = pod
                .controller
                .as_ref()
                .and_then(|owner| owners.workload(&namespace, owner, &pod.labels.known))
                .map(|owner| OwnerName {
                    kind: interner.name(&owner.kind),
                    name: interner.name(&owner.name),
                })
                .unwrap_or_else(|| OwnerName {
                    kind: interner.name("Pod"),
                    name: Arc::clone(&pod.id.name),
                });
            let key = Key { namespace, owner };
            workloads.drafts.entry(key).or_default().live.push(pod);
        }
        workloads
    }

    fn declare(
        &mut self,
        named: Named<Box<WorkloadObject>>,
        owners: &Owners,
        nodes: &Nodes,
        interner: &mut Interner,
        notices: &mut Notices<'_>,
    ) {
        let namespace = named.namespace();
        let own = OwnerName {
            kind: Arc::clone(&named.id.kind),
            name: Arc::clone(&named.id.name),
        };
        let workload = owners.outermost(&namespace, own.clone());
        let replicas = named.object.replicas.and_then(|n| u32::try_from(n).ok());
        let through = (workload != own).then(|| {
            (
                std::cmp::Reverse(replicas.unwrap_or(1)),
                Arc::clone(&own.name),
            )
        });
        if through.is_some() && (owners.declares(&namespace, &workload) || replicas == Some(0)) {
            // The owner has a template of its own, or this is what is left of an
            // earlier revision.
            return;
        }
        let draft = self
            .drafts
            .entry(Key {
                namespace,
                owner: workload,
            })
            .or_default();
        let speaks_already = draft
            .declared
            .as_ref()
            .is_some_and(|declared| declared.through <= through);
        if speaks_already {
            return;
        }

        let own_object = through.is_none();
        let path = templates::path(&named.id.kind);
        let subject = Subject {
            id: &named.id,
            origin: named.origin.as_ref(),
        };
        let WorkloadObject {
            selector,
            pod_labels,
            added_labels,
            pod,
            ..
        } = *named.object;
        let endpoint = pod.endpoint(&path, subject, nodes, interner, notices);
        draft.declared = Some(Declared {
            replicas: replicas.filter(|_| own_object),
            selector: selector
                .filter(|_| own_object)
                .map(|labels| interner.labels(labels, UnknownKeys::None)),
            labels: interner.labels(pod_labels, added_labels),
            endpoint,
            origin: named.origin,
            through,
        });
    }

    /// Whether some pod or template carries the labels of a well-known ingress
    /// controller.
    pub(super) fn any_ingress_controller(&self) -> bool {
        self.drafts.values().any(|draft| {
            let live = draft.live.iter().map(|pod| &pod.labels);
            let template = draft.declared.iter().map(|declared| &declared.labels);
            live.chain(template).any(ingress_controller::is_one)
        })
    }

    /// Adds the stand-in for an ingress controller of which nothing is known.
    pub(super) fn add_ingress_controller(&mut self) {
        self.outside = Some(Labels {
            known: Arc::new(BTreeMap::new()),
            unknown: UnknownKeys::All,
        });
    }

    /// Adds the namespace of the stand-in.
    pub(super) fn mention_namespaces(&self, namespaces: &mut Namespaces, interner: &mut Interner) {
        if self.outside.is_some() {
            namespaces.add_stand_in(&interner.name(OUTSIDE_NAMESPACE));
        }
    }

    /// The workloads and their pods, in order.
    pub(super) fn finish(self, namespace_ids: &NamespaceIds) -> (Vec<Workload>, Vec<Pod>) {
        let mut list = Listing::default();
        let mut drafts: Vec<(Key, Draft)> = self.drafts.into_iter().collect();
        drafts.sort_unstable_by(|a, b| a.0.cmp(&b.0));

        let mut outside = self.outside.zip(namespace_ids.get(OUTSIDE_NAMESPACE));
        for (key, draft) in drafts {
            if *key.namespace >= *OUTSIDE_NAMESPACE {
                list.add_outside(outside.take());
            }
            if let Some(namespace) = namespace_ids.get(&key.namespace) {
                list.add(*namespace, key.owner, draft);
            }
        }
        list.add_outside(outside);
        (list.workloads, list.pods)
    }
}

#[derive(Debug, Default)]
struct Listing {
    workloads: Vec<Workload>,
    pods: Vec<Pod>,
}

impl Listing {
    fn next_pod(&self) -> PodId {
        PodId(u32::try_from(self.pods.len()).unwrap_or(u32::MAX))
    }

    fn next_workload(&self) -> WorkloadId {
        WorkloadId(u32::try_from(self.workloads.len()).unwrap_or(u32::MAX))
    }

    fn add(&mut self, namespace: NamespaceId, owner: OwnerName, draft: Draft) {
        let Draft { declared, mut live } = draft;
        let workload = self.next_workload();
        let first = self.next_pod();
        let (replicas, selector_labels, mut origin) = declared
            .as_ref()
            .map(|d| (d.replicas, d.selector.clone(), d.origin.clone()))
            .unwrap_or_default();

        live.sort_unstable_by(|a, b| a.id.name.cmp(&b.id.name));
        if &*owner.kind == "Pod" {
            origin = live.first().and_then(|pod| pod.origin.clone());
        }
        let stand_in = declared.filter(|_| live.is_empty()).map(|declared| {
            let name = Arc::clone(&owner.name);
            (
                PodKind::Template,
                name,
                declared.labels,
                declared.endpoint,
                declared.origin,
            )
        });
        let live = live.into_iter().map(|pod| {
            (
                PodKind::Single,
                pod.id.name,
                pod.labels,
                pod.endpoint,
                pod.origin,
            )
        });
        for (kind, name, labels, endpoint, origin) in live.chain(stand_in) {
            self.pods.push(Pod {
                name,
                namespace,
                workload,
                kind,
                labels,
                ports: endpoint.ports,
                host_network: endpoint.host_network,
                addresses: endpoint.addresses,
                node: endpoint.node,
                origin,
            });
        }
        self.workloads.push(Workload {
            kind: owner.kind,
            namespace,
            name: owner.name,
            replicas,
            selector_labels,
            origin,
            pods: first.0..self.next_pod().0,
        });
    }

    fn add_outside(&mut self, outside: Option<(Labels, &NamespaceId)>) {
        let Some((labels, &namespace)) = outside else {
            return;
        };
        let name: Arc<str> = OUTSIDE_NAME.into();
        let first = self.next_pod();
        self.pods.push(Pod {
            name: Arc::clone(&name),
            namespace,
            workload: self.next_workload(),
            kind: PodKind::Outside,
            labels,
            ports: Arc::new([]),
            host_network: false,
            addresses: Vec::new(),
            node: None,
            origin: None,
        });
        self.workloads.push(Workload {
            kind: STAND_IN_KIND.into(),
            namespace,
            name,
            replicas: None,
            selector_labels: None,
            origin: None,
            pods: first.0..self.next_pod().0,
        });
    }
}
