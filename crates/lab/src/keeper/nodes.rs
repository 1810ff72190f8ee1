//! Nodes of a lab that stays up are what they were when it started.

use std::collections::{BTreeMap, BTreeSet};

use ringfence_model::parse::{Object, TypedObject};

use crate::error::LabError;
use crate::schedule::ScheduledNode;

/// What a manifest says of a node that cannot change: its addresses, and the ranges of its
/// pods.
type Said = (BTreeSet<String>, BTreeSet<String>);

/// Whether a change leaves the nodes of a lab as they are. That it adds one is seen when it is
/// scheduled: pods may name one as well.
pub(super) fn check(
    nodes: &[ScheduledNode],
    old: &[Object],
    new: &[Object],
) -> Result<(), LabError> {
    let (old, new) = (said(old), said(new));
    let is_known = |name: &str| nodes.iter().any(|node| &*node.name == name);
    let gone = old.keys().find(|name| !new.contains_key(*name));
    let changed = new.iter().find(|(name, node)| match old.get(*name) {
        Some(old) => old != *node,
        None => is_known(name) && **node != Said::default(),
    });
    let what = match (gone, changed) {
        (None, None) => return Ok(()),
        (Some(name), _) => format!("take away the node {name}"),
        (None, Some((name, _))) => format!("change addresses or ranges of the node {name}"),
    };
    Err(LabError::NodesStay(what))
}

fn said(objects: &[Object]) -> BTreeMap<&str, Said> {
    let nodes = objects.iter().filter_map(|object| {
        let TypedObject::Node(node) = &object.typed else {
            return None;
        };
        let status = node.status.iter();
        let addresses = status.flat_map(|status| status.addresses.iter().flatten());
        let addresses = addresses.map(|address| address.address.clone());
        let ranges = node.spec.iter().flat_map(|spec| {
            let all = spec.pod_cidrs.iter().flatten();
            all.chain(&spec.pod_cidr)
        });
        Some((
            object.typed.name(),
            (addresses.collect(), ranges.cloned().collect()),
        ))
    });
    nodes.collect()
}
