use super::*;
use crate::labels::LabelValue::{Absent, Present, Unknown};
use crate::snapshot::PodKind;

#[test]
fn a_workload_without_live_pods_has_one_stand_in_whatever_its_replicas() {
    let snapshot = build(vec![
        workload(
            "Deployment",
            "x",
            "none",
            json!({"a": "1"}),
            json!({"spec": {"replicas": 0}}),
        ),
        workload(
            "Deployment",
            "x",
            "many",
            json!({"a": "1"}),
            json!({"spec": {"replicas": 7}}),
        ),
    ]);
    assert_eq!(
        workload_names(&snapshot),
        ["x/Deployment/many", "x/Deployment/none"]
    );
    for name in ["none", "many"] {
        let pod = only_pod(&snapshot, "x", name);
        assert_eq!(pod.kind, PodKind::Template);
        assert_eq!(&*pod.name, name);
    }
    let many = snapshot.find_workload("x", Some("Deployment"), "many")[0];
    assert_eq!(snapshot.workload(many).replicas, Some(7));
    let selector = snapshot.workload(many).selector_labels.as_ref().unwrap();
    assert_eq!(selector.get("a"), Present("1"));
}

#[test]
fn every_kind_with_a_template_is_a_workload() {
    let snapshot = build(vec![
        workload("Deployment", "x", "w", json!({"a": "1"}), json!({})),
        workload("StatefulSet", "x", "w", json!({"a": "1"}), json!({})),
        workload("DaemonSet", "x", "w", json!({"a": "1"}), json!({})),
        workload("ReplicaSet", "x", "w", json!({"a": "1"}), json!({})),
        workload("Job", "x", "w", json!({"a": "1"}), json!({})),
        workload("Rollout", "x", "w", json!({"a": "1"}), json!({})),
        json!({"kind": "ReplicationController", "metadata": {"namespace": "x", "name": "w"},
            "spec": {"selector": {"a": "1"}, "template": {"metadata": {"labels": {"a": "1"}}}}}),
        json!({"kind": "CronJob", "metadata": {"namespace": "x", "name": "w"},
            "spec": {"jobTemplate": {"spec": {"template": {"metadata": {"labels": {"a": "1"}}}}}}}),
        pod("x", "w", json!({"a": "1"}), json!({})),
    ]);
    let kinds: Vec<&str> = snapshot.workloads.iter().map(|w| &*w.kind).collect();
    assert_eq!(
        kinds,
        [
            "CronJob",
            "DaemonSet",
            "Deployment",
            "Job",
            "Pod",
            "ReplicaSet",
            "ReplicationController",
            "Rollout",
            "StatefulSet",
        ]
    );
    assert!(
        snapshot
            .pods
            .iter()
            .all(|pod| pod.labels.get("a") == Present("1"))
    );
}

#[test]
fn live_pods_take_the_place_of_the_template() {
    let live = |name: &str, hash: &str| {
        pod(
            "x",
            name,
            json!({"app": "web", "pod-template-hash": hash}),
            owned_by("ReplicaSet", &format!("web-{hash}")),
        )
    };
    let snapshot = build(vec![
        live("web-5d4f-bbbbb", "5d4f"),
        workload("Deployment", "x", "web", json!({"app": "web"}), json!({})),
        workload(
            "ReplicaSet",
            "x",
            "web-5d4f",
            json!({"app": "web", "pod-template-hash": "5d4f"}),
            owned_by("Deployment", "web"),
        ),
        live("web-5d4f-aaaaa", "5d4f"),
    ]);
    assert_eq!(workload_names(&snapshot), ["x/Deployment/web"]);
    let names: Vec<&str> = snapshot.pods.iter().map(|pod| &*pod.name).collect();
    assert_eq!(names, ["web-5d4f-aaaaa", "web-5d4f-bbbbb"]);
    assert!(snapshot.pods.iter().all(|pod| pod.kind == PodKind::Single));
    assert_eq!(snapshot.workloads[0].pods, 0..2);
    assert_eq!(snapshot.find_pod("x", "web-5d4f-bbbbb").unwrap().0, 1);
    assert_eq!(snapshot.find_pod("x", "web"), None);
}

#[test]
fn the_deployment_is_named_from_the_hash_when_its_replica_set_is_not_in_the_input() {
    let labels = json!({"pod-template-hash": "5d4f"});
    let snapshot = build(vec![
        pod(
            "x",
            "web-1",
            labels.clone(),
            owned_by("ReplicaSet", "web-5d4f"),
        ),
        pod("x", "odd-1", labels, owned_by("ReplicaSet", "odd-other")),
        pod("x", "bare-1", json!({}), owned_by("ReplicaSet", "bare")),
        pod(
            "x",
            "roll-1",
            json!({"rollouts-pod-template-hash": "77"}),
            owned_by("ReplicaSet", "roll-77"),
        ),
    ]);
    assert_eq!(
        workload_names(&snapshot),
        [
            "x/Deployment/web",
            "x/ReplicaSet/bare",
            "x/ReplicaSet/odd-other",
            "x/Rollout/roll",
        ]
    );
}

