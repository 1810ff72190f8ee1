//! Keeps the table of one node as it should be.

use std::collections::BTreeSet;

use ringfence_engine::Engine;
use ringfence_model::snapshot::PodId;

use super::refusal::{self, Closing};
use super::{Connections, Error, Table};
use crate::compile::{Compiled, Node};
use crate::ruleset::{Changes, Ruleset};

/// A node's table, and what it holds.
///
/// Dropping it leaves the table where it is: what stops opens nothing. Only
/// [`Enforcer::uninstall`] removes it.
pub struct Enforcer {
    table: Table,
    connections: Connections,
    held: Compiled,
    /// The number of the namespace's last change to any table that was ours.
    generation: u32,
}

/// What a change did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// How many steps and elements were written.
    pub steps: usize,
    /// How many elements joined or left sets.
    pub elements: usize,
    /// Pods whose rules the kernel refused; nothing passes to and from them.
    pub closed: BTreeSet<PodId>,
    /// Pods with connections about which the policies say nothing for certain; those
    /// connections are denied.
    pub unknown: BTreeSet<PodId>,
}

impl Applied {
    fn new(node: &Node, compiled: &Compiled, changes: &Changes) -> Self {
        let closed = node.endpoints.iter().filter(|endpoint| endpoint.closed);
        Self {
            steps: changes.steps.len(),
            elements: changes.elements(),
            closed: closed.map(|endpoint| endpoint.pod).collect(),
            unknown: compiled.unknown.clone(),
        }
    }
}

impl Enforcer {
    /// Takes over a table, or makes it. Until the new ruleset stands, an old one does.
    ///
    /// # Errors
    /// Where the kernel refuses even a ruleset that closes all pods, or does not hold
    /// what was written.
    pub async fn start(
        table: Table,
        connections: Connections,
        engine: &Engine,
        node: &Node,
    ) -> Result<(Self, Applied), Error> {
        let mark = match table.exists().await? {
            true => table.mark().await?,
            false => None,
        };
        let epoch = mark.and_then(|mark| node.settings.epoch_of(mark));
        // Nobody knows in which generation connections were marked.
        if epoch.is_none() {
            connections.clear_marks(node.settings.mark_mask).await?;
        }
        let epoch = epoch.unwrap_or(0);
        let mut enforcer = Self {
            table,
            connections,
            held: Compiled::resumed(Ruleset::default(), epoch),
            generation: 0,
        };
        // A table that can be read is changed like one's own: its base chains stay where
        // packets meet them. One that cannot is replaced.
        let kinds = Compiled::new(engine, node, &enforcer.held).ruleset;
        let found = match mark {
            Some(_) => enforcer.table.read(&kinds).await.ok(),
            None => None,
        };
        let replace = found.is_none();
        if let Some(found) = found {
            enforcer.held = Compiled::resumed(found, epoch);
        }
        let applied = enforcer.settle(engine, node, replace).await?;
        if !replace {
            enforcer.verify().await?;
        }
        Ok((enforcer, applied))
    }

    /// Makes the table follow a change of the cluster.
    ///
    /// # Errors
    /// As for [`Enforcer::start`]; then the table is as it was.
    pub async fn update(&mut self, engine: &Engine, node: &Node) -> Result<Applied, Error> {
        self.settle(engine, node, false).await
    }

    /// Looks whether the table is as it was written, and writes it again if it is not.
    /// Says what was found.
    ///
    /// # Errors
    /// Where the kernel cannot be asked, or refuses what it had taken before.
    pub async fn repair(&mut self) -> Result<Option<String>, Error> {
        let generation = self.table.generation().await?;
        if generation == self.generation {
            return Ok(None);
        }
        let found = match self.table.verify(&self.held.ruleset).await {
            Ok(()) => {
                self.generation = generation;
                None
            }
            Err(Error::NotAsWritten(difference)) => {
                self.table.replace(&self.held.ruleset).await?;
                self.verify().await?;
                Some(difference)
            }
            Err(error) => return Err(error),
        };
        Ok(found)
    }

