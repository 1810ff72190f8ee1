//! Large, regular clusters: every namespace denies by default, and every deployment
//! may talk to a few others, to DNS, and some of them to the outside.

mod policies;
mod workloads;

use std::fmt::Display;

use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use ringfence_model::parse::{Object, TypedObject};

use super::manifest;

/// How large a cluster is to be.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Namespaces that deployments are spread over, one or more.
    pub namespaces: usize,
    /// Deployments, besides DNS and monitoring.
    pub deployments: usize,
    /// Live pods of each deployment; with none, its template stands for them.
    pub replicas: usize,
    /// Whether each deployment has one policy for each direction, or one for both.
    pub policy_for_each_direction: bool,
    /// Other deployments that each may call.
    pub callees: usize,
    /// How many different blocks outside the cluster rules name, in all.
    pub external_blocks: usize,
    /// `ClusterNetworkPolicy` objects.
    pub cluster_policies: usize,
    /// Policies beside those of the deployments: each lets one more call happen.
    pub more_policies: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            namespaces: 20,
            deployments: 800,
            replicas: 0,
            policy_for_each_direction: false,
            callees: 3,
            external_blocks: 50,
            cluster_policies: 10,
            more_policies: 0,
        }
    }
}

impl Shape {
    /// 100,000 pods in 10,000 deployments and 500 namespaces, with a policy for each
    /// deployment.
    #[must_use]
    pub fn hundred_thousand_pods() -> Self {
        Self {
            namespaces: 500,
            deployments: 10_000,
            replicas: 10,
            external_blocks: 200,
            ..Self::default()
        }
    }

    /// About so many live pods, and exactly so many policies, ten or more. Where there are
    /// fewer policies than pods, many pods are alike; where there are more, each pod has
    /// several.
    #[must_use]
    pub fn with(pods: usize, policies: usize) -> Self {
        let namespaces = (policies / 20).clamp(1, 200);
        let deployments = pods.min(policies.saturating_sub(namespaces)).max(1);
        Self {
            namespaces,
            deployments,
            replicas: ((pods + deployments / 2) / deployments).max(1),
            cluster_policies: 0,
            more_policies: policies.saturating_sub(namespaces + deployments),
            ..Self::default()
        }
    }

    /// The cluster as typed objects.
    #[must_use]
    pub fn objects(&self) -> Vec<Object> {
        self.one_by_one().collect()
    }

    /// The same, each made when it is asked for.
    pub fn one_by_one(&self) -> impl Iterator<Item = Object> {
        let shape = *self;
        let deployments = (0..shape.deployments).flat_map(move |deployment| {
            let name = Name::of(&shape, deployment);
            let mut typed = vec![workloads::deployment(&name), workloads::service(&name)];
            typed.extend((0..shape.replicas).map(|replica| workloads::pod(&shape, &name, replica)));
            typed.extend(policies::of_deployment(&shape, &name));
            typed
        });
        workloads::infrastructure(self)
            .into_iter()
            .chain(deployments)
            .chain(policies::of_namespaces(self))
            .chain(policies::of_cluster(self))
            .chain(policies::more(shape))
            .map(|typed| Object {
                origin: None,
                typed,
            })
    }

    /// The cluster as one YAML text.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        manifest::to_yaml(&self.objects())
    }

    fn namespace(&self, number: usize) -> String {
        format!("team-{:03}", number % self.namespaces.max(1))
    }

    /// The deployments that `deployment` may call. Those that may call it are
    /// [`Shape::callers`].
    fn callees(&self, deployment: usize) -> impl Iterator<Item = usize> {
        let (count, shape) = (self.deployments.max(1), *self);
        (0..self.callees).map(move |call| (deployment + shape.distance(call)) % count)
    }

    fn callers(&self, deployment: usize) -> impl Iterator<Item = usize> {
        let (count, shape) = (self.deployments.max(1), *self);
        (0..self.callees).map(move |call| {
            let back = shape.distance(call) % count;
            (deployment + count - back) % count
        })
    }

    /// How far apart, in numbers, the two ends of a call are: the next deployment is
    /// in another namespace, and so are most others.
    fn distance(&self, call: usize) -> usize {
        match call {
            0 => 1,
            1 => self.namespaces.max(1),
            further => further * further * 17 + 3,
        }
    }
}

/// What a deployment is called, and where it is.
#[derive(Clone, Debug)]
struct Name {
    number: usize,
    namespace: String,
    app: String,
}

impl Name {
    fn of(shape: &Shape, number: usize) -> Self {
        Self {
            number,
            namespace: shape.namespace(number),
            app: format!("app-{number:05}"),
        }
    }
}

fn metadata(namespace: &str, name: impl Display, labels: &[(&str, &str)]) -> ObjectMeta {
    ObjectMeta {
        namespace: Some(namespace.to_owned()).filter(|namespace| !namespace.is_empty()),
        name: Some(name.to_string()),
        labels: (!labels.is_empty()).then(|| {
            labels
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect()
        }),
        ..ObjectMeta::default()
    }
}

/// A policy object.
fn policy(policy: ringfence_model::policy::Policy) -> TypedObject {
    TypedObject::Policy(Box::new(policy))
}
