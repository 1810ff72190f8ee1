//! `diff` says about two clusters what the oracle says about each of them.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::sync::Arc;

use ringfence_engine::diff::{Change, ChangedEnd, Presence, WorkloadName, diff, responsible};
use ringfence_engine::oracle::Oracle;
use ringfence_engine::{Engine, Packet, Peer, Profile, Verdict};
use ringfence_model::address::IpFamily;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodKind, Snapshot};
use ringfence_testkit::generate::random::{Cluster, Questions};

/// Pairs of clusters: a generated one, and the same with one thing less.
fn pairs() -> impl Iterator<Item = (u64, Cluster, Cluster)> {
    (0..150).flat_map(|seed| {
        let cluster = Cluster::from_seed(seed);
        let variations = cluster.variations();
        let step = (variations.len() / 4).max(1);
        let some: Vec<Cluster> = variations.into_iter().step_by(step).collect();
        some.into_iter()
            .map(move |other| (seed, cluster.clone(), other))
    })
}

fn compile(snapshot: &Arc<Snapshot>) -> Engine {
    Engine::compile(snapshot, Profile::default())
}

fn names(snapshot: &Snapshot) -> Vec<WorkloadName> {
    let name = |w: &ringfence_model::snapshot::Workload| WorkloadName {
        namespace: Arc::clone(&snapshot.namespace(w.namespace).name),
        kind: Arc::clone(&w.kind),
        name: Arc::clone(&w.name),
    };
    snapshot.workloads.iter().map(name).collect()
}

/// The best verdict that any two pods get, or a pod and an address; in `any_family` also
/// in those that a pod is only taken not to have.
fn best(
    (snapshot, any_family): (&Snapshot, bool),
    from: &ChangedEnd,
    to: &ChangedEnd,
    port: (Protocol, u16),
) -> Verdict {
    let peers = |end: &ChangedEnd| -> Vec<Peer> {
        match end {
            ChangedEnd::Addresses(nets) => nets.iter().map(|n| Peer::Address(n.addr())).collect(),
            ChangedEnd::Workload(name) => name
                .find(snapshot)
                .map(|id| snapshot.workload(id).pod_ids().map(Peer::Pod).collect())
                .unwrap_or_default(),
        }
    };
    let outside = any_family
        && (matches!(from, ChangedEnd::Addresses(_)) || matches!(to, ChangedEnd::Addresses(_)));
    let families = |peer: Peer| match peer {
        Peer::Pod(id) if outside && snapshot.pod(id).addresses.is_empty() => IpFamily::ALL.to_vec(),
        Peer::Pod(id) => snapshot.families_of(snapshot.pod(id)),
        Peer::Address(address) => vec![IpFamily::of(address)],
    };
    let oracle = Oracle::new(snapshot, Profile::default());
    let mut best = Verdict::Denied;
    for source in peers(from) {
        for destination in peers(to) {
            let template = |peer| match peer {
                Peer::Pod(id) => snapshot.pod(id).kind == PodKind::Template,
                Peer::Address(_) => false,
            };
            if source == destination && !template(source) {
                continue;
            }
            let theirs = families(destination);
            for family in families(source).into_iter().filter(|f| theirs.contains(f)) {
                let packet = Packet {
                    through_service: None,
                    source,
                    destination,
                    family,
                    protocol: port.0,
                    port: port.1,
                };
                best = match (best, oracle.judge(&packet).verdict) {
                    (Verdict::Allowed, _) | (_, Verdict::Allowed) => Verdict::Allowed,
                    (Verdict::Unknown, _) | (_, Verdict::Unknown) => Verdict::Unknown,
                    _ => Verdict::Denied,
                };
            }
        }
    }
    best
}

fn covers(end: &ChangedEnd, wanted: &ChangedEnd) -> bool {
    match (end, wanted) {
        (ChangedEnd::Addresses(nets), ChangedEnd::Addresses(wanted)) => wanted
            .iter()
            .all(|one| nets.iter().any(|net| net.contains(one))),
        (end, wanted) => end == wanted,
    }
}

/// The verdicts that the diff gives, or `None` if it says that nothing has changed.
fn said(
    changes: &[Change],
    from: &ChangedEnd,
    to: &ChangedEnd,
    (protocol, port): (Protocol, u16),
) -> Option<(Verdict, Verdict)> {
    let mut found = changes
        .iter()
        .filter(|c| covers(&c.from, from) && covers(&c.to, to) && c.ports.contains(protocol, port));
    let first = found.next().map(|c| (c.before, c.after));
    assert!(found.next().is_none(), "a change is listed twice");
    first
}

