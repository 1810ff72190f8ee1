//! What an engine says that changed is all that changed.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ringfence_engine::reach::OpenPorts;
use ringfence_engine::{Engine, EngineChanges, PodTable, Profile, Revision};
use ringfence_model::address::{IpFamily, IpRangeSet};
use ringfence_model::labels::Labels;
use ringfence_model::policy::Direction;
use ringfence_model::snapshot::{Pod, PodId};
use ringfence_testkit::generate::random::Cluster;

const CLUSTERS: u64 = 300;

type Place = (u8, u8, u32);

/// A table without its pods: what every group of peers gets.
#[derive(Clone, Debug, PartialEq)]
struct Content {
    others: OpenPorts,
    addresses: BTreeMap<OpenPorts, IpRangeSet>,
    pods: BTreeMap<PodId, OpenPorts>,
}

/// Everything that data planes compile from.
#[derive(Clone, Debug, Default)]
struct Seen {
    addresses: BTreeMap<PodId, BTreeSet<IpAddr>>,
    tables: BTreeMap<Place, Content>,
    of_pods: BTreeMap<PodId, (Vec<Option<u32>>, Vec<OpenPorts>)>,
}

fn content(table: &PodTable<'_>, family: IpFamily) -> Content {
    let mut content = Content {
        others: table.others(),
        addresses: BTreeMap::new(),
        pods: BTreeMap::new(),
    };
    for group in table.groups() {
        let empty = IpRangeSet::empty(family);
        let known = content.addresses.entry(group.ports()).or_insert(empty);
        *known = known.union(&group.addresses());
        for pod in group.pods() {
            content.pods.insert(pod, group.ports());
            assert_eq!(table.ports(table.peer_id(pod)), group.ports());
        }
    }
    content
}

fn seen(engine: &Engine) -> Seen {
    let mut seen = Seen::default();
    for (id, pod) in engine.snapshot().pod_ids() {
        seen.addresses
            .insert(id, pod.addresses.iter().copied().collect());
        let mut tables = Vec::new();
        for (d, direction) in [(0, Direction::Egress), (1, Direction::Ingress)] {
            for (f, family) in [(0, IpFamily::V4), (1, IpFamily::V6)] {
                let table = engine.table(id, direction, family);
                tables.push(table.map(|table| table.id()));
                if let Some(table) = table {
                    let found = content(&table, family);
                    let again = engine.table_with_id(table.id(), family).expect("it exists");
                    assert_eq!(content(&again, family), found);
                    seen.tables.insert((d, f, table.id()), found);
                }
            }
        }
        let own = IpFamily::ALL.map(|family| engine.ports_to_itself(id, family));
        seen.of_pods.insert(id, (tables, own.to_vec()));
    }
    seen
}

fn check(before: &Seen, after: &Seen, changes: &EngineChanges, what: &str) {
    for (id, addresses) in &after.addresses {
        let known = changes.moved.get(id);
        match known {
            Some(known) => assert!(before.addresses[id].is_subset(known), "{what}"),
            None => assert_eq!(&before.addresses[id], addresses, "{what}"),
        }
        if !changes.pods.contains(id) {
            assert_eq!(
                before.of_pods[id], after.of_pods[id],
                "{what}: pod {}",
                id.0
            );
        }
    }
    for (place, now) in &after.tables {
        if changes.tables.contains(&place.2) {
            continue;
        }
        let Some(old) = before.tables.get(place) else {
            // It existed without pods.
            continue;
        };
        assert_eq!(old.others, now.others, "{what}: {place:?}");
        let (mut was, mut is) = (old.clone(), now.clone());
        if changes.grown.contains(&place.2) {
            // A new group has pods alone.
            is.addresses.retain(|_, addresses| !addresses.is_empty());
            was.addresses.retain(|_, addresses| !addresses.is_empty());
        }
        assert_eq!(was.addresses, is.addresses, "{what}: {place:?}");
        for content in [&mut was, &mut is] {
            content
                .pods
                .retain(|pod, _| !changes.moved.contains_key(pod));
        }
        assert_eq!(was.pods, is.pods, "{what}: {place:?}");
    }
}

/// Some changes of pods: labels of another, and addresses.
fn changed(engine: &Engine, round: u32) -> Vec<(PodId, Pod)> {
    let pods = &engine.snapshot().pods;
    let count = u32::try_from(pods.len()).unwrap();
    let mut changed = Vec::new();
    for step in 0..3_u32 {
        let id = (round * 7 + step * 5) % count.max(1);
        let Some(pod) = pods.get(id as usize) else {
            continue;
        };
        let mut pod = pod.clone();
        let other = &pods[((id + 1 + round) % count) as usize];
        match (step + round) % 4 {
            0 => pod.labels = Labels::clone(&other.labels),
            1 if !pod.host_network => pod.addresses = Vec::new(),
            2 if !pod.host_network => {
                pod.addresses = vec![IpAddr::from([10, 0, 0, (round + step) as u8])];
            }
            _ => {
                pod.labels = Labels::clone(&other.labels);
                pod.ports = other.ports.clone();
            }
        }
        changed.push((PodId(id), pod));
    }
    changed
}

#[test]
fn what_an_engine_says_that_changed_is_all_that_changed() {
    for seed in 0..CLUSTERS {
        let snapshot = Cluster::from_seed(seed).snapshot();
        let mut engine = Engine::compile(&snapshot, Profile::default());
        let others = Cluster::from_seed(seed + CLUSTERS);
        let mut others = others.policies().cloned();
        let mut held: (Revision, Seen) = (engine.revision(), seen(&engine));
        for round in 0..8 {
            if let Some(policy) = others.next() {
                engine.upsert_policy(policy);
            }
            for (id, pod) in changed(&engine, round) {
                engine.replace_pod(id, pod);
            }
            if round % 2 == 1
                && let Some(policy) = engine.snapshot().policies.first().cloned()
            {
                engine.remove_policy(&policy);
            }
            // Several changes at once, every now and then.
            if round % 3 == 2 {
                continue;
            }
            let now = seen(&engine);
            let changes = engine.changes_since(held.0).expect("it is not long ago");
            let what = format!("seed {seed}, round {round}");
            check(&held.1, &now, &changes, &what);
            held = (engine.revision(), now);
        }
    }
}

#[test]
fn a_copy_that_went_another_way_knows_nothing_of_what_came_after() {
    let snapshot = Cluster::from_seed(7).snapshot();
    let mut engine = Engine::compile(&snapshot, Profile::default());
    let start = engine.revision();
    assert_eq!(engine.changes_since(start), Some(EngineChanges::default()));
    let mut copy = engine.clone();
    let (id, pod) = changed(&engine, 1).remove(0);
    engine.replace_pod(id, pod.clone());
    copy.replace_pod(id, pod);
    assert!(engine.changes_since(start).is_some() && copy.changes_since(start).is_some());
    assert_eq!(engine.changes_since(copy.revision()), None);
    let fresh = Engine::compile(engine.snapshot(), engine.profile());
    assert_eq!(fresh.changes_since(engine.revision()), None);
    // What is too long ago is forgotten.
    for round in 0..20_000 {
        let id = PodId(0);
        let mut pod = engine.snapshot().pod(id).clone();
        pod.addresses = match pod.host_network {
            true => pod.addresses,
            false => vec![IpAddr::from([10, 1, (round / 256) as u8, round as u8])],
        };
        engine.replace_pod(id, pod);
    }
    assert_eq!(engine.changes_since(start), None);
}
