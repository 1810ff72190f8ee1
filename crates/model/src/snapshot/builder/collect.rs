use std::collections::BTreeSet;
use std::mem::Discriminant;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::Ingress;
use rustc_hash::FxHashMap;

use super::interner::Interner;
use super::notices::{Notices, Subject};
use super::templates::{self, WorkloadObject};
use crate::object::ObjectRef;
use crate::parse::{Object, TypedObject};
use crate::policy::Policy;
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

/// The name of an object as a user would say it.
fn identify(typed: &TypedObject, default_namespace: &str, interner: &mut Interner) -> ObjectRef {
    let namespace = typed
        .is_namespaced()
        .then(|| interner.name(typed.namespace().unwrap_or(default_namespace)));
    ObjectRef {
        api_version: interner.name(typed.api_version()),
        kind: interner.name(typed.kind()),
        namespace,
        name: typed.name().into(),
    }
}
