//! Keeps the table of one node as it should be.

use std::collections::BTreeSet;

use ringfence_engine::Engine;
use ringfence_model::snapshot::PodId;

use super::{Connections, Error, Table};
use crate::compile::{Compiled, Node};
use crate::ruleset::{Change, Changes, Ruleset, Target};

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
            enforcer.table.verify(&enforcer.held.ruleset).await?;
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
            Ok(()) => None,
            Err(Error::NotAsWritten(difference)) => {
                self.table.replace(&self.held.ruleset).await?;
                self.table.verify(&self.held.ruleset).await?;
                Some(difference)
            }
            Err(error) => return Err(error),
        };
        self.generation = generation.max(self.table.generation().await?);
        Ok(found)
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
        let mut node = node.clone();
        loop {
            let next = Compiled::new(engine, &node, &self.held);
            let changes = next.changes_from(&self.held);
            match self.write(&next, &changes, replace, &node).await {
                Ok(()) => {
                    let closed = node.endpoints.iter().filter(|endpoint| endpoint.closed);
                    let applied = Applied {
                        steps: changes.steps.len(),
                        elements: changes.elements(),
                        closed: closed.map(|endpoint| endpoint.pod).collect(),
                        unknown: next.unknown.clone(),
                    };
                    self.held = next;
                    return Ok(applied);
                }
                Err(error) => {
                    let Some(refused) = error.refused() else {
                        return Err(error);
                    };
                    let steps = match replace {
                        true => next.ruleset.changes_from(&Default::default()),
                        false => changes,
                    };
                    if !close_concerned(&mut node, &next, &steps, &refused) {
                        return Err(error);
                    }
                }
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
            self.table.verify(&next.ruleset).await?;
        } else {
            let mut held = self.held.ruleset.clone();
            for part in changes.clone().in_two_parts(&self.held.ruleset) {
                self.table.apply(&part, &held).await?;
                held.apply(&part);
            }
            self.table.verify_changes(changes, &next.ruleset).await?;
        }
        self.generation = self.table.generation().await?;
        Ok(())
    }
}

/// Closes the pods that refused steps are about; all of them where that cannot be told.
/// Says whether there was one to close.
fn close_concerned(
    node: &mut Node,
    next: &Compiled,
    changes: &Changes,
    refused: &BTreeSet<String>,
) -> bool {
    let mut concerned = next.concerned_by(refused);
    if concerned.is_empty() {
        // Elements are refused by their set: those that are new are in question.
        let added = changes.steps.iter().filter_map(|step| match step {
            Change::AddElements(name, elements) if refused.contains(&**name) => Some(elements),
            _ => None,
        });
        let chains: BTreeSet<String> = added
            .flatten()
            .filter_map(|(_, value)| match value {
                crate::ruleset::Value::Verdict(Target::Jump(name) | Target::Goto(name)) => {
                    Some(name.to_string())
                }
                _ => None,
            })
            .collect();
        concerned = next.concerned_by(&chains);
    }
    let mut any = false;
    let all = concerned.is_empty();
    for endpoint in &mut node.endpoints {
        if !endpoint.closed && (all || concerned.contains(&endpoint.pod)) {
            endpoint.closed = true;
            any = true;
        }
    }
    any
}
