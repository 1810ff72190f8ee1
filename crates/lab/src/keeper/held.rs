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
    /// If an object that is to be deleted is not there, or is a pod that others make. Then
    /// nothing changes.
    pub(super) fn change(
        &mut self,
        change: &Change,
        default_namespace: &str,
        running: &Snapshot,
    ) -> Result<Vec<String>, LabError> {
        let namespace = change.namespace.as_deref().unwrap_or(default_namespace);
        let mut objects = Self::read(&change.manifests, namespace);
        let mut next = self.clone();
        let mut done = Vec::new();
        if change.delete {
            // With a namespace goes what is in it.
            objects.sort_by_key(|object| matches!(object.typed, TypedObject::Namespace(_)));
            for object in &objects {
                let place = next.place_of(&object.typed);
                done.push(next.remove(place, object.typed.kind(), object.typed.name())?);
            }
            for named in &change.named {
                if is_called("Pod", &named.kind) {
                    next.must_be_a_pod_of_its_own(&named.name, namespace, running)?;
                }
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

    /// Takes away everything in a namespace: whether there was anything.
    fn empty(&mut self, namespace: &str) -> bool {
        let before = self.0.len();
        self.0
            .retain(|object| object.typed.namespace() != Some(namespace));
        self.0.len() < before
    }

    /// A pod that a controller made would only be made again.
    fn must_be_a_pod_of_its_own(
        &self,
        name: &str,
        namespace: &str,
        running: &Snapshot,
    ) -> Result<(), LabError> {
        let mut pods = running.pods.iter();
        let found = pods
            .find(|pod| &*pod.name == name && &*running.namespace(pod.namespace).name == namespace);
        let Some(workload) = found.map(|pod| running.workload(pod.workload)) else {
            return Ok(());
        };
        let is_listed = self.0.iter().any(|object| {
            matches!(object.typed, TypedObject::Pod(_))
                && object.typed.name() == name
                && object.typed.namespace() == Some(namespace)
        });
        if is_listed {
            return Ok(());
        }
        Err(LabError::Unsupported(format!(
            "pod \"{name}\" is made by {} {}, which would make it again: delete that, or give \
             it fewer replicas; nothing is changed",
            workload.kind, workload.name
        )))
    }

    fn place_of(&self, typed: &TypedObject) -> Option<usize> {
        let mut all = self.0.iter();
        all.position(|object| same(&object.typed, typed))
    }

    fn remove(&mut self, place: Option<usize>, kind: &str, name: &str) -> Result<String, LabError> {
        let gone = place.map(|place| self.0.remove(place));
        let emptied = is_called("Namespace", kind) && self.empty(name);
        match gone {
            Some(gone) => Ok(said(gone.typed.kind(), name, "deleted")),
            None if emptied => Ok(said("namespace", name, "deleted")),
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
        "statefulset" => "sts",
        "daemonset" => "ds",
        "replicaset" => "rs",
        "cronjob" => "cj",
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

    fn change(held: &mut Held, change: &Change) -> Result<Vec<String>, LabError> {
        held.change(change, "default", &Snapshot::default())
    }

    #[test]
    fn objects_come_change_and_go_as_with_kubectl() {
        let mut held = Held::default();
        let done = change(&mut held, &adding(&[POLICY])).unwrap();
        assert_eq!(done, ["networkpolicy \"deny\" created"]);
        let done = change(&mut held, &adding(&[POLICY])).unwrap();
        assert_eq!(done, ["networkpolicy \"deny\" configured"]);
        assert_eq!(held.objects().len(), 1);
        let done = change(&mut held, &deleting("netpol", "deny", None));
        assert_eq!(done.unwrap(), ["networkpolicy \"deny\" deleted"]);
        assert!(held.objects().is_empty());
    }

    #[test]
    fn the_same_name_in_another_namespace_is_another_object() {
        let mut held = Held::default();
        change(&mut held, &adding(&[POLICY])).unwrap();
        let elsewhere = Change {
            namespace: Some("shop".to_owned()),
            ..adding(&[POLICY])
        };
        let done = change(&mut held, &elsewhere).unwrap();
        assert_eq!(done, ["networkpolicy \"deny\" created"]);
        let gone = change(
            &mut held,
            &deleting("networkpolicies", "deny", Some("shop")),
        );
        assert!(gone.is_ok());
        assert_eq!(held.objects()[0].typed.namespace(), Some("default"));
    }

    #[test]
    fn what_is_not_there_cannot_be_deleted_and_nothing_else_is() {
        let mut held = Held::default();
        change(&mut held, &adding(&[POLICY, SERVICE])).unwrap();
        let both = Change {
            delete: true,
            manifests: manifests(&[SERVICE]),
            ..deleting("networkpolicy", "other", None)
        };
        let error = change(&mut held, &both).unwrap_err().to_string();
        assert!(
            error.contains("networkpolicy \"other\" is not there"),
            "{error}"
        );
        assert_eq!(held.objects().len(), 2);
    }

    #[test]
    fn what_is_replaced_as_a_whole_leaves_nothing_else_behind() {
        let mut held = Held::default();
        change(&mut held, &adding(&[POLICY, SERVICE])).unwrap();
        let only = Change {
            replace: true,
            ..adding(&[SERVICE])
        };
        let done = change(&mut held, &only).unwrap();
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
        change(&mut held, &adding(&[&given])).unwrap();
        change(&mut held, &adding(&[SERVICE])).unwrap();
        assert_eq!(address(&held).as_deref(), Some("10.96.7.7"));
    }

    #[test]
    fn with_a_namespace_goes_what_is_in_it() {
        let namespace = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}";
        let mut held = Held::default();
        change(&mut held, &adding(&[namespace, SERVICE, POLICY])).unwrap();
        let done = change(&mut held, &deleting("ns", "shop", None)).unwrap();
        assert_eq!(done, ["namespace \"shop\" deleted"]);
        assert_eq!(held.objects().len(), 1);
        // In a file it may stand before what is in it.
        change(&mut held, &adding(&[namespace, SERVICE])).unwrap();
        let all = Change {
            delete: true,
            ..adding(&[namespace, SERVICE])
        };
        assert_eq!(change(&mut held, &all).unwrap().len(), 2);
        assert_eq!(held.objects().len(), 1);
        // One that nothing declares is there as long as something is in it.
        change(&mut held, &adding(&[SERVICE])).unwrap();
        change(&mut held, &deleting("namespace", "shop", None)).unwrap();
        assert_eq!(held.objects().len(), 1);
        assert!(change(&mut held, &deleting("namespace", "shop", None)).is_err());
    }
}
