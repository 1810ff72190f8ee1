use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use rustc_hash::FxHashMap;

use super::collect::Named;
use super::interner::Interner;
use super::nodes::Nodes;
use super::notices::{Notices, Subject};
use super::{containers, one_of_each_family, templates};
use crate::labels::{Labels, UnknownKeys};
use crate::object::ObjectRef;
use crate::snapshot::ContainerPort;
use crate::source::{KeyPath, Origin};

/// A pod that runs, or may: one whose containers have not all ended.
#[derive(Debug)]
pub(super) struct LivePod {
    pub(super) id: ObjectRef,
    pub(super) origin: Option<Origin>,
    pub(super) controller: Option<OwnerReference>,
    pub(super) labels: Labels,
    pub(super) endpoint: Endpoint,
    being_deleted: bool,
}

/// What a pod's spec and status say about it as an endpoint of connections.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) ports: Arc<[ContainerPort]>,
    pub(super) host_network: bool,
    pub(super) addresses: Vec<IpAddr>,
    /// The addresses that the status gives for the node.
    host_addresses: Vec<IpAddr>,
    pub(super) node: Option<Arc<str>>,
}

/// Reads all pods but those that have ended: they keep an address in their status
/// that may be another pod's by now.
pub(super) fn read_live(
    objects: Vec<Named<Box<core::Pod>>>,
    nodes: &Nodes,
    interner: &mut Interner,
    notices: &mut Notices<'_>,
) -> Vec<LivePod> {
    let live = objects.into_iter().filter(|named| {
        let phase = named
            .object
            .status
            .as_ref()
            .and_then(|s| s.phase.as_deref());
        !matches!(phase, Some("Succeeded" | "Failed"))
    });
    live.map(|mut named| {
        let labels = named.object.metadata.labels.take().unwrap_or_default();
        let subject = named.subject();
        let endpoint = endpoint(
            named.object.spec.as_ref(),
            named.object.status.as_ref(),
            &KeyPath::root(),
            subject,
            nodes,
            interner,
            notices,
        );
        LivePod {
            controller: templates::controller_of(&named.object.metadata).cloned(),
            labels: interner.labels(labels, UnknownKeys::None),
            endpoint,
            being_deleted: named.object.metadata.deletion_timestamp.is_some(),
            id: named.id,
            origin: named.origin,
        }
    })
    .collect()
}

/// Reads the spec of a pod or of a template, and the status of a pod. `root` is the
/// path of the value that has them as `spec` and `status`.
pub(super) fn endpoint(
    spec: Option<&core::PodSpec>,
    status: Option<&core::PodStatus>,
    root: &KeyPath,
    subject: Subject<'_>,
    nodes: &Nodes,
    interner: &mut Interner,
    notices: &mut Notices<'_>,
) -> Endpoint {
    let ports = spec
        .map(|spec| containers::ports(spec, subject, root, notices))
        .unwrap_or_default();
    let host_network = spec.and_then(|spec| spec.host_network).unwrap_or_default();
    let node = spec
        .and_then(|spec| spec.node_name.as_deref())
        .filter(|name| !name.is_empty())
        .map(|name| interner.name(name));

    let host_addresses = status
        .map(|status| host_addresses(status, subject, notices))
        .unwrap_or_default();
    let mut addresses = if host_network {
        host_addresses.clone()
    } else {
        Vec::new()
    };
    if addresses.is_empty()
        && let Some(status) = status
    {
        addresses = pod_addresses(status, subject, notices);
    }
    if host_network && addresses.is_empty() {
        let of_node = node.as_deref().map(|node| nodes.addresses_of(node));
        addresses = of_node.unwrap_or_default().to_vec();
    }
    Endpoint {
        ports: interner.ports(ports),
        host_network,
        addresses: one_of_each_family(addresses),
        host_addresses,
        node,
    }
}

