//! Bytes that pretend to be manifests.
//!
//! `cargo +nightly fuzz run parse fuzz/corpus/parse crates/model/tests/broken`
//!
//! Looks for panics, runaway memory, and places that are not in the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_model::parse::{Input, Limits, Part, load};
use ringfence_model::source::{FileId, KeyPath};

fuzz_target!(|bytes: &[u8]| {
    let input = Input {
        name: "in.yaml".to_owned(),
        bytes: bytes.to_vec(),
    };
    let loaded = load(vec![input], &Limits::default());
    let text = loaded.sources.text(FileId(0));
    for diagnostic in &loaded.diagnostics {
        for annotation in diagnostic.primary.iter().chain(&diagnostic.related) {
            let span = annotation.location.span;
            assert!(
                text.get(span.start.offset..span.end.offset).is_some(),
                "{diagnostic:?}"
            );
        }
    }
    let name = KeyPath::root().key("metadata").key("name");
    for object in &loaded.objects {
        let origin = object.origin.as_ref().expect("it was read from a text");
        let location = loaded.sources.locate(origin, &name, Part::Value);
        assert!(location.is_some(), "{origin:?}");
    }
});
