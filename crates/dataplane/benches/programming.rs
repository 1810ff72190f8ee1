//! What it costs to make a node follow its cluster: compiling, loading, changing one pod.
//!
//! `cargo bench -p ringfence-dataplane --bench programming`; needs the right to make a
//! network namespace. Figures with the machine are in `docs/benchmarks.md`.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot go on says so by panicking"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use nlink::netlink::namespace::Netns;
use ringfence_dataplane::compile::{Compiled, Node};
use ringfence_dataplane::nft::{Connections, Enforcer, Table, TableName};
use ringfence_engine::{Engine, Profile};
use ringfence_model::k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicyEgressRule, NetworkPolicyPeer,
};
use ringfence_model::labels::Labels;
use ringfence_model::policy::{
    Action, PodSelection, Policy, PolicyBody, PolicyFamily, Tier, TieredPeer, TieredPolicy,
    TieredPort, TieredRule,
};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::builder::{BuildOptions, SnapshotBuilder};
use ringfence_model::snapshot::{Pod, PodId, Snapshot};
use ringfence_testkit::generate::scale::Shape;
use tikv_jemallocator::Jemalloc;

/// As in the program.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// After this time the allocator gives back to the kernel what nobody uses.
const GIVEN_BACK: Duration = Duration::from_secs(12);

const CHANGES: usize = 1001;
const POLICY_CHANGES: usize = 22;

/// Every pod of the cluster is on this node: the worst that a node can have.
fn node(snapshot: &Snapshot) -> Node {
    let mut names: Vec<_> = snapshot.pods.iter().map(|pod| pod.node.clone()).collect();
    names.sort_unstable();
    names.dedup();
    let mut all = Node::default();
    for name in names {
        let endpoints = Node::from_snapshot(snapshot, name.as_deref()).endpoints;
        all.endpoints.extend(endpoints);
    }
    for (number, endpoint) in all.endpoints.iter_mut().enumerate() {
        Arc::make_mut(endpoint).interface = Some(format!("pod{number}"));
    }
    all
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Durations of one thing that is done again and again.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let value = work();
        self.0.push(start.elapsed());
        value
    }

    fn add_to_last(&mut self, time: Duration) {
        *self.0.last_mut().unwrap() += time;
    }

    /// The median, the 99th percentile and the worst.
    fn told(&mut self, what: &str) {
        self.0.sort_unstable();
        let at = |percent: usize| ms(self.0[(self.0.len() - 1) * percent / 100]);
        println!(
            "  {what:<44} p50 {:>8.3} ms  p99 {:>8.3} ms  worst {:>8.3} ms",
            at(50),
            at(99),
            at(100)
        );
    }
}

/// A pod that takes another deployment's labels.
fn relabelled(snapshot: &Snapshot, step: usize) -> (PodId, Pod) {
    let count = snapshot.pods.len();
    let (from, to) = ((step * 7919) % count, (step * 104_729 + count / 2) % count);
    let mut pod = snapshot.pods[from].clone();
    pod.labels = Labels::clone(&snapshot.pods[to].labels);
    (PodId(u32::try_from(from).unwrap()), pod)
}

/// A line of what the kernel says of the memory of this process, in MiB.
fn kernel_says(what: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(what));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// A policy of one deployment that allows one block more, or no more.
fn edited_policy(snapshot: &Snapshot, step: usize) -> Policy {
    let mut policies = snapshot
        .policies
        .iter()
        .filter(|policy| match &policy.body {
            PolicyBody::Network(spec) => {
                spec.egress.as_ref().is_some_and(|rules| !rules.is_empty())
            }
            PolicyBody::Tiered(_) => false,
        });
    let count = policies.clone().count();
    // Twice in a row it is the same one.
    let mut policy = policies.nth(step / 2 * 97 % count).unwrap().clone();
    let PolicyBody::Network(spec) = &mut policy.body else {
        unreachable!("only such are chosen");
    };
    let rules = spec.egress.as_mut().unwrap();
    if step % 2 == 1 {
        rules.pop();
        return policy;
    }
    rules.push(NetworkPolicyEgressRule {
        to: Some(vec![NetworkPolicyPeer {
            ip_block: Some(IPBlock {
                cidr: format!("198.51.100.{}/32", step % 256),
                except: None,
            }),
            ..NetworkPolicyPeer::default()
        }]),
        ports: None,
    });
    policy
}

/// A policy for all pods of the cluster, which closes another port each time.
fn policy_for_all(step: usize) -> Policy {
    let port = u16::try_from(20_000 + step).unwrap();
    Policy {
        family: PolicyFamily::ClusterNetworkPolicy,
        namespace: None,
        name: "for-all".into(),
        annotations: Default::default(),
        body: PolicyBody::Tiered(TieredPolicy {
            tier: Tier::Admin,
            priority: 0,
            subject: PodSelection::Namespaces(Default::default()),
            ingress: Vec::new(),
            egress: vec![TieredRule {
                name: String::new(),
                action: Action::Deny,
                peers: vec![TieredPeer::Networks(vec!["198.51.100.0/24".to_owned()])],
                ports: Some(vec![TieredPort::Range {
                    protocol: Protocol::Tcp,
                    start: port,
                    end: port,
                }]),
            }],
        }),
        origin: None,
    }
}

