use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::address::IpFamily;
use crate::snapshot::Pod;

/// The families of pods whose addresses are not known: as configured, else those
/// that known pod addresses and pod CIDRs show, else IPv4.
pub(in crate::snapshot) fn of_unaddressed_pods(
    configured: Option<&[IpFamily]>,
    pods: &[Pod],
    pod_cidrs: &[IpNet],
) -> Vec<IpFamily> {
    let mut families: BTreeSet<IpFamily> = configured.unwrap_or_default().iter().copied().collect();
    if families.is_empty() {
        families.extend(
            pods.iter()
                .filter(|pod| !pod.host_network)
                .flat_map(|pod| &pod.addresses)
                .map(|address| IpFamily::of(*address)),
        );
        families.extend(pod_cidrs.iter().map(|cidr| IpFamily::of(cidr.addr())));
    }
    if families.is_empty() {
        families.insert(IpFamily::V4);
    }
    families.into_iter().collect()
}
