//! From a compiled engine and one node to the ruleset of that node.
//!
//! Pure: nothing is read from the node itself. What packets are judged by is taken from
//! [`Engine::table`]; no selector and no rule is interpreted here.

mod base;
mod chains;
mod node;
mod numbers;
mod peers;
mod ports;
mod sides;

pub use node::{Endpoint, Enforcement, MODE_LABEL, Node, Settings};

use std::collections::{BTreeMap, BTreeSet};

use ringfence_engine::Engine;
use ringfence_model::address::IpFamily;
use ringfence_model::policy::Direction;
use ringfence_model::snapshot::PodId;

use crate::ruleset::{Changes, Name, Ruleset};
use numbers::Numbers;
use sides::PeerSetOwner;

/// The ruleset of one node, and what the next one is compiled from.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    /// The ruleset.
    pub ruleset: Ruleset,
    /// Pods of this node with connections that are allowed or denied by something that
    /// the snapshot does not say. They are denied.
    pub unknown: BTreeSet<PodId>,
    /// The generation of verdicts that a judged connection is marked with; at least 1 in
    /// what was compiled.
    epoch: u32,
    mark_mask: u32,
    /// The pods that each chain is for.
    chain_pods: BTreeMap<Name, Vec<PodId>>,
    peer_sets: [Numbers<PeerSetOwner>; 2],
    chains: [[Numbers<Name>; 2]; 2],
    to_itself: [Numbers<Name>; 2],
}

impl Compiled {
    /// Compiles what `node` is to enforce, as near to `previous` as can be.
    ///
    /// The mark of judged connections changes with every change of the ruleset, so that
    /// each connection is judged again by its next packet.
    #[must_use]
    pub fn new(engine: &Engine, node: &Node, previous: &Self) -> Self {
        let mut next = Self {
            ruleset: Ruleset::default(),
            unknown: BTreeSet::new(),
            epoch: previous.epoch,
            mark_mask: node.settings.mark_mask,
            chain_pods: BTreeMap::new(),
            peer_sets: previous.peer_sets.clone(),
            chains: previous.chains.clone(),
            to_itself: previous.to_itself.clone(),
        };
        let mut ruleset = Ruleset::default();
        for family in IpFamily::ALL {
            sides::compile(engine, node, family, &mut next, &mut ruleset);
        }
        base::sets(engine, node, &mut ruleset);
        base::chains(engine, node, &mut ruleset);
        base::set_epoch(&node.settings, previous.epoch, &mut ruleset);
        if ruleset != previous.ruleset {
            next.epoch = node.settings.epoch_after(previous.epoch);
            base::set_epoch(&node.settings, next.epoch, &mut ruleset);
        }
        next.ruleset = ruleset;
        next
    }

    /// What the table of another process holds, which marked connections with this
    /// generation. Whom its numbers were given to is not known.
    #[must_use]
    pub fn resumed(ruleset: Ruleset, epoch: u32) -> Self {
        let mut resumed = Self {
            epoch,
            ..Self::default()
        };
        for family in IpFamily::ALL {
            let index = family_index(family);
            let numbers = |name: &str| numbers_in(&ruleset, &named(name, family));
            let groups: Vec<u32> = numbers("peers")
                .into_iter()
                .chain(numbers("blocks"))
                .collect();
            #[expect(clippy::indexing_slicing, reason = "two families, two directions")]
            {
                resumed.peer_sets[index].reserve(groups);
                for direction in [Direction::Egress, Direction::Ingress] {
                    let map = match direction {
                        Direction::Egress => "egress_chains",
                        Direction::Ingress => "ingress_chains",
                    };
                    resumed.chains[direction_index(direction)][index].reserve(numbers(map));
                }
            }
            let itself = named("itself", family);
            let itself = ruleset.chains.keys().filter_map(|name| {
                let number = name.strip_prefix(&*itself)?.strip_prefix('_')?;
                number.parse().ok()
            });
            let itself: Vec<u32> = itself.collect();
            #[expect(clippy::indexing_slicing, reason = "two families")]
            resumed.to_itself[index].reserve(itself);
        }
        resumed.ruleset = ruleset;
        resumed
    }

    /// The bits of connections' marks that are ours.
    #[must_use]
    pub fn mark_mask(&self) -> u32 {
        self.mark_mask
    }

    /// The pods that chains are for.
    #[must_use]
    pub fn concerned_by(&self, chains: &BTreeSet<String>) -> BTreeSet<PodId> {
        let pods = chains
            .iter()
            .filter_map(|name| self.chain_pods.get(name.as_str()));
        pods.flatten().copied().collect()
    }

    /// The generation of verdicts that judged connections are marked with.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The steps from the previous ruleset to this one.
    #[must_use]
    pub fn changes_from(&self, previous: &Self) -> Changes {
        self.ruleset.changes_from(&previous.ruleset)
    }
}

/// The numbers that the keys of a set begin with.
fn numbers_in(ruleset: &Ruleset, set: &str) -> BTreeSet<u32> {
    let elements = ruleset
        .sets
        .get(set)
        .into_iter()
        .flat_map(|set| set.elements.keys());
    let numbers = elements.filter_map(|key| key.bytes.get(..4)?.try_into().ok());
    numbers.map(u32::from_ne_bytes).collect()
}

fn family_index(family: IpFamily) -> usize {
    match family {
        IpFamily::V4 => 0,
        IpFamily::V6 => 1,
    }
}

fn direction_index(direction: Direction) -> usize {
    match direction {
        Direction::Egress => 0,
        Direction::Ingress => 1,
    }
}

/// A name with the number of the IP family at its end.
fn named(name: &str, family: IpFamily) -> Name {
    let number = match family {
        IpFamily::V4 => 4,
        IpFamily::V6 => 6,
    };
    Name::from(format!("{name}{number}"))
}
