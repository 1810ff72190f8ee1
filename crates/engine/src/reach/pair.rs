//! All ports of one pair of ends, where a workload's pods must be told apart.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use ringfence_model::address::{IpFamily, IpRangeSet};
use ringfence_model::policy::Direction;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodId, PodKind};
use ringfence_model::tri::Tri;
use rustc_hash::FxHashSet;

use super::external;
use crate::engine::{Engine, with_own_node};
use crate::packet::{Frontend, Peer};
use crate::resolve::classes::ClassId;
use crate::sets::{Outcome, PortSet};
use crate::side::signature;

/// The ports of one pair of ends. What is in neither set is denied.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct OpenPorts {
    /// Allowed for certain.
    pub allow: PortSet,
    /// Not known; disjoint from `allow`.
    pub maybe: PortSet,
}

impl OpenPorts {
    /// What is open to an end that is either this or one of `others`.
    fn or_one_of(self, others: &[Self]) -> Self {
        let mut allow = self.allow.clone();
        let mut possible = self.allow.union(&self.maybe);
        for other in others {
            allow = allow.intersection(&other.allow);
            possible = possible.union(&other.allow).union(&other.maybe);
        }
        Self {
            maybe: possible.difference(&allow),
            allow,
        }
    }
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

    /// Every port at once, for a source that connects to a Service which leads to the
    /// destination by a port of that protocol. Ports are the destination's.
    #[must_use]
    pub fn ports_through_service(
        &self,
        source: PodId,
        destination: Peer,
        family: IpFamily,
        protocol: Protocol,
        frontend: Frontend,
    ) -> OpenPorts {
        let from = Peer::Pod(source);
        if from == destination && self.snapshot().pod(source).kind != PodKind::Template {
            return self.hairpin(source, family, protocol, frontend);
        }
        let egress = self.outcome_to_service(source, family, protocol, frontend);
        let egress = egress
            .unwrap_or_else(|| self.side_outcome(Direction::Egress, from, destination, family));
        let ingress = self.side_outcome(Direction::Ingress, destination, from, family);
        open(&egress.both(&ingress))
    }

    /// What a pod can open to itself through a Service: NetworkPolicy never comes
    /// between a pod and itself, cluster-wide policies do then (ClusterNetworkPolicy
    /// rule 9).
    pub(crate) fn hairpin(
        &self,
        pod: PodId,
        family: IpFamily,
        protocol: Protocol,
        frontend: Frontend,
    ) -> OpenPorts {
        let class = self.class_of(pod);
        let sides = [Direction::Egress, Direction::Ingress].map(|direction| {
            let Some(seen) = self.service_seen(family, protocol, frontend) else {
                return self.side_to_itself(class, direction, family);
            };
            if direction == Direction::Ingress {
                return self.side_to_itself(class, direction, family);
            }
            let side = self.side(class, direction, family);
            let key = self.cluster_wide_only(&side.key);
            self.with_judge(
                &key,
                &side.sets,
                &side.names,
                &FxHashSet::default(),
                |judge| seen.outcome(judge),
            )
        });
        let [egress, ingress] = sides;
        open(&egress.both(&ingress))
    }

    /// What cluster-wide policies say on one side of a pod's connections to itself.
    pub(crate) fn side_to_itself(
        &self,
        class: ClassId,
        direction: Direction,
        family: IpFamily,
    ) -> Outcome {
        let side = self.side(class, direction, family);
        let key = self.cluster_wide_only(&side.key);
        let own = signature(self.classes.get(class), &side.sets, &side.names, |set| {
            self.peers.members(set, family).contains(class)
        });
        let outcome = self.judge(&key, &side.sets, &side.names, [&own]);
        let outcome = outcome.into_iter().next();
        outcome.unwrap_or_else(Outcome::allowed)
    }

    /// What a pod can open to some addresses, or accept from them, by regions that cover
    /// exactly those of `wanted` that are of `family`.
    ///
    /// An address that is a known pod's is that pod's; any other in the ranges of pods
    /// may be that of a pod whose address is not known, or nobody's. A node's is judged with what
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
            if !some_pod.is_empty() {
                let hidden = self.pods_without_address(pod, direction, family);
                for (as_address, addresses) in self.regions_of(pod, direction, &some_pod) {
                    add(as_address.or_one_of(&hidden), addresses);
                }
            }
        }
        for (open, addresses) in self.regions_of(pod, direction, &wanted) {
            add(open, addresses);
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

    /// What a pod can open to addresses of which nothing is known but the blocks that
    /// they are in: regions that cover `addresses`.
    fn regions_of(
        &self,
        pod: PodId,
        direction: Direction,
        addresses: &IpRangeSet,
    ) -> Vec<(OpenPorts, IpRangeSet)> {
        if self.snapshot().pod(pod).host_network {
            return vec![(open(&Outcome::allowed()), addresses.clone())];
        }
        let family = addresses.family();
        let side = self.side(self.class_of(pod), direction, family);
        let mut denied = addresses.clone();
        let mut regions = Vec::new();
        for region in external::regions(self, side, family, addresses) {
            denied = denied.difference(&region.addresses);
            let open = OpenPorts {
                maybe: region.possible.difference(&region.certain),
                allow: region.certain,
            };
            regions.push((open, region.addresses));
        }
        regions.push((OpenPorts::default(), denied));
        regions
    }

    /// What a pod can open to the pods whose addresses are not known.
    fn pods_without_address(
        &self,
        pod: PodId,
        direction: Direction,
        family: IpFamily,
    ) -> Vec<OpenPorts> {
        let snapshot = self.snapshot();
        let hidden = snapshot.pod_ids().filter(|(_, other)| {
            !other.host_network
                && other.kind != PodKind::Outside
                && other.addresses.is_empty()
                && snapshot.families_of(other).contains(&family)
        });
        let mut found: Vec<OpenPorts> = hidden
            .map(|(other, _)| match direction {
                Direction::Egress => self.ports(Peer::Pod(pod), Peer::Pod(other), family),
                Direction::Ingress => self.ports(Peer::Pod(other), Peer::Pod(pod), family),
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        found
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

    /// What the policies of one end alone let through, of all ports at once: the egress
    /// of `end` towards `other`, or its ingress from there.
    #[must_use]
    pub fn one_sided(
        &self,
        end: PodId,
        direction: Direction,
        other: Peer,
        family: IpFamily,
    ) -> OpenPorts {
        open(&self.side_outcome(direction, Peer::Pod(end), other, family))
    }

    fn side_outcome(
        &self,
        direction: Direction,
        end: Peer,
        other: Peer,
        family: IpFamily,
    ) -> Outcome {
        match self.end(direction, end, other, family) {
            Some((outcome, own_node)) => with_own_node(outcome.clone(), own_node),
            None => Outcome::allowed(),
        }
    }
}

pub(crate) fn open(outcome: &Outcome) -> OpenPorts {
    let allow = outcome.certain();
    OpenPorts {
        maybe: outcome.allow.difference(&allow),
        allow,
    }
}
