//! Where pods and nodes are already, for a cluster that changes while it runs.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ringfence_model::address::IpFamily;

use super::{Schedule, ScheduledNode};

/// Where everything is in a cluster that runs. What is scheduled after it stays where it
/// is; only what is new gets a place.
#[derive(Clone, Debug, Default)]
pub struct Placement {
    pub(super) families: Vec<IpFamily>,
    pub(super) nodes: Vec<ScheduledNode>,
    pub(super) api_server: Vec<IpAddr>,
    /// By namespace and name.
    pods: BTreeMap<(Arc<str>, Arc<str>), Place>,
}

/// Where one pod is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) node: Option<Arc<str>>,
    /// Its own addresses: none if it is host-networked.
    pub(super) addresses: Vec<IpAddr>,
}

impl Placement {
    /// Where everything is in this schedule.
    #[must_use]
    pub fn of(schedule: &Schedule) -> Self {
        let snapshot = &schedule.snapshot;
        let pods = snapshot.pods.iter().map(|pod| {
            let namespace = Arc::clone(&snapshot.namespace(pod.namespace).name);
            let own = (!pod.host_network).then(|| pod.addresses.clone());
            let place = Place {
                node: pod.node.clone(),
                addresses: own.unwrap_or_default(),
            };
            ((namespace, Arc::clone(&pod.name)), place)
        });
        Self {
            families: schedule.families.clone(),
            nodes: schedule.nodes.clone(),
            api_server: schedule.api_server.clone(),
            pods: pods.collect(),
        }
    }

    /// How many pods run.
    pub(super) fn pod_count(&self) -> usize {
        self.pods.len()
    }

    pub(super) fn pod(&self, namespace: &Arc<str>, name: &str) -> Option<&Place> {
        self.pods.get(&(Arc::clone(namespace), name.into()))
    }

    pub(super) fn node(&self, name: &str) -> Option<&ScheduledNode> {
        self.nodes.iter().find(|node| &*node.name == name)
    }

    /// Every address that somebody has.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let pods = self.pods.values().flat_map(|place| &place.addresses);
        let nodes = self.nodes.iter().flat_map(|node| &node.addresses);
        pods.chain(nodes).chain(&self.api_server).copied()
    }
}
