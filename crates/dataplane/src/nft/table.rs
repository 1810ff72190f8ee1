//! One table of one network namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use nlink::Connection;
use nlink::netlink::Nftables;
use nlink::netlink::nftables::connection::kernel_has_destroy;
use nlink::netlink::nftables::{Family, Rule, RuleInfo, Set, SetElement, SetFlags, Transaction};

use super::{Error, chain_rules, decode, encode};
use crate::compile::{PORT_SET, port_set};
use crate::ruleset::{
    self, Change, Changes, EPOCH, Hook, Key, KeyType, Lookup, Name, Ruleset, Value, ValueType,
};

/// The name of the table that is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName(pub(super) String);

impl Default for TableName {
    fn default() -> Self {
        Self("ringfence".to_owned())
    }
}

/// The kernel's transactions are one message: room for the largest that we expect, half
/// a million elements.
const SEND_BUFFER: usize = 64 << 20;

/// Elements in one message of a transaction. An attribute has no more than 64 KiB, and
/// an element of ours no more than 120 bytes.
const ELEMENTS_PER_MESSAGE: usize = 400;

/// Sets with more elements are read back as a whole only by [`Table::verify`].
const READ_BACK_AT_ONCE: usize = 256;

/// How long the kernel may take over a transaction.
const TIMEOUT: Duration = Duration::from_secs(120);

/// An `inet` table in a network namespace, which nobody else should write to.
pub struct Table {
    pub(super) connection: Connection<Nftables>,
    pub(super) name: TableName,
}

impl Table {
    /// The table with this name in the network namespace of the calling thread. Nothing
    /// is asked or changed yet.
    ///
    /// # Errors
    /// Where no netlink socket can be had: `CAP_NET_ADMIN` is needed.
    pub fn here(name: TableName) -> Result<Self, Error> {
        Self::with(Connection::<Nftables>::new()?, name)
    }

    /// The table with this name in another network namespace.
    ///
    /// # Errors
    /// As for [`Table::here`].
    pub fn in_namespace(namespace: impl AsFd, name: TableName) -> Result<Self, Error> {
        Self::with(Connection::<Nftables>::new_in(namespace.as_fd())?, name)
    }

    fn with(connection: Connection<Nftables>, name: TableName) -> Result<Self, Error> {
        let connection = connection.timeout(TIMEOUT);
        // Root of a user namespace may not force it, and gets what the machine permits:
        // enough for some thousand elements.
        if setsockopt(connection.socket(), sockopt::SndBufForce, &SEND_BUFFER).is_err() {
            setsockopt(connection.socket(), sockopt::SndBuf, &SEND_BUFFER)
                .map_err(std::io::Error::from)?;
        }
        Ok(Self { connection, name })
    }

    /// Puts a ruleset in the place of whatever the table holds, in one transaction.
    ///
    /// # Errors
    /// Where the kernel refuses. Then nothing has changed.
    pub async fn replace(&self, ruleset: &Ruleset) -> Result<(), Error> {
        let table = &self.name.0;
        let mut transaction = self.connection.transaction();
        // A kernel older than 6.3 cannot delete what may not be there.
        if kernel_has_destroy() {
            transaction = transaction.destroy_table(table, Family::Inet);
        } else if self.exists().await? {
            transaction = transaction.del_table(table, Family::Inet);
        }
        let transaction = transaction.add_table(table, Family::Inet);
        let changes = ruleset.changes_from(&Ruleset::default());
        let transaction = self.steps(transaction, &changes, &Ruleset::default())?;
        Ok(transaction.commit(&self.connection).await?)
    }

