//! The tables of one network namespace that are ours.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use nlink::Connection;
use nlink::netlink::Nftables;
use nlink::netlink::namespace::Netns;
use nlink::netlink::nftables::connection::kernel_has_destroy;
use nlink::netlink::nftables::{Family, Rule, Set, Transaction};

use super::read_back::is_kind;
use super::{Error, encode};
use crate::ruleset::{Change, Changes, Layer, Name, Ruleset};

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

/// How long the kernel may take over a transaction.
const TIMEOUT: Duration = Duration::from_secs(120);

/// An `inet` table in a network namespace, and a `bridge` table of the same name where pods are
/// on bridges. Nobody else should write to them.
pub struct Table {
    pub(super) connection: Connection<Nftables>,
    pub(super) name: TableName,
    /// Where it is; the namespace of who asks, without one.
    pub(super) namespace: Option<Netns>,
}

impl Table {
    /// The table with this name in the network namespace of the calling thread. Nothing
    /// is asked or changed yet.
    ///
    /// # Errors
    /// Where no netlink socket can be had: `CAP_NET_ADMIN` is needed.
    pub fn here(name: TableName) -> Result<Self, Error> {
        Self::with(Connection::<Nftables>::new()?, name, None)
    }

    /// The table with this name in another network namespace.
    ///
    /// # Errors
    /// As for [`Table::here`].
    pub fn in_namespace(namespace: impl AsFd, name: TableName) -> Result<Self, Error> {
        let namespace = namespace.as_fd();
        let connection = Connection::<Nftables>::new_in(namespace)?;
        let namespace = Netns::from_fd(namespace.try_clone_to_owned()?)?;
        Self::with(connection, name, Some(namespace))
    }

    fn with(
        connection: Connection<Nftables>,
        name: TableName,
        namespace: Option<Netns>,
    ) -> Result<Self, Error> {
        let connection = connection.timeout(TIMEOUT);
        // Root of a user namespace may not force it, and gets what the machine permits:
        // enough for some thousand elements.
        if setsockopt(connection.socket(), sockopt::SndBufForce, &SEND_BUFFER).is_err() {
            setsockopt(connection.socket(), sockopt::SndBuf, &SEND_BUFFER)
                .map_err(std::io::Error::from)?;
        }
        Ok(Self {
            connection,
            name,
            namespace,
        })
    }

    /// Puts a ruleset in the place of whatever the table holds, in one transaction.
    ///
    /// # Errors
    /// Where the kernel refuses. Then nothing has changed.
    pub async fn replace(&self, ruleset: &Ruleset) -> Result<(), Error> {
        let table = &self.name.0;
        let mut transaction = self.connection.transaction();
        let there = self.layers().await?;
        for layer in Layer::ALL {
            let family = encode::family(layer);
            // A kernel older than 6.3 cannot delete what may not be there.
            if kernel_has_destroy() {
                transaction = transaction.destroy_table(table, family);
            } else if there.contains(&layer) {
                transaction = transaction.del_table(table, family);
            }
        }
        let changes = ruleset.changes_from(&Ruleset::default());
        let needed = changes.layers_added_to();
        for layer in needed
            .iter()
            .chain(needed.is_empty().then_some(&Layer::Network))
        {
            transaction = transaction.add_table(table, encode::family(*layer));
        }
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
        let mut transaction = self.connection.transaction();
        // A node may get its first bridge.
        if changes.layers_added_to().contains(&Layer::Link)
            && !self.layers().await?.contains(&Layer::Link)
        {
            transaction = transaction.add_table(&self.name.0, Family::Bridge);
        }
        let mut transaction = self.steps(transaction, changes, held)?;
        // Or lose its last.
        if changes.deletes_in(Layer::Link) && !held.is_in(Layer::Link) {
            transaction = transaction.del_table(&self.name.0, Family::Bridge);
        }
        Ok(transaction.commit(&self.connection).await?)
    }

    /// Deletes the tables, if they are there.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub async fn delete(&self) -> Result<(), Error> {
        let there = self.layers().await?;
        if there.is_empty() {
            return Ok(());
        }
        let mut transaction = self.connection.transaction();
        for layer in there {
            transaction = transaction.del_table(&self.name.0, encode::family(layer));
        }
        Ok(transaction.commit(&self.connection).await?)
    }

    /// Deletes the sets that are none of ours, or of another kind. Rules that ask them are
    /// in the way.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub async fn delete_strangers(&self, ours: &Ruleset) -> Result<(), Error> {
        let table = &*self.name.0;
        let mut transaction = self.connection.transaction();
        let mut any = false;
        for layer in self.layers().await? {
            let family = encode::family(layer);
            for info in self.connection.list_sets_in(table, family).await? {
                let known = ours.sets.get(&*info.name);
                if !known.is_some_and(|set| is_kind(set, layer, &info)) {
                    transaction = transaction.del_set(table, &info.name, family);
                    any = true;
                }
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
        Ok(self.layers().await?.contains(&Layer::Network))
    }

    /// Which of the two tables are there.
    pub(super) async fn layers(&self) -> Result<Vec<Layer>, Error> {
        let mut there = Vec::new();
        for layer in Layer::ALL {
            let family = encode::family(layer);
            let tables = self.connection.list_tables_in(family).await?;
            there.extend(
                tables
                    .iter()
                    .any(|it| it.name == self.name.0)
                    .then_some(layer),
            );
        }
        Ok(there)
    }

    fn steps(
        &self,
        mut transaction: Transaction,
        changes: &Changes,
        held: &Ruleset,
    ) -> Result<Transaction, Error> {
        let table = &*self.name.0;
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
                    transaction.add_chain(encode::chain(table, name, chain)?)
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
                    let family = encode::family(chain.layer);
                    transaction = transaction.flush_chain(table, name, family);
                    for rule in &chain.rules {
                        let rule = Rule::new(table, name)
                            .family(family)
                            .expressions(encode::rule(rule)?);
                        transaction = transaction.add_rule(rule);
                    }
                    transaction
                }
                Change::Flush(layer, name) => {
                    transaction.flush_chain(table, name, encode::family(*layer))
                }
                Change::DeleteChain(layer, name) => {
                    transaction.del_chain(table, name, encode::family(*layer))
                }
                Change::DeleteSet(name, set) => {
                    transaction.del_set(table, name, encode::family(set.layer))
                }
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
}
