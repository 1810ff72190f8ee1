use std::net::IpAddr;
use std::sync::LazyLock;

use ipnet::IpNet;

use super::builder::families;
use super::{Pod, PodId, PodKind, Snapshot};
use crate::address::{IpFamily, IpRangeSet};
use crate::metadata;

/// What is known about a pod's address in one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PossibleAddresses<'a> {
    /// Exactly this.
    Known(IpAddr),
    /// One of these.
    Within(&'a IpRangeSet),
}

/// The ranges from which pods and nodes can have an address in any cluster: unicast, not
/// loopback, not link-local, not reserved, and not a cloud metadata endpoint.
///
/// It matters for `ipBlock`: `0.0.0.0/0` except 169.254.169.254/32 covers every IPv4
/// pod for certain, although the address of the pod is not known. What one cluster says
/// besides is in [`Snapshot::assignable_addresses`].
#[must_use]
pub fn assignable_addresses(family: IpFamily) -> &'static IpRangeSet {
    static V4: LazyLock<IpRangeSet> = LazyLock::new(|| assignable(IpFamily::V4));
    static V6: LazyLock<IpRangeSet> = LazyLock::new(|| assignable(IpFamily::V6));
    match family {
        IpFamily::V4 => &V4,
        IpFamily::V6 => &V6,
    }
}

/// Ranges of the IANA special-purpose registries that no pod or node gets an address
/// from: "this network", loopback, link-local, multicast, reserved.
const NEVER_ASSIGNED: [&str; 8] = [
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/127",
    "fe80::/10",
    "ff00::/8",
];

fn assignable(family: IpFamily) -> IpRangeSet {
    let special = NEVER_ASSIGNED.iter().filter_map(|net| net.parse().ok());
    let endpoints = metadata::ENDPOINTS.iter().map(|e| IpNet::from(e.address));
    let never: Vec<IpNet> = special.chain(endpoints).collect();
    IpRangeSet::full(family).difference(&IpRangeSet::from_nets(family, &never))
}

