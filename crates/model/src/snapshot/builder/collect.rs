use std::collections::BTreeSet;
use std::mem::Discriminant;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use rustc_hash::FxHashMap;

use super::interner::Interner;
use super::notices::{Notices, Subject};
use super::templates::{self, WorkloadObject};
use crate::object::ObjectRef;
use crate::parse::{Object, TypedObject};
use crate::policy::{Policy, PolicyFamily};
use crate::source::Origin;

/// An object with its identity settled: it has a name, a namespaced one has a
/// namespace, and no other object is called the same.
#[derive(Debug)]
pub(super) struct Named<T> {
    pub(super) id: ObjectRef,
    pub(super) origin: Option<Origin>,
    pub(super) object: T,
}

impl<T> Named<T> {
    pub(super) fn subject(&self) -> Subject<'_> {
        Subject {
            id: &self.id,
            origin: self.origin.as_ref(),
        }
    }

    /// The namespace; cluster-wide objects have the empty one.
    pub(super) fn namespace(&self) -> Arc<str> {
        self.id.namespace.clone().unwrap_or_default()
    }
}

/// All objects, sorted by kind; in the order of the input. They stay in their boxes:
/// the types of the API are kilobytes each.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) namespaces: Vec<Named<Box<core::Namespace>>>,
    pub(super) nodes: Vec<Named<Box<core::Node>>>,
    pub(super) pods: Vec<Named<Box<core::Pod>>>,
    pub(super) workloads: Vec<Named<WorkloadObject>>,
    pub(super) services: Vec<Named<Box<core::Service>>>,
    pub(super) endpoints: Vec<Named<Box<core::Endpoints>>>,
    pub(super) endpoint_slices: Vec<Named<Box<EndpointSlice>>>,
    pub(super) ingresses: Vec<Named<Box<Ingress>>>,
    pub(super) policies: Vec<Policy>,
    /// The namespace of every namespaced object.
    pub(super) mentioned_namespaces: BTreeSet<Arc<str>>,
}

/// What two objects must share to be the same. The variant stands for the API group:
/// a Knative `Service` is not a `Service`.
type Identity = (
    Discriminant<TypedObject>,
    Arc<str>,
    Option<Arc<str>>,
    Arc<str>,
);

impl Collected {
    pub(super) fn sort(
        objects: Vec<Object>,
        default_namespace: &str,
        interner: &mut Interner,
        notices: &mut Notices<'_>,
    ) -> Self {
        let mut kept: Vec<Option<(ObjectRef, Object)>> = Vec::with_capacity(objects.len());
        let mut places: FxHashMap<Identity, usize> = FxHashMap::default();
        for object in objects {
            let id = identify(&object.typed, default_namespace, interner);
            if id.name.is_empty() {
                notices.without_name(Subject {
                    id: &id,
                    origin: object.origin.as_ref(),
                });
                continue;
            }
            let identity = (
                std::mem::discriminant(&object.typed),
                Arc::clone(&id.kind),
                id.namespace.clone(),
                Arc::clone(&id.name),
            );
            let earlier = places
                .insert(identity, kept.len())
                .and_then(|place| kept.get_mut(place))
                .and_then(Option::take);
            if let Some((_, earlier)) = earlier {
                notices.duplicate(&id, earlier.origin.as_ref(), object.origin.as_ref());
            }
            kept.push(Some((id, object)));
        }

        let mut collected = Self::default();
        for (id, object) in kept.into_iter().flatten() {
            collected.put(id, object);
        }
        collected
    }

    fn put(&mut self, id: ObjectRef, object: Object) {
        if let Some(namespace) = &id.namespace
            && !self.mentioned_namespaces.contains(namespace)
        {
            self.mentioned_namespaces.insert(Arc::clone(namespace));
        }
        let origin = object.origin;
        match object.typed {
            TypedObject::Namespace(object) => self.namespaces.push(Named { id, origin, object }),
            TypedObject::Node(object) => self.nodes.push(Named { id, origin, object }),
            TypedObject::Pod(object) => self.pods.push(Named { id, origin, object }),
            TypedObject::Service(object) => self.services.push(Named { id, origin, object }),
            TypedObject::Endpoints(object) => self.endpoints.push(Named { id, origin, object }),
            TypedObject::EndpointSlice(object) => {
                self.endpoint_slices.push(Named { id, origin, object })
            }
            TypedObject::Ingress(object) => self.ingresses.push(Named { id, origin, object }),
            TypedObject::Policy(policy) => self.policies.push(Policy {
                namespace: id.namespace,
                name: id.name,
                origin: policy.origin.clone().or(origin),
                ..*policy
            }),
            workload => self
                .workloads
                .extend(templates::read(workload).map(|object| Named { id, origin, object })),
        }
    }
}

