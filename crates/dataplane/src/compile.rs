//! From a compiled engine and one node to the ruleset of that node.
//!
//! Pure: nothing is read from the node itself. What packets are judged by is taken from
//! [`Engine::table`]; no selector and no rule is interpreted here.
//!
//! [`Compiled::new`] compiles everything. [`Compiled::update`] follows an engine that
//! changed: it asks the engine what changed ([`Engine::changes_since`]) and compares the
//! node's endpoints with those it holds, compiles the tables anew that are concerned, and
//! changes its ruleset in place. Both go the same way; for the first all tables are new.
//!
//! A packet may meet the rules of the ruleset before and the elements of the one after. So
//! the numbers in rules never change their meaning for anybody:
//! - a set of peers keeps its number while all who ask for it have it changed alike, and by
//!   that alone, or for those for whom it did not change at all; who parts from a set gets the
//!   number of an equal one that exists, or one that nobody had in the ruleset before;
//! - a chain never changes: whoever is judged otherwise is led to another chain;
//! - a number that was given back is not given again in the same change.

mod base;
mod bridge;
mod bridge_ports;
mod chains;
mod endpoints;
mod family;
mod itself;
mod judges;
mod moving;
mod neighbours;
mod node;
mod numbers;
mod peers;
mod ports;
mod sets;
mod state;
mod tables;

pub(crate) use chains::{LOGGED_INTERFACES, LOGGED_PORTS, logged};
pub use node::{Bridge, Endpoint, Enforcement, HardwareAddress, MODE_LABEL, Node, Port, Settings};
pub(crate) use ports::{PORT_SET, port_set, protocol_number};

use std::collections::BTreeSet;

use ringfence_engine::{Engine, EngineChanges, Revision};
use ringfence_model::address::IpFamily;
use ringfence_model::policy::Direction;
use ringfence_model::snapshot::PodId;

use crate::ruleset::{Chain, Changes, Edit, Name, Ruleset};
use state::State;

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
    /// What it was compiled from; nothing, where somebody else compiled it.
    from: Option<From>,
}

/// What a ruleset was compiled from.
#[derive(Clone, Debug)]
struct From {
    revision: Revision,
    /// The node, without its endpoints.
    node: Node,
    state: State,
}

/// What became of a ruleset that followed a change.
#[derive(Clone, Debug)]
pub struct Update {
    /// The steps from the ruleset as it was to what it is.
    pub changes: Changes,
    /// The generation before.
    pub epoch: u32,
    before: Before,
}

/// What it takes to go back.
#[derive(Clone, Debug)]
enum Before {
    /// The ruleset.
    Whole(Box<Ruleset>),
    /// The chains that changed or went, besides what the steps say.
    Chains(Vec<(Name, Chain)>),
}

/// With more addresses that pods have or had than this, all tables are compiled anew: it is cheaper.
const FOLLOWED: usize = 64;

