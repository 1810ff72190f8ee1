//! Well-formed input in all its forms.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use ringfence_model::parse::{Input, Limits, Loaded, Object, Part, TypedObject, load, read_value};
use ringfence_model::policy::{Action, PodSelection, PolicyBody, Tier, TieredPeer, TieredPort};
use ringfence_model::protocol::Protocol;
use ringfence_model::source::{FileId, KeyPath};

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

#[test]
fn line_endings_and_encodings_do_not_matter() {
    check_pod(&one(POD));
    check_pod(&one(&POD.replace('\n', "\r\n")));
    check_pod(&one(&format!("\u{FEFF}{POD}")));
    let units = POD.encode_utf16();
    let little: Vec<u8> = [0xFF, 0xFE]
        .into_iter()
        .chain(units.clone().flat_map(u16::to_le_bytes))
        .collect();
    let big: Vec<u8> = [0xFE, 0xFF]
        .into_iter()
        .chain(units.flat_map(u16::to_be_bytes))
        .collect();
    for bytes in [little, big] {
        let loaded = read(bytes);
        assert_eq!(loaded.diagnostics, []);
        check_pod(&loaded.objects[0].typed);
    }
}

#[test]
fn json_is_read_with_escapes_that_yaml_does_not_have() {
    let text = "{\"apiVersion\": \"v1\", \"kind\": \"Namespace\",\n\t\"metadata\": {\"name\": \"a\", \"annotations\": {\"x\": \"\\ud83d\\ude00\\/\"}}}";
    let TypedObject::Namespace(namespace) = one(text) else {
        panic!()
    };
    assert_eq!(namespace.metadata.annotations.unwrap()["x"], "\u{1F600}/");
}

#[test]
fn json_values_in_a_row_are_objects_in_a_row() {
    let text =
        "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"a\"}}\n".repeat(3);
    assert_eq!(objects(&text).len(), 3);
}

#[test]
fn a_yaml_flow_mapping_that_looks_like_json_is_read_too() {
    let text = "{\"apiVersion\": v1, \"kind\": Namespace, \"metadata\": {name: a}}";
    assert!(matches!(one(text), TypedObject::Namespace(_)));
}

#[test]
fn lists_of_every_kind_are_flattened() {
    let text = "apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Namespace
    metadata: {name: a}
  - apiVersion: networking.k8s.io/v1
    kind: NetworkPolicyList
    items:
      - metadata: {name: p, namespace: a}
        spec: {podSelector: {}}
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}
---
apiVersion: v1
kind: List
items: []
---
apiVersion: v1
kind: PodList
items:
";
    let objects = objects(text);
    let paths: Vec<String> = objects
        .iter()
        .map(|object| object.origin.as_ref().unwrap().path.to_string())
        .collect();
    assert_eq!(paths, ["items[0]", "items[1].items[0]"]);
    let TypedObject::Policy(policy) = &objects[1].typed else {
        panic!()
    };
    assert_eq!(policy.origin, objects[1].origin);
}

