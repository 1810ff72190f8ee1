//! Two nftables tables as a value: what they hold, not how it gets into the kernel.
//!
//! Everything that changes with the cluster is an element of a set or a map, or a small
//! chain. Keys and constants are the bytes that the kernel compares, so that the
//! interpreter, the text form and the kernel read the same thing.

mod changes;
mod edit;
pub mod key;
mod parts;
mod rule;
mod text;

pub use changes::{Change, Changes};
pub(crate) use edit::Edit;
pub use key::{Key, KeyType, Word};
pub use rule::{ConnectionState, DESTINATION_TRANSLATED, Field, Operand, Rule, Statement, Target};

use std::collections::BTreeMap;
use std::sync::Arc;

/// The content of a node's tables. Nothing in one has the name of something in the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// Sets and maps by name.
    pub sets: BTreeMap<Name, Set>,
    /// Chains by name.
    pub chains: BTreeMap<Name, Chain>,
}

/// The name of a set, a map or a chain.
pub type Name = Arc<str>;

/// Which of a node's two tables something is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// `inet`: packets and their connections.
    Network,
    /// `bridge`: frames that come and go by ports of bridges. A node whose pods are on no
    /// bridge does not have this table.
    Link,
}

impl Layer {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Network, Self::Link];
}

/// The set that has the generation of verdicts as its only element, so that it can be
/// read back by who takes the table over.
pub const EPOCH: &str = "epoch";

/// What the names of the sets begin with that have the addresses of this node's pods.
pub(crate) const ENDPOINTS: &str = "endpoints";

/// What leads an address to the chain that drops everything.
pub(crate) fn closed() -> Value {
    Value::Bytes(Word::number(CLOSED))
}

/// The number of that chain.
pub(crate) const CLOSED: u32 = u32::MAX;

/// A set or a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// The table it is in.
    pub layer: Layer,
    /// What its keys consist of.
    pub key: Vec<KeyType>,
    /// What its elements lead to.
    pub value: ValueType,
    /// How its keys are looked up.
    pub lookup: Lookup,
    /// Its elements. A set that packets add to is empty here.
    pub elements: BTreeMap<Key, Value>,
}

impl Set {
    /// The elements whose keys begin with a number, ascending.
    pub(crate) fn numbered<'a>(
        &'a self,
        number: &'a [u8],
    ) -> impl Iterator<Item = (&'a Key, &'a Value)> + 'a {
        let from = self.elements.range(key::bytes(number)..);
        from.take_while(|(key, _)| key.bytes.starts_with(number))
    }
}

/// What the elements of a set lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// Nothing: it is a set.
    None,
    /// A chain: it is a verdict map.
    Verdict,
    /// Other bytes.
    Bytes(KeyType),
}

/// How the keys of a set are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Each key is one value.
    Exact,
    /// Each key is a range of values, which do not overlap.
    Interval,
    /// Packets add to it, and an element holds the rate at which its key is seen, and how
    /// often that was too high.
    Rate {
        /// How many elements there may be.
        size: u32,
        /// How long one stays after it was last seen, in seconds.
        timeout: u32,
    },
}

/// What one element leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    None,
    /// A chain. Most elements lead to none, and take no room for it.
    Verdict(Box<Target>),
    /// Other bytes.
    Bytes(Word),
}

/// A chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The table it is in.
    pub layer: Layer,
    /// Where packets enter it; `None` where only other chains lead to it.
    pub hook: Option<Hook>,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
}

/// Where packets enter a base chain. Its policy is always `accept`: what the chain does
/// not deny is left to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// As they arrive, before their connection is known (priority -300).
    Arriving,
    /// On the way to this node itself (priority 0).
    Input,
    /// On the way through this node (priority 0).
    Forward,
    /// As frames arrive at the port of a bridge, before it learns from them who is where
    /// (priority -300). Frames for bridges alone (LLDP) do not come here.
    FrameArriving,
    /// As frames are about to be carried from one port of a bridge to another (priority -300).
    FrameForward,
    /// As frames that this node sends, or sends on, are about to go out by the port of a bridge
    /// (priority -300).
    FrameOutput,
}

impl Chain {
    /// A chain of the first table that other chains lead to.
    pub(crate) fn inner(rules: Vec<Rule>) -> Self {
        Self {
            layer: Layer::Network,
            hook: None,
            rules,
        }
    }
}

impl Ruleset {
    /// Whether something is in a table.
    pub(crate) fn is_in(&self, layer: Layer) -> bool {
        let sets = self.sets.values().map(|set| set.layer);
        let chains = self.chains.values().map(|chain| chain.layer);
        sets.chain(chains).any(|of| of == layer)
    }

    /// How many elements all sets have.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.sets.values().map(|set| set.elements.len()).sum()
    }

    /// Lets all sets take as little memory as they can, after elements came one by one.
    pub(crate) fn pack(&mut self) {
        for set in self.sets.values_mut() {
            set.elements = std::mem::take(&mut set.elements).into_iter().collect();
        }
    }

    /// How many rules all chains have.
    #[must_use]
    pub fn rules(&self) -> usize {
        self.chains.values().map(|chain| chain.rules.len()).sum()
    }
}
