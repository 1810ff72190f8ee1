//! The nodes: those that manifests name, and as many more as are wanted.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use ringfence_model::address::IpFamily;
use ringfence_model::k8s_openapi::api::core::v1::{Node, NodeAddress, NodeSpec, NodeStatus};
use ringfence_model::parse::{Object, TypedObject};
use ringfence_model::snapshot::{PodKind, Snapshot};

use super::addresses::Addresses;
use super::objects::{metadata, one_of_each};
use super::{Options, ScheduleError, ScheduledNode};

/// A node and the object that says so.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) node: ScheduledNode,
    pub(super) object: Object,
}

pub(super) fn place(
    objects: &[Object],
    snapshot: &Snapshot,
    options: &Options,
    addresses: &mut Addresses,
    notes: &mut Vec<String>,
) -> Result<Vec<Placed>, ScheduleError> {
    let mut names: BTreeSet<Arc<str>> = snapshot.nodes.iter().map(|n| n.name.clone()).collect();
    names.extend(snapshot.pods.iter().filter_map(|pod| pod.node.clone()));
    names.extend(options.placed.nodes.iter().map(|node| node.name.clone()));
    let mut number = 0;
    while names.len() < options.nodes.max(1) {
        number += 1;
        names.insert(format!("node-{number}").into());
    }
    if names.len() > options.most_nodes {
        return Err(ScheduleError::TooMany {
            what: "nodes",
            count: names.len(),
            most: options.most_nodes,
        });
    }

    let live = snapshot.pods.iter().filter(|p| p.kind == PodKind::Single);
    let made = snapshot.workloads.len() * options.replicas.max(1) as usize;
    let shares = shares_of(objects, &names, addresses)
        .or_else(|| addresses.shares(names.len(), live.count() + made + options.nodes));
    if shares.is_none() {
        notes.push(
            "the ranges of pods are too small to give each node its own: \
             nodes do not know which addresses are theirs"
                .to_owned(),
        );
    }
    let mut shares = shares.unwrap_or_default().into_iter();
    let mut placed = Vec::new();
    for name in names {
        let declared = objects.iter().find_map(|object| match &object.typed {
            TypedObject::Node(node) if node.metadata.name.as_deref() == Some(&name) => {
                Some((object.origin.clone(), node))
            }
            _ => None,
        });
        let known = snapshot.nodes.iter().find(|node| node.name == name);
        let known = known.map(|node| node.addresses.clone()).unwrap_or_default();
        let share = shares.next().unwrap_or_default();
        let (own, pod_ranges) = match options.placed.node(&name) {
            Some(placed) => (placed.addresses.clone(), placed.pod_ranges.clone()),
            None => (own_addresses(&known, &name, addresses, notes)?, share),
        };
        let origin = declared.as_ref().and_then(|(origin, _)| origin.clone());
        let object = declared.map(|(_, node)| (**node).clone());
        let object = written(object, &name, &own, &pod_ranges);
        placed.push(Placed {
            node: ScheduledNode {
                name,
                addresses: own,
                pod_ranges,
            },
            object: Object {
                origin,
                typed: TypedObject::Node(Box::new(object)),
            },
        });
    }
    Ok(placed)
}

/// Takes a node the ranges in which manifests have put a pod of another node: it would
/// take that pod's address for one that nobody has.
pub(super) fn keep_own_ranges(
    node: &mut ScheduledNode,
    snapshot: &Snapshot,
    notes: &mut Vec<String>,
) {
    let elsewhere = snapshot
        .pods
        .iter()
        .filter(|pod| !pod.host_network && pod.node.as_ref() != Some(&node.name));
    let elsewhere: Vec<IpAddr> = elsewhere.flat_map(|pod| pod.addresses.clone()).collect();
    let name = &node.name;
    node.pod_ranges.retain(|range| {
        let other = elsewhere.iter().find(|address| range.contains(*address));
        if let Some(other) = other {
            notes.push(format!(
                "{range} is not taken for the range of node {name}: a pod of another node \
                 has {other}"
            ));
        }
        other.is_none()
    });
}

/// The ranges that all nodes were given in the manifests, if they were and none overlaps
/// another.
fn shares_of(
    objects: &[Object],
    names: &BTreeSet<Arc<str>>,
    addresses: &Addresses,
) -> Option<Vec<Vec<IpNet>>> {
    let mut shares = Vec::new();
    for name in names {
        let node = objects.iter().find_map(|object| match &object.typed {
            TypedObject::Node(node) if node.metadata.name.as_deref() == Some(name) => Some(node),
            _ => None,
        })?;
        let spec = node.spec.as_ref()?;
        let mut written: Vec<&String> = spec.pod_cidrs.iter().flatten().collect();
        if written.is_empty() {
            written.extend(&spec.pod_cidr);
        }
        let share: Vec<IpNet> = written
            .iter()
            .filter_map(|text| text.parse::<IpNet>().ok())
            .map(|net| net.trunc())
            .filter(|net| addresses.families.contains(&IpFamily::of(net.addr())))
            .collect();
        let has = |family: &IpFamily| share.iter().any(|net| IpFamily::of(net.addr()) == *family);
        if !addresses.families.iter().all(has) {
            return None;
        }
        shares.push(share);
    }
    let flat: Vec<&IpNet> = shares.iter().flatten().collect();
    let overlap = flat.iter().enumerate().any(|(position, a)| {
        let mut earlier = flat.iter().take(position);
        earlier.any(|b| a.contains(*b) || b.contains(*a))
    });
    (!overlap).then_some(shares)
}

/// The addresses that the manifests give the node where they can be used, otherwise new
/// ones: one of each family of the cluster.
fn own_addresses(
    known: &[IpAddr],
    name: &str,
    addresses: &mut Addresses,
    notes: &mut Vec<String>,
) -> Result<Vec<IpAddr>, ScheduleError> {
    let usable: Vec<IpAddr> = known
        .iter()
        .copied()
        .filter(|address| addresses.is_usable(*address))
        .collect();
    let families = addresses.families.clone();
    let mut own = one_of_each(&usable, &families);
    for address in known.iter().filter(|address| !own.contains(address)) {
        if families.contains(&IpFamily::of(*address)) {
            notes.push(format!(
                "node {name}: its address {address} is not used in the lab"
            ));
        }
    }
    for family in families {
        if !own.iter().any(|address| IpFamily::of(*address) == family) {
            own.push(addresses.for_node(family, name)?);
        }
    }
    own.sort_unstable();
    Ok(own)
}

fn written(declared: Option<Node>, name: &str, own: &[IpAddr], ranges: &[IpNet]) -> Node {
    let mut node = declared.unwrap_or_default();
    if node.metadata.name.is_none() {
        node.metadata = metadata(None, name);
    }
    let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
    node.spec = Some(NodeSpec {
        pod_cidr: ranges.first().cloned(),
        pod_cidrs: (!ranges.is_empty()).then_some(ranges),
        ..node.spec.unwrap_or_default()
    });
    let internal = own.iter().map(|address| NodeAddress {
        type_: "InternalIP".to_owned(),
        address: address.to_string(),
    });
    node.status = Some(NodeStatus {
        addresses: Some(internal.collect()),
        ..NodeStatus::default()
    });
    node
}
