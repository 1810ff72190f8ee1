//! What makes policies hold on a node of the lab.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ringfence_dataplane::compile::{Compiled, Node};
use ringfence_dataplane::nft::{Table, TableName};
use ringfence_engine::Engine;

use crate::error::LabError;
use crate::namespace::Namespace;

/// What an enforcer does, when it has done it.
pub type Enforcing<'a> = Pin<Box<dyn Future<Output = Result<(), LabError>> + Send + 'a>>;

/// A node on which policies are to hold.
#[derive(Clone, Copy, Debug)]
pub struct NodeToEnforce<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its network namespace.
    pub namespace: &'a Namespace,
    /// What is known of it and of its pods.
    pub node: &'a Node,
    /// What the policies say.
    pub engine: &'a Engine,
}

/// Makes policies hold on nodes. Without one, the lab is a cluster whose network plugin
/// knows no policies.
pub trait Enforcer: Send + Sync {
    /// Makes the policies hold that are in the engine, in the place of those that held.
    fn enforce<'a>(&'a self, on: NodeToEnforce<'a>) -> Enforcing<'a>;
}

/// The data plane of Ringfence itself.
#[derive(Debug, Default)]
pub struct Nftables {
    /// What each node holds, by name.
    held: Mutex<HashMap<String, Compiled>>,
}

impl Nftables {
    fn held(&self) -> MutexGuard<'_, HashMap<String, Compiled>> {
        // A map is whole between any two calls, whoever panicked.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Enforcer for Nftables {
    fn enforce<'a>(&'a self, on: NodeToEnforce<'a>) -> Enforcing<'a> {
        Box::pin(async move {
            let refused = |error: ringfence_dataplane::nft::Error| LabError::Enforcer {
                node: on.name.to_owned(),
                reason: error.to_string(),
            };
            let previous = self.held().get(on.name).cloned();
            let before = previous.clone().unwrap_or_default();
            let compiled = Compiled::new(on.engine, on.node, &before);
            let table = Table::in_namespace(on.namespace.fd(), TableName::default());
            let table = table.map_err(refused)?;
            match previous {
                None => table.replace(&compiled.ruleset).await,
                Some(previous) => {
                    let changes = compiled.changes_from(&previous);
                    table.apply(&changes, &previous.ruleset).await
                }
            }
            .map_err(refused)?;
            table.verify(&compiled.ruleset).await.map_err(refused)?;
            self.held().insert(on.name.to_owned(), compiled);
            Ok(())
        })
    }
}
