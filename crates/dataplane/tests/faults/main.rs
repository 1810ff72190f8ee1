//! What can go wrong on a node, a hundred times each, under traffic: nothing that is denied
//! gets through, and nothing that is allowed is lost.
//!
//! `RINGFENCE_CYCLES` says how often (default 100).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

#[path = "../support/network.rs"]
#[expect(dead_code, reason = "each test file uses what it needs")]
mod network;
mod pods;
mod refusals;
mod traffic;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use network::{Network, come_up, is_dropped, serve_tcp, v4, v6};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nlink::netlink::namespace::Netns;
use ringfence_dataplane::compile::Compiled;
use ringfence_dataplane::nft::{Enforcer, Table, TableName};
use tokio::sync::Mutex;
use traffic::{Flow, Seen, serve};

/// The kernel lets nobody else near its tables while it takes hooks out: tests that do
/// that side by side wait for each other most of the time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

const WEB: usize = 0;
const DB: usize = 1;
const OTHER: usize = 2;
const PORT: u16 = 53;

/// `web` may ask `db` on UDP 53, and nobody else may do anything. `extra` changes what
/// has nothing to do with it.
fn policies(extra: usize) -> String {
    format!(
        "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: default-deny-all, namespace: shop}}
spec: {{podSelector: {{}}, policyTypes: [Ingress, Egress]}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: web-to-db, namespace: shop}}
spec:
  podSelector: {{matchLabels: {{app: web}}}}
  policyTypes: [Egress]
  egress: [{{to: [{{podSelector: {{matchLabels: {{app: db}}}}}}], ports: [{{port: {PORT}, protocol: UDP}}]}}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: db-from-web, namespace: shop}}
spec:
  podSelector: {{matchLabels: {{app: db}}}}
  policyTypes: [Ingress]
  ingress: [{{from: [{{podSelector: {{matchLabels: {{app: web}}}}}}], ports: [{{port: {PORT}, protocol: UDP}}]}}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: web-to-outside, namespace: shop}}
spec:
  podSelector: {{matchLabels: {{app: web}}}}
  policyTypes: [Egress]
  egress: [{{to: [{{ipBlock: {{cidr: 198.51.100.0/24}}}}], ports: [{{port: {}}}]}}]
",
        1000 + extra
    )
}

fn cycles() -> usize {
    let text = std::env::var("RINGFENCE_CYCLES").ok();
    text.map_or(100, |text| text.parse().expect("a number"))
}

/// Pods, flows of both families that are allowed, and ones that are denied.
struct Stage {
    network: Network,
    allowed: Vec<Flow>,
    denied: Vec<Flow>,
    seen: Vec<Arc<Seen>>,
}

/// Pods with links of their own, and pods on a bridge.
const WIRINGS: [bool; 2] = [false, true];

async fn shop(is_bridge: bool) -> Network {
    let names = ["web", "db", "other"];
    match is_bridge {
        true => Network::on_bridge(&names).await,
        false => Network::new(&names).await,
    }
}

impl Stage {
    async fn new(is_bridge: bool) -> (Self, Enforcer) {
        let network = shop(is_bridge).await;
        let mut seen = Vec::new();
        for address in [v4, v6] {
            seen.push(serve(network.pod(DB), address(DB), PORT, address(WEB)));
            serve_tcp(network.pod(DB), address(DB), PORT);
            come_up(network.pod(WEB), address(WEB), address(DB), PORT);
        }
        let enforcer = start(&network, 0).await;
        let mut stage = Self {
            network,
            allowed: Vec::new(),
            denied: Vec::new(),
            seen,
        };
        for address in [v4, v6] {
            let web = stage.network.pod(WEB);
            stage
                .allowed
                .push(Flow::allowed(web, address(WEB), address(DB), PORT));
            let other = stage.network.pod(OTHER);
            stage
                .denied
                .push(Flow::denied(other, address(OTHER), address(DB), PORT));
        }
        (stage, enforcer)
    }

    /// Nothing leaked, nothing was lost.
    fn check(self, what: &str) {
        let denied: Vec<_> = self.denied.into_iter().map(Flow::stop).collect();
        let allowed: Vec<_> = self.allowed.into_iter().map(Flow::stop).collect();
        let leaked: u64 = self
            .seen
            .iter()
            .map(|seen| seen.leaked.load(Ordering::Relaxed))
            .sum();
        let sent: u64 = denied.iter().map(|flow| flow.sent).sum();
        let wanted: u64 = allowed.iter().map(|flow| flow.sent).sum();
        let answered: u64 = allowed.iter().map(|flow| flow.answered).sum();
        println!(
            "{what}: {leaked} of {sent} denied packets leaked, {} of {wanted} allowed ones lost",
            wanted - answered
        );
        assert!(sent > 0 && wanted > 0);
        assert_eq!((leaked, wanted - answered), (0, 0), "{what}");
    }
}

async fn start(network: &Network, extra: usize) -> Enforcer {
    start_in(network.node.netns(), network, extra).await
}

