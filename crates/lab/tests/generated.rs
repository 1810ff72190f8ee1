//! Generated clusters in the kernel: every pair, both families, three protocols, and
//! packets to and from the edges of every block.
//!
//! `RINGFENCE_LABS` says how many clusters (default 25), `RINGFENCE_SEED` with which seed
//! to begin (default 0). These tests make network namespaces and fail where that is not
//! permitted.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

#[path = "support/trial.rs"]
mod trial;

use std::fmt::Write as _;
use std::time::Instant;

use ringfence_engine::Profile;
use ringfence_engine::profile::ProfileName;
use ringfence_lab::topology::Cni;
use ringfence_testkit::generate::random::Cluster;
use tokio::task::JoinSet;
use trial::{Trial, check};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_clusters_do_in_the_kernel_what_the_oracle_says() {
    let (first, count) = (number("RINGFENCE_SEED", 0), number("RINGFENCE_LABS", 25));
    let started = Instant::now();
    let (mut packets, mut wrong) = (0, String::new());
    // A lab mostly waits for what does not come: several wait together.
    let mut seeds = first..first + count;
    let mut running = JoinSet::new();
    loop {
        while running.len() < AT_ONCE
            && let Some(seed) = seeds.next()
        {
            let cni = if seed % 4 == 3 {
                Cni::Bridge
            } else {
                Cni::Routed
            };
            running.spawn(async move {
                let cluster = Cluster::from_seed(seed);
                let trial = Trial {
                    name: format!("seed {seed}"),
                    objects: &cluster.objects,
                    build: cluster.options.clone(),
                    profile: profile(seed),
                    cni,
                    seed,
                };
                (seed, cni, check(&trial).await)
            });
        }
        let Some(done) = running.join_next().await else {
            break;
        };
        let (seed, cni, (asked, failures)) = done.expect("a lab runs to its end");
        packets += asked;
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
        "{count} clusters, {packets} packets in {:?}",
        started.elapsed()
    );
    assert!(packets > count * 50, "only {packets} packets");
    assert!(wrong.is_empty(), "{wrong}");
}
