//! Every kind that matters becomes an object of its type.

use ringfence_model::parse::read_value;

use super::*;

#[test]
fn every_kind_that_makes_pods_is_read() {
    let template = "template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c}]}}";
    for (api_version, kind) in [
        ("apps/v1", "Deployment"),
        ("extensions/v1beta1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "DaemonSet"),
        ("apps/v1", "ReplicaSet"),
        ("v1", "ReplicationController"),
        ("batch/v1", "Job"),
        ("argoproj.io/v1alpha1", "Rollout"),
        ("apps.openshift.io/v1", "DeploymentConfig"),
        ("serving.knative.dev/v1", "Service"),
    ] {
        let text = format!(
            "apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: x}}\nspec: {{replicas: 2, {template}}}\n"
        );
        let typed = one(&text);
        let text = format!("{typed:?}");
        assert!(text.contains("\"a\": \"b\""), "{kind}: {text}");
        if let TypedObject::OtherWorkload {
            kind: read,
            replicas,
            ..
        } = typed
        {
            assert_eq!((read.as_str(), replicas), (kind, Some(2)));
        }
    }
    let cron = format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: x}}\nspec: {{jobTemplate: {{spec: {{{template}}}}}}}\n"
    );
    assert!(matches!(one(&cron), TypedObject::CronJob(_)));
}

#[test]
fn pod_templates_inside_unknown_kinds_are_workloads_of_their_own() {
    let template = |labels: &str| {
        format!(
            "{{metadata: {{labels: {{{labels}}}}}, spec: {{containers: [{{name: c, image: c}}]}}}}"
        )
    };
    let (a, b) = (template("a: b"), template("c: d"));
    let inside = |api_version: &str, kind: &str, spec: &str| {
        let text = format!(
            "apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: x, namespace: shop}}\nspec: {spec}\n"
        );
        let found = read(text.as_str()).objects.into_iter().map(|object| {
            let template = object.typed.pod_template().unwrap();
            let labels = template.metadata.clone().unwrap_or_default().labels;
            let labels = labels.unwrap_or_default();
            format!("{} {labels:?}", object.typed.name())
        });
        found.collect::<Vec<_>>()
    };
    assert_eq!(
        inside(
            "batch.volcano.sh/v1alpha1",
            "Job",
            &format!("{{tasks: [{{name: t, template: {a}}}]}}")
        ),
        ["x {\"a\": \"b\"}"]
    );
    assert_eq!(
        inside(
            "leaderworkerset.x-k8s.io/v1",
            "LeaderWorkerSet",
            &format!("{{leaderWorkerTemplate: {{leaderTemplate: {a}, workerTemplate: {b}}}}}")
        ),
        ["x-leader {\"a\": \"b\"}", "x-worker {\"c\": \"d\"}"]
    );
    assert_eq!(
        inside(
            "kubeflow.org/v1",
            "PyTorchJob",
            &format!(
                "{{pytorchReplicaSpecs: {{Master: {{template: {a}}}, Worker: {{template: {b}}}}}}}"
            )
        ),
        ["x-master {\"a\": \"b\"}", "x-worker {\"c\": \"d\"}"]
    );
    assert_eq!(
        inside(
            "batch.volcano.sh/v1alpha1",
            "Job",
            &format!("{{tasks: [{{template: {a}}}, {{template: {b}}}]}}")
        ),
        ["x-tasks {\"a\": \"b\"}", "x-tasks-2 {\"c\": \"d\"}"]
    );
    // What is a whole object inside is applied elsewhere; what makes no pods has none.
    let whole =
        format!("{{manifest: {{apiVersion: apps/v1, kind: Deployment, spec: {{template: {a}}}}}}}");
    assert_eq!(inside("example.com/v1", "Wrapper", &whole), [""; 0]);
    let pattern = format!("{{rules: [{{mutate: {a}}}]}}");
    assert_eq!(inside("kyverno.io/v1", "Policy", &pattern), [""; 0]);
    // The object itself is no template.
    let own = "{containers: [{name: c, image: c}]}";
    assert_eq!(inside("example.com/v1", "Proxy", own), [""; 0]);
}

#[test]
fn the_other_kinds_are_read() {
    let text = "
{apiVersion: v1, kind: Node, metadata: {name: node}, spec: {podCIDR: 10.0.0.0/24}, status: {addresses: [{type: InternalIP, address: 192.0.2.1}], capacity: 7}}
--- {apiVersion: v1, kind: Service, metadata: {name: s}, spec: {selector: {a: b}, clusterIP: None, ports: [{port: 80, targetPort: http}, {port: 81, targetPort: 8081}]}}
--- {apiVersion: v1, kind: Endpoints, metadata: {name: s}, subsets: [{addresses: [{ip: 192.0.2.2}], ports: [{port: 6443}]}]}
--- {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: s}, addressType: IPv4, endpoints: [{addresses: [192.0.2.2], conditions: {ready: true}}], ports: [{port: 80}]}
--- {apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: i}, spec: {rules: [{host: a.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 80}}}}]}}], tls: 3}}
";
    let kinds: Vec<&str> = objects(text)
        .iter()
        .map(|object| match object.typed {
            TypedObject::Node(_) => "Node",
            TypedObject::Service(_) => "Service",
            TypedObject::Endpoints(_) => "Endpoints",
            TypedObject::EndpointSlice(_) => "EndpointSlice",
            TypedObject::Ingress(_) => "Ingress",
            _ => "other",
        })
        .collect();
    assert_eq!(
        kinds,
        ["Node", "Service", "Endpoints", "EndpointSlice", "Ingress"]
    );
}

#[test]
fn an_object_with_a_generated_name_is_known_by_its_prefix() {
    let TypedObject::Job(job) =
        one("{apiVersion: batch/v1, kind: Job, metadata: {generateName: migrate-}}")
    else {
        panic!()
    };
    assert_eq!(job.metadata.name.as_deref(), Some("migrate-"));
}

#[test]
fn a_value_from_memory_is_read_like_a_document_without_places() {
    let value = serde_json::json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": "a"},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egres": []},
    });
    let (objects, diagnostics) = read_value(&value);
    assert!(objects.is_empty());
    assert_eq!(diagnostics[0].code, "unknown-field");
    assert_eq!(diagnostics[0].primary, None);
    assert_eq!(
        diagnostics[0].object.as_ref().unwrap().to_string(),
        "NetworkPolicy a/p"
    );
}
