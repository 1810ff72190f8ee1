//! Flows of UDP that still go to who is no endpoint of their Service any more.
//!
//! The kernel translates what belongs to a connection as it did the first packet, and to it a
//! client that keeps its port has one UDP connection for as long as it sends. So kube-proxy
//! forgets those that lead where their Service does not, and the next packet is translated
//! anew. What is opened with a handshake ends by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use nlink::Connection;
use nlink::netlink::Netfilter;
use nlink::netlink::netfilter::{ConntrackEntry, ConntrackTuple, IpProtocol};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::Snapshot;

use super::ways::ways;
use crate::error::LabError;
use crate::namespace::Namespace;

/// An address and a port.
pub(crate) type Place = (IpAddr, u16);

/// Where UDP is translated on a node, and to what it leads there.
fn translated(node: &str, snapshot: &Snapshot) -> BTreeMap<Place, BTreeSet<Place>> {
    let all = ways(snapshot, Some(node)).into_iter();
    let all = all.filter(|way| way.protocol == Protocol::Udp);
    let all = all.map(|way| {
        let ends = way.endpoints.iter();
        let ends = ends.map(|end| (end.address, end.port)).collect();
        ((way.address, way.port), ends)
    });
    all.collect()
}

/// Where UDP is translated on a node.
pub(crate) fn entrances(node: &str, snapshot: &Snapshot) -> BTreeSet<Place> {
    translated(node, snapshot).into_keys().collect()
}

/// Makes a node forget the UDP flows to these places, and to those that it translates now, that
/// lead where their Service does not.
///
/// # Errors
/// If the kernel refuses.
pub(crate) async fn forget_stale(
    node: &Namespace,
    entrances: &BTreeSet<Place>,
    snapshot: &Snapshot,
) -> Result<(), LabError> {
    let now = translated(node.name(), snapshot);
    if entrances.is_empty() && now.is_empty() {
        return Ok(());
    }
    let refused = |error| LabError::kernel(node.name(), "connections of Services", error);
    let connection = Connection::<Netfilter>::new_in(node.fd()).map_err(refused)?;
    let v4 = connection.get_conntrack().await.map_err(refused)?;
    let v6 = connection.get_conntrack_v6().await.map_err(refused)?;
    for entry in v4.iter().chain(&v6) {
        if !is_stale(entry, entrances, &now) {
            continue;
        }
        match connection.del_conntrack_entry(entry).await {
            // It ended in between.
            Err(error) if error.is_not_found() => {}
            other => other.map_err(refused)?,
        }
    }
    Ok(())
}

fn is_stale(
    entry: &ConntrackEntry,
    entrances: &BTreeSet<Place>,
    now: &BTreeMap<Place, BTreeSet<Place>>,
) -> bool {
    let (Some(asked), Some(answers)) = (destination(&entry.orig), source(&entry.reply)) else {
        return false;
    };
    if entry.proto != IpProtocol::Udp {
        return false;
    }
    match now.get(&asked) {
        Some(ends) if !ends.is_empty() => !ends.contains(&answers),
        // Nothing is translated there any more: what was, is stale.
        Some(_) => answers != asked,
        None => entrances.contains(&asked) && answers != asked,
    }
}

fn destination(tuple: &ConntrackTuple) -> Option<Place> {
    tuple.dst_ip.zip(tuple.dst_port)
}

fn source(tuple: &ConntrackTuple) -> Option<Place> {
    tuple.src_ip.zip(tuple.src_port)
}
