//! Broken input of every kind, and what is said about it.
//!
//! Each file in `tests/broken` is read; the answer is the snapshot of the same name.
//! It shows the diagnostics and which objects were read nevertheless.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use ringfence_model::diagnostic::{Annotation, Diagnostic, Severity};
use ringfence_model::parse::{Input, Limits, Loaded, Object, TypedObject, load};

fn read(path: &Path) -> Loaded {
    let input = Input {
        name: path.file_name().unwrap().to_str().unwrap().to_owned(),
        bytes: fs::read(path).unwrap(),
    };
    load(vec![input], &Limits::default())
}

fn place(annotation: &Annotation) -> String {
    let span = annotation.location.span;
    let (start, end) = (span.start, span.end);
    format!(
        "{}:{}:{}-{}:{}",
        annotation.location.file, start.line, start.column, end.line, end.column
    )
}

/// Diagnostics as plain text; the command line renders them with the source.
fn render(diagnostic: &Diagnostic) -> String {
    let severity = match diagnostic.severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let primary = diagnostic.primary.as_ref().unwrap();
    let mut text = format!(
        "{}: {severity}[{}]: {}\n",
        place(primary),
        diagnostic.code,
        diagnostic.message
    );
    if !primary.label.is_empty() {
        writeln!(text, "    label: {}", primary.label).unwrap();
    }
    for related in &diagnostic.related {
        writeln!(text, "    {}: {}", place(related), related.label).unwrap();
    }
    if let Some(object) = &diagnostic.object {
        writeln!(text, "    object: {object}").unwrap();
    }
    if let Some(help) = &diagnostic.help {
        writeln!(text, "    help: {help}").unwrap();
    }
    if let Some(left_out) = &diagnostic.left_out {
        writeln!(text, "    {left_out}").unwrap();
    }
    text
}

fn name(object: &Object) -> String {
    let (kind, metadata) = match &object.typed {
        TypedObject::Policy(policy) => return policy.display_name(),
        TypedObject::Namespace(object) => ("Namespace", &object.metadata),
        TypedObject::Node(object) => ("Node", &object.metadata),
        TypedObject::Pod(object) => ("Pod", &object.metadata),
        TypedObject::Deployment(object) => ("Deployment", &object.metadata),
        TypedObject::StatefulSet(object) => ("StatefulSet", &object.metadata),
        TypedObject::CronJob(object) => ("CronJob", &object.metadata),
        TypedObject::Service(object) => ("Service", &object.metadata),
        TypedObject::EndpointSlice(object) => ("EndpointSlice", &object.metadata),
        TypedObject::OtherWorkload { kind, metadata, .. } => (&**kind, &**metadata),
        other => panic!("no broken input has one of these yet: {other:?}"),
    };
    format!("{kind} {}", metadata.name.as_deref().unwrap())
}

#[test]
fn every_broken_input_gets_an_answer_that_says_where_and_what_to_do() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 25, "only {} kinds", paths.len());
    for path in paths {
        let loaded = read(&path);
        assert!(!loaded.diagnostics.is_empty(), "{path:?} is not broken");
        let mut text: String = loaded.diagnostics.iter().map(render).collect();
        for object in &loaded.objects {
            writeln!(text, "read: {}", name(object)).unwrap();
        }
        insta::assert_snapshot!(path.file_name().unwrap().to_str().unwrap(), text);
    }
}

#[test]
fn every_location_is_inside_its_text() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let loaded = read(&path);
        let text = loaded.sources.text(ringfence_model::source::FileId(0));
        for diagnostic in &loaded.diagnostics {
            let places = diagnostic.primary.iter().chain(&diagnostic.related);
            for annotation in places {
                let span = annotation.location.span;
                assert!(
                    span.start.offset <= span.end.offset,
                    "{path:?} {diagnostic:?}"
                );
                assert!(
                    text.get(span.start.offset..span.end.offset).is_some(),
                    "{path:?} {diagnostic:?}"
                );
                let before = &text[..span.start.offset];
                let line = before.matches('\n').count() + 1;
                assert_eq!(line, span.start.line as usize, "{path:?} {diagnostic:?}");
            }
        }
    }
}

#[test]
fn the_contents_of_a_secret_are_never_shown() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken/tolerant-kinds.yaml");
    for diagnostic in read(&path).diagnostics {
        assert!(!format!("{diagnostic:?}").contains("aHVudGVyMg"));
        assert!(!diagnostic.message.contains("password"));
    }
}
