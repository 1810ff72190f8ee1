//! No input makes the reader panic, and every place it names is in the text.
//!
//! `PROPTEST_CASES=100000 cargo test -p ringfence-model --test no_panic` looks longer;
//! `fuzz/` has a target that looks as long as one lets it.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use proptest::prelude::*;
use ringfence_model::parse::{Input, Limits, Part, load};
use ringfence_model::source::{FileId, KeyPath};

const SEEDS: &[&str] = &[
    include_str!("broken/cluster-network-policy.yaml"),
    include_str!("broken/admin-network-policy.yaml"),
    include_str!("broken/wrong-types.yaml"),
    include_str!("broken/lists.yaml"),
    include_str!("broken/tolerant-kinds.yaml"),
    include_str!("broken/anchors.yaml"),
    include_str!("broken/billion-laughs.yaml"),
    include_str!("broken/helm-template.yaml"),
    include_str!("broken/json-cut-short.json"),
    include_str!("broken/peers-and-cidrs.yaml"),
];

/// Pieces that mean something to YAML, JSON or us.
const PIECES: &[&str] = &[
    "\n",
    "  ",
    "\t",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!x ",
    "|\n",
    ">-\n",
    "\"",
    "'",
    "\\",
    "#",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "\r",
    "\u{FEFF}",
    "ü",
    "\0",
    "{{ .Values.x }}",
    "kind: List\n",
    "items:\n",
    "null",
    "yes",
    "0x",
    "1e999",
    "? ",
    ", ",
    "\"\\ud83d\"",
    "\u{85}",
    "\u{2028}",
    "metadata: ",
    "spec: ",
    "uid: x\n",
];

fn check(bytes: Vec<u8>) {
    let input = Input {
        name: "in".to_owned(),
        bytes,
    };
    let loaded = load(vec![input], &Limits::default());
    let text = loaded.sources.text(FileId(0));
    for diagnostic in &loaded.diagnostics {
        for annotation in diagnostic.primary.iter().chain(&diagnostic.related) {
            let span = annotation.location.span;
            assert!(text.get(span.start.offset..span.end.offset).is_some());
        }
    }
    for object in &loaded.objects {
        let origin = object.origin.as_ref().unwrap();
        let path = KeyPath::root().key("metadata").key("name");
        let location = loaded.sources.locate(origin, &path, Part::Value).unwrap();
        let span = location.span;
        assert!(text.get(span.start.offset..span.end.offset).is_some());
    }
}

/// A seed with some stretches cut out, doubled, or replaced by pieces.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let edit = (
        any::<prop::sample::Index>(),
        0_usize..12,
        prop::sample::select(PIECES),
    );
    (
        prop::sample::select(SEEDS),
        prop::collection::vec(edit, 1..8),
    )
        .prop_map(|(seed, edits)| {
            let mut bytes = seed.as_bytes().to_vec();
            for (at, length, piece) in edits {
                let from = at.index(bytes.len() + 1);
                let to = (from + length).min(bytes.len());
                bytes.splice(from..to, piece.bytes());
            }
            bytes
        })
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(bytes);
    }

    #[test]
    fn arbitrary_pieces_do_not_panic(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)
    ) {
        check(pieces.concat().into_bytes());
    }

    #[test]
    fn mutated_manifests_do_not_panic(bytes in mutated()) {
        check(bytes);
    }
}