impl Compiled {
    /// Compiles what `node` is to enforce, all of it. What is equal to something of
    /// `previous` gets its numbers; they have no other meaning than there.
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
            from: None,
        };
        base::sets(node, &mut next.ruleset);
        base::chains(engine, node, &mut next.ruleset);
        let mut edit = Edit::unrecorded(&mut next.ruleset);
        let mut state = State::new(node, &previous.ruleset);
        state.read(engine, node, &mut edit);
        let everything = EngineChanges::default();
        state.follow(engine, node, &everything, &mut next.unknown, &mut edit);
        base::set_epoch(&node.settings, previous.epoch, &mut edit);
        // Nobody knows what connections were judged by where somebody else did it.
        if previous.from.is_none() || *edit.ruleset() != previous.ruleset {
            next.epoch = node.settings.epoch_after(previous.epoch);
            base::set_epoch(&node.settings, next.epoch, &mut edit);
        }
        next.ruleset.pack();
        next.from = Some(From {
            revision: engine.revision(),
            node: without_endpoints(node),
            state,
        });
        next
    }

    /// Compiles what changed in the engine and in the node.
    ///
    /// Where the engine does not know any more what changed, everything is compiled. The
    /// same, if so much changed that it costs less.
    pub fn update(&mut self, engine: &Engine, node: &Node) -> Update {
        let held = self.from.as_ref();
        let changes = held
            .filter(|from| is_same_but_endpoints(&from.node, node))
            .and_then(|from| engine.changes_since(from.revision))
            .filter(|changes| {
                let moved = changes.moved.values();
                moved.map(|before| before.len() + 1).sum::<usize>() <= FOLLOWED
            });
        let (Some(changes), Some(from)) = (changes, self.from.as_mut()) else {
            let next = Self::new(engine, node, self);
            let changes = next.changes_from(self);
            let before = std::mem::replace(self, next);
            return Update {
                changes,
                epoch: before.epoch,
                before: Before::Whole(Box::new(before.ruleset)),
            };
        };
        let epoch = self.epoch;
        let mut edit = Edit::new(&mut self.ruleset);
        let state = &mut from.state;
        state.follow(engine, node, &changes, &mut self.unknown, &mut edit);
        from.revision = engine.revision();
        let (mut changes, mut replaced) = edit.finish();
        if !changes.is_empty() {
            self.epoch = node.settings.epoch_after(self.epoch);
            let mut edit = Edit::new(&mut self.ruleset);
            base::set_epoch(&node.settings, self.epoch, &mut edit);
            let (mark, marks) = edit.finish();
            changes.steps.extend(mark.steps);
            replaced.extend(marks);
        }
        Update {
            changes,
            epoch,
            before: Before::Chains(replaced),
        }
    }

    /// Takes the last update back: the ruleset is as it was before. The next update compiles
    /// everything.
    pub fn take_back(&mut self, update: Update) {
        match update.before {
            Before::Whole(ruleset) => self.ruleset = *ruleset,
            Before::Chains(replaced) => self.ruleset.take_back(&update.changes, replaced),
        }
        let ruleset = std::mem::take(&mut self.ruleset);
        *self = Self::resumed(ruleset, update.epoch);
    }

    /// What the table of another process holds, which marked connections with this
    /// generation. Whom its numbers were given to is not known.
    #[must_use]
    pub fn resumed(ruleset: Ruleset, epoch: u32) -> Self {
        Self {
            ruleset,
            epoch,
            ..Self::default()
        }
    }

    /// The sets that every ruleset has, whatever is in them: what a table of another process
    /// is read by.
    #[must_use]
    pub fn kinds() -> Ruleset {
        let mut kinds = Ruleset::default();
        base::sets(&Node::default(), &mut kinds);
        bridge_ports::sets(&Node::default(), &mut kinds);
        kinds
    }

    /// The bits of connections' marks that are ours.
    #[must_use]
    pub fn mark_mask(&self) -> u32 {
        self.mark_mask
    }

    /// The pods that chains are for.
    #[must_use]
    pub fn concerned_by(&self, chains: &BTreeSet<String>) -> BTreeSet<PodId> {
        let state = self.from.as_ref().map(|from| &from.state);
        state.map_or_else(BTreeSet::new, |state| state.judged_by(chains))
    }

    /// The pods to and from which nothing passes.
    #[must_use]
    pub fn closed(&self) -> BTreeSet<PodId> {
        let state = self.from.as_ref().map(|from| &from.state);
        state.map_or_else(BTreeSet::new, State::closed)
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

fn without_endpoints(node: &Node) -> Node {
    Node {
        endpoints: Vec::new(),
        addresses: node.addresses.clone(),
        pod_ranges: node.pod_ranges.clone(),
        bridges: node.bridges.clone(),
        settings: node.settings.clone(),
    }
}

fn is_same_but_endpoints(held: &Node, node: &Node) -> bool {
    let Node {
        endpoints: _,
        addresses,
        pod_ranges,
        bridges,
        settings,
    } = node;
    let ranges = (&held.addresses, &held.pod_ranges) == (addresses, pod_ranges);
    ranges && (&held.bridges, &held.settings) == (bridges, settings)
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
