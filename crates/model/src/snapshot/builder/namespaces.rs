use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;
use rustc_hash::FxHashMap;

use super::collect::Named;
use super::interner::Interner;
use crate::labels::{Labels, METADATA_NAME, UnknownKeys};
use crate::snapshot::{Namespace, NamespaceId};

/// The index of each namespace by its name.
pub(super) type NamespaceIds = FxHashMap<Arc<str>, NamespaceId>;

/// The namespaces of the cluster, by name.
#[derive(Debug, Default)]
pub(super) struct Namespaces {
    by_name: BTreeMap<Arc<str>, Namespace>,
}

impl Namespaces {
    /// The namespaces whose manifests were read. The control plane gives each the
    /// label with its name, whatever the manifest says.
    pub(super) fn declared(
        objects: Vec<Named<Box<core::Namespace>>>,
        interner: &mut Interner,
    ) -> Self {
        let by_name = objects.into_iter().map(|named| {
            let name = named.id.name;
            let mut labels = named.object.metadata.labels.unwrap_or_default();
            labels.insert(METADATA_NAME.to_owned(), name.to_string());
            let namespace = Namespace {
                name: Arc::clone(&name),
                labels: interner.labels(labels, UnknownKeys::None),
                identity_known: true,
                origin: named.origin,
            };
            (name, namespace)
        });
        Self {
            by_name: by_name.collect(),
        }
    }

    /// A namespace that some object lives in. It exists; unless it is also declared,
    /// only the label that every namespace has is known of it.
    pub(super) fn mention(&mut self, name: &Arc<str>, interner: &mut Interner) {
        if self.by_name.contains_key(name) {
            return;
        }
        let labels = BTreeMap::from([(METADATA_NAME.to_owned(), name.to_string())]);
        let namespace = Namespace {
            name: Arc::clone(name),
            labels: interner.labels(labels, UnknownKeys::AllButName),
            identity_known: true,
            origin: None,
        };
        self.by_name.insert(Arc::clone(name), namespace);
    }

    /// The namespace of an endpoint outside the input: any namespace of the cluster.
    pub(super) fn add_stand_in(&mut self, name: &Arc<str>) {
        self.by_name.insert(
            Arc::clone(name),
            Namespace {
                name: Arc::clone(name),
                labels: Labels {
                    known: Arc::default(),
                    unknown: UnknownKeys::All,
                },
                identity_known: false,
                origin: None,
            },
        );
    }

    pub(super) fn finish(self) -> (Vec<Namespace>, NamespaceIds) {
        let list: Vec<Namespace> = self.by_name.into_values().collect();
        let ids = list
            .iter()
            .map(|namespace| Arc::clone(&namespace.name))
            .zip((0..).map(NamespaceId))
            .collect();
        (list, ids)
    }
}