#[test]
fn a_change_is_listed_exactly_where_the_best_verdict_of_any_two_pods_differs() {
    let mut changed = 0;
    let mut asked = 0;
    for (seed, old, new) in pairs() {
        let (old, new) = (old.snapshot(), new.snapshot());
        let found = diff(&compile(&old), &compile(&new));
        // Two clusters that are told to differ in families are asked about all of them.
        let any_family = old.default_families != new.default_families;
        let mut workloads = names(&old);
        workloads.extend(names(&new));
        workloads.sort();
        workloads.dedup();
        let questions = Questions::new(&old, seed)
            .take(12)
            .chain(Questions::new(&new, seed).take(12));
        let mut ends: Vec<ChangedEnd> = workloads.into_iter().map(ChangedEnd::Workload).collect();
        let mut ports = Vec::new();
        for packet in questions {
            ports.push((packet.protocol, packet.port));
            for peer in [packet.source, packet.destination] {
                let Peer::Address(address) = peer else {
                    continue;
                };
                let outside = [&old, &new].iter().all(|snapshot| {
                    let family = IpFamily::of(address);
                    let pods = snapshot.pod_range(family);
                    pods.is_none_or(|pods| !pods.contains(address))
                        && snapshot.pod_with_address(address).is_none()
                        && snapshot.node_with_address(address).is_none()
                });
                if outside {
                    ends.push(ChangedEnd::Addresses(vec![address.into()]));
                }
            }
        }
        ports.sort_unstable();
        ports.dedup();
        for from in &ends {
            for to in &ends {
                let both_outside = matches!(
                    (from, to),
                    (ChangedEnd::Addresses(_), ChangedEnd::Addresses(_))
                );
                // Replicas of a workload are `reach`'s to judge: see its own test.
                if both_outside || from == to {
                    continue;
                }
                for &port in &ports {
                    let before = best((&old, any_family), from, to, port);
                    let after = best((&new, any_family), from, to, port);
                    let expected = (before != after).then_some((before, after));
                    assert_eq!(
                        said(&found.changes, from, to, port),
                        expected,
                        "seed {seed}: {from:?} -> {to:?} {port:?}"
                    );
                    asked += 1;
                    changed += usize::from(before != after);
                }
            }
        }
    }
    println!("{asked} asked, {changed} changed");
    assert!(
        changed > 1000,
        "too few changes to mean something: {changed}"
    );
}

#[test]
fn the_way_back_is_the_reverse_and_no_way_is_nothing() {
    for (seed, old, new) in pairs() {
        let (old, new) = (compile(&old.snapshot()), compile(&new.snapshot()));
        let there = diff(&old, &new);
        let back = diff(&new, &old);
        assert_eq!(there.added, back.removed, "seed {seed}");
        assert_eq!(there.removed, back.added, "seed {seed}");
        let mut mirrored: Vec<Change> = back
            .changes
            .into_iter()
            .map(|c| Change {
                before: c.after,
                after: c.before,
                ..c
            })
            .collect();
        mirrored.sort();
        let mut changes = there.changes;
        // Which cluster lacks an end is mirrored too.
        for change in changes.iter_mut().chain(&mut mirrored) {
            change.presence = Presence::Both;
        }
        changes.sort();
        assert_eq!(changes, mirrored, "seed {seed}");
        let nothing = diff(&old, &old);
        assert!(nothing.changes.is_empty() && nothing.policies.is_empty());
    }
}

#[test]
fn the_packet_that_shows_a_change_has_the_verdict_that_the_change_says() {
    let mut shown = 0;
    let mut without = 0;
    for (seed, old, new) in pairs() {
        let (old, new) = (compile(&old.snapshot()), compile(&new.snapshot()));
        for change in diff(&old, &new).changes {
            let why = responsible(&old, &new, &change);
            for (evidence, verdict) in [(why.before, change.before), (why.after, change.after)] {
                match evidence {
                    None if change.presence != Presence::Both => {}
                    // A single known pod has no replica to show it with, and pods
                    // without an address of the family send no packet to be denied.
                    None if change.from == change.to || verdict == Verdict::Denied => without += 1,
                    None => panic!("seed {seed}: no packet is {verdict} in {change:?}"),
                    Some(evidence) => {
                        shown += 1;
                        assert_eq!(
                            evidence.explanation.verdict, verdict,
                            "seed {seed}: {change:?}"
                        );
                        let packet = evidence.packet;
                        assert!(change.ports.contains(packet.protocol, packet.port));
                    }
                }
            }
        }
    }
    println!("{shown} shown, {without} without a packet");
    assert!(
        shown > 10 * without,
        "{shown} shown, {without} without a packet"
    );
}
