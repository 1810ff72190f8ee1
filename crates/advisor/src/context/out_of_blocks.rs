//! Addresses that no block means, in profiles where blocks are for what is outside.

use std::net::IpAddr;

use super::Context;

/// Whether an address is one of the cluster that no `ipBlock` matches in this profile.
pub(crate) fn is_out_of_blocks(context: &Context<'_>, address: IpAddr) -> bool {
    let snapshot = context.snapshot;
    let is_of_cluster = snapshot.node_with_address(address).is_some()
        || snapshot.pod_with_address(address).is_some();
    is_of_cluster && !context.engine.profile().blocks_match_cluster_addresses
}

/// What lets pods reach the API server where no block does.
pub(crate) const NOT_BY_BLOCK: &str = "use a CiliumNetworkPolicy with `toEntities: \
     [kube-apiserver]`, which Ringfence does not evaluate; a NetworkPolicy cannot allow it there";
