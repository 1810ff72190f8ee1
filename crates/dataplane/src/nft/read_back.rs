//! What the tables of a node hold, read back and compared with what they should.

use std::collections::{BTreeMap, BTreeSet};

use nlink::netlink::nftables::{ChainInfo, Family, RuleInfo, SetElement, SetFlags, SetInfo};

use super::table::Table;
use super::{Error, chain_rules, decode, encode};
use crate::compile::{PORT_SET, port_set};
use crate::ruleset::{
    self, Change, Changes, EPOCH, Hook, Key, KeyType, Layer, Lookup, Name, Ruleset, Value,
    ValueType,
};

/// Sets with more elements are read back as a whole only by [`Table::verify`].
const READ_BACK_AT_ONCE: usize = 256;

impl Table {
    /// Reads the table back and compares it with what it should hold.
    ///
    /// # Errors
    /// [`Error::NotAsWritten`] says the first thing that differs.
    pub async fn verify(&self, wanted: &Ruleset) -> Result<(), Error> {
        compare_chains(wanted, &self.chains(wanted).await?)?;
        // One after the other: all elements at once are most of what a process would need.
        let mut missing: BTreeSet<&Name> = wanted.sets.keys().collect();
        for (name, _) in self.sets(wanted).await? {
            let Some((name, set)) = wanted.sets.get_key_value(&name) else {
                return Err(Error::NotAsWritten(format!("set {name} is none of ours")));
            };
            missing.remove(name);
            self.compare_elements(name, set).await?;
        }
        match missing.first() {
            Some(name) => Err(Error::NotAsWritten(format!("set {name} is missing"))),
            None => Ok(()),
        }
    }