impl Snapshot {
    /// What is known about the address of `pod` in `family`.
    ///
    /// A pod that has no address yet is somewhere in the cluster's pod ranges, if they
    /// were given as an option; a host-networked one, or one outside the input, is not
    /// bound to them. Ranges of nodes do not count: a node that is added tomorrow, or is
    /// not in the input, has another.
    #[must_use]
    pub fn possible_addresses(&self, pod: &Pod, family: IpFamily) -> PossibleAddresses<'_> {
        if let Some(address) = pod.address(family) {
            return PossibleAddresses::Known(address);
        }
        let bound = !pod.host_network && pod.kind != PodKind::Outside;
        PossibleAddresses::Within(match bound {
            true => self.addresses_for_pods(family),
            false => self.assignable_addresses(family),
        })
    }

    /// Where the address of a pod is that has none yet: in the range of all pods, or
    /// anywhere if that is not known. Not the addresses that Services have.
    #[must_use]
    pub fn addresses_for_pods(&self, family: IpFamily) -> &IpRangeSet {
        of_family(&self.free_for_pods, family)
            .or_else(|| self.all_pods_range(family))
            .unwrap_or_else(|| self.assignable_addresses(family))
    }

    /// The addresses that pods and nodes of this cluster can have: not those that its
    /// Services have, which no data plane gives to anything else.
    #[must_use]
    pub fn assignable_addresses(&self, family: IpFamily) -> &IpRangeSet {
        of_family(&self.assignable, family).unwrap_or_else(|| assignable_addresses(family))
    }

    /// The addresses of a family that are known to be for pods; `None` when none is.
    /// There may be others, see [`all_pods_range`](Self::all_pods_range).
    #[must_use]
    pub fn pod_range(&self, family: IpFamily) -> Option<&IpRangeSet> {
        of_family(&self.pod_ranges, family)
    }

    /// The addresses of a family from which every pod gets its own; `None` when that is
    /// not known.
    #[must_use]
    pub fn all_pods_range(&self, family: IpFamily) -> Option<&IpRangeSet> {
        of_family(&self.all_pods_ranges, family)
    }

    /// Puts `pod` in the place of the one with this index. It must be of the same
    /// namespace and workload.
    ///
    /// What is derived from pods follows: who has a name or an address, and the families
    /// of pods whose addresses are not known. The addresses that pods gave as their
    /// nodes' stay as they were, for a [`Pod`] does not say them.
    pub fn replace_pod(&mut self, id: PodId, pod: Pod) {
        let Some(slot) = self.pods.get_mut(id.0 as usize) else {
            return;
        };
        let old = std::mem::replace(slot, pod.clone());
        let findable = |pod: &Pod| (pod.kind == PodKind::Single).then(|| pod.name.clone());
        if findable(&old) != findable(&pod) || old.namespace != pod.namespace {
            if let Some(names) = self.pods_by_name.get_mut(&old.namespace)
                && names.get(&old.name) == Some(&id)
            {
                names.remove(&old.name);
            }
            if let Some(name) = findable(&pod) {
                let names = self.pods_by_name.entry(pod.namespace).or_default();
                names.insert(name, id);
            }
        }
        if known_by(&old) == known_by(&pod) {
            return;
        }
        for address in known_by(&old) {
            if self.pods_by_address.get(address) == Some(&id) {
                self.pods_by_address.remove(address);
                // Another that claims it was not asked as long as this one had it.
                let claims = |(_, other): &(PodId, &Pod)| known_by(other).contains(address);
                let other = self.pod_ids().find(claims).map(|(other, _)| other);
                if let Some(other) = other {
                    self.pods_by_address.insert(*address, other);
                }
            }
        }
        let known = known_by(&pod).iter().map(|address| (*address, id));
        self.pods_by_address.extend(known);
        if self.families_follow_pods {
            self.default_families =
                families::of_unaddressed_pods(None, &self.pods, &self.pod_cidrs);
        }
    }

    /// Records the ranges in which all pods are, and all ranges that are known to be
    /// for pods; called once by the builder.
    pub(super) fn set_pod_cidrs(&mut self, complete: &[IpNet], known: Vec<IpNet>) {
        self.all_pods_ranges = by_family(complete);
        self.pod_ranges = by_family(&known);
        self.pod_cidrs = known;
    }

    /// Takes the addresses of Services from those that pods can have; called once by the
    /// builder, after [`set_pod_cidrs`](Self::set_pod_cidrs).
    pub(super) fn set_service_addresses(&mut self) {
        let services = self.services.iter();
        let taken = services.flat_map(|service| &service.cluster_ips);
        let taken: Vec<IpNet> = taken.map(|address| IpNet::from(*address)).collect();
        let without = |family, space: &IpRangeSet| {
            let taken = IpRangeSet::from_nets(family, &taken);
            let left = space.difference(&taken);
            // Somebody who says that nothing is left has said something wrong.
            (!taken.is_empty() && !left.is_empty()).then_some(left)
        };
        let (v4, v6) = (IpFamily::V4, IpFamily::V6);
        let anywhere = |family| without(family, assignable_addresses(family));
        self.assignable = (anywhere(v4), anywhere(v6));
        let of_pods = |family| without(family, self.all_pods_range(family)?);
        self.free_for_pods = (of_pods(v4), of_pods(v6));
    }
}

/// The one of a family.
fn of_family(
    both: &(Option<IpRangeSet>, Option<IpRangeSet>),
    family: IpFamily,
) -> Option<&IpRangeSet> {
    match family {
        IpFamily::V4 => both.0.as_ref(),
        IpFamily::V6 => both.1.as_ref(),
    }
}

/// The addresses by which a pod is found: not those it shares with its node.
fn known_by(pod: &Pod) -> &[IpAddr] {
    match pod.kind {
        PodKind::Single if !pod.host_network => &pod.addresses,
        _ => &[],
    }
}

/// The addresses of each family; `None` where there is none.
fn by_family(cidrs: &[IpNet]) -> (Option<IpRangeSet>, Option<IpRangeSet>) {
    let of = |family| {
        let set = IpRangeSet::from_nets(family, cidrs);
        (!set.is_empty()).then_some(set)
    };
    (of(IpFamily::V4), of(IpFamily::V6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pod_has_a_metadata_or_link_local_address() {
        let v4 = assignable_addresses(IpFamily::V4);
        for address in [
            "169.254.169.254",
            "100.100.100.200",
            "127.0.0.1",
            "224.0.0.1",
        ] {
            assert!(!v4.contains(address.parse().unwrap()), "{address}");
        }
        assert!(v4.contains("10.0.0.1".parse().unwrap()));
        let v6 = assignable_addresses(IpFamily::V6);
        assert!(!v6.contains("fd00:ec2::254".parse().unwrap()));
        assert!(v6.contains("fd00::1".parse().unwrap()));
    }
}
