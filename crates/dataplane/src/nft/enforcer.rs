//! Keeps the table of one node as it should be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringfence_engine::Engine;
use ringfence_model::snapshot::PodId;

use super::refusal::{self, Closing};
use super::{Connections, Error, Noisy, Table};
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
    /// Whether the table may have something else than what is held.
    in_doubt: bool,
    /// The number of the namespace's last change to any table that was ours.
    generation: u32,
    /// Whether pods share bridges.
    has_bridges: bool,
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
    fn new(compiled: &Compiled, changes: &Changes) -> Self {
        Self {
            steps: changes.steps.len(),
            elements: changes.elements(),
            closed: compiled.closed(),
            unknown: compiled.unknown.clone(),
        }
    }
}

impl Enforcer {
    /// Takes over a table, or makes it. Until the new ruleset stands, an old one does.
    ///
    /// # Errors
    /// Where the kernel refuses even a ruleset that closes all pods, or does not hold
    /// what was written; or where it would not hold between pods of a bridge.
    pub async fn start(
        table: Table,
        connections: Connections,
        engine: &Engine,
        node: &Node,
    ) -> Result<(Self, Applied), Error> {
        if !node.bridges.is_empty() {
            table.bridges_are_filtered()?;
        }
        let mark = match table.exists().await? {
            true => table.mark().await?,
            false => None,
        };
        let epoch = mark.and_then(|mark| node.settings.epoch_of(mark));
        // Nobody knows in which generation connections were marked.
        if epoch.is_none() {
            connections.clear_marks(node.settings.mark_mask).await?;
        }
        let mut enforcer = Self {
            table,
            connections,
            held: Compiled::resumed(Ruleset::default(), epoch.unwrap_or(0)),
            in_doubt: true,
            generation: 0,
            has_bridges: !node.bridges.is_empty(),
        };
        let replace = mark.is_none() || !enforcer.read_back().await;
        let applied = enforcer.settle(engine, node, replace).await?;
        if !replace {
            enforcer.verify().await?;
        }
        Ok((enforcer, applied))
    }

    /// Makes the table follow a change of the cluster.
    ///
    /// # Errors
    /// As for [`Enforcer::start`]; then the table is as it was, or, where it was not read back
    /// as it was written, [`Enforcer::repair`] makes it what was meant.
    pub async fn update(&mut self, engine: &Engine, node: &Node) -> Result<Applied, Error> {
        if !node.bridges.is_empty() && !self.has_bridges {
            self.table.bridges_are_filtered()?;
        }
        self.has_bridges = !node.bridges.is_empty();
        if self.in_doubt {
            let replace = !self.read_back().await;
            return self.settle(engine, node, replace).await;
        }
        let update = self.held.update(engine, node);
        // Until it is written, what is held is not what the table has.
        self.in_doubt = true;
        let written = self
            .write(update.epoch, &update.changes, &self.held, node)
            .await;
        let Err(Failed { error, is_clean }) = written.map(|generation| {
            self.in_doubt = false;
            self.generation = generation.unwrap_or(self.generation);
        }) else {
            return Ok(Applied::new(&self.held, &update.changes));
        };
        if is_clean {
            self.held.take_back(update);
            self.in_doubt = false;
        }
        if error.refused().is_none() {
            // What should be there is known, and a repair brings it about.
            return Err(error);
        }
        // Whose rules are refused is found one attempt after the other.
        let replace = !is_clean && !self.read_back().await;
        self.settle(engine, node, replace).await
    }

    /// Takes what the table has for what is held, so that it can be changed: its base
    /// chains stay where packets meet them. Says whether it could be read; if not it is to
    /// be replaced.
    async fn read_back(&mut self) -> bool {
        let found = self.table.read(&Compiled::kinds()).await.ok();
        let is_read = found.is_some();
        self.held = Compiled::resumed(found.unwrap_or_default(), self.held.epoch());
        self.in_doubt = !is_read;
        is_read
    }

    /// Looks whether the table is as it was written, and writes it again if it is not.
    /// Says what was found.
    ///
    /// # Errors
    /// Where the kernel cannot be asked, or refuses what it had taken before; or where it does not
    /// hold between pods of a bridge any more.
    pub async fn repair(&mut self) -> Result<Option<String>, Error> {
        if self.has_bridges {
            self.table.bridges_are_filtered()?;
        }
        let generation = self.table.generation().await?;
        if generation == self.generation && !self.in_doubt {
            return Ok(None);
        }
        let found = match self.table.verify(&self.held.ruleset).await {
            Ok(()) => {
                self.generation = generation;
                self.in_doubt = false;
                None
            }
            Err(Error::NotAsWritten(difference)) => {
                if !self.mend().await {
                    self.table.replace(&self.held.ruleset).await?;
                }
                self.verify().await?;
                Some(difference)
            }
            Err(error) => return Err(error),
        };
        Ok(found)
    }

