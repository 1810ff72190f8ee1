//! The baseline does what it promises, on clusters that nobody wrote.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::sync::Arc;

use ringfence_advisor::baseline::{Preset, Proposal, ProposedPolicy, Request, propose, stand_ins};
use ringfence_advisor::context::Inventory;
use ringfence_advisor::{Context, Input, Options};
use ringfence_engine::oracle::Oracle;
use ringfence_engine::{Engine, Packet, Peer, Profile, Verdict};
use ringfence_model::address::IpFamily;
use ringfence_model::metadata;
use ringfence_model::parse::{Object, Sources, TypedObject};
use ringfence_model::policy::Direction;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::builder::{BuildOptions, SnapshotBuilder};
use ringfence_model::snapshot::{PodKind, Snapshot};
use ringfence_model::tri::Tri;
use ringfence_testkit::generate::random::Cluster;

const CLUSTERS: u64 = 300;

/// The namespaces of generated clusters.
const NAMESPACES: [&str; 3] = ["x", "y", "z"];

/// A cluster with name servers, and what is asked about it.
struct Case {
    engine: Engine,
    assumed_dns: bool,
    inventory: Inventory,
}

impl Case {
    /// Pods reach their own node whatever policies say; here that is left out.
    fn new(objects: &[Object], options: &BuildOptions) -> Self {
        let (added, assumed_dns) = stand_ins(objects, &[], "default", None);
        let inventory = Inventory::of(objects, "default");
        let mut builder = SnapshotBuilder::new(options.clone());
        builder.add(objects.iter().cloned().chain(added));
        let (snapshot, _) = builder.build(&Sources::default());
        let profile = Profile::default().strict_own_node();
        Self {
            engine: Engine::compile(&Arc::new(snapshot), profile),
            assumed_dns,
            inventory,
        }
    }

    fn propose(&self, request: &Request) -> Proposal {
        self.with_context(|context| propose(context, request).unwrap())
    }

