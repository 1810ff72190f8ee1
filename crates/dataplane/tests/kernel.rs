//! Rulesets in the kernel: what is written is what is read back, change after change.
//!
//! Runs in network namespaces of its own and needs the right to make them.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nlink::netlink::namespace::Netns;
use ringfence_dataplane::compile::{Bridge, Compiled, Node, Port};
use ringfence_dataplane::nft::{Error, Table, TableName};
use ringfence_dataplane::ruleset::{Change, Changes, Layer, Name, Ruleset};
use ringfence_engine::{Engine, Profile};
use ringfence_testkit::generate::random::Cluster;

/// A namespace that is gone when the test is over, however it ends.
struct Namespace(Option<Netns>);

impl Namespace {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rf-test-nft-{}-{number}", std::process::id());
        let made = Netns::create(&name).expect("network namespaces can be made: root is needed");
        Self(Some(made))
    }

    fn table(&self) -> Table {
        let namespace = self.0.as_ref().expect("it is there until it is dropped");
        Table::in_namespace(namespace, TableName::default()).expect("a netlink socket")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Some(namespace) = self.0.take() {
            namespace
                .delete()
                .expect("a namespace of this test goes away");
        }
    }
}

/// All pods of a generated cluster on one node, behind interfaces of their own or on a bridge.
fn compile(cluster: &Cluster, on_bridge: bool, previous: &Compiled) -> Compiled {
    let snapshot = cluster.snapshot();
    let engine = Engine::compile(&snapshot, Profile::default());
    let mut node = Node {
        pod_ranges: vec!["10.0.0.0/16".parse().unwrap(), "fd00::/64".parse().unwrap()],
        ..Node::default()
    };
    let names = snapshot.pods.iter().map(|pod| pod.node.clone());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names.dedup();
    for name in names {
        let of_node = Node::from_snapshot(&snapshot, name.as_deref());
        node.endpoints.extend(of_node.endpoints);
        node.addresses.extend(of_node.addresses);
    }
    for (number, endpoint) in node.endpoints.iter_mut().enumerate() {
        let endpoint = Arc::make_mut(endpoint);
        let name = format!("pod{number}");
        if !on_bridge {
            endpoint.interface = Some(name);
            continue;
        }
        let [.., high, low] = number.to_be_bytes();
        let hardware = [2, 0, 0, 0, high, low];
        endpoint.interface = Some("cni0".to_owned());
        endpoint.port = Some(Port { name, hardware });
    }
    if on_bridge {
        node.bridges = vec![Bridge {
            name: "cni0".to_owned(),
            hardware: [2, 0, 0, 1, 0, 0],
        }];
    }
    Compiled::new(&engine, &node, previous)
}

#[tokio::test]
async fn what_is_written_is_read_back_through_a_chain_of_changes() {
    let namespace = Namespace::new();
    let table = namespace.table();
    let mut held = Compiled::default();
    table.replace(&held.ruleset).await.expect("an empty table");
    let (mut steps, mut elements) = (0, 0);
    for seed in 0..60 {
        // From and to bridges, and among bridges.
        let next = compile(&Cluster::from_seed(seed), seed % 4 > 1, &held);
        let changes = next.changes_from(&held);
        steps += changes.steps.len();
        elements += changes.elements();
        let applied = table.apply(&changes, &held.ruleset).await;
        applied.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{}", next.ruleset));
        let changed = table.verify_changes(&changes, &next.ruleset).await;
        changed.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{}", next.ruleset));
        let verified = table.verify(&next.ruleset).await;
        verified.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{}", next.ruleset));
        held = next;
    }
    println!("{steps} steps, {elements} elements");
    table.delete().await.expect("it goes away");
    assert!(!table.exists().await.expect("an answer"));
}

#[tokio::test]
async fn a_table_is_replaced_at_once_whatever_it_held() {
    let namespace = Namespace::new();
    let table = namespace.table();
    for seed in 60..70 {
        let compiled = compile(
            &Cluster::from_seed(seed),
            seed % 2 > 0,
            &Compiled::default(),
        );
        table
            .replace(&compiled.ruleset)
            .await
            .expect("it is replaced");
        table.verify(&compiled.ruleset).await.expect("as written");
    }
}

#[tokio::test]
async fn what_somebody_else_changed_is_found() {
    let namespace = Namespace::new();
    let table = namespace.table();
    let compiled = compile(&Cluster::from_seed(3), true, &Compiled::default());
    table
        .replace(&compiled.ruleset)
        .await
        .expect("it is replaced");
    let before = table.generation().await.expect("a number");
    let mut other = compiled.ruleset.clone();
    let set = other.sets.get_mut("endpoints4").expect("a set");
    let (key, value) = set.elements.pop_first().expect("it has elements");
    let changes = Changes {
        steps: vec![Change::DeleteElements(
            "endpoints4".into(),
            vec![(key, value)],
        )],
    };
    table
        .apply(&changes, &compiled.ruleset)
        .await
        .expect("it is changed");
    assert!(matches!(
        table.verify(&compiled.ruleset).await,
        Err(Error::NotAsWritten(text)) if text.contains("endpoints4")
    ));
    assert_ne!(table.generation().await.expect("a number"), before);
    table.verify(&other).await.expect("and nothing else");
}

#[tokio::test]
async fn a_change_that_is_not_as_it_was_written_is_found() {
    let namespace = Namespace::new();
    let table = namespace.table();
    let ruleset = compile(&Cluster::from_seed(3), true, &Compiled::default()).ruleset;
    table.replace(&ruleset).await.expect("it is replaced");
    let changes = ruleset.changes_from(&Ruleset::default());
    table
        .verify_changes(&changes, &ruleset)
        .await
        .expect("it is");
    for name in ruleset.chains.keys() {
        // Where there is one rule less, the kernel has one too many.
        let mut other = ruleset.clone();
        let chain = other.chains.get_mut(name).expect("it is there");
        if chain.rules.pop().is_none() {
            continue;
        }
        let chain = chain.clone();
        let steps = vec![Change::SetRules(Name::clone(name), chain)];
        let found = table.verify_changes(&Changes { steps }, &other).await;
        assert!(matches!(found, Err(Error::NotAsWritten(text)) if text.contains(&**name)));
    }
}

#[tokio::test]
async fn a_refused_transaction_changes_nothing() {
    let namespace = Namespace::new();
    let table = namespace.table();
    let compiled = compile(&Cluster::from_seed(3), true, &Compiled::default());
    table
        .replace(&compiled.ruleset)
        .await
        .expect("it is replaced");
    let next = compile(&Cluster::from_seed(4), true, &compiled);
    let mut changes = next.changes_from(&compiled);
    changes
        .steps
        .push(Change::DeleteChain(Layer::Network, "nowhere".into()));
    assert!(matches!(
        table.apply(&changes, &compiled.ruleset).await,
        Err(Error::Kernel(_))
    ));
    table.verify(&compiled.ruleset).await.expect("as before");
}
