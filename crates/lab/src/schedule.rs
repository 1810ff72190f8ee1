//! What a scheduler, an address manager and the controllers would make of manifests.
//!
//! Pure: objects in, objects out. In the result every pod runs on a node and has its
//! addresses, every Service that can have one has a cluster address, and there are an API
//! server and a cluster DNS. No packet and no kernel here.

mod addresses;
pub(crate) mod node_local;
mod nodes;
mod objects;
mod placement;
mod pods;
mod services;

pub use placement::Placement;

pub(crate) use services::{DNS_NAMESPACE, is_name_server};

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use ringfence_model::address::IpFamily;
use ringfence_model::diagnostic::Diagnostic;
use ringfence_model::k8s_openapi::api::core::v1::Namespace;
use ringfence_model::parse::{Object, Sources, TypedObject};
use ringfence_model::snapshot::builder::{BuildOptions, SnapshotBuilder};
use ringfence_model::snapshot::{PodKind, Snapshot};

use addresses::Addresses;

/// What the manifests do not say.
#[derive(Clone, Debug)]
pub struct Options {
    /// At least so many nodes; more if the manifests name more.
    pub nodes: usize,
    /// The families of the cluster; `None`: as the manifests tell.
    pub families: Option<Vec<IpFamily>>,
    /// At most so many pods of one workload, where the manifests do not list them.
    pub replicas: u32,
    /// Whether a cluster DNS and an API server are added where the manifests have none.
    pub system: bool,
    /// Whether every node has a name server of its own, which pods ask first.
    pub node_local_dns: bool,
    /// Where everything is already: there it stays. Empty for a new cluster.
    pub placed: Placement,
    /// More pods than this are refused.
    pub most_pods: usize,
    /// More nodes than this are refused.
    pub most_nodes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 2,
            families: None,
            replicas: 2,
            system: true,
            node_local_dns: false,
            placed: Placement::default(),
            most_pods: 1000,
            most_nodes: 32,
        }
    }
}

/// A cluster in which everything has its place.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// All objects: those of the input that are still true, and what was made of them.
    pub objects: Vec<Object>,
    /// How many of the pods are the input's; the others are those that every cluster has.
    pub pods_of_input: usize,
    /// Their snapshot; every pod in it is one pod with addresses and a node.
    pub snapshot: Arc<Snapshot>,
    /// The nodes, by name.
    pub nodes: Vec<ScheduledNode>,
    /// The families of the cluster.
    pub families: Vec<IpFamily>,
    /// Where the API server answers.
    pub api_server: Vec<IpAddr>,
    /// Where the name server of each node answers, if nodes have one.
    pub node_local_dns: Option<IpAddr>,
    /// What is not as the input says, a sentence each.
    pub notes: Vec<String>,
    /// What building the snapshots had to say.
    pub diagnostics: Vec<Diagnostic>,
}

/// A node of the schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledNode {
    /// Its name.
    pub name: Arc<str>,
    /// Its addresses, at most one of each family.
    pub addresses: Vec<IpAddr>,
    /// The ranges that its pods have their addresses from; none where the ranges of the
    /// cluster are too small to be shared out.
    pub pod_ranges: Vec<IpNet>,
}

/// Why nothing can be scheduled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The cluster is larger than the lab should be.
    #[error(
        "these manifests make {count} {what}, and the lab takes {most}: \
             ask for fewer replicas, or give it fewer manifests"
    )]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// A range has no free address left.
    #[error("no {family} address is left for {what} in {ranges}")]
    NoAddress {
        /// The family.
        family: IpFamily,
        /// Who needs one.
        what: String,
        /// The ranges that were asked for.
        ranges: String,
    },
}

