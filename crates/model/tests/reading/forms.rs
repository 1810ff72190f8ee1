//! Encodings, grammars, lists, aliases: whatever the form, the objects are the same.

use ringfence_model::parse::TypedObject;

use super::*;

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