fn host_addresses(
    status: &core::PodStatus,
    subject: Subject<'_>,
    notices: &mut Notices<'_>,
) -> Vec<IpAddr> {
    let many = status.host_ips.iter().flatten().map(|host| &host.ip);
    read_addresses(
        many,
        "hostIPs",
        status.host_ip.as_ref(),
        "hostIP",
        subject,
        notices,
    )
}

fn pod_addresses(
    status: &core::PodStatus,
    subject: Subject<'_>,
    notices: &mut Notices<'_>,
) -> Vec<IpAddr> {
    let many = status.pod_ips.iter().flatten().map(|pod| &pod.ip);
    read_addresses(
        many,
        "podIPs",
        status.pod_ip.as_ref(),
        "podIP",
        subject,
        notices,
    )
}

/// The plural field is the complete one; the singular repeats its first element and
/// is all that old clusters have.
fn read_addresses<'a>(
    many: impl Iterator<Item = &'a String>,
    plural: &str,
    one: Option<&String>,
    singular: &str,
    subject: Subject<'_>,
    notices: &mut Notices<'_>,
) -> Vec<IpAddr> {
    let status = || KeyPath::root().key("status");
    let mut addresses: Vec<IpAddr> = many
        .enumerate()
        .filter_map(|(index, text)| {
            notices.address(subject, text, || {
                status().key(plural).index(index).key("ip")
            })
        })
        .collect();
    if addresses.is_empty() {
        addresses
            .extend(one.and_then(|text| notices.address(subject, text, || status().key(singular))));
    }
    addresses
}

/// The name of the node behind each address that pods give as their host's. What they
/// do not agree on is left out.
pub(super) fn hosts_by_address(pods: &[LivePod]) -> FxHashMap<IpAddr, Arc<str>> {
    let mut claims: FxHashMap<IpAddr, Option<Arc<str>>> = FxHashMap::default();
    for pod in pods {
        let Some(node) = &pod.endpoint.node else {
            continue;
        };
        for address in &pod.endpoint.host_addresses {
            let claim = claims
                .entry(*address)
                .or_insert_with(|| Some(Arc::clone(node)));
            if claim.as_ref() != Some(node) {
                *claim = None;
            }
        }
    }
    let agreed = claims.into_iter();
    agreed
        .filter_map(|(address, claim)| Some((address, claim?)))
        .collect()
}

/// No two pods have one address. Where the input says so, it was read while one
/// replaced the other: a pod that is being deleted has given the address up; if that
/// does not settle it, nobody knows whose it is. A pod that loses an address loses
/// all of them, so that everything about its addresses counts as not known.
pub(super) fn settle_contested_addresses(pods: &mut [LivePod], notices: &mut Notices<'_>) {
    let mut first_claims: FxHashMap<IpAddr, usize> = FxHashMap::default();
    let mut contested: BTreeMap<IpAddr, Vec<usize>> = BTreeMap::new();
    for (index, pod) in pods.iter().enumerate() {
        if pod.endpoint.host_network {
            continue;
        }
        for address in &pod.endpoint.addresses {
            match first_claims.get(address) {
                None => {
                    first_claims.insert(*address, index);
                }
                Some(first) => contested
                    .entry(*address)
                    .or_insert_with(|| vec![*first])
                    .push(index),
            }
        }
    }

    let mut losers = Vec::new();
    for (address, claimants) in &contested {
        let claims: Vec<(usize, &LivePod)> = claimants
            .iter()
            .filter_map(|index| Some((*index, pods.get(*index)?)))
            .collect();
        let staying = claims.iter().filter(|(_, pod)| !pod.being_deleted).count();
        for (index, pod) in &claims {
            if staying == 1 && !pod.being_deleted {
                continue;
            }
            let Some((_, other)) = claims.iter().find(|(other, _)| other != index) else {
                continue;
            };
            let subject = Subject {
                id: &pod.id,
                origin: pod.origin.as_ref(),
            };
            notices.contested_address(subject, *address, &other.id);
            losers.push(*index);
        }
    }
    for index in losers {
        if let Some(pod) = pods.get_mut(index) {
            pod.endpoint.addresses.clear();
        }
    }
}