/// Schedules what is in `objects`. `build` says how to read them, as for any snapshot.
///
/// # Errors
/// If there are more pods or nodes than allowed, or fewer addresses than pods.
pub fn schedule(
    objects: &[Object],
    build: &BuildOptions,
    sources: &Sources,
    options: &Options,
) -> Result<Schedule, ScheduleError> {
    let mut notes = Vec::new();
    let mut builder = SnapshotBuilder::new(build.clone());
    builder.add(objects.iter().cloned());
    let (mut original, mut diagnostics) = builder.build(sources);

    let placed = &options.placed;
    let families: Vec<IpFamily> = Some(placed.families.clone())
        .filter(|families| !families.is_empty())
        .or_else(|| options.families.clone().filter(|all| !all.is_empty()))
        .unwrap_or_else(|| original.default_families.clone());
    let has_v4 = families.contains(&IpFamily::V4);
    let node_local_dns = options.node_local_dns && has_v4;
    if options.node_local_dns && !has_v4 {
        let address = node_local::ADDRESS;
        notes.push(format!(
            "no node has a name server of its own: {address} is an IPv4 address"
        ));
    }
    // First what every cluster has, so that its addresses stay whatever is added.
    let mut all = match options.system {
        true => services::system(&original),
        false => Vec::new(),
    };
    if node_local_dns {
        all.extend(node_local::caches(&original));
    }
    all.extend(objects.iter().cloned());
    if options.system || node_local_dns {
        let mut builder = SnapshotBuilder::new(build.clone());
        builder.add(all.iter().cloned());
        original = builder.build(sources).0;
    }

    let mut addresses = Addresses::new(&families, &original, &build.pod_cidrs, placed);
    let nodes = nodes::place(&all, &original, options, &mut addresses, &mut notes)?;
    let pods = pods::place(&original, &nodes, options, &mut addresses, &mut notes)?;
    let api_server = match placed.api_server.is_empty() {
        true => addresses.for_api_server()?,
        false => placed.api_server.clone(),
    };
    let idle = pods::without_pods(&original, &pods.objects);

    let mut made = Vec::new();
    for object in all {
        let typed = match object.typed {
            // Written again below, from what was read of them.
            TypedObject::Pod(_) => continue,
            // Its template would be taken for a pod.
            ref typed if idle.contains(&pods::Controller::of(typed, build)) => continue,
            TypedObject::Node(_) => continue,
            TypedObject::Ingress(ingress) => {
                let name = ingress.metadata.name.unwrap_or_default();
                notes.push(format!(
                    "Ingress {name} is left out: the lab has no ingress controller"
                ));
                continue;
            }
            TypedObject::Service(service) => TypedObject::Service(Box::new(services::addressed(
                *service,
                &build.default_namespace,
                &mut addresses,
                &mut notes,
            )?)),
            TypedObject::EndpointSlice(slice)
                if services::is_implied_slice(&slice, &original, build) =>
            {
                continue;
            }
            TypedObject::Endpoints(endpoints)
                if services::is_implied(
                    endpoints.metadata.namespace.as_deref(),
                    endpoints.metadata.name.as_deref(),
                    &original,
                    build,
                ) =>
            {
                continue;
            }
            other => other,
        };
        made.push(Object {
            origin: object.origin,
            typed,
        });
    }
    if options.system {
        made.extend(services::api_server_slices(&original, &api_server));
    }
    made.extend(declare_namespaces(&original));
    made.extend(nodes.iter().map(|node| node.object.clone()));
    made.extend(pods.objects);

    let mut builder = SnapshotBuilder::new(BuildOptions {
        families: Some(families.clone()),
        ..build.clone()
    });
    builder.add(made.iter().cloned());
    let (snapshot, more) = builder.build(sources);
    diagnostics.extend(more);
    let mut nodes: Vec<ScheduledNode> = nodes.into_iter().map(|node| node.node).collect();
    for node in &mut nodes {
        nodes::keep_own_ranges(node, &snapshot, &mut notes);
    }
    Ok(Schedule {
        objects: made,
        pods_of_input: pods.of_input,
        snapshot: Arc::new(snapshot),
        nodes,
        families,
        api_server,
        node_local_dns: node_local_dns.then_some(node_local::ADDRESS),
        notes,
        diagnostics,
    })
}

/// A namespace that is only mentioned exists in the lab, and has no label but its name.
fn declare_namespaces(snapshot: &Snapshot) -> Vec<Object> {
    let pods = snapshot.pods.iter();
    let outside: BTreeSet<_> = pods
        .filter(|pod| pod.kind == PodKind::Outside)
        .map(|pod| pod.namespace)
        .collect();
    snapshot
        .namespace_ids()
        .filter(|(id, namespace)| namespace.origin.is_none() && !outside.contains(id))
        .filter(|(_, namespace)| {
            namespace.labels.unknown != ringfence_model::labels::UnknownKeys::None
        })
        .map(|(_, namespace)| Object {
            origin: None,
            typed: TypedObject::Namespace(Box::new(Namespace {
                metadata: objects::metadata(None, &namespace.name),
                ..Namespace::default()
            })),
        })
        .collect()
}