/// The name of an object as a user would say it; an object without `metadata.name`
/// goes by its `generateName`, which no real name can equal.
fn identify(typed: &TypedObject, default_namespace: &str, interner: &mut Interner) -> ObjectRef {
    let (api_version, kind, namespaced) = kind_of(typed);
    let (namespace, name) = match typed {
        TypedObject::Policy(policy) => (policy.namespace.as_deref(), &*policy.name),
        _ => {
            let metadata = metadata_of(typed);
            let generated = metadata.and_then(|m| m.generate_name.as_deref());
            let name = metadata.and_then(|m| m.name.as_deref());
            (
                metadata.and_then(|m| m.namespace.as_deref()),
                name.filter(|name| !name.is_empty())
                    .or(generated)
                    .unwrap_or_default(),
            )
        }
    };
    let namespace = namespaced.then(|| {
        interner.name(
            namespace
                .filter(|namespace| !namespace.is_empty())
                .unwrap_or(default_namespace),
        )
    });
    ObjectRef {
        api_version: interner.name(api_version),
        kind: interner.name(kind),
        namespace,
        name: name.into(),
    }
}

/// `apiVersion`, `kind` and whether the kind is namespaced.
fn kind_of(typed: &TypedObject) -> (&'static str, &str, bool) {
    match typed {
        TypedObject::Namespace(_) => ("v1", "Namespace", false),
        TypedObject::Node(_) => ("v1", "Node", false),
        TypedObject::Pod(_) => ("v1", "Pod", true),
        TypedObject::Deployment(_) => ("apps/v1", "Deployment", true),
        TypedObject::StatefulSet(_) => ("apps/v1", "StatefulSet", true),
        TypedObject::DaemonSet(_) => ("apps/v1", "DaemonSet", true),
        TypedObject::ReplicaSet(_) => ("apps/v1", "ReplicaSet", true),
        TypedObject::ReplicationController(_) => ("v1", "ReplicationController", true),
        TypedObject::Job(_) => ("batch/v1", "Job", true),
        TypedObject::CronJob(_) => ("batch/v1", "CronJob", true),
        TypedObject::OtherWorkload { kind, .. } => ("", kind, true),
        TypedObject::Service(_) => ("v1", "Service", true),
        TypedObject::Endpoints(_) => ("v1", "Endpoints", true),
        TypedObject::EndpointSlice(_) => ("discovery.k8s.io/v1", "EndpointSlice", true),
        TypedObject::Ingress(_) => ("networking.k8s.io/v1", "Ingress", true),
        TypedObject::Policy(policy) => (
            policy.family.api_version(),
            policy.family.kind(),
            policy.family == PolicyFamily::NetworkPolicy,
        ),
    }
}

fn metadata_of(typed: &TypedObject) -> Option<&ObjectMeta> {
    Some(match typed {
        TypedObject::Namespace(object) => &object.metadata,
        TypedObject::Node(object) => &object.metadata,
        TypedObject::Pod(object) => &object.metadata,
        TypedObject::Deployment(object) => &object.metadata,
        TypedObject::StatefulSet(object) => &object.metadata,
        TypedObject::DaemonSet(object) => &object.metadata,
        TypedObject::ReplicaSet(object) => &object.metadata,
        TypedObject::ReplicationController(object) => &object.metadata,
        TypedObject::Job(object) => &object.metadata,
        TypedObject::CronJob(object) => &object.metadata,
        TypedObject::OtherWorkload { metadata, .. } => metadata,
        TypedObject::Service(object) => &object.metadata,
        TypedObject::Endpoints(object) => &object.metadata,
        TypedObject::EndpointSlice(object) => &object.metadata,
        TypedObject::Ingress(object) => &object.metadata,
        TypedObject::Policy(_) => return None,
    })
}
