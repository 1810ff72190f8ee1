//! Manifests that mutate, put to the oracle and to the engine.
//!
//! `cargo +nightly fuzz run engine fuzz/corpus/engine`
//!
//! What the parser refuses is left out, as for a user; whatever cluster remains, both
//! must judge every packet alike. `scripts/fuzz.sh` seeds the corpus with the fixtures.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use ringfence_engine::oracle::Oracle;
use ringfence_engine::profile::ProfileName;
use ringfence_engine::{Engine, Profile};
use ringfence_model::parse::{Input, Limits, load};
use ringfence_model::snapshot::builder::{BuildOptions, SnapshotBuilder};
use ringfence_testkit::generate::random::Questions;

/// Larger clusters say nothing that smaller ones do not, and cost more.
const MOST: usize = 24;

fuzz_target!(|bytes: &[u8]| {
    let input = Input {
        name: "in.yaml".to_owned(),
        bytes: bytes.to_vec(),
    };
    let loaded = load(vec![input], &Limits::default());
    let mut builder = SnapshotBuilder::new(BuildOptions::default());
    builder.add(loaded.objects);
    let (snapshot, _) = builder.build(&loaded.sources);
    if snapshot.pods.len() > MOST || snapshot.policies.len() > MOST || snapshot.pods.is_empty() {
        return;
    }
    let snapshot = Arc::new(snapshot);
    let seed = bytes.iter().fold(0u64, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(u64::from(*byte))
    });
    let name = ProfileName::ALL[(seed % 4) as usize];
    let profile = Profile::named(name);
    let engine = Engine::compile(&snapshot, profile);
    let oracle = Oracle::new(&snapshot, profile);
    for packet in Questions::new(&snapshot, seed).take(32) {
        assert_eq!(
            engine.can(&packet),
            oracle.judge(&packet).verdict,
            "{packet:?} under {name}"
        );
    }
});