    /// Reads back what some changes were to leave: the rules of their chains, and the sets
    /// that are small enough to be read at once.
    ///
    /// # Errors
    /// [`Error::NotAsWritten`] says the first thing that differs.
    pub async fn verify_changes(&self, changes: &Changes, wanted: &Ruleset) -> Result<(), Error> {
        for step in &changes.steps {
            match step {
                Change::SetRules(name, chain) => {
                    let table = &*self.name.0;
                    let mut rules = Vec::new();
                    for rule in
                        chain_rules::of_chain(&self.connection, table, chain.layer, name).await?
                    {
                        rules.push(read_rule(&rule, wanted)?);
                    }
                    let (layer, hook) = (chain.layer, chain.hook);
                    let chain = ruleset::Chain { layer, hook, rules };
                    compare_rules(name, wanted.chains.get(name), &chain)?;
                }
                Change::AddElements(name, _) | Change::DeleteElements(name, _) => {
                    let Some(set) = wanted.sets.get(name) else {
                        continue;
                    };
                    if set.elements.len() <= READ_BACK_AT_ONCE {
                        self.compare_elements(name, set).await?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The mark that the table in the kernel gives to connections that it has judged.
    ///
    /// # Errors
    /// Where the kernel cannot be asked.
    pub async fn mark(&self) -> Result<Option<u32>, Error> {
        let sets = self
            .connection
            .list_sets_in(&self.name.0, Family::Inet)
            .await?;
        if !sets.iter().any(|set| set.name == EPOCH) {
            return Ok(None);
        }
        let elements = self
            .connection
            .list_set_elements(&self.name.0, EPOCH, Family::Inet)
            .await?;
        let bytes = elements.first().map(|element| element.key().to_vec());
        Ok(bytes
            .and_then(|bytes| bytes.try_into().ok())
            .map(u32::from_ne_bytes))
    }

    /// The elements of a set, in any order.
    async fn elements(&self, name: &str, set: &ruleset::Set) -> Result<Vec<SetElement>, Error> {
        // What packets add is not ours to compare.
        if matches!(set.lookup, Lookup::Rate { .. }) {
            return Ok(Vec::new());
        }
        let (table, family) = (&*self.name.0, encode::family(set.layer));
        let listed = self.connection.list_set_elements(table, name, family);
        Ok(listed.await?)
    }

    async fn compare_elements(&self, name: &str, wanted: &ruleset::Set) -> Result<(), Error> {
        let (mut found, mut as_written) = (0, 0);
        for element in self.elements(name, wanted).await? {
            let (key, value) = read_element(name, &element)?;
            found += 1;
            as_written += usize::from(wanted.elements.get(&key) == Some(&value));
        }
        let wanted = wanted.elements.len();
        if (found, as_written) == (wanted, wanted) {
            return Ok(());
        }
        Err(Error::NotAsWritten(format!(
            "set {name} has {found} elements, {as_written} of them as written, of {wanted}"
        )))
    }

    /// Reads the table back. Kinds of sets are taken from `like`, as far as the kernel
    /// does not say otherwise.
    ///
    /// # Errors
    /// Where the kernel cannot be asked, or something is there that is none of ours.
    pub async fn read(&self, like: &Ruleset) -> Result<Ruleset, Error> {
        let chains = self.chains(like).await?;
        let mut sets = BTreeMap::new();
        for (name, kind) in self.sets(like).await? {
            let mut elements = Vec::new();
            for element in self.elements(&name, &kind).await? {
                elements.push(read_element(&name, &element)?);
            }
            let elements = elements.into_iter().collect();
            sets.insert(name, ruleset::Set { elements, ..kind });
        }
        Ok(Ruleset { sets, chains })
    }

    /// The chains with their rules.
    async fn chains(&self, like: &Ruleset) -> Result<BTreeMap<Name, ruleset::Chain>, Error> {
        let table = &*self.name.0;
        let layers = self.layers().await?;
        if !layers.contains(&Layer::Network) {
            return Err(Error::NotAsWritten("it is not there".to_owned()));
        }
        let mut found = BTreeMap::new();
        for layer in layers {
            let family = encode::family(layer);
            for chain in self.connection.list_chains_in(table, family).await? {
                let name = Name::from(&*chain.name);
                let made = read_chain(layer, &chain)?;
                if found.insert(Name::clone(&name), made).is_some() {
                    let in_both = format!("chain {name} is in both tables");
                    return Err(Error::NotAsWritten(in_both));
                }
            }
            for rule in self.connection.list_rules(table, family).await? {
                let read = read_rule(&rule, like)?;
                if let Some(chain) = found.get_mut(&*rule.chain) {
                    chain.rules.push(read);
                }
            }
        }
        Ok(found)
    }

    /// The sets without their elements.
    async fn sets(&self, like: &Ruleset) -> Result<Vec<(Name, ruleset::Set)>, Error> {
        let mut found = Vec::new();
        let ports = port_set();
        for layer in self.layers().await? {
            let family = encode::family(layer);
            for info in self.connection.list_sets_in(&self.name.0, family).await? {
                let known = like.sets.get(&*info.name);
                let known = known.or(info.name.starts_with(PORT_SET).then_some(&ports));
                let Some(set) = known.filter(|set| is_kind(set, layer, &info)) else {
                    let name = info.name;
                    return Err(Error::NotAsWritten(format!(
                        "set {name} is new, or of another kind"
                    )));
                };
                found.push((Name::from(info.name), set.without_elements()));
            }
        }
        Ok(found)
    }
}

fn read_chain(layer: Layer, chain: &ChainInfo) -> Result<ruleset::Chain, Error> {
    let other = |what: &str| {
        let name = &chain.name;
        Err(Error::NotAsWritten(format!(
            "chain {name} has another {what}"
        )))
    };
    let hook = match (layer, chain.hook, chain.priority) {
        (_, None, _) => None,
        (Layer::Network, Some(0), Some(-300)) => Some(Hook::Arriving),
        (Layer::Network, Some(1), Some(0)) => Some(Hook::Input),
        (Layer::Network, Some(2), Some(0)) => Some(Hook::Forward),
        (Layer::Link, Some(0), Some(-300)) => Some(Hook::FrameArriving),
        (Layer::Link, Some(2), Some(-300)) => Some(Hook::FrameForward),
        (Layer::Link, Some(3), Some(-300)) => Some(Hook::FrameOutput),
        _ => return other("hook"),
    };
    if hook.is_some() && chain.policy != Some(1) {
        return other("policy");
    }
    let rules = Vec::new();
    Ok(ruleset::Chain { layer, hook, rules })
}

/// Whether a set that was found in a table is what it should be, whatever its elements.
pub(super) fn is_kind(set: &ruleset::Set, layer: Layer, info: &SetInfo) -> bool {
    let key = encode::set_key(&set.key);
    let has = |flag| info.flags.contains(flag);
    let lookup = match set.lookup {
        Lookup::Exact => !has(SetFlags::INTERVAL),
        Lookup::Interval => has(SetFlags::INTERVAL),
        Lookup::Rate { .. } => has(SetFlags::TIMEOUT),
    };
    let value = match &set.value {
        ValueType::None => !has(SetFlags::MAP),
        ValueType::Verdict => {
            has(SetFlags::MAP) && info.data_len.unwrap_or(0) == 0
                || info.data_type == Some(0xffff_ff00)
        }
        ValueType::Bytes(part) => {
            has(SetFlags::MAP)
                && info.data_len.and_then(|len| usize::try_from(len).ok()) == Some(part.width())
        }
    };
    set.layer == layer
        && info.key_type == key.type_id()
        && info.key_len == key.len()
        && lookup
        && value
}

fn read_rule(rule: &RuleInfo, like: &Ruleset) -> Result<ruleset::Rule, Error> {
    let number = ValueType::Bytes(KeyType::PeerSet);
    let leads_to_number = |map: &str| like.sets.get(map).is_some_and(|set| set.value == number);
    decode::rule(&rule.expressions(), leads_to_number)
        .map_err(|expr| Error::NotAsWritten(format!("a rule of chain {} has {expr}", rule.chain)))
}

fn read_element(set: &str, element: &SetElement) -> Result<(Key, Value), Error> {
    let read = decode::element(element);
    read.ok_or_else(|| Error::NotAsWritten(format!("set {set} has {element:?}")))
}

/// The first thing that differs, as an error.
fn compare_chains(wanted: &Ruleset, found: &BTreeMap<Name, ruleset::Chain>) -> Result<(), Error> {
    let differs = |text: String| Err(Error::NotAsWritten(text));
    for (name, chain) in &wanted.chains {
        match found.get(name) {
            None => return differs(format!("chain {name} is missing")),
            Some(other) => compare_rules(name, Some(chain), other)?,
        }
    }
    let mut chains = found.keys();
    match chains.find(|name| !wanted.chains.contains_key(*name)) {
        Some(name) => differs(format!("chain {name} is none of ours")),
        None => Ok(()),
    }
}

fn compare_rules(
    name: &str,
    wanted: Option<&ruleset::Chain>,
    found: &ruleset::Chain,
) -> Result<(), Error> {
    let Some(wanted) = wanted else {
        return Ok(());
    };
    if (found.layer, found.hook) != (wanted.layer, wanted.hook) {
        return Err(Error::NotAsWritten(format!(
            "chain {name} has another hook"
        )));
    }
    let both = wanted.rules.iter().zip(&found.rules);
    let position = both.clone().position(|(a, b)| a != b);
    let shorter = wanted.rules.len().min(found.rules.len());
    let same_length = wanted.rules.len() == found.rules.len();
    let Some(position) = position.or((!same_length).then_some(shorter)) else {
        return Ok(());
    };
    let text = |rules: &[ruleset::Rule]| {
        let rule = rules.get(position).map(ToString::to_string);
        rule.unwrap_or_else(|| "nothing".to_owned())
    };
    Err(Error::NotAsWritten(format!(
        "rule {} of chain {name} is `{}`, not `{}`",
        position + 1,
        text(&found.rules),
        text(&wanted.rules)
    )))
}
