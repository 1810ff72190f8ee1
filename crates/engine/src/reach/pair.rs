//! All ports of one pair of ends, where a workload's pods must be told apart.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use ringfence_model::address::{IpFamily, IpRangeSet};
use ringfence_model::policy::Direction;
use ringfence_model::snapshot::{PodId, PodKind};
use ringfence_model::tri::Tri;

use super::external;
use crate::engine::{Engine, with_own_node};
use crate::packet::Peer;
use crate::sets::{Outcome, PortSet};

/// The ports of one pair of ends. What is in neither set is denied.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct OpenPorts {
    /// Allowed for certain.
    pub allow: PortSet,
    /// Not known; disjoint from `allow`.
    pub maybe: PortSet,
}

/// Addresses outside the cluster that a pod sees alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutsideRegion {
    /// The blocks, of one family, ascending.
    pub addresses: Vec<IpNet>,
    /// What is open to, or from, them.
    pub open: OpenPorts,
}

impl Engine {
    /// Every port at once: what [`can`](Self::can) says for each of them.
    #[must_use]
    pub fn ports(&self, source: Peer, destination: Peer, family: IpFamily) -> OpenPorts {
        if let Peer::Pod(id) = source
            && source == destination
            && self.snapshot().pod(id).kind != PodKind::Template
        {
            return open(&Outcome::allowed());
        }
        let egress = self.side_outcome(Direction::Egress, source, destination, family);
        let ingress = self.side_outcome(Direction::Ingress, destination, source, family);
        open(&egress.both(&ingress))
    }

    /// What a pod can open to some addresses, or accept from them, by regions that cover
    /// exactly those of `wanted` that are of `family`.
    ///
    /// An address that is a known pod's is that pod's; any other in the ranges of pods
    /// may be any pod's, so that nothing is known about it. A node's is judged with what
    /// a pod and its own node may always do.
    #[must_use]
    pub fn outside(
        &self,
        pod: PodId,
        direction: Direction,
        family: IpFamily,
        wanted: &[IpNet],
    ) -> Vec<OutsideRegion> {
        let mut wanted = IpRangeSet::from_nets(family, wanted);
        let mut found: BTreeMap<OpenPorts, Vec<IpRangeSet>> = BTreeMap::new();
        let mut add = |open: OpenPorts, addresses: IpRangeSet| {
            found.entry(open).or_default().push(addresses);
        };
        let mut special = Vec::new();
        for (address, other) in self.known_addresses(pod, family) {
            if wanted.contains(address) {
                let open = match direction {
                    Direction::Egress => self.ports(Peer::Pod(pod), other, family),
                    Direction::Ingress => self.ports(other, Peer::Pod(pod), family),
                };
                add(open, IpRangeSet::from_nets(family, [&IpNet::from(address)]));
                special.push(IpNet::from(address));
            }
        }
        wanted = wanted.difference(&IpRangeSet::from_nets(family, &special));
        if let Some(pods) = self.snapshot().pod_range(family) {
            let some_pod = wanted.intersection(pods);
            wanted = wanted.difference(&some_pod);
            let anything = OpenPorts {
                allow: PortSet::none(),
                maybe: PortSet::all(),
            };
            add(anything, some_pod);
        }
        if self.snapshot().pod(pod).host_network {
            add(open(&Outcome::allowed()), wanted);
        } else {
            let side = self.side(self.class_of(pod), direction, family);
            let mut denied = wanted.clone();
            for region in external::regions(self, side, family, &wanted) {
                denied = denied.difference(&region.addresses);
                let open = OpenPorts {
                    maybe: region.possible.difference(&region.certain),
                    allow: region.certain,
                };
                add(open, region.addresses);
            }
            add(OpenPorts::default(), denied);
        }
        let mut regions: Vec<OutsideRegion> = found
            .into_iter()
            .map(|(open, sets)| {
                let ranges = sets.iter().flat_map(|set| set.ranges().iter().copied());
                let addresses = IpRangeSet::from_ranges(family, ranges).to_nets();
                OutsideRegion { addresses, open }
            })
            .filter(|region| !region.addresses.is_empty())
            .collect();
        regions.sort_unstable();
        regions
    }

    /// The addresses of which more is known than the blocks that they are in: pods'
    /// own, and those of nodes that may be the pod's.
    fn known_addresses(
        &self,
        pod: PodId,
        family: IpFamily,
    ) -> impl Iterator<Item = (IpAddr, Peer)> + '_ {
        let snapshot = self.snapshot();
        let of_pods = snapshot.pod_ids().filter_map(move |(id, other)| {
            let address = other.address(family)?;
            (snapshot.pod_with_address(address) == Some(id)).then_some((address, Peer::Pod(id)))
        });
        let of_nodes = snapshot
            .node_addresses()
            .into_iter()
            .filter(move |address| IpFamily::of(*address) == family)
            .map(|address| (address, Peer::Address(address)))
            .filter(move |(_, node)| self.on_node_of(pod, *node) != Tri::No);
        of_pods.chain(of_nodes)
    }

    fn side_outcome(
        &self,
        direction: Direction,
        end: Peer,
        other: Peer,
        family: IpFamily,
    ) -> Outcome {
        let Peer::Pod(id) = end else {
            return Outcome::allowed();
        };
        if self.snapshot().pod(id).host_network {
            return Outcome::allowed();
        }
        let side = self.side(self.class_of(id), direction, family);
        let outcome = self.outcome(side.outcome(self.peer_id(other))).clone();
        let own_node = match direction {
            Direction::Egress if !self.profile().pod_reaches_own_node => Tri::No,
            _ => self.on_node_of(id, other),
        };
        with_own_node(outcome, own_node)
    }
}

fn open(outcome: &Outcome) -> OpenPorts {
    let allow = outcome.certain();
    OpenPorts {
        maybe: outcome.allow.difference(&allow),
        allow,
    }
}
