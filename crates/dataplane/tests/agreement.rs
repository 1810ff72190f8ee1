//! The compiled rulesets do what the oracle says, on generated clusters.
//!
//! `RINGFENCE_CLUSTERS` says how many clusters (default 2000), `RINGFENCE_SEED` with
//! which seed to begin (default 0).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::collections::BTreeMap;

use ringfence_engine::oracle::Oracle;
use ringfence_engine::profile::ProfileName;
use ringfence_engine::{Profile, Verdict};
use ringfence_testkit::generate::random::{Cluster, Questions};
use ringfence_testkit::{Decider, Rulesets};

fn profile(seed: u64) -> Profile {
    let names = [
        ProfileName::Upstream,
        ProfileName::Calico,
        ProfileName::Cilium,
    ];
    let name = names[usize::try_from(seed % 3).unwrap()];
    match seed % 2 {
        0 => Profile::named(name),
        _ => Profile::named(name).strict_own_node(),
    }
}

#[test]
fn rulesets_do_what_the_oracle_says_on_generated_clusters() {
    let number = |variable: &str, default: u64| {
        let text = std::env::var(variable).ok();
        text.map_or(default, |text| text.parse().expect("a number"))
    };
    let first = number("RINGFENCE_SEED", 0);
    let clusters = number("RINGFENCE_CLUSTERS", 2000);
    let mut told: BTreeMap<(Verdict, Verdict), usize> = BTreeMap::new();
    for seed in first..first + clusters {
        let cluster = Cluster::from_seed(seed);
        let snapshot = cluster.snapshot();
        let oracle = Oracle::new(&snapshot, profile(seed));
        let rulesets = Rulesets::new(&snapshot, profile(seed));
        for packet in Questions::new(&snapshot, seed).take(64) {
            let (wanted, done) = (oracle.decide(&packet), rulesets.decide(&packet));
            *told.entry((wanted, done)).or_default() += 1;
            let differ = wanted != Verdict::Unknown && done != Verdict::Unknown && wanted != done;
            assert!(
                !differ,
                "seed {seed}, {:?}: the oracle says {wanted}, the ruleset {done}: {packet:?}\n{}",
                profile(seed),
                cluster.to_yaml()
            );
        }
    }
    println!("{clusters} clusters: (oracle, ruleset) {told:?}");
    for verdict in [Verdict::Allowed, Verdict::Denied] {
        let same = told.get(&(verdict, verdict)).copied().unwrap_or_default();
        assert!(same > 0 || clusters < 100, "{verdict} never came: {told:?}");
    }
}
