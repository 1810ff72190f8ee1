//! Generated clusters, laid out on nodes: every pair, both families, four protocols, and
//! packets to and from the edges of every block. The oracle, the engine and the interpreter
//! of the compiled rulesets judge them alike, and the kernel does so with packets.
//!
//! `RINGFENCE_CLUSTERS` says how many clusters those three judge (default 2000),
//! `RINGFENCE_LABS` how many the kernel (default 200), `RINGFENCE_SEED` with which seed to
//! begin (default 0). These tests make network namespaces and fail where that is not
//! permitted.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

#[path = "support/asked.rs"]
mod asked;
#[path = "support/trial.rs"]
mod trial;

use std::fmt::Write as _;
use std::time::Instant;

use asked::{Asked, Counts, Trial};
use ringfence_engine::Profile;
use ringfence_engine::profile::ProfileName;
use ringfence_lab::topology::Cni;
use ringfence_testkit::generate::random::Cluster;
use tokio::task::JoinSet;
use trial::{Outcome, check};

const AT_ONCE: usize = 4;

fn number(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The kernel judges after the address of a Service is translated.
fn profile(seed: u64) -> Profile {
    let names = [
        ProfileName::Upstream,
        ProfileName::Calico,
        ProfileName::Cilium,
    ];
    let profile = Profile::named(names[usize::try_from(seed / 2 % 3).unwrap()]);
    match seed % 2 {
        0 => profile,
        _ => profile.strict_own_node(),
    }
}

fn trial(cluster: &Cluster) -> Trial<'_> {
    let seed = cluster.seed;
    Trial {
        name: format!("seed {seed}"),
        objects: &cluster.objects,
        build: cluster.options.clone(),
        profile: profile(seed),
        cni: match seed % 4 {
            3 => Cni::Bridge,
            _ => Cni::Routed,
        },
        seed,
    }
}

#[test]
fn generated_clusters_are_judged_alike_by_oracle_engine_and_rulesets() {
    let (first, count) = (
        number("RINGFENCE_SEED", 0),
        number("RINGFENCE_CLUSTERS", 2000),
    );
    let started = Instant::now();
    let (mut counts, mut wrong) = (Counts::default(), String::new());
    for seed in first..first + count {
        let cluster = Cluster::from_seed(seed);
        let trial = trial(&cluster);
        let asked = Asked::new(&trial);
        let (_, more, differ) = asked.decide(trial.profile, &asked.packets(seed), None);
        counts.add(more);
        if !differ.is_empty() {
            writeln!(wrong, "seed {seed}, {:?}:\n{differ}", trial.profile).unwrap();
        }
    }
    let Counts {
        asked,
        certain,
        interpreted,
    } = counts;
    println!(
        "seeds {first} to {}: {asked} packets, {certain} of them certain, {interpreted} interpreted, in {:?}",
        first + count - 1,
        started.elapsed()
    );
    // Hardly anything is unknown where everything has its address.
    assert!(certain * 20 > asked * 19, "{certain} of {asked}");
    assert!(interpreted * 20 > asked * 19, "{interpreted} of {asked}");
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_clusters_do_in_the_kernel_what_the_oracle_says() {
    let (first, count) = (number("RINGFENCE_SEED", 0), number("RINGFENCE_LABS", 200));
    let started = Instant::now();
    let (mut packets, mut judged, mut wrong) = (0, 0, String::new());
    // A lab mostly waits for what does not come: several wait together.
    let mut seeds = first..first + count;
    let mut running = JoinSet::new();
    loop {
        while running.len() < AT_ONCE
            && let Some(seed) = seeds.next()
        {
            running.spawn(async move {
                let cluster = Cluster::from_seed(seed);
                let trial = trial(&cluster);
                let asked = Asked::new(&trial);
                (seed, asked.cni, check(&trial, asked, &[]).await)
            });
        }
        let Some(done) = running.join_next().await else {
            break;
        };
        let (seed, cni, outcome) = done.expect("a lab runs to its end");
        let Outcome {
            sent,
            counts,
            failures,
        } = outcome;
        packets += sent;
        judged += counts.interpreted;
        if !failures.is_empty() {
            write!(
                wrong,
                "seed {seed}, {cni:?}, {:?}:\n{failures}",
                profile(seed)
            )
            .unwrap();
        }
    }
    println!(
        "seeds {first} to {}: {count} clusters, {packets} packets in {:?}",
        first + count - 1,
        started.elapsed()
    );
    // Each packet was judged by the others before it was sent.
    assert!(judged >= packets, "{judged} of {packets}");
    assert!(packets > count * 50, "only {packets} packets");
    assert!(wrong.is_empty(), "{wrong}");
}