fn snapshot(pods: usize, policies: usize) -> Arc<Snapshot> {
    let mut builder = SnapshotBuilder::new(BuildOptions::default());
    builder.add(Shape::with(pods, policies).one_by_one());
    Arc::new(builder.build(&Default::default()).0)
}

/// One cluster; each has a process of its own, so that no memory of another is counted.
async fn measure(pods: usize, policies: usize) {
    let snapshot = snapshot(pods, policies);
    let node = node(&snapshot);
    let mut times = [Times::default(), Times::default(), Times::default()];
    let [compile_engine, compile, load] = &mut times;
    let mut engine = compile_engine.time(|| Engine::compile(&snapshot, Profile::default()));
    drop(snapshot);
    let mut held = compile.time(|| Compiled::new(&engine, &node, &Compiled::default()));
    let name = format!("rf-bench-{}", std::process::id());
    let namespace = Netns::create(&name).expect("root is needed");
    let table = Table::in_namespace(&namespace, TableName::default()).expect("a socket");
    let start = Instant::now();
    table.replace(&held.ruleset).await.expect("it is loaded");
    load.0.push(start.elapsed());
    println!(
        "{} pods, {} policies: {} elements, {} chains, {} rules",
        node.endpoints.len(),
        engine.snapshot().policies.len(),
        held.ruleset.elements(),
        held.ruleset.chains.len(),
        held.ruleset.rules()
    );
    compile_engine.told("snapshot to engine");
    compile.told("engine to ruleset");
    load.told("ruleset to kernel");
    let mut steps: [Times; 5] = Default::default();
    let [mutate, update, commit, verify, total] = &mut steps;
    let mut elements = 0;
    for step in 0..CHANGES {
        let (id, pod) = relabelled(engine.snapshot(), step);
        let all = Instant::now();
        mutate.time(|| engine.replace_pod(id, pod));
        let changes = update.time(|| held.update(&engine, &node)).changes;
        elements += changes.elements();
        commit.0.push(Duration::ZERO);
        for part in changes.in_parts(&held.ruleset) {
            let start = Instant::now();
            let applied = table.apply(&part, &held.ruleset).await;
            applied.expect("a change");
            commit.add_to_last(start.elapsed());
        }
        let start = Instant::now();
        let verified = table.verify_changes(&changes, &held.ruleset).await;
        verified.expect("as written");
        verify.0.push(start.elapsed());
        total.0.push(all.elapsed());
    }
    let changed = f64::from(u32::try_from(elements).unwrap()) / CHANGES as f64;
    println!("  one pod's labels changed {CHANGES} times, {changed:.1} elements each:");
    mutate.told("engine follows the pod");
    update.told("ruleset follows the engine");
    commit.told("kernel follows the ruleset");
    verify.told("reading back");
    total.told("all of it");
    table.verify(&held.ruleset).await.expect("as written");
    drop((held, table));
    let table = Table::in_namespace(&namespace, TableName::default()).expect("a socket");
    let connections = Connections::in_namespace(&namespace).expect("a socket");
    let start = Instant::now();
    let started = Enforcer::start(table, connections, &engine, &node).await;
    let (mut enforcer, _) = started.expect("the table is taken over");
    let mut taken_over = Times(vec![start.elapsed()]);
    taken_over.told("a table of this size taken over");
    let mut total = Times::default();
    for step in CHANGES..2 * CHANGES {
        let (id, pod) = relabelled(engine.snapshot(), step);
        let start = Instant::now();
        engine.replace_pod(id, pod);
        enforcer.update(&engine, &node).await.expect("a change");
        total.0.push(start.elapsed());
        if step == CHANGES * 3 / 2 {
            std::thread::sleep(GIVEN_BACK);
        }
    }
    total.told("engine and enforcer, one pod changed");
    println!(
        "  memory: resident {:.1} MiB, {:.1} while the table was taken over",
        kernel_says("VmRSS:"),
        kernel_says("VmHWM:"),
    );
    let [mut one, mut all] = [Times::default(), Times::default()];
    for step in 0..POLICY_CHANGES {
        for (times, policy) in [
            (&mut one, edited_policy(engine.snapshot(), step)),
            (&mut all, policy_for_all(step)),
        ] {
            let start = Instant::now();
            engine.upsert_policy(policy);
            enforcer.update(&engine, &node).await.expect("a change");
            times.0.push(start.elapsed());
        }
    }
    one.told("the same, a policy of one deployment");
    all.told("the same, a policy for all pods");
    namespace.delete().expect("it goes away");
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let shape = std::env::var("RINGFENCE_SHAPE").ok();
    if let Some((pods, policies)) = shape.as_deref().and_then(|s| s.split_once('x')) {
        measure(pods.parse().unwrap(), policies.parse().unwrap()).await;
        return;
    }
    for pods in [100, 1_000, 10_000] {
        for policies in [10, 100, 1_000, 10_000] {
            let this = std::env::current_exe().expect("this program has a path");
            let mut child = std::process::Command::new(this);
            child.env("RINGFENCE_SHAPE", format!("{pods}x{policies}"));
            assert!(child.status().expect("it runs").success());
        }
    }
}
