//! Where an object, a key or a value is written.

use ringfence_model::parse::Part;
use ringfence_model::source::{FileId, KeyPath};

use super::*;

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
