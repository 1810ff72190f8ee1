//! All ports of one pair of ends, where a workload's pods must be told apart.

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

    /// What a pod can open to addresses outside the cluster, or accept from them, by
    /// regions that cover exactly those of `wanted` that are of `family` and in no
    /// range of pods.
    #[must_use]
    pub fn outside(
        &self,
        pod: PodId,
        direction: Direction,
        family: IpFamily,
        wanted: &[IpNet],
    ) -> Vec<OutsideRegion> {
        let mut left = IpRangeSet::from_nets(family, wanted);
        if let Some(pods) = self.snapshot().pod_range(family) {
            left = left.difference(pods);
        }
        let mut found: Vec<(IpRangeSet, OpenPorts)> = Vec::new();
        let mut add = |addresses: IpRangeSet, open: OpenPorts| match found
            .iter_mut()
            .find(|(_, known)| *known == open)
        {
            Some((known, _)) => *known = known.union(&addresses),
            None => found.push((addresses, open)),
        };
        // A node may be the pod's own, which is more than its address.
        let nodes: Vec<IpAddr> = self
            .snapshot()
            .nodes
            .iter()
            .flat_map(|node| &node.addresses)
            .copied()
            .filter(|address| left.contains(*address))
            .collect();
        for node in nodes {
            let single = IpRangeSet::from_nets(family, &[IpNet::from(node)]);
            left = left.difference(&single);
            let (source, destination) = match direction {
                Direction::Egress => (Peer::Pod(pod), Peer::Address(node)),
                Direction::Ingress => (Peer::Address(node), Peer::Pod(pod)),
            };
            add(single, self.ports(source, destination, family));
        }
        if self.snapshot().pod(pod).host_network {
            add(left, open(&Outcome::allowed()));
        } else {
            let side = self.side(self.class_of(pod), direction, family);
            for region in external::regions(self, side, family, &left.clone()) {
                left = left.difference(&region.addresses);
                let open = OpenPorts {
                    maybe: region.possible.difference(&region.certain),
                    allow: region.certain,
                };
                add(region.addresses, open);
            }
            add(left, OpenPorts::default());
        }
        let mut regions: Vec<OutsideRegion> = found
            .into_iter()
            .filter(|(addresses, _)| !addresses.is_empty())
            .map(|(addresses, open)| OutsideRegion {
                addresses: addresses.to_nets(),
                open,
            })
            .collect();
        regions.sort_unstable();
        regions
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
