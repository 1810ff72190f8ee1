//! What makes policies hold on a node of the lab.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;

use ringfence_dataplane::compile::Node;
use ringfence_dataplane::nft::{Connections, Enforcer as NodeEnforcer, Table, TableName};
use ringfence_engine::Engine;
use tokio::sync::Mutex;

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
#[derive(Default)]
pub struct Nftables {
    /// What holds the table of each node, by name.
    held: Mutex<HashMap<String, NodeEnforcer>>,
}

impl fmt::Debug for Nftables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nftables").finish_non_exhaustive()
    }
}

impl Enforcer for Nftables {
    fn enforce<'a>(&'a self, on: NodeToEnforce<'a>) -> Enforcing<'a> {
        Box::pin(async move {
            let refused = |reason: String| LabError::Enforcer {
                node: on.name.to_owned(),
                reason,
            };
            let said = |error: ringfence_dataplane::nft::Error| refused(error.to_string());
            let mut held = self.held.lock().await;
            let applied = match held.get_mut(on.name) {
                Some(enforcer) => enforcer.update(on.engine, on.node).await.map_err(said)?,
                None => {
                    let namespace = on.namespace.fd();
                    let table = Table::in_namespace(namespace, TableName::default());
                    let connections = Connections::in_namespace(namespace);
                    let (enforcer, applied) = NodeEnforcer::start(
                        table.map_err(said)?,
                        connections.map_err(said)?,
                        on.engine,
                        on.node,
                    )
                    .await
                    .map_err(said)?;
                    held.insert(on.name.to_owned(), enforcer);
                    applied
                }
            };
            match applied.closed.len() {
                0 => Ok(()),
                closed => Err(refused(format!(
                    "the kernel refuses the rules of {closed} of its pods, which are closed"
                ))),
            }
        })
    }
}
