use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{
    Endpoints, Namespace, Node, Pod, PodTemplateSpec, ReplicationController, Service,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::policy::Policy;
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