    fn with_context<T>(&self, ask: impl FnOnce(&Context<'_>) -> T) -> T {
        ask(&Context::new(&Input {
            engine: &self.engine,
            sources: &Sources::default(),
            diagnostics: &[],
            inventory: &self.inventory,
            assumed_dns: self.assumed_dns,
            options: &Options::default(),
        }))
    }

    fn snapshot(&self) -> &Snapshot {
        self.engine.snapshot()
    }
}

fn with(objects: &[Object], policies: &[ProposedPolicy]) -> Vec<Object> {
    let added = policies.iter().map(|proposed| Object {
        origin: None,
        typed: TypedObject::Policy(Box::new(proposed.policy.clone())),
    });
    objects.iter().cloned().chain(added).collect()
}

fn without_policies(cluster: &Cluster) -> Vec<Object> {
    let objects = cluster.objects.iter();
    objects
        .filter(|object| !matches!(object.typed, TypedObject::Policy(_)))
        .cloned()
        .collect()
}

/// Whether a generated cluster has a namespace that a set is written for.
fn is_inhabited(case: &Case) -> bool {
    let snapshot = case.snapshot();
    snapshot.pods.iter().any(|pod| {
        let namespace = &*snapshot.namespace(pod.namespace).name;
        NAMESPACES.contains(&namespace) && !pod.host_network && pod.kind != PodKind::Outside
    })
}

#[test]
fn after_the_production_set_pods_resolve_names_and_reach_nothing_else_outside() {
    let mut judged = 0;
    for seed in 0..CLUSTERS {
        let cluster = Cluster::from_seed(seed);
        let objects = without_policies(&cluster);
        let before = Case::new(&objects, &cluster.options);
        if !is_inhabited(&before) {
            continue;
        }
        let proposal = before.propose(&Request::new(Preset::Production));
        let after = Case::new(&with(&objects, &proposal.policies), &cluster.options);
        let oracle = Oracle::new(after.snapshot(), after.engine.profile());
        after.with_context(|context| {
            for (index, group) in context.groups().iter().enumerate() {
                let namespace = &*context.snapshot.namespace(group.namespace).name;
                if group.host_network || !NAMESPACES.contains(&namespace) {
                    continue;
                }
                judged += 1;
                let name = context.name_of(group.first);
                assert_eq!(group.egress_isolated, Tri::Yes, "seed {seed}: {name}");
                assert_eq!(group.ingress_isolated, Tri::Yes, "seed {seed}: {name}");
                let exposures = &context.exposures()[index];
                assert!(exposures.is_empty(), "seed {seed}: {name}: {exposures:?}");
                let internet = &context.internet()[index];
                assert!(internet.regions.is_empty(), "seed {seed}: {name}");
                let families = context
                    .snapshot
                    .families_of(context.snapshot.pod(group.first));
                for protocol in [Protocol::Udp, Protocol::Tcp] {
                    for packet in context.dns.packets(context.engine, group, protocol) {
                        let said = oracle.judge(&packet).verdict;
                        assert_eq!(said, Verdict::Allowed, "seed {seed}: {name}: {packet:?}");
                    }
                }
                for address in metadata::secret_addresses() {
                    let family = IpFamily::of(address);
                    let packet = Packet {
                        source: Peer::Pod(group.first),
                        destination: Peer::Address(address),
                        family,
                        protocol: Protocol::Tcp,
                        port: 80,
                        through_service: None,
                    };
                    if families.contains(&family) {
                        let said = oracle.judge(&packet).verdict;
                        assert_eq!(said, Verdict::Denied, "seed {seed}: {name}: {packet:?}");
                    }
                }
            }
        });
    }
    assert!(judged > 500, "only {judged} groups of pods were judged");
}

#[test]
fn a_patch_isolates_every_pod_and_is_needed_once() {
    let mut kept = 0;
    for seed in 0..CLUSTERS {
        let cluster = Cluster::from_seed(seed);
        let before = Case::new(&cluster.objects, &cluster.options);
        if !is_inhabited(&before) {
            continue;
        }
        for (internet, intra_namespace) in [(false, false), (true, true)] {
            let request = Request {
                internet,
                intra_namespace,
                patch: true,
                ..Request::new(Preset::Production)
            };
            let proposal = before.propose(&request);
            let whole = before.propose(&Request {
                patch: false,
                ..request.clone()
            });
            kept += whole.policies.len().saturating_sub(proposal.policies.len());
            let patched = with(&cluster.objects, &proposal.policies);
            let after = Case::new(&patched, &cluster.options);
            // Nothing that was there was replaced.
            let policies = before.snapshot().policies.len() + proposal.policies.len();
            assert_eq!(after.snapshot().policies.len(), policies, "seed {seed}");
            let snapshot = after.snapshot();
            for (id, pod) in snapshot.pod_ids() {
                let namespace = &*snapshot.namespace(pod.namespace).name;
                if pod.host_network
                    || pod.kind == PodKind::Outside
                    || !NAMESPACES.contains(&namespace)
                {
                    continue;
                }
                for direction in [Direction::Egress, Direction::Ingress] {
                    let isolated = after.engine.isolated(id, direction);
                    assert_eq!(isolated, Tri::Yes, "seed {seed}: {namespace}/{}", pod.name);
                }
            }
            let again = after.propose(&request);
            assert_eq!(again.policies, [], "seed {seed}: a second run");
        }
    }
    assert!(kept > 0, "no generated policy was found to be in place");
}

#[test]
fn the_same_cluster_gets_the_same_policies() {
    for seed in 0..20 {
        let cluster = Cluster::from_seed(seed);
        let mut reversed = cluster.objects.clone();
        reversed.reverse();
        let request = Request {
            internet: true,
            patch: true,
            ..Request::new(Preset::Production)
        };
        let case = Case::new(&cluster.objects, &cluster.options);
        if is_inhabited(&case) {
            let once = case.propose(&request);
            let again = Case::new(&reversed, &cluster.options).propose(&request);
            // Of two objects of one name the last counts.
            if case.snapshot().policies.len() == cluster.policies().count() {
                assert_eq!(once, again, "seed {seed}");
            }
        }
    }
}
