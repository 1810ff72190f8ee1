//! One test for each rule by which objects become a snapshot.

mod addresses;
mod identity;
mod ingress;
mod services;
mod workloads;

use serde_json::{Value, json};

use super::{BuildOptions, SnapshotBuilder};
use crate::diagnostic::Diagnostic;
use crate::parse::{Object, Sources, TypedObject};
use crate::policy::{Policy, PolicyBody, PolicyFamily};
use crate::snapshot::{Pod, Snapshot, Workload};

/// The typed object of a manifest given as JSON.
fn object(manifest: Value) -> Object {
    fn read<T: serde::de::DeserializeOwned>(manifest: Value) -> Box<T> {
        Box::new(serde_json::from_value(manifest).unwrap())
    }
    let kind = manifest["kind"].as_str().unwrap().to_owned();
    let typed = match kind.as_str() {
        "Namespace" => TypedObject::Namespace(read(manifest)),
        "Node" => TypedObject::Node(read(manifest)),
        "Pod" => TypedObject::Pod(read(manifest)),
        "Deployment" => TypedObject::Deployment(read(manifest)),
        "StatefulSet" => TypedObject::StatefulSet(read(manifest)),
        "DaemonSet" => TypedObject::DaemonSet(read(manifest)),
        "ReplicaSet" => TypedObject::ReplicaSet(read(manifest)),
        "ReplicationController" => TypedObject::ReplicationController(read(manifest)),
        "Job" => TypedObject::Job(read(manifest)),
        "CronJob" => TypedObject::CronJob(read(manifest)),
        "Service" => TypedObject::Service(read(manifest)),
        "Endpoints" => TypedObject::Endpoints(read(manifest)),
        "EndpointSlice" => TypedObject::EndpointSlice(read(manifest)),
        "Ingress" => TypedObject::Ingress(read(manifest)),
        "NetworkPolicy" => {
            let metadata = &manifest["metadata"];
            TypedObject::Policy(Box::new(Policy {
                family: PolicyFamily::NetworkPolicy,
                namespace: metadata["namespace"].as_str().map(Into::into),
                name: metadata["name"].as_str().unwrap().into(),
                annotations: Default::default(),
                body: PolicyBody::Network(*read(manifest["spec"].clone())),
                origin: None,
            }))
        }
        _ => TypedObject::OtherWorkload {
            metadata: read(manifest["metadata"].clone()),
            replicas: None,
            template: read(manifest["spec"]["template"].clone()),
            kind,
        },
    };
    Object {
        origin: None,
        typed,
    }
}

fn build_with(options: BuildOptions, manifests: Vec<Value>) -> (Snapshot, Vec<Diagnostic>) {
    let mut builder = SnapshotBuilder::new(options);
    builder.add(manifests.into_iter().map(object));
    builder.build(&Sources::default())
}

/// The snapshot of manifests with which nothing is wrong.
fn build(manifests: Vec<Value>) -> Snapshot {
    let (snapshot, diagnostics) = build_with(BuildOptions::default(), manifests);
    assert_eq!(codes(&diagnostics), Vec::<&str>::new());
    snapshot
}

fn codes(diagnostics: &[Diagnostic]) -> Vec<&'static str> {
    diagnostics.iter().map(|d| d.code).collect()
}

/// `namespace/kind/name` of every workload.
fn workload_names(snapshot: &Snapshot) -> Vec<String> {
    let name = |w: &Workload| {
        let namespace = &snapshot.namespace(w.namespace).name;
        format!("{namespace}/{}/{}", w.kind, w.name)
    };
    snapshot.workloads.iter().map(name).collect()
}

/// The only pod of the only workload with this name.
fn only_pod<'a>(snapshot: &'a Snapshot, namespace: &str, name: &str) -> &'a Pod {
    let workloads = snapshot.find_workload(namespace, None, name);
    assert_eq!(workloads.len(), 1, "workloads called {name}");
    let pods: Vec<_> = snapshot.workload(workloads[0]).pod_ids().collect();
    assert_eq!(pods.len(), 1, "pods of {name}");
    snapshot.pod(pods[0])
}

/// A live pod. `more` is merged into the manifest.
fn pod(namespace: &str, name: &str, labels: Value, more: Value) -> Value {
    let mut pod = json!({
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": {"containers": [{"name": "main"}]},
    });
    merge(&mut pod, more);
    pod
}

/// A workload of any kind with `spec.template`. `more` is merged into the manifest.
fn workload(kind: &str, namespace: &str, name: &str, labels: Value, more: Value) -> Value {
    let mut workload = json!({
        "kind": kind,
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main"}]},
            },
        },
    });
    merge(&mut workload, more);
    workload
}

/// `{"metadata": ...}` that says who manages an object.
fn owned_by(kind: &str, name: &str) -> Value {
    json!({"metadata": {"ownerReferences": [{
        "apiVersion": "v1", "kind": kind, "name": name, "uid": "1", "controller": true,
    }]}})
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) if !more.is_null() => *into = more,
        _ => {}
    }
}

fn both(mut one: Value, other: Value) -> Value {
    merge(&mut one, other);
    one
}
