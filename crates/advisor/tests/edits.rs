//! Each kind of edit in each style that manifests are written in, and edits that nobody
//! would think of: a document always means what the edit says, or is left alone.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test panics where it does not find what it expects"
)]

use proptest::prelude::*;
use ringfence_advisor::fix::{Refusal, apply, plan};
use ringfence_advisor::{Edit, Fix, Safety};
use ringfence_model::parse::{Input, Limits, Part, Sources, load};
use ringfence_model::source::{FileId, KeyPath, Origin};
use serde_json::{Value, json};

fn sources(text: &[u8]) -> Sources {
    let input = Input {
        name: "policy.yaml".to_owned(),
        bytes: text.to_vec(),
    };
    load(vec![input], &Limits::default()).sources
}

fn origin(document: u32) -> Origin {
    Origin {
        file: FileId(0),
        document,
        path: KeyPath::root(),
    }
}

/// `spec.egress[0]` as a path.
fn path(text: &str) -> KeyPath {
    let steps = text.split(['.', '[']).filter(|step| !step.is_empty());
    steps.fold(KeyPath::root(), |path, step| match step.strip_suffix(']') {
        Some(index) => path.index(index.parse().unwrap()),
        None => path.key(step),
    })
}

fn fix(edits: Vec<Edit>) -> Fix {
    Fix {
        title: String::new(),
        safety: Safety::Safe,
        edits,
    }
}

fn edited(text: &str, edit: Edit) -> Result<String, Refusal> {
    let planned = plan(&sources(text.as_bytes()), &fix(vec![edit]))?;
    Ok(apply(text, &planned).unwrap())
}

fn set(at: &str, value: Value) -> Edit {
    Edit::Set {
        origin: origin(0),
        path: path(at),
        value,
    }
}

fn append(at: &str, value: Value) -> Edit {
    Edit::Append {
        origin: origin(0),
        path: path(at),
        value,
    }
}

fn remove(at: &str) -> Edit {
    Edit::Remove {
        origin: origin(0),
        path: path(at),
    }
}

#[track_caller]
fn becomes(before: &str, edit: Edit, after: &str) {
    assert_eq!(edited(before, edit).unwrap(), after);
}

#[test]
fn a_value_is_set_in_the_quotes_that_it_has() {
    let text = "a: x # why\nb: 'x'\nc: \"x\"\nd:\n";
    becomes(
        text,
        set("a", json!("w")),
        "a: w # why\nb: 'x'\nc: \"x\"\nd:\n",
    );
    becomes(
        text,
        set("b", json!("w")),
        "a: x # why\nb: 'w'\nc: \"x\"\nd:\n",
    );
    becomes(
        text,
        set("c", json!("w")),
        "a: x # why\nb: 'x'\nc: \"w\"\nd:\n",
    );
    becomes(
        text,
        set("d", json!("yes")),
        "a: x # why\nb: 'x'\nc: \"x\"\nd: \"yes\"\n",
    );
    becomes(
        text,
        set("a", json!(["w"])),
        "a:\n  - w # why\nb: 'x'\nc: \"x\"\nd:\n",
    );
}

#[test]
fn a_key_that_is_missing_is_added_where_people_look_for_it() {
    becomes(
        "spec:\n  podSelector: {}\n  egress: [] # none\n",
        set("spec.policyTypes", json!(["Egress"])),
        "spec:\n  podSelector: {}\n  policyTypes:\n    - Egress\n  egress: [] # none\n",
    );
    becomes(
        "spec: {a: 1}\n",
        set("spec.b", json!({"c": 2})),
        "spec: {a: 1, b: {c: 2}}\n",
    );
    becomes(
        "spec: {}\n",
        set("spec.b.c", json!(1)),
        "spec:\n  b:\n    c: 1\n",
    );
    becomes(
        "spec:\n  a: 1",
        set("spec.b", json!(2)),
        "spec:\n  a: 1\n  b: 2",
    );
    becomes(
        "a:\n- b: 1\n",
        set("a[0].c", json!(2)),
        "a:\n- b: 1\n  c: 2\n",
    );
    becomes(
        "{\n  \"a\": {\n    \"b\": 1\n  }\n}\n",
        set("a.c", json!([{"d": 2}])),
        "{\n  \"a\": {\n    \"b\": 1,\n    \"c\": [\n      {\n        \"d\": 2\n      }\n    ]\n  }\n}\n",
    );
    becomes(
        "{\"a\":{\"b\":1}}",
        set("a.c", json!([2])),
        "{\"a\":{\"b\":1,\"c\":[2]}}",
    );
}

