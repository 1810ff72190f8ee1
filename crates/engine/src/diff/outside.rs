//! Changes between a workload and addresses outside the cluster.

use ipnet::IpNet;
use ringfence_model::address::{IpFamily, IpRangeSet};

use super::transitions;
use crate::packet::Verdict;
use crate::reach::OpenPorts;
use crate::sets::PortSet;

/// What is open between a workload and addresses; what is not listed is denied.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Outside {
    regions: Vec<([IpRangeSet; 2], OpenPorts)>,
}

impl Outside {
    pub(super) fn add(&mut self, addresses: &[IpNet], open: OpenPorts) {
        let sets = IpFamily::ALL.map(|family| IpRangeSet::from_nets(family, addresses));
        self.regions.push((sets, open));
    }
}

/// Addresses and ports whose verdict has changed.
pub(super) struct OutsideChange {
    pub(super) addresses: Vec<IpNet>,
    pub(super) before: Verdict,
    pub(super) after: Verdict,
    pub(super) ports: PortSet,
}

/// Cuts the addresses wherever either cluster does. Addresses with the same change
/// are put together.
pub(super) fn changes(
    was: Option<&Outside>,
    is: Option<&Outside>,
    all: &[IpRangeSet; 2],
    doubted: [bool; 2],
) -> Vec<OutsideChange> {
    if was == is {
        return Vec::new();
    }
    let mut changed: Vec<((Verdict, Verdict, PortSet), [IpRangeSet; 2])> = Vec::new();
    for (position, family) in IpFamily::ALL.into_iter().enumerate() {
        let Some(all) = all.get(position) else {
            continue;
        };
        let old = partition(was, position, all);
        let new = partition(is, position, all);
        for (of_old, was) in &old {
            for (of_new, is) in &new {
                if was == is {
                    continue;
                }
                let addresses = of_old.intersection(of_new);
                if addresses.is_empty() {
                    continue;
                }
                for transition in transitions(was, is, doubted) {
                    let known = changed.iter().position(|(known, _)| *known == transition);
                    let index = known.unwrap_or_else(|| {
                        changed.push((transition, IpFamily::ALL.map(IpRangeSet::empty)));
                        changed.len() - 1
                    });
                    let sets = changed.get_mut(index).map(|(_, sets)| sets);
                    for set in sets.into_iter().flatten().filter(|s| s.family() == family) {
                        *set = set.union(&addresses);
                    }
                }
            }
        }
    }
    changed
        .into_iter()
        .map(|((before, after, ports), sets)| OutsideChange {
            addresses: sets.iter().flat_map(IpRangeSet::to_nets).collect(),
            before,
            after,
            ports,
        })
        .collect()
}

/// All addresses of a family by what is open, what is denied included.
fn partition(
    outside: Option<&Outside>,
    family: usize,
    all: &IpRangeSet,
) -> Vec<(IpRangeSet, OpenPorts)> {
    let mut denied = all.clone();
    let mut parts = Vec::new();
    for (sets, open) in outside.iter().flat_map(|outside| &outside.regions) {
        if let Some(addresses) = sets.get(family).filter(|set| !set.is_empty()) {
            denied = denied.difference(addresses);
            parts.push((addresses.clone(), open.clone()));
        }
    }
    parts.push((denied, OpenPorts::default()));
    parts
}