    /// Compares the whole table with what it should hold.
    async fn verify(&mut self) -> Result<(), Error> {
        // Asked before: what somebody does in between is looked at by the next repair.
        let generation = self.table.generation().await?;
        self.table.verify(&self.held.ruleset).await?;
        self.generation = generation;
        Ok(())
    }

    /// Removes the table: nothing is denied any more.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub async fn uninstall(self) -> Result<(), Error> {
        self.table.delete().await?;
        let mask = self.held.mark_mask();
        self.connections.clear_marks(mask).await?;
        Ok(())
    }

    /// What the table holds.
    #[must_use]
    pub fn held(&self) -> &Compiled {
        &self.held
    }

    /// Writes the ruleset of a node; where the kernel refuses it, closes the pods that it
    /// refuses something of.
    async fn settle(
        &mut self,
        engine: &Engine,
        node: &Node,
        replace: bool,
    ) -> Result<Applied, Error> {
        let mut closing = Closing::default();
        let mut applied = None;
        loop {
            let node = without(node, closing.pods());
            let next = Compiled::new(engine, &node, &self.held);
            let changes = next.changes_from(&self.held);
            let goes_on = match self.write(&next, &changes, replace, &node).await {
                Ok(()) => {
                    applied = Some(Applied::new(&node, &next, &changes));
                    self.held = next;
                    closing.taken()
                }
                Err(error) => {
                    let Some(refused) = error.refused() else {
                        return Err(error);
                    };
                    let steps = match replace {
                        true => next.ruleset.changes_from(&Ruleset::default()),
                        false => changes,
                    };
                    let concerned = refusal::concerned(&next, &steps, &refused);
                    let goes_on = closing.refused(concerned, &node);
                    if !goes_on && applied.is_none() {
                        return Err(error);
                    }
                    goes_on
                }
            };
            if !goes_on && let Some(applied) = applied.take() {
                return Ok(applied);
            }
        }
    }

    async fn write(
        &mut self,
        next: &Compiled,
        changes: &Changes,
        replace: bool,
        node: &Node,
    ) -> Result<(), Error> {
        // Numbers begin again: what was marked with them long ago must not be taken for
        // judged.
        if next.epoch() < self.held.epoch() {
            self.connections
                .clear_marks(node.settings.mark_mask)
                .await?;
        }
        if replace {
            self.table.replace(&next.ruleset).await?;
            let generation = self.table.generation().await?;
            self.table.verify(&next.ruleset).await?;
            self.generation = generation;
            return Ok(());
        }
        let before = self.table.generation().await?;
        let commits = self.write_parts(changes).await?;
        self.table.verify_changes(changes, &next.ruleset).await?;
        // Where somebody else has changed something too, the next repair looks at it all.
        let after = self.table.generation().await?;
        if before == self.generation && after == before.wrapping_add(commits) {
            self.generation = after;
        }
        Ok(())
    }

    /// Takes the steps, and says in how many transactions. Where the kernel refuses the
    /// second, what the first has prepared is taken back: numbers in it may be given to
    /// others next time.
    async fn write_parts(&self, changes: &Changes) -> Result<u32, Error> {
        let held = &self.held.ruleset;
        let [prepare, switch] = changes.clone().in_two_parts(held);
        self.table.apply(&prepare, held).await?;
        let mut prepared = held.clone();
        prepared.apply(&prepare);
        if let Err(error) = self.table.apply(&switch, &prepared).await {
            let back = held.changes_from(&prepared);
            self.table.apply(&back, &prepared).await?;
            return Err(error);
        }
        Ok(u32::from(!prepare.is_empty()) + u32::from(!switch.is_empty()))
    }
}

/// The node with some more pods closed.
fn without(node: &Node, closed: &BTreeSet<PodId>) -> Node {
    let mut node = node.clone();
    for endpoint in &mut node.endpoints {
        endpoint.closed |= closed.contains(&endpoint.pod);
    }
    node
}
