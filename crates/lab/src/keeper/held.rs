//! The objects of a lab that stays up: what an API server would have of them.

use std::mem::discriminant;

use ringfence_model::parse::{self, Input, Limits, Object, TypedObject};
use ringfence_model::snapshot::Snapshot;
use serde::{Deserialize, Serialize};

use super::{Change, Manifest};
use crate::error::LabError;

/// An object that is meant by its kind and its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The kind as it is typed: `NetworkPolicy`, `networkpolicies`, `netpol`.
    pub kind: String,
    /// The name.
    pub name: String,
}

/// All objects that a lab has been given, each once.
#[derive(Clone, Debug, Default)]
pub(super) struct Held(Vec<Object>);

impl Held {
    pub(super) fn objects(&self) -> &[Object] {
        &self.0
    }

    /// What is in the manifests, in the namespace that is said where they name none.
    pub(super) fn read(manifests: &[Manifest], namespace: &str) -> Vec<Object> {
        let inputs = manifests.iter().map(|manifest| Input {
            name: manifest.name.clone(),
            bytes: manifest.text.clone().into_bytes(),
        });
        let mut objects = parse::load(inputs.collect(), &Limits::default()).objects;
        for object in &mut objects {
            object.typed.put_into(namespace);
        }
        objects
    }

    /// Makes the change, and says what became of each object.
    ///
    /// # Errors
    /// If an object that is to be deleted is not there. Then nothing changes.
    pub(super) fn change(
        &mut self,
        change: &Change,
        default_namespace: &str,
    ) -> Result<Vec<String>, LabError> {
        let namespace = change.namespace.as_deref().unwrap_or(default_namespace);
        let objects = Self::read(&change.manifests, namespace);
        let mut next = self.clone();
        let mut done = Vec::new();
        if change.delete {
            for object in &objects {
                let place = next.place_of(&object.typed);
                done.push(next.remove(place, object.typed.kind(), object.typed.name())?);
            }
            for named in &change.named {
                let place = next.0.iter().position(|object| {
                    is_called(object.typed.kind(), &named.kind)
                        && object.typed.name() == named.name
                        && object.typed.namespace().unwrap_or(namespace) == namespace
                });
                done.push(next.remove(place, &named.kind, &named.name)?);
            }
        } else {
            if change.replace {
                let stays = |old: &Object| objects.iter().any(|new| same(&new.typed, &old.typed));
                let gone = next.0.iter().filter(|old| !stays(old));
                done.extend(gone.map(|old| said(old.typed.kind(), old.typed.name(), "deleted")));
                next.0.retain(stays);
            }
            for object in objects {
                done.push(next.put(object));
            }
        }
        *self = next;
        Ok(done)
    }

    /// Adds an object, or puts it in the place of the one that is called the same.
    pub(super) fn put(&mut self, mut object: Object) -> String {
        let place = self.place_of(&object.typed);
        let known = place.and_then(|place| self.0.get_mut(place));
        let what = if known.is_some() {
            "configured"
        } else {
            "created"
        };
        let told = said(object.typed.kind(), object.typed.name(), what);
        match known {
            Some(known) => {
                keep_addresses(&known.typed, &mut object.typed);
                *known = object;
            }
            None => self.0.push(object),
        }
        told
    }

    /// Notes which addresses Services were given: whatever comes and goes, they stay.
    pub(super) fn note_addresses(&mut self, snapshot: &Snapshot) {
        for object in &mut self.0 {
            let TypedObject::Service(service) = &mut object.typed else {
                continue;
            };
            let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
            let name = service.metadata.name.as_deref().unwrap_or_default();
            let Some(id) = snapshot.find_service(namespace, name) else {
                continue;
            };
            let known = snapshot.service(id);
            let spec = service.spec.get_or_insert_default();
            if !known.headless && !known.cluster_ips.is_empty() {
                let texts = known.cluster_ips.iter().map(ToString::to_string);
                let texts: Vec<String> = texts.collect();
                spec.cluster_ip = texts.first().cloned();
                spec.cluster_ips = Some(texts);
            }
        }
    }

    fn place_of(&self, typed: &TypedObject) -> Option<usize> {
        let mut all = self.0.iter();
        all.position(|object| same(&object.typed, typed))
    }

    fn remove(&mut self, place: Option<usize>, kind: &str, name: &str) -> Result<String, LabError> {
        match place {
            Some(place) => {
                let gone = self.0.remove(place);
                Ok(said(gone.typed.kind(), name, "deleted"))
            }
            None => Err(LabError::Unsupported(format!(
                "{} \"{name}\" is not there: nothing is changed",
                kind.to_lowercase()
            ))),
        }
    }
}

/// A sentence as `kubectl` says it.
fn said(kind: &str, name: &str, what: &str) -> String {
    format!("{} \"{name}\" {what}", kind.to_lowercase())
}

/// Whether two objects are called the same.
fn same(a: &TypedObject, b: &TypedObject) -> bool {
    discriminant(a) == discriminant(b)
        && a.kind() == b.kind()
        && a.namespace() == b.namespace()
        && a.name() == b.name()
}

