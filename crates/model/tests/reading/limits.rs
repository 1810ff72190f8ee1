//! What is too much is refused, and said.

use super::*;

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

/// Loads an input; what is over a limit is told in one error, at this line.
fn over(text: &str, limits: &Limits) -> (Loaded, u32) {
    let input = Input {
        name: "a".to_owned(),
        bytes: text.into(),
    };
    let loaded = load(vec![input], limits);
    assert_eq!(loaded.diagnostics.len(), 1, "{:?}", loaded.diagnostics);
    let diagnostic = &loaded.diagnostics[0];
    assert_eq!(diagnostic.code, "limit-exceeded");
    assert!(diagnostic.left_out.is_some());
    let line = diagnostic
        .primary
        .as_ref()
        .unwrap()
        .location
        .span
        .start
        .line;
    (loaded, line)
}

#[test]
fn many_small_documents_are_read_up_to_the_limits() {
    let mut text = String::new();
    for number in 0..10_000 {
        text.push_str(&format!(
            "---\n{{apiVersion: v1, kind: Namespace, metadata: {{name: n{number}}}}}\n"
        ));
    }
    let (loaded, line) = over(
        &text,
        &Limits {
            documents: 100,
            ..Limits::default()
        },
    );
    assert_eq!((loaded.objects.len(), line), (100, 201));
    for limits in [
        Limits {
            nodes: 5_000,
            ..Limits::default()
        },
        Limits {
            objects: 1_000,
            ..Limits::default()
        },
    ] {
        let (loaded, line) = over(&text, &limits);
        let read = loaded.objects.len();
        assert!((1_000..10_000).contains(&read), "{read}");
        assert_eq!(line as usize, 2 * read + 1);
    }
}

#[test]
fn a_list_is_read_up_to_the_limits() {
    let item = "- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n";
    let text = "apiVersion: v1\nkind: List\nitems:\n".to_owned() + &item.repeat(10_000);
    let limits = Limits {
        objects: 1_000,
        ..Limits::default()
    };
    let (loaded, line) = over(&text, &limits);
    assert_eq!((loaded.objects.len(), line), (4_096, 4_100));
}

#[test]
fn yaml_in_one_piece_is_limited_and_a_long_list_is_not_one_piece() {
    let limits = Limits {
        piece_bytes: 1 << 20,
        ..Limits::default()
    };
    let (_, line) = over(&format!("\n---\na: [{}]", "a,".repeat(1 << 20)), &limits);
    assert_eq!(line, 1);
    let item = "- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n";
    let list = "apiVersion: v1\nkind: List\nitems:\n".to_owned() + &item.repeat(30_000);
    assert!(list.len() > 1 << 20);
    let input = Input {
        name: "a".to_owned(),
        bytes: list.into(),
    };
    let loaded = load(vec![input], &limits);
    assert_eq!(loaded.objects.len(), 30_000);
}

#[test]
fn of_thousands_of_mistakes_the_last_are_counted() {
    let text = "---\nkind: Pod\n".repeat(3_000);
    let loaded = read(text);
    let last = loaded.diagnostics.last().unwrap();
    assert_eq!(last.message, "there are 1000 more problems in the input");
    assert!(last.left_out.is_some());
    let keys = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels:\n".to_owned()
        + &"    a: b\n".repeat(1_000);
    let loaded = read(keys);
    assert_eq!(loaded.diagnostics.len(), 101);
    assert_eq!(
        loaded.diagnostics[100].message,
        "899 more keys are here twice; this is the last of them"
    );
}
