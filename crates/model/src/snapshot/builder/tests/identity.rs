use super::*;
use crate::labels::LabelValue::{Absent, Present, Unknown};
use crate::labels::METADATA_NAME;

fn namespace(name: &str, labels: Value) -> Value {
    json!({"kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

fn policy(namespace: Value, name: &str) -> Value {
    json!({"kind": "NetworkPolicy", "metadata": {"namespace": namespace, "name": name},
        "spec": {"podSelector": {}}})
}

#[test]
fn objects_without_a_namespace_get_the_default_one() {
    let mut bare = pod("x", "p", json!({}), json!({}));
    bare["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("namespace");
    let options = BuildOptions {
        default_namespace: "team".to_owned(),
        ..BuildOptions::default()
    };
    let (snapshot, _) = build_with(options, vec![bare, policy(Value::Null, "deny")]);
    assert_eq!(workload_names(&snapshot), ["team/Pod/p"]);
    assert_eq!(snapshot.policies[0].namespace.as_deref(), Some("team"));
}

#[test]
fn a_declared_namespace_has_exactly_its_labels_and_its_name() {
    let snapshot = build(vec![namespace(
        "x",
        json!({"team": "a", (METADATA_NAME): "lie"}),
    )]);
    let labels = &snapshot.namespaces[0].labels;
    assert_eq!(labels.get("team"), Present("a"));
    assert_eq!(labels.get(METADATA_NAME), Present("x"));
    assert_eq!(labels.get("other"), Absent);
}

#[test]
fn a_namespace_that_is_only_mentioned_exists_with_unknown_labels() {
    let service = json!({"kind": "Service", "metadata": {"namespace": "s", "name": "a"}});
    let snapshot = build(vec![
        pod("p", "a", json!({}), json!({})),
        policy(json!("n"), "a"),
        service,
    ]);
    let names: Vec<&str> = snapshot.namespaces.iter().map(|n| &*n.name).collect();
    assert_eq!(names, ["n", "p", "s"]);
    let labels = &snapshot.namespaces[1].labels;
    assert_eq!(labels.get(METADATA_NAME), Present("p"));
    assert_eq!(labels.get("team"), Unknown);
    assert!(snapshot.namespaces.iter().all(|n| n.identity_known));
}

#[test]
fn of_two_objects_with_one_name_the_later_is_used_and_named() {
    let (snapshot, diagnostics) = build_with(
        BuildOptions::default(),
        vec![
            pod("x", "p", json!({"version": "1"}), json!({})),
            pod("y", "p", json!({}), json!({})),
            workload("Deployment", "x", "p", json!({}), json!({})),
            pod("x", "p", json!({"version": "2"}), json!({})),
        ],
    );
    assert_eq!(codes(&diagnostics), ["duplicate-object"]);
    assert_eq!(diagnostics[0].message, "Pod x/p is defined more than once");
    assert_eq!(snapshot.pods.len(), 3);
    let pod = snapshot.pod(snapshot.find_pod("x", "p").unwrap());
    assert_eq!(pod.labels.get("version"), Present("2"));
}

#[test]
fn an_object_without_a_name_is_named_and_left_out_unless_one_will_be_generated() {
    let mut nameless = pod("x", "p", json!({}), json!({}));
    nameless["metadata"].as_object_mut().unwrap().remove("name");
    let mut generated = nameless.clone();
    generated["metadata"]["generateName"] = json!("job-");
    let (snapshot, diagnostics) = build_with(BuildOptions::default(), vec![nameless, generated]);
    assert_eq!(codes(&diagnostics), ["missing-name"]);
    assert_eq!(workload_names(&snapshot), ["x/Pod/job-"]);
}

#[test]
fn the_order_of_objects_does_not_matter() {
    let mut manifests = vec![
        namespace("y", json!({})),
        pod(
            "y",
            "b",
            json!({"a": "1"}),
            json!({"status": {"podIP": "10.0.0.1"}}),
        ),
        pod(
            "x",
            "a",
            json!({"a": "1"}),
            json!({"status": {"podIP": "10.0.0.2"}}),
        ),
        workload("Deployment", "x", "d", json!({}), json!({})),
        workload("DaemonSet", "x", "d", json!({}), json!({})),
        policy(json!("y"), "b"),
        policy(json!("x"), "a"),
        json!({"kind": "Service", "metadata": {"namespace": "y", "name": "s"}}),
        json!({"kind": "Service", "metadata": {"namespace": "x", "name": "s"}}),
        json!({"kind": "Node", "metadata": {"name": "n2"}}),
        json!({"kind": "Node", "metadata": {"name": "n1"}}),
    ];
    let lists = |snapshot: &Snapshot| {
        format!(
            "{:#?}",
            (
                &snapshot.namespaces,
                &snapshot.workloads,
                &snapshot.pods,
                &snapshot.services,
                &snapshot.nodes,
                &snapshot.policies,
            )
        )
    };
    let forwards = lists(&build(manifests.clone()));
    manifests.reverse();
    assert_eq!(lists(&build(manifests)), forwards);
}

#[test]
fn things_are_found_by_their_names() {
    let snapshot = build(vec![
        workload("Deployment", "x", "a", json!({}), json!({})),
        workload("StatefulSet", "x", "a", json!({}), json!({})),
        workload("StatefulSet", "y", "a", json!({}), json!({})),
        json!({"kind": "Service", "metadata": {"namespace": "x", "name": "a"}}),
    ]);
    assert_eq!(snapshot.find_workload("x", None, "a").len(), 2);
    let found = snapshot.find_workload("y", Some("StatefulSet"), "a");
    assert_eq!(
        &*snapshot
            .namespace(snapshot.workload(found[0]).namespace)
            .name,
        "y"
    );
    assert!(
        snapshot
            .find_workload("y", Some("Deployment"), "a")
            .is_empty()
    );
    assert!(snapshot.find_workload("z", None, "a").is_empty());
    let service = snapshot.find_service("x", "a").unwrap();
    assert_eq!(&*snapshot.service(service).name, "a");
    assert_eq!(snapshot.find_service("y", "a"), None);
}
