//! Well-formed input in all its forms.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod forms;
mod kinds;
mod limits;
mod places;
mod policies;

use ringfence_model::parse::{Input, Limits, Loaded, Object, TypedObject, load};

fn read(bytes: impl Into<Vec<u8>>) -> Loaded {
    let input = Input {
        name: "in.yaml".to_owned(),
        bytes: bytes.into(),
    };
    load(vec![input], &Limits::default())
}

/// The objects of an input with nothing wrong in it.
fn objects(text: &str) -> Vec<Object> {
    let loaded = read(text);
    assert_eq!(loaded.diagnostics, [], "{text}");
    loaded.objects
}

fn one(text: &str) -> TypedObject {
    let mut objects = objects(text);
    assert_eq!(objects.len(), 1);
    objects.remove(0).typed
}

const POD: &str = "apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: shop
  labels: {app: web}
spec:
  hostNetwork: true
  containers:
    - name: web
      ports: [{name: http, containerPort: 8080}]
status: {phase: Running, podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}]}
";

fn check_pod(typed: &TypedObject) {
    let TypedObject::Pod(pod) = typed else {
        panic!("{typed:?}")
    };
    assert_eq!(pod.metadata.name.as_deref(), Some("web"));
    assert_eq!(pod.metadata.labels.as_ref().unwrap()["app"], "web");
    let spec = pod.spec.as_ref().unwrap();
    assert_eq!(spec.host_network, Some(true));
    assert_eq!(
        spec.containers[0].ports.as_ref().unwrap()[0].container_port,
        8080
    );
    let status = pod.status.as_ref().unwrap();
    assert_eq!(status.pod_ip.as_deref(), Some("10.0.0.1"));
}
