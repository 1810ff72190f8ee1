//! Which address families a question is about.
//!
//! A pod whose addresses are not known may have one of either family, so a question
//! about an address of a certain family is answered for that family.

use ipnet::IpNet;
use ringfence_model::address::IpFamily;
use ringfence_model::snapshot::{PodId, Snapshot};

/// The families in which two pods can talk: none only if the addresses of both are
/// known.
pub(super) fn between(snapshot: &Snapshot, a: PodId, b: PodId) -> Vec<IpFamily> {
    let (a, b) = (snapshot.pod(a), snapshot.pod(b));
    if a.addresses.is_empty() {
        return snapshot.families_of(b);
    }
    let mut families = snapshot.families_of(a);
    if !b.addresses.is_empty() {
        families.retain(|family| b.address(*family).is_some());
    }
    families
}

/// The families in which a pod can talk to addresses.
pub(super) fn towards(
    snapshot: &Snapshot,
    pod: PodId,
    nets: &[IpNet],
    by_word: bool,
) -> Vec<IpFamily> {
    let pod = snapshot.pod(pod);
    let mut families = if pod.addresses.is_empty() && !by_word {
        IpFamily::ALL.to_vec()
    } else {
        snapshot.families_of(pod)
    };
    families.retain(|family| nets.iter().any(|net| IpFamily::of(net.addr()) == *family));
    families
}