    /// Takes steps in one transaction. `held` has the sets that elements join or leave: the
    /// ruleset before or after the steps.
    ///
    /// # Errors
    /// Where the kernel refuses. Then nothing has changed.
    pub async fn apply(&self, changes: &Changes, held: &Ruleset) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let transaction = self.steps(self.connection.transaction(), changes, held)?;
        Ok(transaction.commit(&self.connection).await?)
    }

    /// Deletes the table, if there is one.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub async fn delete(&self) -> Result<(), Error> {
        let table = &*self.name.0;
        self.connection
            .del_table_if_exists(table, Family::Inet)
            .await?;
        Ok(())
    }

    /// Deletes the sets that are none of ours, or of another kind. Rules that ask them are
    /// in the way.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub async fn delete_strangers(&self, ours: &Ruleset) -> Result<(), Error> {
        let (table, family) = (&*self.name.0, Family::Inet);
        let mut transaction = self.connection.transaction();
        let mut any = false;
        for info in self.connection.list_sets_in(table, family).await? {
            let known = ours.sets.get(&*info.name);
            if !known.is_some_and(|set| is_kind(set, &info)) {
                transaction = transaction.del_set(table, &info.name, family);
                any = true;
            }
        }
        if any {
            transaction.commit(&self.connection).await?;
        }
        Ok(())
    }

    /// Whether there is such a table.
    ///
    /// # Errors
    /// Where the kernel cannot be asked.
    pub async fn exists(&self) -> Result<bool, Error> {
        let tables = self.connection.list_tables_in(Family::Inet).await?;
        Ok(tables.iter().any(|table| table.name == self.name.0))
    }

    fn steps(
        &self,
        mut transaction: Transaction,
        changes: &Changes,
        held: &Ruleset,
    ) -> Result<Transaction, Error> {
        let table = &*self.name.0;
        let family = Family::Inet;
        let mut made: BTreeMap<Name, Set> = BTreeMap::new();
        for step in &changes.steps {
            if let Change::DeleteSet(name, set) = step {
                made.insert(Name::clone(name), encode::set(table, name, set));
            }
        }
        for step in &changes.steps {
            transaction = match step {
                Change::AddSet(name, set) => {
                    let set = encode::set(table, name, set);
                    made.insert(Name::clone(name), set.clone());
                    transaction.add_set(set)
                }
                Change::AddChain(name, chain) => {
                    transaction.add_chain(encode::chain(table, name, chain.hook)?)
                }
                Change::DeleteElements(name, elements) | Change::AddElements(name, elements) => {
                    // Elements are written for the kind of their set.
                    let known = || held.sets.get(name).map(|set| encode::set(table, name, set));
                    let kind = made.get(name).cloned().or_else(known).ok_or_else(|| {
                        Error::NotEncodable(format!("elements of set {name}, which is not there"))
                    })?;
                    let adds = matches!(step, Change::AddElements(..));
                    let encoded: Vec<_> = elements
                        .iter()
                        .map(|(key, value)| encode::element(key, value))
                        .collect::<Result<_, _>>()?;
                    for some in encoded.chunks(ELEMENTS_PER_MESSAGE) {
                        transaction = match adds {
                            true => transaction.add_set_elements(&kind, some),
                            false => transaction.del_set_elements(&kind, some),
                        };
                    }
                    transaction
                }
                Change::SetRules(name, chain) => {
                    transaction = transaction.flush_chain(table, name, family);
                    for rule in &chain.rules {
                        let rule = Rule::new(table, name)
                            .family(family)
                            .expressions(encode::rule(rule)?);
                        transaction = transaction.add_rule(rule);
                    }
                    transaction
                }
                Change::Flush(name) => transaction.flush_chain(table, name, family),
                Change::DeleteChain(name) => transaction.del_chain(table, name, family),
                Change::DeleteSet(name, _) => transaction.del_set(table, name, family),
            };
        }
        Ok(transaction)
    }

    /// The number of the last change to any table of the namespace.
    ///
    /// # Errors
    /// Where the kernel cannot be asked.
    pub async fn generation(&self) -> Result<u32, Error> {
        Ok(self.connection.generation().await?)
    }

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
                    for rule in chain_rules::of_chain(&self.connection, table, name).await? {
                        rules.push(read_rule(&rule, wanted)?);
                    }
                    let chain = ruleset::Chain { rules, ..*chain };
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
        let (table, family) = (&*self.name.0, Family::Inet);
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
        let family = Family::Inet;
        if !self.exists().await? {
            return Err(Error::NotAsWritten("it is not there".to_owned()));
        }
        let mut found = BTreeMap::new();
        for chain in self.connection.list_chains_in(table, family).await? {
            let hook = chain.hook.map(|hook| match (hook, chain.priority) {
                (0, Some(-300)) => Ok(Hook::Arriving),
                (1, Some(0)) => Ok(Hook::Input),
                (2, Some(0)) => Ok(Hook::Forward),
                _ => Err(Error::NotAsWritten(format!(
                    "chain {} has another hook",
                    chain.name
                ))),
            });
            let made = ruleset::Chain {
                hook: hook.transpose()?,
                rules: Vec::new(),
            };
            if made.hook.is_some() && chain.policy != Some(1) {
                let name = chain.name;
                return Err(Error::NotAsWritten(format!(
                    "chain {name} has another policy"
                )));
            }
            found.insert(Name::from(chain.name), made);
        }
        for rule in self.connection.list_rules(table, family).await? {
            let read = read_rule(&rule, like)?;
            if let Some(chain) = found.get_mut(&*rule.chain) {
                chain.rules.push(read);
            }
        }
        Ok(found)
    }

    /// The sets without their elements.
    async fn sets(&self, like: &Ruleset) -> Result<Vec<(Name, ruleset::Set)>, Error> {
        let mut found = Vec::new();
        let listed = self.connection.list_sets_in(&self.name.0, Family::Inet);
        for info in listed.await? {
            let ports = port_set();
            let known = like.sets.get(&*info.name);
            let known = known.or(info.name.starts_with(PORT_SET).then_some(&ports));
            let Some(set) = known.filter(|set| is_kind(set, &info)) else {
                let name = info.name;
                return Err(Error::NotAsWritten(format!(
                    "set {name} is new, or of another kind"
                )));
            };
            let kind = ruleset::Set {
                elements: BTreeMap::new(),
                key: set.key.clone(),
                value: set.value.clone(),
                lookup: set.lookup,
            };
            found.push((Name::from(info.name), kind));
        }
        Ok(found)
    }
}

fn is_kind(set: &ruleset::Set, info: &nlink::netlink::nftables::SetInfo) -> bool {
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
    info.key_type == key.type_id() && info.key_len == key.len() && lookup && value
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
    if found.hook != wanted.hook {
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