#[test]
fn jobs_lead_to_their_cron_job() {
    let cron_job = json!({"kind": "CronJob", "metadata": {"namespace": "x", "name": "backup"},
        "spec": {"jobTemplate": {"spec": {"template": {}}}}});
    let job = |name: &str| workload("Job", "x", name, json!({}), owned_by("CronJob", "backup"));
    let snapshot = build(vec![
        cron_job,
        job("backup-manual"),
        pod("x", "p1", json!({}), owned_by("Job", "backup-manual")),
        // The job of this pod is not in the input; its name tells.
        pod("x", "p2", json!({}), owned_by("Job", "backup-28391823")),
        pod("x", "p3", json!({}), owned_by("Job", "other-28391823")),
    ]);
    assert_eq!(
        workload_names(&snapshot),
        ["x/CronJob/backup", "x/Job/other-28391823"]
    );
    assert_eq!(snapshot.workloads[0].pods, 0..2);
}

#[test]
fn owners_of_unknown_kinds_are_workloads_and_static_pods_are_pods() {
    let snapshot = build(vec![
        pod("x", "a-0", json!({}), owned_by("CloneSet", "a")),
        pod("x", "etcd-node1", json!({}), owned_by("Node", "node1")),
        pod("x", "exec-1", json!({}), owned_by("Pod", "driver")),
        pod(
            "x",
            "bare",
            json!({}),
            json!({"metadata": {"ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "1"}]}}),
        ),
    ]);
    assert_eq!(
        workload_names(&snapshot),
        [
            "x/CloneSet/a",
            "x/Pod/bare",
            "x/Pod/etcd-node1",
            "x/Pod/exec-1"
        ]
    );
}

#[test]
fn an_owner_that_is_not_in_the_input_is_shown_by_what_it_manages() {
    let replica_set = |name: &str, replicas: u32, version: &str| {
        workload(
            "ReplicaSet",
            "x",
            name,
            json!({"version": version}),
            both(
                owned_by("Deployment", "web"),
                json!({"spec": {"replicas": replicas}}),
            ),
        )
    };
    let snapshot = build(vec![
        replica_set("web-1", 0, "old"),
        replica_set("web-3", 1, "canary"),
        replica_set("web-2", 5, "current"),
    ]);
    assert_eq!(workload_names(&snapshot), ["x/Deployment/web"]);
    let pod = only_pod(&snapshot, "x", "web");
    assert_eq!(pod.labels.get("version"), Present("current"));

    let gone = build(vec![replica_set("web-1", 0, "old")]);
    assert_eq!(workload_names(&gone), Vec::<String>::new());
}

#[test]
fn a_custom_resource_that_owns_a_stateful_set_does_not_hide_it() {
    let snapshot = build(vec![workload(
        "StatefulSet",
        "x",
        "prometheus",
        json!({}),
        owned_by("Prometheus", "main"),
    )]);
    assert_eq!(workload_names(&snapshot), ["x/StatefulSet/prometheus"]);
}

#[test]
fn owner_references_in_a_circle_end() {
    let snapshot = build(vec![
        workload("Job", "x", "a", json!({}), owned_by("Job", "b")),
        workload("Job", "x", "b", json!({}), owned_by("Job", "c")),
        workload("Job", "x", "c", json!({}), owned_by("Job", "a")),
        pod("x", "p", json!({}), owned_by("Job", "a")),
    ]);
    assert_eq!(workload_names(&snapshot), ["x/Job/a", "x/Job/b", "x/Job/c"]);
}

#[test]
fn pods_that_have_ended_are_left_out_and_leave_the_template() {
    let ended = |name: &str, phase: &str| {
        let status = json!({"status": {"phase": phase, "podIP": "10.0.0.9"}});
        pod("x", name, json!({}), both(owned_by("Job", "load"), status))
    };
    let deleted = json!({"metadata": {"deletionTimestamp": "2024-01-01T00:00:00Z"}});
    let snapshot = build(vec![
        workload("Job", "x", "load", json!({}), json!({})),
        ended("load-1", "Succeeded"),
        ended("load-2", "Failed"),
        pod(
            "x",
            "bare",
            json!({}),
            json!({"status": {"phase": "Failed"}}),
        ),
        pod("x", "going", json!({}), deleted),
    ]);
    assert_eq!(workload_names(&snapshot), ["x/Job/load", "x/Pod/going"]);
    assert_eq!(only_pod(&snapshot, "x", "load").kind, PodKind::Template);
    assert_eq!(snapshot.pod_with_address("10.0.0.9".parse().unwrap()), None);
}

#[test]
fn labels_that_controllers_add_are_not_known_unless_the_manifest_tells() {
    let snapshot = build(vec![
        workload("Deployment", "x", "d", json!({}), json!({})),
        workload("StatefulSet", "x", "s", json!({}), json!({})),
        workload("DaemonSet", "x", "ds", json!({}), json!({})),
        workload("ReplicaSet", "x", "rs", json!({}), json!({})),
        workload(
            "Job",
            "x",
            "j",
            json!({}),
            json!({"metadata": {"uid": "u-1"}}),
        ),
        workload(
            "Job",
            "x",
            "i",
            json!({}),
            json!({"spec": {"completionMode": "Indexed"}}),
        ),
        workload("Sandbox", "x", "o", json!({"app": "o"}), json!({})),
        json!({"kind": "CronJob", "metadata": {"namespace": "x", "name": "c"},
            "spec": {"jobTemplate": {"spec": {"template": {}}}}}),
        pod("x", "p", json!({}), json!({})),
    ]);
    let label = |name: &str, key: &str| {
        // The snapshot outlives the labels; what is compared is owned.
        match only_pod(&snapshot, "x", name).labels.get(key) {
            Present(value) => format!("={value}"),
            Absent => "absent".to_owned(),
            Unknown => "unknown".to_owned(),
        }
    };
    assert_eq!(label("d", "pod-template-hash"), "unknown");
    assert_eq!(label("d", "app"), "absent");
    assert_eq!(label("s", "statefulset.kubernetes.io/pod-name"), "unknown");
    assert_eq!(label("s", "apps.kubernetes.io/pod-index"), "unknown");
    assert_eq!(label("s", "controller-revision-hash"), "unknown");
    assert_eq!(label("ds", "controller-revision-hash"), "unknown");
    assert_eq!(label("ds", "pod-template-generation"), "unknown");
    assert_eq!(label("rs", "pod-template-hash"), "absent");
    assert_eq!(label("j", "job-name"), "=j");
    assert_eq!(label("j", "batch.kubernetes.io/job-name"), "=j");
    assert_eq!(label("j", "controller-uid"), "=u-1");
    assert_eq!(
        label("j", "batch.kubernetes.io/job-completion-index"),
        "absent"
    );
    assert_eq!(label("i", "controller-uid"), "unknown");
    assert_eq!(
        label("i", "batch.kubernetes.io/job-completion-index"),
        "unknown"
    );
    assert_eq!(label("c", "job-name"), "unknown");
    assert_eq!(label("o", "app"), "=o");
    assert_eq!(label("o", "anything"), "unknown");
    assert_eq!(label("p", "pod-template-hash"), "absent");
}

#[test]
fn ports_are_those_of_containers_then_of_sidecars_each_once() {
    let port = |number: i32| json!({"containerPort": number});
    let snapshot = build(vec![pod(
        "x",
        "p",
        json!({}),
        json!({"spec": {
            "initContainers": [
                {"name": "setup", "ports": [port(1)]},
                {"name": "proxy", "restartPolicy": "Always",
                    "ports": [{"containerPort": 15001, "name": "proxy"}]},
            ],
            "containers": [
                {"name": "a", "ports": [
                    {"containerPort": 80, "name": "http"},
                    {"containerPort": 53, "protocol": "UDP"},
                ]},
                {"name": "b", "ports": [{"containerPort": 80, "name": "http", "protocol": "TCP"}]},
            ],
        }}),
    )]);
    let shown: Vec<String> = only_pod(&snapshot, "x", "p")
        .ports
        .iter()
        .map(|p| format!("{:?} {} {}", p.name.as_deref(), p.port, p.protocol))
        .collect();
    assert_eq!(
        shown,
        [
            "Some(\"http\") 80 TCP",
            "None 53 UDP",
            "Some(\"proxy\") 15001 TCP",
        ]
    );
}

#[test]
fn ports_that_cannot_exist_are_named_and_left_out() {
    let (snapshot, diagnostics) = build_with(
        BuildOptions::default(),
        vec![pod(
            "x",
            "p",
            json!({}),
            json!({"spec": {"containers": [{"name": "a", "ports": [
                {"containerPort": 0},
                {"containerPort": 65536},
                {"containerPort": 80, "protocol": "tcp"},
            ]}]}}),
        )],
    );
    assert_eq!(codes(&diagnostics), ["unusable-port"; 3]);
    assert!(only_pod(&snapshot, "x", "p").ports.is_empty());
}
