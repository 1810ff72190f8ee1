use std::collections::BTreeSet;

use ringfence_model::parse::{self, Input, Limits, Object};

use super::request::DnsChoice;
use crate::context::{assumed_name_servers, has_labelled_name_servers};

/// What stands for the name servers of OpenShift.
const OPENSHIFT: &str = "
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: dns-default, namespace: openshift-dns}
spec:
  selector: {matchLabels: {dns.operator.openshift.io/daemonset-dns: default}}
  template:
    metadata: {labels: {dns.operator.openshift.io/daemonset-dns: default}}
    spec:
      containers:
        - name: dns
          ports:
            - {name: dns, containerPort: 5353, protocol: UDP}
            - {name: dns-tcp, containerPort: 5353, protocol: TCP}
";

/// Objects that the engine needs to be asked, and that the input does not have: name
/// servers, and a pod without labels in each of the named namespaces that has none which
/// policies apply to. They have no origin. The flag is whether there are name servers
/// among them.
#[must_use]
pub fn stand_ins(
    objects: &[Object],
    namespaces: &[String],
    default_namespace: &str,
    dns: Option<DnsChoice>,
) -> (Vec<Object>, bool) {
    let mut added = match dns {
        Some(DnsChoice::OpenShift) if !has_labelled_name_servers(objects) => read(OPENSHIFT),
        Some(DnsChoice::OpenShift) => Vec::new(),
        Some(DnsChoice::KubeDns | DnsChoice::NodeLocal) | None => assumed_name_servers(objects),
    };
    let assumed_dns = !added.is_empty();
    let inhabited: BTreeSet<&str> = objects
        .iter()
        .filter(|object| {
            let pods = object.typed.pod_spec();
            pods.is_some_and(|pods| pods.host_network != Some(true))
        })
        .filter_map(|object| {
            let namespace = object.typed.metadata()?.namespace.as_deref();
            Some(namespace.unwrap_or(default_namespace))
        })
        .collect();
    for name in namespaces {
        if !inhabited.contains(name.as_str()) {
            added.extend(read(&format!(
                "apiVersion: v1\n\
                 kind: Pod\n\
                 metadata: {{name: any-pod, namespace: {name:?}}}\n\
                 spec: {{containers: [{{name: any}}]}}\n"
            )));
        }
    }
    (added, assumed_dns)
}

fn read(text: &str) -> Vec<Object> {
    let input = Input {
        name: String::new(),
        bytes: text.as_bytes().to_vec(),
    };
    let mut objects = parse::load(vec![input], &Limits::default()).objects;
    for object in &mut objects {
        object.origin = None;
    }
    objects
}
