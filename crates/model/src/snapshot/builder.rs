//! From typed objects to a [`Snapshot`].
//!
//! One file per kind of object. Each turns typed objects into values of the
//! snapshot; only this file puts them together and gives out indices. What policies
//! mean is not decided here.

mod collect;
mod containers;
mod endpoint;
pub(super) mod families;
mod ingress;
mod interner;
mod namespaces;
mod nodes;
mod notices;
mod owners;
mod pods;
mod services;
mod templates;
#[cfg(test)]
mod tests;
mod workloads;

use std::net::IpAddr;

use ipnet::IpNet;

use super::Snapshot;
use crate::address::IpFamily;
use crate::diagnostic::Diagnostic;
use crate::parse::{Object, Sources};
use collect::Collection;
use interner::Interner;
use namespaces::Namespaces;
use nodes::Nodes;
use notices::Notices;
use workloads::Workloads;

/// What the objects do not say.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// The namespace of namespaced objects that name none.
    pub default_namespace: String,
    /// The ranges pods get their addresses from.
    pub pod_cidrs: Vec<IpNet>,
    /// The families of pods whose addresses are not known; `None`: told from known
    /// addresses and pod CIDRs, otherwise IPv4.
    pub families: Option<Vec<IpFamily>>,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            default_namespace: "default".to_owned(),
            pod_cidrs: Vec::new(),
            families: None,
        }
    }
}

/// Builds a [`Snapshot`] from objects.
#[derive(Debug, Default)]
pub struct SnapshotBuilder {
    options: BuildOptions,
    interner: Interner,
    collection: Collection,
}

impl SnapshotBuilder {
    /// An empty builder.
    #[must_use]
    pub fn new(options: BuildOptions) -> Self {
        Self {
            options,
            ..Self::default()
        }
    }

    /// Adds objects. Order matters only between two objects of the same kind,
    /// namespace and name: the later replaces the earlier, as with `kubectl apply`.
    ///
    /// Of pods and of what makes pods, only what is needed is kept, so that objects which
    /// come one by one never stand in memory all at once.
    pub fn add(&mut self, objects: impl IntoIterator<Item = Object>) {
        for object in objects {
            let namespace = &self.options.default_namespace;
            self.collection.add(object, namespace, &mut self.interner);
        }
    }

    /// Builds the snapshot. Diagnostics name duplicates and objects that could not be
    /// used; `sources` gives their locations.
    #[must_use]
    pub fn build(self, sources: &Sources) -> (Snapshot, Vec<Diagnostic>) {
        let mut notices = Notices::new(sources);
        let mut interner = self.interner;
        let collected = self.collection.by_kind(&mut notices);

        let nodes = Nodes::read(collected.nodes, &mut interner, &mut notices);
        let mut pods = pods::live(collected.pods, &nodes, &mut interner, &mut notices);
        pods::settle_contested_addresses(&mut pods, &mut notices);
        let hosts_by_address = pods::hosts_by_address(&pods);
        let mut workloads = Workloads::group(
            collected.workloads,
            pods,
            &nodes,
            &mut interner,
            &mut notices,
        );

        let entries = ingress::read_ingresses(collected.ingresses, &mut interner, &mut notices);
        if !entries.is_empty() && !workloads.any_ingress_controller() {
            workloads.add_ingress_controller();
        }

        let mut namespaces = Namespaces::declared(collected.namespaces, &mut interner);
        for name in &collected.mentioned_namespaces {
            namespaces.mention(name, &mut interner);
        }
        workloads.mention_namespaces(&mut namespaces, &mut interner);
        let (namespaces, namespace_ids) = namespaces.finish();

        let (workloads, pods) = workloads.finish(&namespace_ids);
        let services = services::read_services(
            collected.services,
            &namespace_ids,
            &mut interner,
            &mut notices,
        );
        let endpoint_slices = services::read_endpoint_slices(
            collected.endpoint_slices,
            collected.endpoints,
            &namespace_ids,
            &mut interner,
            &mut notices,
        );

        let all_pods: Vec<IpNet> = self.options.pod_cidrs.iter().map(IpNet::trunc).collect();
        let mut pod_cidrs = all_pods.clone();
        pod_cidrs.extend(&nodes.pod_cidrs);
        pod_cidrs.sort_unstable();
        pod_cidrs.dedup();

        let mut policies = collected.policies;
        policies.sort_by(|a, b| {
            (a.family, &a.namespace, &a.name).cmp(&(b.family, &b.namespace, &b.name))
        });

        let mut snapshot = Snapshot {
            namespaces,
            workloads,
            default_families: families::of_unaddressed_pods(
                self.options.families.as_deref(),
                &pods,
                &pod_cidrs,
            ),
            families_follow_pods: self.options.families.as_ref().is_none_or(Vec::is_empty),
            pods,
            services,
            endpoint_slices,
            nodes: nodes.list,
            ingress_routes: ingress::routes(entries, &namespace_ids),
            policies,
            hosts_by_address,
            ..Snapshot::default()
        };
        snapshot.set_pod_cidrs(&all_pods, pod_cidrs);
        snapshot.set_service_addresses();
        snapshot.index();
        (snapshot, notices.into_diagnostics())
    }
}

/// The first address of each family, IPv4 first.
fn one_of_each_family(addresses: impl IntoIterator<Item = IpAddr>) -> Vec<IpAddr> {
    let all: Vec<IpAddr> = addresses.into_iter().collect();
    IpFamily::ALL
        .into_iter()
        .filter_map(|family| all.iter().copied().find(|a| IpFamily::of(*a) == family))
        .collect()
}
