//! Objects of the input of which it is not known whether somebody makes pods, or which
//! install others that the input may not have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringfence_model::custom::{self, Installer, MAY_MAKE_PODS};
use ringfence_model::object::ObjectRef;
use ringfence_model::snapshot::NamespaceId;

use super::Context;

/// Labels by which what is installed carries the name of what installs it.
const OF_INSTALLERS: [&str; 5] = [
    "app.kubernetes.io/instance",
    "argocd.argoproj.io/instance",
    "helm.toolkit.fluxcd.io/name",
    "kustomize.toolkit.fluxcd.io/name",
    "release",
];

/// The objects of one such kind of which the input has no pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlooked {
    /// The objects, with their namespaces, ascending.
    pub objects: Vec<ObjectRef>,
    /// Whether, and how, they install others.
    pub installer: Option<&'static Installer>,
}

/// By kind.
pub(super) fn of(context: &Context<'_>) -> Vec<Unlooked> {
    let applied_to = context.options.default_namespace();
    let notes = context.diagnostics.iter();
    let notes = notes.filter(|diagnostic| diagnostic.code == MAY_MAKE_PODS);
    let mut objects: Vec<ObjectRef> = notes.filter_map(|note| note.object.clone()).collect();
    if objects.is_empty() {
        return Vec::new();
    }
    for object in &mut objects {
        object.namespace.get_or_insert_with(|| applied_to.into());
    }
    let installed = label_values(context, |key| OF_INSTALLERS.contains(&key));
    let installed: BTreeSet<&str> = installed.into_iter().map(|(_, value)| value).collect();
    let made = label_values(context, |_| true);
    let mut kinds: BTreeMap<(Arc<str>, Arc<str>), Unlooked> = BTreeMap::new();
    for object in objects {
        let installer = custom::installer(&object.api_version, &object.kind);
        let name = &*object.name;
        let is_seen = match (installer, &object.namespace) {
            (Some(_), _) => installed.contains(name),
            (None, Some(namespace)) => made.contains(&(&**namespace, name)),
            (None, None) => false,
        };
        if !is_seen {
            let key = (object.kind.clone(), object.api_version.clone());
            let of_kind = kinds.entry(key).or_insert_with(|| Unlooked {
                objects: Vec::new(),
                installer,
            });
            of_kind.objects.push(object);
        }
    }
    let mut kinds: Vec<Unlooked> = kinds.into_values().collect();
    for of_kind in &mut kinds {
        of_kind.objects.sort();
        of_kind.objects.dedup();
    }
    kinds
}

/// What pods have as values of some labels, with their namespaces.
fn label_values<'a>(
    context: &Context<'a>,
    is_meant: impl Fn(&str) -> bool,
) -> BTreeSet<(&'a str, &'a str)> {
    let snapshot = context.snapshot;
    let pods = snapshot.pods.iter();
    let pairs = pods.flat_map(|pod| {
        let namespace = &*snapshot.namespace(pod.namespace).name;
        let labels = pod.labels.known.iter();
        labels.map(move |(key, value)| (namespace, &**key, &**value))
    });
    let meant = pairs.filter(|(_, key, _)| is_meant(key));
    meant
        .map(|(namespace, _, value)| (namespace, value))
        .collect()
}

impl Context<'_> {
    /// The objects that may make pods or install others, and of which the input has none,
    /// by kind.
    #[must_use]
    pub fn unlooked(&self) -> &[Unlooked] {
        self.unlooked.get_or_init(|| of(self))
    }

    /// The names of the namespaces of objects of which pods are, or may be, made that the
    /// input does not have.
    pub(crate) fn namespaces_with_unseen(&self) -> BTreeSet<&str> {
        let made = self.unseen_pods().iter().map(|unseen| &unseen.of);
        let others = self.unlooked().iter().flat_map(|kind| &kind.objects);
        made.chain(others)
            .filter_map(|object| object.namespace.as_deref())
            .collect()
    }

    /// Whether a namespace is one of them.
    #[must_use]
    pub fn has_unseen_pods(&self, namespace: NamespaceId) -> bool {
        let names = self.unseen_in.get_or_init(|| {
            let names = self.namespaces_with_unseen().into_iter();
            names
                .filter_map(|name| self.snapshot.find_namespace(name))
                .collect()
        });
        names.contains(&namespace)
    }
}