    /// Changes what differs in the table, step by step: its base chains stay where packets
    /// meet them. Says whether that was possible; a table that cannot be read, or that is
    /// not there, is to be replaced.
    async fn mend(&self) -> bool {
        let wanted = &self.held.ruleset;
        if self.table.delete_strangers(wanted).await.is_err() {
            return false;
        }
        let Ok(found) = self.table.read(wanted).await else {
            return false;
        };
        for part in wanted.changes_from(&found).in_parts(wanted) {
            if self.table.apply(&part, wanted).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Compares the whole table with what it should hold.
    async fn verify(&mut self) -> Result<(), Error> {
        // Asked before: what somebody does in between is looked at by the next repair.
        let generation = self.table.generation().await?;
        self.table.verify(&self.held.ruleset).await?;
        self.generation = generation;
        self.in_doubt = false;
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

    /// How many events were not told because there were too many: [`Table::suppressed`].
    ///
    /// # Errors
    /// Where the kernel cannot be asked, or the table is gone.
    pub async fn suppressed(&self) -> Result<BTreeMap<Noisy, u64>, Error> {
        self.table.suppressed().await
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
        mut replace: bool,
    ) -> Result<Applied, Error> {
        let mut closing = Closing::default();
        let mut applied = None;
        loop {
            let node = without(node, closing.pods());
            let next = Compiled::new(engine, &node, &self.held);
            let changes = match replace {
                true => next.ruleset.changes_from(&Ruleset::default()),
                false => next.changes_from(&self.held),
            };
            let epoch = self.held.epoch();
            let written = match replace {
                true => self.write_anew(epoch, &next, &node).await,
                false => self.write(epoch, &changes, &next, &node).await,
            };
            let goes_on = match written {
                Ok(generation) => {
                    applied = Some(Applied::new(&next, &changes));
                    self.held = next;
                    (self.in_doubt, replace) = (false, false);
                    self.generation = generation.unwrap_or(self.generation);
                    closing.taken()
                }
                Err(Failed { error, is_clean }) => {
                    let Some(refused) = error.refused() else {
                        if !is_clean {
                            (self.held, self.in_doubt) = (next, true);
                        }
                        return Err(error);
                    };
                    if !is_clean {
                        replace = !self.read_back().await;
                    }
                    let concerned = refusal::concerned(&next, &changes, &refused);
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

    /// Writes changes that lead to a ruleset, and reads them back. Gives the number of the
    /// last change, if all that were made since the last that is known were ours: where
    /// somebody else has changed something too, the next repair looks at it all.
    async fn write(
        &self,
        epoch: u32,
        changes: &Changes,
        next: &Compiled,
        node: &Node,
    ) -> Result<Option<u32>, Failed> {
        self.begin_again(epoch, next, node).await.map_err(clean)?;
        let before = self.table.generation().await.map_err(clean)?;
        let commits = self.write_parts(changes, &next.ruleset).await?;
        let verified = self.table.verify_changes(changes, &next.ruleset).await;
        verified.map_err(unclean)?;
        let after = self.table.generation().await.map_err(unclean)?;
        let ours = before == self.generation && after == before.wrapping_add(commits);
        Ok(ours.then_some(after))
    }

    /// Puts a ruleset in the place of whatever there is, and reads it back. Gives the number
    /// of the change.
    async fn write_anew(
        &self,
        epoch: u32,
        next: &Compiled,
        node: &Node,
    ) -> Result<Option<u32>, Failed> {
        self.begin_again(epoch, next, node).await.map_err(clean)?;
        self.table.replace(&next.ruleset).await.map_err(clean)?;
        let generation = self.table.generation().await.map_err(unclean)?;
        self.table.verify(&next.ruleset).await.map_err(unclean)?;
        Ok(Some(generation))
    }

    /// When the numbers of generations begin again, what was marked with them long ago must
    /// not be taken for judged.
    async fn begin_again(&self, epoch: u32, next: &Compiled, node: &Node) -> Result<(), Error> {
        if next.epoch() < epoch {
            self.connections
                .clear_marks(node.settings.mark_mask)
                .await?;
        }
        Ok(())
    }

    /// Takes the steps, and says in how many transactions. Where the kernel refuses the
    /// second, what the first has prepared is taken back: numbers in it may be given to
    /// others next time.
    async fn write_parts(&self, changes: &Changes, after: &Ruleset) -> Result<u32, Failed> {
        let parts = changes.in_parts(after);
        let commits = parts.iter().filter(|part| !part.is_empty()).count();
        let [prepare, switch, clean_up] = parts;
        self.table.apply(&prepare, after).await.map_err(clean)?;
        if let Err(error) = self.table.apply(&switch, after).await {
            let back = self.table.apply(&prepare.taken_back(), after).await;
            let is_clean = back.is_ok();
            return Err(Failed { error, is_clean });
        }
        self.table.apply(&clean_up, after).await.map_err(unclean)?;
        Ok(u32::try_from(commits).unwrap_or(u32::MAX))
    }
}

/// What became of changes that were not written.
#[derive(Debug)]
struct Failed {
    error: Error,
    /// Whether the table is as it was before.
    is_clean: bool,
}

fn clean(error: Error) -> Failed {
    let is_clean = true;
    Failed { error, is_clean }
}

fn unclean(error: Error) -> Failed {
    let is_clean = false;
    Failed { error, is_clean }
}

/// The node with some more pods closed.
fn without(node: &Node, closed: &BTreeSet<PodId>) -> Node {
    let mut node = node.clone();
    for endpoint in &mut node.endpoints {
        if closed.contains(&endpoint.pod) && !endpoint.closed {
            Arc::make_mut(endpoint).closed = true;
        }
    }
    node
}