/// A Service that does not say otherwise keeps the addresses that it has.
fn keep_addresses(old: &TypedObject, new: &mut TypedObject) {
    let (TypedObject::Service(old), TypedObject::Service(new)) = (old, new) else {
        return;
    };
    let old = old.spec.clone().unwrap_or_default();
    let spec = new.spec.get_or_insert_default();
    if spec.cluster_ip.is_none() && spec.cluster_ips.is_none() {
        spec.cluster_ip = old.cluster_ip;
        spec.cluster_ips = old.cluster_ips;
    }
}

/// Whether a kind may be called by this word: itself, its plural, or its short name.
fn is_called(kind: &str, word: &str) -> bool {
    let (kind, word) = (kind.to_lowercase(), word.to_lowercase());
    let plural = match kind.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if kind.ends_with('s') => format!("{kind}es"),
        None => format!("{kind}s"),
    };
    let short = match &*kind {
        "networkpolicy" => "netpol",
        "clusternetworkpolicy" => "cnp",
        "adminnetworkpolicy" => "anp",
        "baselineadminnetworkpolicy" => "banp",
        "service" => "svc",
        "namespace" => "ns",
        "pod" => "po",
        "deployment" => "deploy",
        _ => return word == kind || word == plural,
    };
    word == kind || word == plural || word == short
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {}, policyTypes: [Egress]}
";
    const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80}]}
";

    fn manifests(texts: &[&str]) -> Vec<Manifest> {
        let manifest = |text: &&str| Manifest {
            name: "test.yaml".to_owned(),
            text: (*text).to_owned(),
        };
        texts.iter().map(manifest).collect()
    }

    fn adding(texts: &[&str]) -> Change {
        Change {
            manifests: manifests(texts),
            ..Change::default()
        }
    }

    fn deleting(kind: &str, name: &str, namespace: Option<&str>) -> Change {
        Change {
            delete: true,
            named: vec![Named {
                kind: kind.to_owned(),
                name: name.to_owned(),
            }],
            namespace: namespace.map(ToOwned::to_owned),
            ..Change::default()
        }
    }

    #[test]
    fn objects_come_change_and_go_as_with_kubectl() {
        let mut held = Held::default();
        let done = held.change(&adding(&[POLICY]), "default").unwrap();
        assert_eq!(done, ["networkpolicy \"deny\" created"]);
        let done = held.change(&adding(&[POLICY]), "default").unwrap();
        assert_eq!(done, ["networkpolicy \"deny\" configured"]);
        assert_eq!(held.objects().len(), 1);
        let done = held.change(&deleting("netpol", "deny", None), "default");
        assert_eq!(done.unwrap(), ["networkpolicy \"deny\" deleted"]);
        assert!(held.objects().is_empty());
    }

    #[test]
    fn the_same_name_in_another_namespace_is_another_object() {
        let mut held = Held::default();
        held.change(&adding(&[POLICY]), "default").unwrap();
        let elsewhere = Change {
            namespace: Some("shop".to_owned()),
            ..adding(&[POLICY])
        };
        let done = held.change(&elsewhere, "default").unwrap();
        assert_eq!(done, ["networkpolicy \"deny\" created"]);
        let gone = held.change(
            &deleting("networkpolicies", "deny", Some("shop")),
            "default",
        );
        assert!(gone.is_ok());
        assert_eq!(held.objects()[0].typed.namespace(), Some("default"));
    }

    #[test]
    fn what_is_not_there_cannot_be_deleted_and_nothing_else_is() {
        let mut held = Held::default();
        held.change(&adding(&[POLICY, SERVICE]), "default").unwrap();
        let both = Change {
            delete: true,
            manifests: manifests(&[SERVICE]),
            ..deleting("networkpolicy", "other", None)
        };
        let error = held.change(&both, "default").unwrap_err().to_string();
        assert!(
            error.contains("networkpolicy \"other\" is not there"),
            "{error}"
        );
        assert_eq!(held.objects().len(), 2);
    }

    #[test]
    fn what_is_replaced_as_a_whole_leaves_nothing_else_behind() {
        let mut held = Held::default();
        held.change(&adding(&[POLICY, SERVICE]), "default").unwrap();
        let only = Change {
            replace: true,
            ..adding(&[SERVICE])
        };
        let done = held.change(&only, "default").unwrap();
        assert_eq!(
            done,
            [
                "networkpolicy \"deny\" deleted",
                "service \"web\" configured"
            ]
        );
        assert_eq!(held.objects().len(), 1);
    }

    #[test]
    fn a_service_keeps_its_address() {
        let address = |held: &Held| match &held.objects()[0].typed {
            TypedObject::Service(service) => service.spec.clone().unwrap().cluster_ip,
            _ => None,
        };
        let mut held = Held::default();
        let given = SERVICE.replace("selector", "clusterIP: 10.96.7.7, selector");
        held.change(&adding(&[&given]), "default").unwrap();
        held.change(&adding(&[SERVICE]), "default").unwrap();
        assert_eq!(address(&held).as_deref(), Some("10.96.7.7"));
    }
}
