//! What pods reach outside the cluster at least and at most, whatever the policies say
//! that are not counted.

use std::collections::BTreeMap;

use ringfence_engine::Engine;
use ringfence_model::k8s_openapi::api::networking::v1::{
    NetworkPolicyEgressRule, NetworkPolicySpec,
};
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::policy::{Direction, Policy, PolicyBody, PolicyFamily};
use ringfence_model::tri::Tri;

use crate::context::{Context, Exposure, Group, InternetReach};

/// How far it is not known what a group opens to the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Doubt {
    /// No policy that is not counted may select it, or none could change anything.
    No,
    /// Policies of its namespace that could not be read may: between the [`Limits`].
    Within,
    /// Nothing is known: a policy may come before all that are counted.
    Total,
}

/// What the groups reach outside the cluster.
#[derive(Debug)]
pub(crate) struct Outside {
    /// As [`Context::exposures`].
    pub(crate) exposures: Vec<Vec<Exposure>>,
    /// As [`Context::internet`].
    pub(crate) internet: Vec<InternetReach>,
}

/// The two ends of what `NetworkPolicy` objects that could not be read may come to.
#[derive(Debug)]
pub(crate) struct Limits {
    /// They isolate every pod of their namespace, and allow nothing.
    pub(crate) least: Outside,
    /// They allow everything.
    pub(crate) most: Outside,
}

impl Limits {
    pub(crate) fn of(context: &Context<'_>) -> Self {
        let with = |egress: Option<Vec<NetworkPolicyEgressRule>>| {
            let mut engine = context.engine.clone();
            for (namespace, policies) in context.not_counted.of_namespaces() {
                let is_in_doubt = policies.iter().any(|policy| policy.is_network_policy());
                if is_in_doubt && context.snapshot.find_namespace(namespace).is_some() {
                    engine.upsert_policy(stand_in(namespace, egress.clone()));
                }
            }
            outside(context, &engine)
        };
        Self {
            least: with(None),
            most: with(Some(vec![NetworkPolicyEgressRule::default()])),
        }
    }
}

fn outside(context: &Context<'_>, engine: &Engine) -> Outside {
    Outside {
        exposures: context.exposures_under(engine),
        internet: context.internet_under(engine),
    }
}

/// A policy for the egress of every pod of a namespace. No policy of the input can be
/// called so.
fn stand_in(namespace: &str, egress: Option<Vec<NetworkPolicyEgressRule>>) -> Policy {
    Policy {
        family: PolicyFamily::NetworkPolicy,
        namespace: Some(namespace.into()),
        name: "(not counted)".into(),
        annotations: BTreeMap::new(),
        body: PolicyBody::Network(NetworkPolicySpec {
            pod_selector: Some(LabelSelector::default()),
            policy_types: Some(vec![Direction::Egress.policy_type().to_owned()]),
            egress,
            ingress: None,
        }),
        origin: None,
    }
}

impl Context<'_> {
    /// How far policies that are not counted put in doubt what a group opens to the
    /// outside.
    pub(crate) fn doubt(&self, group: &Group) -> Doubt {
        if group.host_network || self.not_counted.is_empty() {
            return Doubt::No;
        }
        let policies = self.not_counted.about(self.snapshot, group.namespace);
        let doubts = policies.map(|policy| {
            if policy.is_network_policy() {
                Doubt::Within
            } else if policy.is_before_namespaces() || group.egress_isolated != Tri::Yes {
                Doubt::Total
            } else {
                // The Baseline tier is not asked about isolated pods.
                Doubt::No
            }
        });
        doubts.max().unwrap_or(Doubt::No)
    }
}
