use ipnet::IpNet;
use ringfence_model::address::{IpFamily, IpRangeSet};

use crate::engine::Engine;
use crate::resolve::atoms::{Atoms, FIRST_ATOM};
use crate::resolve::classes::family_index;
use crate::resolve::policies::address_sets;
use crate::sets::{OutcomeId, PortSet};
use crate::side::Side;

/// Addresses outside the cluster by what is allowed, disjoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) addresses: IpRangeSet,
    /// The ports allowed for certain.
    pub(crate) certain: PortSet,
    /// The ports that may be allowed, those included.
    pub(crate) possible: PortSet,
}

impl Engine {
    /// The addresses that are pods' and not outside the cluster, as far as it matters:
    /// the ranges of pods, and pods' addresses that a block singles out.
    pub(crate) fn addresses_of_pods(&self, family: IpFamily) -> &IpRangeSet {
        let both = self.addresses_of_pods.get_or_init(|| {
            let policies = &self.snapshot.policies;
            let sets: Vec<IpRangeSet> = policies.iter().flat_map(address_sets).collect();
            IpFamily::ALL.map(|family| {
                // Not the engine's own atoms: they may have been cut finer by policies
                // that are gone.
                let atoms = Atoms::new(family, &sets);
                let singled_out: Vec<IpNet> = atoms
                    .single_addresses()
                    .filter(|address| self.snapshot.pod_with_address(*address).is_some())
                    .map(IpNet::from)
                    .collect();
                let singled_out = IpRangeSet::from_nets(family, &singled_out);
                match self.snapshot.pod_range(family) {
                    Some(pods) => pods.union(&singled_out),
                    None => singled_out,
                }
            })
        });
        let [v4, v6] = both;
        match family {
            IpFamily::V4 => v4,
            IpFamily::V6 => v6,
        }
    }
}

/// The regions of one side in one family, with nothing allowed left out.
pub(crate) fn regions(
    engine: &Engine,
    side: &Side,
    family: IpFamily,
    wanted: &IpRangeSet,
) -> Vec<Region> {
    #[expect(clippy::indexing_slicing, reason = "two families, an array of two")]
    let atoms = &engine.atoms[family_index(family)];
    let mut rest = wanted.clone();
    let mut regions = Vec::new();
    let mut add = |addresses: IpRangeSet, outcome: OutcomeId| {
        let outcome = engine.outcomes.get(outcome);
        if !addresses.is_empty() && !outcome.allow.is_empty() {
            regions.push(Region {
                addresses,
                certain: outcome.certain(),
                possible: outcome.allow.clone(),
            });
        }
    };
    for cell in &side.cells {
        if cell.peers.max().is_none_or(|last| last < FIRST_ATOM) {
            continue;
        }
        let addresses = atoms.addresses(&cell.peers.to_set());
        rest = rest.difference(&addresses);
        add(addresses.intersection(wanted), cell.outcome);
    }
    add(rest, side.rest);
    regions
}

/// Adds the regions of another pod of the same workload: a port is allowed when it is
/// for one of them.
pub(crate) fn overlay(regions: Vec<Region>, more: Vec<Region>) -> Vec<Region> {
    let mut joined = regions;
    for new in more {
        let mut left = new.addresses.clone();
        let mut next = Vec::with_capacity(joined.len() + 2);
        for old in joined {
            let both = old.addresses.intersection(&new.addresses);
            if both.is_empty() {
                next.push(old);
                continue;
            }
            left = left.difference(&both);
            let only = old.addresses.difference(&both);
            next.push(Region {
                addresses: both,
                certain: old.certain.union(&new.certain),
                possible: old.possible.union(&new.possible),
            });
            if !only.is_empty() {
                next.push(Region {
                    addresses: only,
                    ..old
                });
            }
        }
        if !left.is_empty() {
            next.push(Region {
                addresses: left,
                ..new
            });
        }
        joined = next;
    }
    joined
}

/// Regions of both families with the same ports, joined: (blocks, allow, maybe).
pub(crate) fn join_equal(regions: Vec<Region>) -> Vec<(Vec<IpNet>, PortSet, PortSet)> {
    let mut joined: Vec<(PortSet, PortSet, [IpRangeSet; 2])> = Vec::new();
    for region in regions {
        let maybe = region.possible.difference(&region.certain);
        let position = joined
            .iter()
            .position(|(allow, other, _)| *allow == region.certain && *other == maybe);
        let position = position.unwrap_or_else(|| {
            joined.push((
                region.certain.clone(),
                maybe,
                IpFamily::ALL.map(IpRangeSet::empty),
            ));
            joined.len() - 1
        });
        if let Some((_, _, sets)) = joined.get_mut(position) {
            for set in sets {
                if set.family() == region.addresses.family() {
                    *set = set.union(&region.addresses);
                }
            }
        }
    }
    joined
        .into_iter()
        .map(|(allow, maybe, sets)| {
            let nets = sets.iter().flat_map(IpRangeSet::to_nets).collect();
            (nets, allow, maybe)
        })
        .collect()
}
