//! The metadata service that a pod finds on its own link: an address of no network, which
//! never leaves the link, so that only the node can answer there.

use std::net::{IpAddr, Ipv6Addr};

use ringfence_model::address::IpFamily;
use ringfence_model::metadata;

use crate::namespace::Namespace;
use crate::schedule::Schedule;
use crate::topology::Network;

/// The port of metadata services.
pub(crate) const PORT: u16 = 80;

/// A port that is listened on at one interface only.
#[derive(Clone, Debug)]
pub struct AtInterface {
    /// Whose interface it is.
    pub namespace: Namespace,
    /// The interface.
    pub interface: String,
    /// The address that it has there.
    pub address: Ipv6Addr,
    /// The port, over TCP.
    pub port: u16,
}

/// Whether an address has no meaning but on one link.
pub(crate) fn is_on_link(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// The metadata addresses that a node has on the links of its pods, in a family.
pub(crate) fn metadata_on_link(family: IpFamily) -> Vec<IpAddr> {
    let mut all = metadata::secret_addresses();
    all.retain(|address| IpFamily::of(*address) == family && is_on_link(*address));
    all
}

/// What nodes listen on at the links of their pods, with the station that it belongs to: the
/// pod's, or where pods share a bridge the node's.
pub(crate) fn listeners(schedule: &Schedule, network: &Network) -> Vec<(usize, AtInterface)> {
    let plan = &network.plan;
    let mut at = Vec::new();
    for node in &plan.nodes {
        let namespace = plan.namespaces.get(node);
        let bridges = namespace.into_iter().flat_map(|node| &node.bridges);
        at.extend(bridges.map(|bridge| (*node, *node, bridge)));
    }
    for link in &plan.links {
        let ((node, nodes_end), (pod, _)) = (&link.first, &link.second);
        if plan.nodes.contains(node) {
            at.push((*pod, *node, nodes_end));
        }
    }
    let mut all = Vec::new();
    for family in &schedule.families {
        let metadata = metadata_on_link(*family);
        for (station, node, interface) in &at {
            let Some(namespace) = network.namespace(*node) else {
                continue;
            };
            for (address, _) in &interface.addresses {
                if let IpAddr::V6(v6) = address
                    && metadata.contains(address)
                {
                    let listener = AtInterface {
                        namespace: namespace.clone(),
                        interface: interface.name.clone(),
                        address: *v6,
                        port: PORT,
                    };
                    all.push((*station, listener));
                }
            }
        }
    }
    all
}