#[test]
fn only_what_differs_is_written() {
    becomes(
        "to:\n- a: 1 # one\n  b: 2 # two\n- c: 3\n",
        set("to", json!([{"a": 1, "b": 3}])),
        "to:\n- a: 1 # one\n  b: 3 # two\n",
    );
    becomes(
        "to:\n- a: 1 # one\nports: []\n",
        set("to", json!([{"a": 1}, {"b": [2]}])),
        "to:\n- a: 1 # one\n- b:\n  - 2\nports: []\n",
    );
}

#[test]
fn comments_of_what_is_replaced_stay() {
    let text = "to: # peers\n- a: 1 # one\n  d: 2 # two\n# three\nports: []\n";
    let after = edited(text, set("to", json!([{"b": {"c": 2}}]))).unwrap();
    assert_eq!(
        after,
        "to: # peers\n- b:\n    c: 2\n# one # two\n# three\nports: []\n"
    );
}

#[test]
fn an_item_is_appended_as_the_others_are_written() {
    becomes(
        "a:\n  - x # first\nb: 1\n",
        append("a", json!("w")),
        "a:\n  - x # first\n  - w\nb: 1\n",
    );
    becomes(
        "a:\n-   'x'\n",
        append("a", json!("w")),
        "a:\n-   'x'\n-   'w'\n",
    );
    becomes("a: [x]\n", append("a", json!("w")), "a: [x, w]\n");
    becomes(
        "a: [\n  x,\n  z\n]\n",
        append("a", json!("w")),
        "a: [\n  x,\n  z,\n  w\n]\n",
    );
    becomes(
        "a:\n- {b: 1}\n",
        append("a", json!({"b": 2})),
        "a:\n- {b: 1}\n- {b: 2}\n",
    );
    becomes(
        "a:\n- b: 1",
        append("a", json!({"b": 2, "c": {"d": 3}})),
        "a:\n- b: 1\n- b: 2\n  c:\n    d: 3",
    );
    becomes("a: []\n", append("a", json!("w")), "a:\n  - w\n");
    becomes("b: 1\n", append("a", json!("w")), "b: 1\na:\n  - w\n");
    becomes(
        "a:\r\n- x\r\n",
        append("a", json!("w")),
        "a:\r\n- x\r\n- w\r\n",
    );
}

#[test]
fn what_is_removed_takes_its_lines_along() {
    becomes(
        "a: 1\nb: # why\n  c: 2\nd: 3\n",
        remove("b"),
        "a: 1\nd: 3\n",
    );
    becomes(
        "a:\n- x\n- w # why\n- z\n",
        remove("a[1]"),
        "a:\n- x\n- z\n",
    );
    becomes("a: [x, w, z]\n", remove("a[0]"), "a: [w, z]\n");
    becomes("a: {x: 1, w: 2}\n", remove("a.w"), "a: {x: 1}\n");
    becomes("a: {x: 1}\n", remove("a.x"), "a: {}\n");
    becomes(
        "a: # list\n- x # why\nb: 1\n",
        remove("a[0]"),
        "a: [] # list # why\nb: 1\n",
    );
    becomes("a:\n- x: 1\n  w: 2\n", remove("a[0].x"), "a:\n- w: 2\n");
}

#[test]
fn a_key_is_renamed_in_its_quotes() {
    let rename = |at: &str| Edit::Rename {
        origin: origin(0),
        path: path(at),
        name: "new/name".to_owned(),
    };
    becomes(
        "a:\n  b: 1 # one\n",
        rename("a.b"),
        "a:\n  new/name: 1 # one\n",
    );
    becomes("{\"b\":1}", rename("b"), "{\"new/name\":1}");
    // The name is there already.
    let there = edited("b: 1\nnew/name: 2\n", rename("b"));
    assert_eq!(there, Err(Refusal::OtherMeaning));
}

