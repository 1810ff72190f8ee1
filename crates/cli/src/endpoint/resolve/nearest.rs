//! Messages for names that are not there: what was probably meant.

use ringfence_model::snapshot::{Snapshot, Workload};

use super::{ResolveError, Resolver};

/// How alike two names must be to be suggested; 1 is equal.
const ALIKE: f64 = 0.78;
/// How many names are listed when none is alike.
const LISTED: usize = 8;

impl Resolver<'_> {
    pub(super) fn no_namespace(&self, namespace: &str, name: &str) -> ResolveError {
        let names = self.snapshot.namespaces.iter().map(|n| &*n.name);
        // `deploy/cart`, as kubectl writes it, reads as namespace `deploy`.
        let as_kind = self.canonical_kind(namespace);
        let meant = self
            .snapshot
            .find_workload(self.default_namespace, Some(&as_kind), name);
        let hint = if meant.is_empty() {
            hint(&nearest(namespace, names.clone()), || list(names))
        } else {
            let default = self.default_namespace;
            format!(": did you mean `{default}/{namespace}/{name}`?")
        };
        ResolveError::NoNamespace {
            name: namespace.to_owned(),
            hint,
        }
    }

    pub(super) fn no_object(
        &self,
        namespace: &str,
        kind: Option<&str>,
        name: &str,
    ) -> ResolveError {
        let of_other_kind = self.snapshot.find_workload(namespace, None, name);
        let hint = if let (Some(_), Some(other)) = (kind, of_other_kind.first()) {
            let kind = &self.snapshot.workload(*other).kind;
            format!(" of that kind: did you mean `{namespace}/{kind}/{name}`?")
        } else if self.snapshot.find_service(namespace, name).is_some() {
            format!(": it is a Service, written `svc:{namespace}/{name}`")
        } else {
            self.object_hint(namespace, name)
        };
        ResolveError::NoObject {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            hint,
        }
    }

    fn object_hint(&self, namespace: &str, name: &str) -> String {
        let full = |workload: &Workload| {
            let namespace = &self.snapshot.namespace(workload.namespace).name;
            format!("{namespace}/{}", workload.name)
        };
        let here: Vec<&str> = workloads_of(self.snapshot, namespace)
            .map(|w| &*w.name)
            .collect();
        let alike = nearest(name, here.iter().copied());
        if !alike.is_empty() {
            let alike: Vec<String> = alike.iter().map(|n| format!("{namespace}/{n}")).collect();
            return hint(&alike, String::new);
        }
        let elsewhere: Vec<String> = self
            .snapshot
            .workloads
            .iter()
            .filter(|workload| &*workload.name == name)
            .map(full)
            .take(3)
            .collect();
        hint(&elsewhere, || list(here.into_iter()))
    }

    pub(super) fn no_service(&self, namespace: &str, name: &str) -> ResolveError {
        let snapshot = self.snapshot;
        let names: Vec<&str> = snapshot
            .services
            .iter()
            .filter(|service| &*snapshot.namespace(service.namespace).name == namespace)
            .map(|service| &*service.name)
            .collect();
        let alike: Vec<String> = nearest(name, names.iter().copied())
            .into_iter()
            .map(|n| format!("svc:{namespace}/{n}"))
            .collect();
        ResolveError::NoService {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            hint: hint(&alike, || list(names.into_iter())),
        }
    }
}

fn workloads_of<'a>(
    snapshot: &'a Snapshot,
    namespace: &str,
) -> impl Iterator<Item = &'a Workload> + use<'a> {
    let id = snapshot.find_namespace(namespace);
    snapshot
        .workloads
        .iter()
        .filter(move |workload| Some(workload.namespace) == id)
}

/// The names most like `wanted`, best first, at most three.
pub(crate) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut scored: Vec<(f64, &str)> = names
        .map(|name| (likeness(wanted, name), name))
        .filter(|(score, _)| *score >= ALIKE)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored
        .into_iter()
        .take(3)
        .map(|(_, name)| name.to_owned())
        .collect()
}

/// How alike two names are. In short names one slip is a large part of the name.
fn likeness(wanted: &str, name: &str) -> f64 {
    let one_slip = wanted.len() > 1 && strsim::damerau_levenshtein(wanted, name) == 1;
    let likeness = strsim::jaro_winkler(wanted, name);
    if one_slip {
        likeness.max(ALIKE)
    } else {
        likeness
    }
}

fn hint(alike: &[String], otherwise: impl FnOnce() -> String) -> String {
    match alike {
        [] => otherwise(),
        _ => format!(": did you mean `{}`?", alike.join("` or `")),
    }
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    let more = names.len().saturating_sub(LISTED);
    names.truncate(LISTED);
    match (names.is_empty(), more) {
        (true, _) => ", which has none".to_owned(),
        (false, 0) => format!("; there are: {}", names.join(", ")),
        (false, more) => format!("; there are: {} and {more} more", names.join(", ")),
    }
}
