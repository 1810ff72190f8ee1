use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{
    Endpoints, Namespace, Node, Pod, PodSpec, PodTemplateSpec, ReplicationController, Service,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::policy::{Policy, PolicyFamily};
use crate::source::Origin;

/// An object that was read, and where.
#[derive(Clone, Debug)]
pub struct Object {
    /// Where it was read from; `None` for a live object.
    pub origin: Option<Origin>,
    /// What it is.
    pub typed: TypedObject,
}

/// The kinds that matter for reachability. Objects are read tolerantly: only the
/// fields that matter here are filled in.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each variant is the kind it is named after")]
pub enum TypedObject {
    Namespace(Box<Namespace>),
    Node(Box<Node>),
    Pod(Box<Pod>),
    Deployment(Box<Deployment>),
    StatefulSet(Box<StatefulSet>),
    DaemonSet(Box<DaemonSet>),
    ReplicaSet(Box<ReplicaSet>),
    ReplicationController(Box<ReplicationController>),
    Job(Box<Job>),
    CronJob(Box<CronJob>),
    /// Any other kind with a pod template at `spec.template` (a Rollout, a
    /// DeploymentConfig).
    OtherWorkload {
        kind: String,
        metadata: Box<ObjectMeta>,
        replicas: Option<i32>,
        template: Box<PodTemplateSpec>,
    },
    Service(Box<Service>),
    Endpoints(Box<Endpoints>),
    EndpointSlice(Box<EndpointSlice>),
    Ingress(Box<Ingress>),
    Policy(Box<Policy>),
}

impl TypedObject {
    /// Notes where a policy was read from, which it knows itself.
    pub(super) fn set_origin(&mut self, origin: Option<Origin>) {
        if let Self::Policy(policy) = self {
            policy.origin = origin;
        }
    }
}

impl TypedObject {
    /// `kind`.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Namespace(_) => "Namespace",
            Self::Node(_) => "Node",
            Self::Pod(_) => "Pod",
            Self::Deployment(_) => "Deployment",
            Self::StatefulSet(_) => "StatefulSet",
            Self::DaemonSet(_) => "DaemonSet",
            Self::ReplicaSet(_) => "ReplicaSet",
            Self::ReplicationController(_) => "ReplicationController",
            Self::Job(_) => "Job",
            Self::CronJob(_) => "CronJob",
            Self::OtherWorkload { kind, .. } => kind,
            Self::Service(_) => "Service",
            Self::Endpoints(_) => "Endpoints",
            Self::EndpointSlice(_) => "EndpointSlice",
            Self::Ingress(_) => "Ingress",
            Self::Policy(policy) => policy.family.kind(),
        }
    }

    /// `apiVersion`; empty for a workload of a kind that only its template is known of.
    #[must_use]
    pub fn api_version(&self) -> &'static str {
        match self {
            Self::Namespace(_)
            | Self::Node(_)
            | Self::Pod(_)
            | Self::ReplicationController(_)
            | Self::Service(_)
            | Self::Endpoints(_) => "v1",
            Self::Deployment(_)
            | Self::StatefulSet(_)
            | Self::DaemonSet(_)
            | Self::ReplicaSet(_) => "apps/v1",
            Self::Job(_) | Self::CronJob(_) => "batch/v1",
            Self::OtherWorkload { .. } => "",
            Self::EndpointSlice(_) => "discovery.k8s.io/v1",
            Self::Ingress(_) => "networking.k8s.io/v1",
            Self::Policy(policy) => policy.family.api_version(),
        }
    }

    /// `metadata.name`. An object without one goes by its `generateName`, which no real
    /// name can equal; it is empty if there is neither.
    #[must_use]
    pub fn name(&self) -> &str {
        if let Self::Policy(policy) = self {
            return &policy.name;
        }
        let metadata = self.metadata();
        let name = metadata.and_then(|metadata| metadata.name.as_deref());
        name.filter(|name| !name.is_empty())
            .or_else(|| metadata?.generate_name.as_deref())
            .unwrap_or_default()
    }

    /// `metadata.namespace`, if it names one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        let written = match self {
            Self::Policy(policy) => policy.namespace.as_deref(),
            _ => self.metadata().and_then(|m| m.namespace.as_deref()),
        };
        written.filter(|namespace| !namespace.is_empty())
    }

    /// Puts it into a namespace, unless it names one or its kind is in none.
    pub fn put_into(&mut self, namespace: &str) {
        if !self.is_namespaced() || self.namespace().is_some() {
            return;
        }
        let metadata = match self {
            Self::Policy(policy) => {
                policy.namespace = Some(namespace.into());
                return;
            }
            Self::Namespace(object) => &mut object.metadata,
            Self::Node(object) => &mut object.metadata,
            Self::Pod(object) => &mut object.metadata,
            Self::Deployment(object) => &mut object.metadata,
            Self::StatefulSet(object) => &mut object.metadata,
            Self::DaemonSet(object) => &mut object.metadata,
            Self::ReplicaSet(object) => &mut object.metadata,
            Self::ReplicationController(object) => &mut object.metadata,
            Self::Job(object) => &mut object.metadata,
            Self::CronJob(object) => &mut object.metadata,
            Self::OtherWorkload { metadata, .. } => metadata,
            Self::Service(object) => &mut object.metadata,
            Self::Endpoints(object) => &mut object.metadata,
            Self::EndpointSlice(object) => &mut object.metadata,
            Self::Ingress(object) => &mut object.metadata,
        };
        metadata.namespace = Some(namespace.to_owned());
    }

    /// Whether objects of its kind are in a namespace.
    #[must_use]
    pub fn is_namespaced(&self) -> bool {
        match self {
            Self::Namespace(_) | Self::Node(_) => false,
            Self::Policy(policy) => policy.family == PolicyFamily::NetworkPolicy,
            _ => true,
        }
    }

    /// `metadata`; `None` for a policy, which keeps what it needs of it.
    #[must_use]
    pub fn metadata(&self) -> Option<&ObjectMeta> {
        Some(match self {
            Self::Namespace(object) => &object.metadata,
            Self::Node(object) => &object.metadata,
            Self::Pod(object) => &object.metadata,
            Self::Deployment(object) => &object.metadata,
            Self::StatefulSet(object) => &object.metadata,
            Self::DaemonSet(object) => &object.metadata,
            Self::ReplicaSet(object) => &object.metadata,
            Self::ReplicationController(object) => &object.metadata,
            Self::Job(object) => &object.metadata,
            Self::CronJob(object) => &object.metadata,
            Self::OtherWorkload { metadata, .. } => metadata,
            Self::Service(object) => &object.metadata,
            Self::Endpoints(object) => &object.metadata,
            Self::EndpointSlice(object) => &object.metadata,
            Self::Ingress(object) => &object.metadata,
            Self::Policy(_) => return None,
        })
    }

    /// The template of the pods that it makes; `None` for what makes none, and for a pod.
    #[must_use]
    pub fn pod_template(&self) -> Option<&PodTemplateSpec> {
        match self {
            Self::Deployment(object) => object.spec.as_ref().map(|spec| &spec.template),
            Self::StatefulSet(object) => object.spec.as_ref().map(|spec| &spec.template),
            Self::DaemonSet(object) => object.spec.as_ref().map(|spec| &spec.template),
            Self::ReplicaSet(object) => object.spec.as_ref()?.template.as_ref(),
            Self::ReplicationController(object) => object.spec.as_ref()?.template.as_ref(),
            Self::Job(object) => object.spec.as_ref().map(|spec| &spec.template),
            Self::CronJob(object) => {
                let job = object.spec.as_ref()?.job_template.spec.as_ref();
                job.map(|spec| &spec.template)
            }
            Self::OtherWorkload { template, .. } => Some(template),
            _ => None,
        }
    }

    /// The pod that it is, or the one that it makes.
    #[must_use]
    pub fn pod_spec(&self) -> Option<&PodSpec> {
        match self {
            Self::Pod(pod) => pod.spec.as_ref(),
            _ => self.pod_template()?.spec.as_ref(),
        }
    }

    /// The annotations of the pod that it is, or of those that it makes.
    #[must_use]
    pub fn pod_annotations(&self) -> Option<&BTreeMap<String, String>> {
        match self {
            Self::Pod(pod) => pod.metadata.annotations.as_ref(),
            _ => self.pod_template()?.metadata.as_ref()?.annotations.as_ref(),
        }
    }
}