#[test]
fn a_word_is_respelt_wherever_it_is() {
    let text = "kind: 'networkpolicy' # no\nspec: {policyTypes: [\"egress\", Ingress]}\n";
    let respell = |at: &str, part, word: &str| Edit::Respell {
        location: sources(text.as_bytes())
            .locate(&origin(0), &path(at), part)
            .unwrap(),
        word: word.to_owned(),
    };
    becomes(
        text,
        respell("kind", Part::Value, "NetworkPolicy"),
        "kind: 'NetworkPolicy' # no\nspec: {policyTypes: [\"egress\", Ingress]}\n",
    );
    becomes(
        text,
        respell("spec.policyTypes[0]", Part::Value, "Egress"),
        "kind: 'networkpolicy' # no\nspec: {policyTypes: [\"Egress\", Ingress]}\n",
    );
    becomes(
        text,
        respell("spec.policyTypes", Part::Key, "types"),
        "kind: 'networkpolicy' # no\nspec: {types: [\"egress\", Ingress]}\n",
    );
}

#[test]
fn objects_are_removed_and_added() {
    let object = |document| Edit::RemoveObject {
        origin: origin(document),
    };
    let text = "# licence\n\n# first\na: 1\n---\n# second\nb: 2\n---\nc: 3\n";
    becomes(
        text,
        object(0),
        "# licence\n\n---\n# second\nb: 2\n---\nc: 3\n",
    );
    becomes(text, object(1), "# licence\n\n# first\na: 1\n---\nc: 3\n");
    becomes(
        text,
        object(2),
        "# licence\n\n# first\na: 1\n---\n# second\nb: 2\n",
    );
    assert_eq!(edited("a: 1\n", object(0)), Err(Refusal::OnlyObject));
    let add = |beside| Edit::AddObject {
        beside,
        manifest: json!({"kind": "X", "apiVersion": "v1"}),
    };
    becomes(
        "a: 1",
        add(origin(0)),
        "a: 1\n---\napiVersion: v1\nkind: X\n",
    );
    becomes(
        "a: 1\n---\nb: 2\n",
        add(origin(0)),
        "a: 1\n---\napiVersion: v1\nkind: X\n---\nb: 2\n",
    );
    assert_eq!(
        edited("{\"a\": 1}\n", add(origin(0))),
        Err(Refusal::OneObjectInJson)
    );
    let item = Origin {
        path: path("items[0]"),
        ..origin(0)
    };
    becomes(
        "kind: List\nitems:\n- a: 1\n",
        add(item.clone()),
        "kind: List\nitems:\n- a: 1\n- apiVersion: v1\n  kind: X\n",
    );
    becomes(
        "kind: List\nitems:\n- a: 1\n- b: 2\n",
        Edit::RemoveObject { origin: item },
        "kind: List\nitems:\n- b: 2\n",
    );
}

#[test]
fn what_an_alias_brings_in_is_not_edited() {
    let text = "base: &b\n  x: 1\na: *b\nc:\n  <<: *b\n  w: 2\n";
    for edit in [
        set("a.x", json!(2)),
        set("c.x", json!(2)),
        remove("c.x"),
        remove("a.x"),
    ] {
        let refused = edited(text, edit.clone());
        assert!(
            matches!(refused, Err(Refusal::NotWrittenThere(_))),
            "{edit:?}: {refused:?}"
        );
    }
    // What an anchor names would change elsewhere too.
    assert_eq!(
        edited(text, set("base.x", json!(2))),
        Err(Refusal::OtherMeaning)
    );
    becomes(text, set("c.w", json!(3)), &text.replace("w: 2", "w: 3"));
}

#[test]
fn a_text_that_is_not_the_bytes_of_its_file_is_not_edited() {
    let planned = plan(
        &sources("\u{feff}a: 1\n".as_bytes()),
        &fix(vec![set("a", json!(2))]),
    );
    assert_eq!(planned, Err(Refusal::NotVerbatim));
}