async fn start_in(namespace: &Netns, network: &Network, extra: usize) -> Enforcer {
    let (engine, node) = network.engine(&[], &policies(extra));
    network::start(namespace, &engine, &node).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_under_traffic_leak_and_lose_nothing() {
    let _alone = ONE_AT_A_TIME.lock().await;
    for is_bridge in WIRINGS {
        let (stage, mut enforcer) = Stage::new(is_bridge).await;
        for cycle in 1..=cycles() {
            let (engine, node) = stage.network.engine(&[], &policies(cycle));
            enforcer
                .update(&engine, &node)
                .await
                .expect("a change is taken");
        }
        stage.check("changes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_follow_one_engine_under_traffic_leak_and_lose_nothing() {
    let _alone = ONE_AT_A_TIME.lock().await;
    for is_bridge in WIRINGS {
        follow_one_engine(is_bridge).await;
    }
}

async fn follow_one_engine(is_bridge: bool) {
    let (stage, mut enforcer) = Stage::new(is_bridge).await;
    let (mut engine, node) = stage.network.engine(&[], &policies(0));
    enforcer.update(&engine, &node).await.expect("it is taken");
    for cycle in 1..=cycles() {
        let changed = stage.network.engine(&[], &policies(cycle)).0;
        let mut of_change = changed.snapshot().policies.iter();
        let policy = of_change.find(|policy| &*policy.name == "web-to-outside");
        let policy = policy.expect("it is there").clone();
        if cycle % 3 == 0 {
            engine.remove_policy(&policy);
        } else {
            engine.upsert_policy(policy);
        }
        let all = enforcer.held().ruleset.elements();
        let applied = enforcer.update(&engine, &node).await.expect("it is taken");
        assert!(applied.elements < all / 2, "{applied:?} of {all}");
    }
    assert_eq!(enforcer.repair().await.expect("an answer"), None);
    let compiled = Compiled::new(&engine, &node, &Compiled::default());
    let held = &enforcer.held().ruleset;
    assert_eq!(held.elements(), compiled.ruleset.elements());
    assert_eq!(held.chains.len(), compiled.ruleset.chains.len());
    stage.check("changes of one engine");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starting_again_with_the_old_table_in_place_leaks_and_loses_nothing() {
    let _alone = ONE_AT_A_TIME.lock().await;
    for is_bridge in WIRINGS {
        let (stage, first) = Stage::new(is_bridge).await;
        drop(first);
        for cycle in 1..=cycles() {
            // The same policies, and others.
            drop(start(&stage.network, cycle / 2).await);
        }
        stage.check("restarts");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_somebody_alters_again_and_again_is_repaired() {
    let _alone = ONE_AT_A_TIME.lock().await;
    for is_bridge in WIRINGS {
        let network = shop(is_bridge).await;
        let mut enforcer = start(&network, 0).await;
        let namespace = network.node.netns();
        for _ in 0..cycles() {
            let stranger = Table::in_namespace(namespace, TableName::default()).unwrap();
            stranger.delete().await.unwrap();
            assert!(enforcer.repair().await.expect("it is repaired").is_some());
            assert_eq!(enforcer.repair().await.expect("an answer"), None);
        }
        serve_tcp(network.pod(DB), v4(DB), PORT);
        assert!(is_dropped(network.pod(OTHER), v4(DB), PORT));
    }
}

/// A process of its own that changes its policies as fast as it can, to be killed.
const CHILD: &str = "RINGFENCE_FAULT_CHILD";

/// Whether its pods are on a bridge.
const CHILD_ON_BRIDGE: &str = "RINGFENCE_FAULT_CHILD_ON_BRIDGE";

#[tokio::test]
async fn the_process_that_is_killed_in_another_test() {
    // As a test of its own it has nothing to do.
    let Ok(name) = std::env::var(CHILD) else {
        return;
    };
    let namespace = Netns::open(&name).expect("the parent's namespace");
    let is_bridge = std::env::var(CHILD_ON_BRIDGE).is_ok();
    let network = Network::of_names(&["web", "db", "other"], is_bridge);
    let mut enforcer = start_in(&namespace, &network, 0).await;
    println!("started");
    for cycle in 0.. {
        let (engine, node) = network.engine(&[], &policies(cycle));
        enforcer
            .update(&engine, &node)
            .await
            .expect("a change is taken");
    }
}

fn spawn(stage: &Stage) -> Child {
    let name = stage
        .network
        .node
        .netns()
        .name()
        .expect("it has a name")
        .to_owned();
    let mut command = Command::new(std::env::current_exe().unwrap());
    if stage.network.is_bridge {
        command.env(CHILD_ON_BRIDGE, "1");
    }
    command
        .args([
            "--exact",
            "the_process_that_is_killed_in_another_test",
            "--nocapture",
        ])
        .env(CHILD, name)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_the_process_in_the_middle_of_its_work_leaks_and_loses_nothing() {
    let _alone = ONE_AT_A_TIME.lock().await;
    for is_bridge in WIRINGS {
        kill_again_and_again(is_bridge).await;
    }
}

async fn kill_again_and_again(is_bridge: bool) {
    let (stage, first) = Stage::new(is_bridge).await;
    drop(first);
    for cycle in 0..2 * cycles() {
        let mut child = spawn(&stage);
        // Sometimes before its first transaction, sometimes in the middle of many.
        let wait = 15 + (cycle as u64 * 7) % 60;
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let process = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let signal = [Signal::SIGKILL, Signal::SIGTERM][cycle % 2];
        kill(process, signal).expect("it is running");
        child.wait().unwrap();
    }
    stage.check("kills");
}