#[test]
fn a_list_longer_than_one_core_wants_keeps_its_order() {
    let mut text = String::from("apiVersion: v1\nkind: List\nitems:\n");
    for number in 0..500 {
        text.push_str(&format!(
            "- {{apiVersion: v1, kind: Namespace, metadata: {{name: n{number}}}}}\n"
        ));
    }
    let names: Vec<String> = objects(&text)
        .into_iter()
        .map(|object| match object.typed {
            TypedObject::Namespace(namespace) => namespace.metadata.name.unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected: Vec<String> = (0..500).map(|number| format!("n{number}")).collect();
    assert_eq!(names, expected);
}

#[test]
fn anchors_aliases_and_merge_keys_are_expanded() {
    let text = "apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: &common
    app: web
    tier: front
  annotations:
    <<: *common
    tier: overridden
    extra: &x value
spec:
  nodeName: *x
  containers: []
";
    let TypedObject::Pod(pod) = one(text) else {
        panic!()
    };
    let annotations = pod.metadata.annotations.unwrap();
    assert_eq!(annotations["app"], "web");
    assert_eq!(annotations["tier"], "overridden");
    assert_eq!(pod.spec.unwrap().node_name.as_deref(), Some("value"));
}

#[test]
fn a_list_of_merges_lets_the_first_win() {
    let text = "apiVersion: v1
kind: Namespace
metadata:
  name: a
  annotations: {first: &a {k: one}, second: &b {k: two, l: two}}
  labels:
    <<: [*a, *b]
";
    // The annotations are no strings; take them out of the way of this test.
    let loaded = read(text.replace("annotations", "managedFields"));
    assert_eq!(loaded.diagnostics, []);
    let TypedObject::Namespace(namespace) = &loaded.objects[0].typed else {
        panic!()
    };
    let labels = namespace.metadata.labels.as_ref().unwrap();
    assert_eq!(labels["k"], "one");
    assert_eq!(labels["l"], "two");
}

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

#[test]
fn a_cluster_network_policy_is_translated() {
    let TypedObject::Policy(policy) = one("apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: p}
spec:
  tier: Baseline
  priority: 7
  subject: {pods: {podSelector: {matchLabels: {a: b}}}}
  egress:
    - name: out
      action: Accept
      to: [{networks: [10.0.0.0/8]}, {nodes: {}}, {domainNames: ['*.example.com']}]
      protocols:
        - udp: {destinationPort: {range: {start: 53, end: 54}}}
    - action: Pass
      to: [{namespaces: {}}]
      protocols: [{destinationNamedPort: http}]
")
    else {
        panic!()
    };
    let PolicyBody::Tiered(tiered) = policy.body else {
        panic!()
    };
    assert_eq!((tiered.tier, tiered.priority), (Tier::Baseline, 7));
    assert!(matches!(tiered.subject, PodSelection::Pods { .. }));
    let [first, second] = tiered.egress.as_slice() else {
        panic!()
    };
    assert_eq!((first.name.as_str(), first.action), ("out", Action::Accept));
    assert!(matches!(first.peers[0], TieredPeer::Networks(_)));
    assert!(matches!(first.peers[1], TieredPeer::Nodes(_)));
    assert!(matches!(first.peers[2], TieredPeer::DomainNames(_)));
    let range = TieredPort::Range {
        protocol: Protocol::Udp,
        start: 53,
        end: 54,
    };
    assert_eq!(first.ports, Some(vec![range]));
    assert_eq!(
        second.ports,
        Some(vec![TieredPort::Named("http".to_owned())])
    );
}

#[test]
fn the_older_families_are_translated_to_the_same_words() {
    let text = "apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: p}
spec:
  priority: 3
  subject: {namespaces: {}}
  ingress:
    - action: Allow
      from: [{pods: {namespaceSelector: {}, podSelector: {}}}]
      ports:
        - portNumber: {protocol: SCTP, port: 9}
        - portRange: {start: 1, end: 2}
        - namedPort: http
---
apiVersion: policy.networking.k8s.io/v1alpha1
kind: BaselineAdminNetworkPolicy
metadata: {name: default}
spec:
  subject: {namespaces: {}}
  egress:
    - {action: Deny, to: [{namespaces: {}}]}
";
    let bodies: Vec<PolicyBody> = objects(text)
        .into_iter()
        .map(|object| match object.typed {
            TypedObject::Policy(policy) => policy.body,
            other => panic!("{other:?}"),
        })
        .collect();
    let [PolicyBody::Tiered(admin), PolicyBody::Tiered(baseline)] = bodies.as_slice() else {
        panic!()
    };
    assert_eq!((admin.tier, admin.priority), (Tier::Admin, 3));
    assert_eq!(admin.ingress[0].action, Action::Accept);
    let range = |protocol, start, end| TieredPort::Range {
        protocol,
        start,
        end,
    };
    assert_eq!(
        admin.ingress[0].ports,
        Some(vec![
            range(Protocol::Sctp, 9, 9),
            range(Protocol::Tcp, 1, 2),
            TieredPort::Named("http".to_owned())
        ])
    );
    assert_eq!(baseline.tier, Tier::Baseline);
    assert_eq!(baseline.egress[0].ports, None);
}

#[test]
fn a_live_policy_that_is_newer_than_we_are_fails_closed() {
    let loaded = read(
        "apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: p, uid: 1-2-3}
spec:
  tier: Admin
  priority: 1
  subject: {namespaces: {}}
  ingress:
    - {action: Deny, from: [{serviceAccounts: {}}]}
    - {action: Accept, from: [{namespaces: {}}], protocols: [{quic: {}}]}
",
    );
    let TypedObject::Policy(policy) = &loaded.objects[0].typed else {
        panic!()
    };
    let PolicyBody::Tiered(tiered) = &policy.body else {
        panic!()
    };
    for rule in &tiered.ingress {
        assert_eq!(rule.peers, [TieredPeer::Unrecognized]);
        assert_eq!(rule.ports, None);
    }
}

/// The text at the place of a path, with its line and column.
fn at(loaded: &Loaded, object: usize, path: &[&str], part: Part) -> (String, u32, u32) {
    let path = path
        .iter()
        .fold(KeyPath::root(), |path, step| match step.parse::<usize>() {
            Ok(index) => path.index(index),
            Err(_) => path.key(step),
        });
    let origin = loaded.objects[object].origin.as_ref().unwrap();
    let location = loaded.sources.locate(origin, &path, part).unwrap();
    let span = location.span;
    let text = &loaded.sources.text(FileId(0))[span.start.offset..span.end.offset];
    (text.to_owned(), span.start.line, span.start.column)
}

#[test]
fn paths_are_located_in_every_form_of_input() {
    let text = "# ü\r\n---\r\napiVersion: v1\r\nkind: List\r\nitems:\r\n- apiVersion: v1\r\n  kind: Namespace\r\n  metadata: {annotations: {ü: \"ä\", b: ö}, name: shop}\r\n";
    let loaded = read(text);
    let metadata = ["metadata", "annotations", "b"];
    assert_eq!(
        at(&loaded, 0, &metadata, Part::Value),
        ("ö".to_owned(), 8, 39)
    );
    assert_eq!(
        at(&loaded, 0, &metadata, Part::Key),
        ("b".to_owned(), 8, 36)
    );
    assert_eq!(
        at(&loaded, 0, &["metadata", "annotations", "ü"], Part::Value).0,
        "\"ä\""
    );

    let json = read(
        "[]\n".to_owned()
            + "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\n \"metadata\":{\"ä\":1,\"name\":\"x\"}}",
    );
    assert_eq!(
        at(&json, 0, &["metadata", "name"], Part::Value),
        ("\"x\"".to_owned(), 3, 27)
    );
}

#[test]
fn a_path_that_is_not_there_is_located_at_its_nearest_ancestor() {
    let loaded = read(POD);
    let nowhere = ["spec", "containers", "0", "securityContext", "runAsUser"];
    let (text, line, _) = at(&loaded, 0, &nowhere, Part::Value);
    assert_eq!((text.as_str(), line), ("name", 10));
    assert_eq!(at(&loaded, 0, &["spec", "volumes"], Part::Key).0, "spec");
    assert_eq!(
        at(&loaded, 0, &["nonsense"], Part::Key),
        ("apiVersion".to_owned(), 1, 1)
    );
    assert_eq!(at(&loaded, 0, &[], Part::Value).0, POD.trim_end());
}

#[test]
fn what_an_alias_or_merge_brings_in_is_located_where_it_is_written() {
    let text = "apiVersion: v1
kind: Namespace
metadata:
  managedFields: &x {tier: front}
  name: a
  labels:
    <<: *x
    app: web
";
    let loaded = read(text);
    let (text, line, _) = at(&loaded, 0, &["metadata", "labels", "tier"], Part::Value);
    assert_eq!((text.as_str(), line), ("front", 4));
}

#[test]
fn items_of_long_lists_are_located() {
    let mut text = String::from("apiVersion: v1\nkind: List\nitems:\n");
    for number in 0..100 {
        text.push_str(&format!(
            "- {{apiVersion: v1, kind: Namespace, metadata: {{name: n{number}}}}}\n"
        ));
    }
    let loaded = read(text);
    assert_eq!(at(&loaded, 99, &["metadata", "name"], Part::Value).0, "n99");
}

#[test]
fn an_origin_of_other_sources_is_located_nowhere() {
    let loaded = read(POD);
    let origin = loaded.objects[0].origin.clone().unwrap();
    let elsewhere = read("");
    assert_eq!(
        elsewhere
            .sources
            .locate(&origin, &KeyPath::root(), Part::Key),
        None
    );
    assert_eq!(elsewhere.sources.name(FileId(7)), "");
}

#[test]
fn limits_are_kept() {
    let limits = Limits {
        input_bytes: 10,
        ..Limits::default()
    };
    let inputs = || {
        vec![Input {
            name: "a".to_owned(),
            bytes: POD.into(),
        }]
    };
    let loaded = load(inputs(), &limits);
    assert_eq!(loaded.diagnostics[0].code, "limit-exceeded");
    for limits in [
        Limits {
            document_bytes: 10,
            ..Limits::default()
        },
        Limits {
            nodes: 5,
            ..Limits::default()
        },
        Limits {
            depth: 2,
            ..Limits::default()
        },
    ] {
        let loaded = load(inputs(), &limits);
        assert_eq!(loaded.diagnostics.len(), 1);
        assert_eq!(loaded.diagnostics[0].code, "limit-exceeded");
        assert!(loaded.objects.is_empty());
    }
}

#[test]
fn empty_input_is_nothing_to_talk_about() {
    for text in [
        "",
        "\n",
        "---\n---\n# only a comment\n...\n",
        "null\n",
        "\u{FEFF}",
        "--- ~\n",
    ] {
        assert_eq!(objects(text).len(), 0, "{text:?}");
    }
}
