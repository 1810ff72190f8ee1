use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::labels::{Labels, UnknownKeys};
use crate::snapshot::ContainerPort;

/// Shares equal values: a hundred thousand pods have few different labels, ports
/// and namespaces.
#[derive(Debug, Default)]
pub(super) struct Interner {
    names: FxHashSet<Arc<str>>,
    labels: FxHashMap<BTreeMap<String, String>, Arc<BTreeMap<String, String>>>,
    ports: FxHashMap<Vec<ContainerPort>, Arc<[ContainerPort]>>,
}

impl Interner {
    pub(super) fn name(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.names.get(text) {
            return Arc::clone(known);
        }
        let name: Arc<str> = text.into();
        self.names.insert(Arc::clone(&name));
        name
    }

    pub(super) fn labels(
        &mut self,
        labels: BTreeMap<String, String>,
        unknown: UnknownKeys,
    ) -> Labels {
        let known = match self.labels.get(&labels) {
            Some(known) => Arc::clone(known),
            None => {
                let shared = Arc::new(labels.clone());
                self.labels.insert(labels, Arc::clone(&shared));
                shared
            }
        };
        Labels { known, unknown }
    }

    pub(super) fn ports(&mut self, ports: Vec<ContainerPort>) -> Arc<[ContainerPort]> {
        if let Some(known) = self.ports.get(&ports) {
            return Arc::clone(known);
        }
        let shared: Arc<[ContainerPort]> = ports.as_slice().into();
        self.ports.insert(ports, Arc::clone(&shared));
        shared
    }
}
