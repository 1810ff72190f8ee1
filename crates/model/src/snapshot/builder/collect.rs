use std::collections::BTreeSet;
use std::mem::Discriminant;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::Ingress;
use rustc_hash::FxHashMap;

use super::interner::Interner;
use super::notices::{Notices, Subject};
use super::pods::PodObject;
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

/// All objects, sorted by kind; in the order of the input. They stay in their boxes, so
/// that they are not moved about.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) namespaces: Vec<Named<Box<core::Namespace>>>,
    pub(super) nodes: Vec<Named<Box<core::Node>>>,
    pub(super) pods: Vec<Named<Box<PodObject>>>,
    pub(super) workloads: Vec<Named<Box<WorkloadObject>>>,
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

/// What is needed of an object.
#[derive(Debug)]
enum Needed {
    Pod(Box<PodObject>),
    Workload(Box<WorkloadObject>),
    All(TypedObject),
}

#[derive(Debug)]
struct Kept {
    id: ObjectRef,
    origin: Option<Origin>,
    needed: Needed,
}

/// What is said of objects before their places are known.
#[derive(Debug)]
enum Said {
    WithoutName(ObjectRef, Option<Origin>),
    /// An object, where it was defined before, and where again.
    Duplicate(ObjectRef, [Option<Origin>; 2]),
}

/// Objects as they come, each once.
#[derive(Debug, Default)]
pub(super) struct Collection {
    kept: Vec<Option<Kept>>,
    places: FxHashMap<Identity, usize>,
    said: Vec<Said>,
}

impl Collection {
    pub(super) fn add(&mut self, object: Object, default_namespace: &str, interner: &mut Interner) {
        let Object { origin, typed } = object;
        let id = identify(&typed, default_namespace, interner);
        if id.name.is_empty() {
            self.said.push(Said::WithoutName(id, origin));
            return;
        }
        let identity = (
            std::mem::discriminant(&typed),
            Arc::clone(&id.kind),
            id.namespace.clone(),
            Arc::clone(&id.name),
        );
        let place = self.places.insert(identity, self.kept.len());
        let earlier = place.and_then(|place| self.kept.get_mut(place));
        if let Some(earlier) = earlier.and_then(Option::take) {
            let origins = [earlier.origin, origin.clone()];
            self.said.push(Said::Duplicate(id.clone(), origins));
        }
        let subject = Subject {
            id: &id,
            origin: origin.as_ref(),
        };
        let needed = needed(typed, subject, interner);
        self.kept.push(Some(Kept { id, origin, needed }));
    }

    /// The objects by kind; says which could not be told from others.
    pub(super) fn by_kind(self, notices: &mut Notices<'_>) -> Collected {
        for said in &self.said {
            match said {
                Said::WithoutName(id, origin) => notices.without_name(Subject {
                    id,
                    origin: origin.as_ref(),
                }),
                Said::Duplicate(id, [earlier, later]) => {
                    notices.duplicate(id, earlier.as_ref(), later.as_ref());
                }
            }
        }
        let mut collected = Collected::default();
        for kept in self.kept.into_iter().flatten() {
            collected.put(kept);
        }
        collected
    }
}

fn needed(typed: TypedObject, subject: Subject<'_>, interner: &mut Interner) -> Needed {
    if let TypedObject::Pod(pod) = typed {
        return Needed::Pod(Box::new(PodObject::read(*pod, subject, interner)));
    }
    match templates::read(typed) {
        Ok(mut workload) => {
            let path = templates::path(&subject.id.kind);
            workload.pod = workload.pod.read(&path, subject, interner);
            Needed::Workload(Box::new(workload))
        }
        Err(typed) => Needed::All(typed),
    }
}

impl Collected {
    fn put(&mut self, kept: Kept) {
        let Kept { id, origin, needed } = kept;
        if let Some(namespace) = &id.namespace
            && !self.mentioned_namespaces.contains(namespace)
        {
            self.mentioned_namespaces.insert(Arc::clone(namespace));
        }
        let typed = match needed {
            Needed::Pod(object) => return self.pods.push(Named { id, origin, object }),
            Needed::Workload(object) => return self.workloads.push(Named { id, origin, object }),
            Needed::All(typed) => typed,
        };
        match typed {
            TypedObject::Namespace(object) => self.namespaces.push(Named { id, origin, object }),
            TypedObject::Node(object) => self.nodes.push(Named { id, origin, object }),
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
            // These are what `needed` reads.
            TypedObject::Pod(_)
            | TypedObject::Deployment(_)
            | TypedObject::StatefulSet(_)
            | TypedObject::DaemonSet(_)
            | TypedObject::ReplicaSet(_)
            | TypedObject::ReplicationController(_)
            | TypedObject::Job(_)
            | TypedObject::CronJob(_)
            | TypedObject::OtherWorkload { .. } => {}
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
