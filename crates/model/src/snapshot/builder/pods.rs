use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use rustc_hash::FxHashMap;

use super::collect::Named;
use super::endpoint::{Described, Endpoint};
use super::interner::Interner;
use super::nodes::Nodes;
use super::notices::{Notices, Subject};
use super::templates;
use crate::labels::{Labels, UnknownKeys};
use crate::metadata;
use crate::object::ObjectRef;
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

/// What is needed of a pod's object.
#[derive(Debug)]
pub(super) struct PodObject {
    controller: Option<OwnerReference>,
    labels: Labels,
    described: Described,
    has_ended: bool,
    being_deleted: bool,
}

impl PodObject {
    pub(super) fn read(object: core::Pod, subject: Subject<'_>, interner: &mut Interner) -> Self {
        let core::Pod {
            mut metadata,
            spec,
            status,
        } = object;
        let phase = status.as_ref().and_then(|status| status.phase.as_deref());
        Self {
            controller: templates::controller_of(&metadata).cloned(),
            labels: interner.labels(
                metadata.labels.take().unwrap_or_default(),
                UnknownKeys::None,
            ),
            has_ended: matches!(phase, Some("Succeeded" | "Failed")),
            being_deleted: metadata.deletion_timestamp.is_some(),
            described: Described::new(spec, status).read(&KeyPath::root(), subject, interner),
        }
    }
}

/// All pods but those that have ended: they keep an address in their status that may be
/// another pod's by now.
pub(super) fn live(
    objects: Vec<Named<Box<PodObject>>>,
    nodes: &Nodes,
    interner: &mut Interner,
    notices: &mut Notices<'_>,
) -> Vec<LivePod> {
    let live = objects.into_iter().filter(|named| !named.object.has_ended);
    live.map(|Named { id, origin, object }| {
        let subject = Subject {
            id: &id,
            origin: origin.as_ref(),
        };
        let endpoint =
            object
                .described
                .endpoint(&KeyPath::root(), subject, nodes, interner, notices);
        LivePod {
            controller: object.controller,
            labels: object.labels,
            endpoint,
            being_deleted: object.being_deleted,
            id,
            origin,
        }
    })
    .collect()
}

/// The name of the node behind each address that pods give as their host's. What they
/// do not agree on is left out.
pub(super) fn hosts_by_address(pods: &[LivePod]) -> FxHashMap<IpAddr, Arc<str>> {
    let mut claims: FxHashMap<IpAddr, Option<Arc<str>>> = FxHashMap::default();
    for pod in pods {
        let Some(node) = &pod.endpoint.node else {
            continue;
        };
        let own = pod.endpoint.host_addresses.iter();
        for address in own.filter(|address| !metadata::gives_secrets(**address)) {
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