#[test]
fn edits_of_one_fix_are_made_together() {
    let text = "a: 1\nb: [x]\nc: 3\n";
    let edits = vec![
        append("b", json!("w")),
        append("b", json!("z")),
        set("d", json!(4)),
        set("e", json!(5)),
        remove("a"),
    ];
    let planned = plan(&sources(text.as_bytes()), &fix(edits)).unwrap();
    assert_eq!(
        apply(text, &planned).unwrap(),
        "b: [x, w, z]\nc: 3\nd: 4\ne: 5\n"
    );
    let twice = vec![set("a", json!(2)), set("a", json!(2))];
    let planned = plan(&sources(text.as_bytes()), &fix(twice));
    assert_eq!(planned, Err(Refusal::Overlapping));
}

/// Manifests in many styles.
const STYLES: [&str; 6] = [
    "# top\na: 1 # one\nb:\n  - x\n  - y: 2\n    z: [1, {k: v}]\n  # inside\nc:\n  d: 'q' # d\n  e: |\n    text\n    more\n# end\n",
    "a:\n- - 1\n  - 2\n- {b: c, \"d\": [e]}\n-\n  f: null\n",
    "{\n  \"a\": [1, 2],\n  \"b\": {\n    \"c\": \"x\"\n  }\n}\n",
    "x: &anchor\n  k: v\ny: *anchor\nz:\n  <<: *anchor\n  w: 1\nlist: [*anchor, {q: 1}]\n",
    "a:\r\n    b: >-\r\n        folded\r\n        text\r\n    c: \"quoted # no comment\" # comment\r\n",
    "? a\n: b\nc: !!str 5\nd: &n [1,\n  2, # two\n  3]\ne: {f: 1,\n  g: 2}",
];

/// All paths of a value.
fn paths(value: &Value, at: &KeyPath, all: &mut Vec<KeyPath>) {
    all.push(at.clone());
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                paths(value, &at.key(key), all);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                paths(value, &at.index(index), all);
            }
        }
        _ => {}
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z]{1,6}".prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        Just(json!("yes")),
        Just(json!("# no")),
        Just(json!("a: b")),
    ];
    scalar.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,4}|\\PC{0,4}", inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_edit_means_what_it_says_or_is_refused(
        style in 0..STYLES.len(),
        around in any::<bool>(),
        at in any::<prop::sample::Index>(),
        kind in 0..6,
        name in "[a-z]{1,4}|\\PC{0,4}",
        value in any_value(),
    ) {
        let (text, document) = match around {
            true => (format!("before: 1\n---\n{}\n---\nafter: 2\n", STYLES[style]), 1),
            false => (STYLES[style].to_owned(), 0),
        };
        let before = sources(text.as_bytes());
        let meaning = before.meaning(FileId(0), document).unwrap();
        let mut all = Vec::new();
        paths(&meaning, &KeyPath::root(), &mut all);
        let path = at.get(&all).clone();
        let origin = origin(document);
        let edit = match kind {
            0 => Edit::Set { origin, path, value },
            1 => Edit::Set { origin, path: path.key(&name), value },
            2 => Edit::Append { origin, path, value },
            3 => Edit::Remove { origin, path },
            4 => Edit::Rename { origin, path, name },
            _ => Edit::AddObject { beside: origin, manifest: json!({ "kind": value }) },
        };
        let Ok(planned) = plan(&before, &fix(vec![edit.clone()])) else {
            return Ok(());
        };
        let text = apply(&text, &planned).unwrap();
        let after = sources(text.as_bytes());
        let documents: Vec<Value> = (0..after.documents(FileId(0)))
            .map(|index| after.meaning(FileId(0), u32::try_from(index).unwrap()))
            .collect::<Option<_>>()
            .unwrap();
        if around {
            prop_assert_eq!(&documents[0], &json!({"before": 1}));
            prop_assert_eq!(documents.last().unwrap(), &json!({"after": 2}));
        }
        let edited = &documents[document as usize];
        let at = |path: &KeyPath| path.0.iter().try_fold(edited, |value, step| match step {
            ringfence_model::source::PathSegment::Key(key) => value.get(&**key),
            ringfence_model::source::PathSegment::Index(index) => value.get(*index),
        });
        match edit {
            Edit::Set { path, value, .. } => prop_assert_eq!(at(&path), Some(&value)),
            Edit::Append { path, value, .. } => {
                prop_assert_eq!(at(&path).unwrap().as_array().unwrap().last(), Some(&value));
            }
            _ => {}
        }
    }
}
