//! Changes that the kernel refuses.

use std::collections::BTreeSet;

use nlink::netlink::Nftables;
use nlink::netlink::nftables::{Family, Set, SetKeyType};
use ringfence_dataplane::compile::{Compiled, Node};
use ringfence_dataplane::nft::{Applied, Enforcer, Table, TableName};
use ringfence_dataplane::ruleset::{Change, Changes, Name, Ruleset, Value, key};
use ringfence_engine::Engine;

use crate::network::{Network, connect, is_dropped, serve_tcp, v4};
use crate::{DB, ONE_AT_A_TIME, OTHER, PORT, Stage, cycles, policies, start};

/// `other` may reach `db` on four ports that are far from each other: they are looked up in
/// a set of their own. `extra` makes it a set that was never there before.
fn with_many_ports(extra: usize) -> String {
    let first = 2000 + extra;
    let ports = format!("[{{port: 1}}, {{port: 3}}, {{port: 5}}, {{port: {first}}}]");
    format!(
        "{}---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: other-to-db, namespace: shop}}
spec:
  podSelector: {{matchLabels: {{app: other}}}}
  policyTypes: [Egress]
  egress: [{{to: [{{podSelector: {{matchLabels: {{app: db}}}}}}], ports: {ports}}}]
",
        policies(extra)
    )
}

/// Has somebody else make a set of another kind under the name that the next change needs,
/// and says the name.
async fn take_the_name(
    network: &Network,
    enforcer: &Enforcer,
    engine: &Engine,
    node: &Node,
) -> String {
    let held = enforcer.held();
    let next = Compiled::new(engine, node, held).ruleset;
    let mut new = next
        .sets
        .keys()
        .filter(|name| !held.ruleset.sets.contains_key(*name));
    let name = new.next().expect("a set of ports is new").to_string();
    let nft = nlink::Connection::<Nftables>::new_in(network.node.netns()).unwrap();
    let set = Set::new("ringfence", &name)
        .family(Family::Inet)
        .key_type(SetKeyType::Ipv4Addr);
    nft.add_set(set).await.expect("nobody has it");
    name
}

async fn update(enforcer: &mut Enforcer, engine: &Engine, node: &Node) -> Applied {
    let applied = enforcer.update(engine, node).await;
    applied.expect("what is refused is closed, and the rest is taken")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_refused_closes_the_pods_that_it_is_for_and_no_others() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let (stage, mut enforcer) = Stage::new(false).await;
    for cycle in 1..=cycles() {
        let (engine, node) = stage.network.engine(&[], &with_many_ports(cycle));
        let name = take_the_name(&stage.network, &enforcer, &engine, &node).await;
        let applied = update(&mut enforcer, &engine, &node).await;
        let closed: BTreeSet<_> = applied.closed;
        let of = |index: usize| {
            node.endpoints
                .iter()
                .find(|it| it.addresses.contains(&v4(index)))
        };
        assert_eq!(
            closed,
            BTreeSet::from([of(OTHER).expect("it is there").pod])
        );
        // What is in the way goes, and the next change opens the pod.
        let found = enforcer.repair().await.expect("it is repaired");
        assert!(found.is_some_and(|found| found.contains(&name)));
        let applied = update(&mut enforcer, &engine, &node).await;
        assert_eq!(applied.closed, BTreeSet::new());
    }
    stage.check("refused changes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_refused_whoever_is_left_out_is_an_error_and_changes_nothing() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let network = Network::new(&["web", "db", "other"]).await;
    serve_tcp(network.pod(DB), v4(DB), PORT);
    serve_tcp(network.pod(DB), v4(DB), 1);
    assert!(connect(network.pod(OTHER), v4(DB), 1).is_some());
    let mut enforcer = start(&network, 0).await;
    let before = enforcer.held().ruleset.clone();
    let namespace = network.node.netns();
    let stranger = nlink::Connection::<Nftables>::new_in(namespace).unwrap();
    stranger.del_table("ringfence", Family::Inet).await.unwrap();
    let (engine, node) = network.engine(&[], &with_many_ports(1));
    let refused = enforcer
        .update(&engine, &node)
        .await
        .expect_err("there is no table");
    assert!(refused.to_string().contains("ringfence"), "{refused}");
    assert!(enforcer.repair().await.expect("it is repaired").is_some());
    assert!(enforcer.held().ruleset == before, "as it was before");
    assert!(is_dropped(network.pod(OTHER), v4(DB), 1));
    let applied = update(&mut enforcer, &engine, &node).await;
    assert_eq!(applied.closed, BTreeSet::new());
    assert!(
        is_dropped(network.pod(OTHER), v4(DB), 1),
        "db lets only web in"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_refused_in_its_second_part_leaves_nothing_of_its_first() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let network = Network::new(&["web", "db", "other"]).await;
    let mut enforcer = start(&network, 0).await;
    let namespace = network.node.netns();
    let table = Table::in_namespace(namespace, TableName::default()).unwrap();
    // Somebody takes an element out that the next change takes out, too.
    let element = |held: &Ruleset| {
        let (name, set) = held.sets.get_key_value("egress4").expect("it is there");
        let (key, value) = set.elements.iter().next().expect("a pod");
        Change::DeleteElements(Name::clone(name), vec![(key.clone(), value.clone())])
    };
    for cycle in 1..=cycles() {
        let held = enforcer.held().ruleset.clone();
        let stolen = Changes {
            steps: vec![element(&held)],
        };
        let mut altered = held.clone();
        altered.apply(&stolen);
        table.apply(&stolen, &held).await.unwrap();
        let (engine, mut node) = network.engine(&[], &with_many_ports(cycle));
        node.endpoints.clear();
        enforcer
            .update(&engine, &node)
            .await
            .expect_err("the element is not there");
        let left = table.read(&held).await.expect("it is read");
        assert!(left == altered, "as it was, but for what was stolen");
        assert!(enforcer.repair().await.expect("it is repaired").is_some());
        let (engine, node) = network.engine(&[], &with_many_ports(cycle));
        update(&mut enforcer, &engine, &node).await;
        assert_eq!(enforcer.repair().await.expect("an answer"), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_not_read_back_as_written_is_an_error_and_repaired_to_what_was_meant() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let network = Network::new(&["web", "db", "other"]).await;
    let mut enforcer = start(&network, 0).await;
    let namespace = network.node.netns();
    let table = Table::in_namespace(namespace, TableName::default()).unwrap();
    let stranger = vec![(key::address([10, 9, 9, 9].into()), Value::None)];
    let added = Changes {
        steps: vec![Change::AddElements("endpoints4".into(), stranger)],
    };
    let held = &enforcer.held().ruleset;
    table.apply(&added, held).await.expect("it is added");
    let (engine, mut node) = network.engine(&[], &policies(1));
    node.endpoints
        .retain(|endpoint| !endpoint.addresses.contains(&v4(OTHER)));
    let refused = enforcer.update(&engine, &node).await;
    let refused = refused.expect_err("somebody has added an element");
    assert!(refused.to_string().contains("endpoints4"), "{refused}");
    let meant = enforcer.held().ruleset.clone();
    let other = key::address(v4(OTHER));
    assert!(!meant.sets["endpoints4"].elements.contains_key(&other));
    let found = enforcer.repair().await.expect("it is repaired");
    assert!(found.is_some_and(|found| found.contains("endpoints4")));
    table.verify(&meant).await.expect("as it was meant");
    let (engine, node) = network.engine(&[], &policies(2));
    update(&mut enforcer, &engine, &node).await;
    assert_eq!(enforcer.repair().await.expect("an answer"), None);
}
