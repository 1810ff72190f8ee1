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

/// What is written at a path: key, value, lines, whether these are its own, indentation.
fn written<'l>(loaded: &'l Loaded, path: &str) -> Option<(&'l str, &'l str, &'l str, bool, usize)> {
    let steps = path.split(['.', '[', ']']).filter(|step| !step.is_empty());
    let path = steps.fold(KeyPath::root(), |path, step| match step.parse::<usize>() {
        Ok(index) => path.index(index),
        Err(_) => path.key(step),
    });
    let origin = loaded.objects[0].origin.as_ref().unwrap();
    let written = loaded.sources.written(origin, &path)?;
    let text = loaded.sources.text(FileId(0));
    Some((
        written.key.map_or("-", |key| &text[key]),
        &text[written.value],
        &text[written.lines],
        written.has_own_lines,
        written.indent,
    ))
}

#[test]
fn what_is_written_is_found_to_the_byte() {
    let text = "# first
---
apiVersion: v1
kind: Namespace
metadata:
  name: \"shop\" # its name
  # before
  labels: {a: b, 'c': d}
  annotations:
    text: |
      # not a comment
      two

    folded: >-
      x
    nothing: # yet
    plain: a
     b
  finalizers:
  - one # 1
  - [two, ü]
  -   x: 1
      z: 2
  selfLink: # why
    quoted: 'it''s' # because
---
kind: Pod
";
    let loaded = read(text);
    let of = |path| written(&loaded, path).unwrap_or_else(|| panic!("{path}"));
    let name = "  name: \"shop\" # its name\n";
    assert_eq!(of("metadata.name"), ("name", "\"shop\"", name, true, 2));
    let labels = "  labels: {a: b, 'c': d}\n";
    let flow = "{a: b, 'c': d}";
    assert_eq!(of("metadata.labels"), ("labels", flow, labels, true, 2));
    assert_eq!(of("metadata.labels.c"), ("'c'", "d", labels, false, 2));
    let block = "|\n      # not a comment\n      two";
    let lines = format!("    text: {block}\n");
    assert_eq!(
        of("metadata.annotations.text"),
        ("text", block, &*lines, true, 4)
    );
    assert_eq!(
        of("metadata.annotations.folded").2,
        "    folded: >-\n      x\n"
    );
    let nothing = "    nothing: # yet\n";
    assert_eq!(
        of("metadata.annotations.nothing"),
        ("nothing", "", nothing, true, 4)
    );
    assert_eq!(of("metadata.annotations.plain").1, "a\n     b");
    assert_eq!(
        of("metadata.finalizers[0]"),
        ("-", "one", "  - one # 1\n", true, 2)
    );
    assert_eq!(of("metadata.finalizers[1]").1, "[two, ü]");
    assert_eq!(of("metadata.finalizers[1][1]").1, "ü");
    let item = "  -   x: 1\n      z: 2\n";
    assert_eq!(
        of("metadata.finalizers[2]"),
        ("-", "x: 1\n      z: 2", item, true, 2)
    );
    assert!(!of("metadata.finalizers[2].x").3);
    assert_eq!(
        of("metadata.finalizers[2].z"),
        ("z", "2", "      z: 2\n", true, 6)
    );
    assert_eq!(of("metadata.selfLink").1, "quoted: 'it''s'");
    assert_eq!(of("metadata.selfLink.quoted").1, "'it''s'");
    assert!(of("metadata").2.ends_with("# because\n"));
    assert_eq!(written(&loaded, "metadata.uid"), None);

    let origin = loaded.objects[0].origin.as_ref().unwrap();
    let document = loaded.sources.document(origin).unwrap();
    assert!(text[document.clone()].starts_with("# first"));
    assert!(text[document].ends_with("# because\n"));
    assert!(loaded.sources.is_verbatim(FileId(0)));
    assert!(!read("\u{FEFF}a: b").sources.is_verbatim(FileId(0)));
}

#[test]
fn what_an_alias_brings_in_is_not_written_where_it_is_used() {
    let text = "apiVersion: v1
kind: Namespace
metadata:
  managedFields: &x {tier: front}
  resourceVersion: &y [1]
  name: a
  annotations: *x
  labels:
    <<: *x
    app: web
  finalizers: [*y, 2]
";
    let loaded = read(text);
    for path in [
        "metadata.annotations",
        "metadata.annotations.tier",
        "metadata.labels.tier",
        "metadata.finalizers[0]",
    ] {
        assert_eq!(written(&loaded, path), None, "{path}");
    }
    for (path, value) in [
        ("metadata.labels.app", "web"),
        ("metadata.managedFields.tier", "front"),
        ("metadata.finalizers[1]", "2"),
    ] {
        assert_eq!(written(&loaded, path).unwrap().1, value, "{path}");
    }
}

#[test]
fn json_is_written_somewhere_too() {
    let text =
        "{\"apiVersion\": \"v1\", \"kind\": \"Namespace\",\n  \"metadata\": {\"name\": \"a\"}\n}";
    let loaded = read(text);
    let line = "  \"metadata\": {\"name\": \"a\"}\n";
    let (key, value, lines, own, indent) = written(&loaded, "metadata").unwrap();
    assert_eq!((key, value), ("\"metadata\"", "{\"name\": \"a\"}"));
    assert_eq!((lines, own, indent), (line, true, 2));
}
