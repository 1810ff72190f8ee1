//! What is scheduled says the same as the manifests it was made from.
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

use ringfence_engine::oracle::Oracle;
use ringfence_engine::{Frontend, Packet, Peer, Profile, Verdict};
use ringfence_lab::schedule::{Options, Placement, Schedule, ScheduleError, schedule};
use ringfence_model::address::IpFamily;
use ringfence_model::parse::{self, Input, Limits, Sources};
use ringfence_model::snapshot::builder::BuildOptions;
use ringfence_model::snapshot::{PodId, PodKind, Snapshot};
use ringfence_testkit::generate::random::{Cluster, Questions};

fn of_text(yaml: &str, options: &Options) -> Result<Schedule, ScheduleError> {
    let loaded = parse::load(
        vec![Input {
            name: "test.yaml".to_owned(),
            bytes: yaml.as_bytes().to_vec(),
        }],
        &Limits::default(),
    );
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    let build = BuildOptions::default();
    schedule(&loaded.objects, &build, &loaded.sources, options)
}

fn of_cluster(cluster: &Cluster, options: &Options) -> Schedule {
    schedule(
        &cluster.objects,
        &cluster.options,
        &Sources::default(),
        options,
    )
    .unwrap_or_else(|error| panic!("seed {}: {error}", cluster.seed))
}

fn generated() -> impl Iterator<Item = Cluster> {
    let count: u64 = std::env::var("RINGFENCE_CLUSTERS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(400);
    (0..count).map(Cluster::from_seed)
}

#[test]
fn every_pod_is_one_pod_with_addresses_of_its_own_and_a_node() {
    for cluster in generated() {
        let scheduled = of_cluster(&cluster, &Options::default());
        let snapshot = &scheduled.snapshot;
        let mut seen: BTreeSet<IpAddr> = scheduled.api_server.iter().copied().collect();
        for node in &scheduled.nodes {
            assert_eq!(node.addresses.len(), scheduled.families.len());
            for address in &node.addresses {
                assert!(seen.insert(*address), "seed {}: {address}", cluster.seed);
            }
        }
        for pod in &snapshot.pods {
            assert_eq!(pod.kind, PodKind::Single, "seed {}", cluster.seed);
            assert!(!pod.addresses.is_empty(), "seed {}: {pod:?}", cluster.seed);
            let node = pod.node.as_ref().expect("a node");
            assert!(scheduled.nodes.iter().any(|n| n.name == *node));
            for address in pod.addresses.iter().filter(|_| !pod.host_network) {
                assert!(seen.insert(*address), "seed {}: {address}", cluster.seed);
                assert!(scheduled.families.contains(&IpFamily::of(*address)));
            }
        }
        for service in snapshot.services.iter().filter(|service| !service.headless) {
            assert!(!service.cluster_ips.is_empty(), "seed {}", cluster.seed);
        }
        for node in snapshot.namespaces.iter() {
            assert!(node.identity_known, "seed {}", cluster.seed);
        }
    }
}

#[test]
fn generated_clusters_are_scheduled_without_diagnostics() {
    for cluster in generated() {
        let (_, before) = cluster.build();
        let scheduled = of_cluster(&cluster, &Options::default());
        assert_eq!(
            scheduled.diagnostics.len(),
            before.len(),
            "seed {}: {:?}",
            cluster.seed,
            scheduled.diagnostics
        );
    }
}

#[test]
fn what_manifests_say_for_certain_is_said_of_every_replica() {
    let (mut asked, mut known) = (0, 0);
    for cluster in generated() {
        let before = cluster.snapshot();
        let scheduled = of_cluster(&cluster, &Options::default());
        let after = &*scheduled.snapshot;
        let profile = Profile::default();
        let (first, second) = (Oracle::new(&before, profile), Oracle::new(after, profile));
        for packet in Questions::new(&before, cluster.seed).take(64) {
            asked += 1;
            let verdict = first.judge(&packet).verdict;
            if verdict == Verdict::Unknown {
                continue;
            }
            for same in counterparts(&packet, &before, after) {
                known += 1;
                assert_eq!(
                    second.judge(&same).verdict,
                    verdict,
                    "seed {}: {packet:?} as {same:?}\n{}",
                    cluster.seed,
                    cluster.to_yaml()
                );
            }
        }
    }
    println!("{asked} packets, {known} of them compared");
    assert!(known > asked / 4, "only {known} of {asked} were compared");
}

#[test]
fn in_a_scheduled_cluster_hardly_anything_is_unknown() {
    let (mut asked, mut unknown) = (0, 0);
    for cluster in generated() {
        let scheduled = of_cluster(&cluster, &Options::default());
        let oracle = Oracle::new(&scheduled.snapshot, Profile::default());
        for packet in Questions::new(&scheduled.snapshot, cluster.seed).take(64) {
            asked += 1;
            unknown += u32::from(oracle.judge(&packet).verdict == Verdict::Unknown);
        }
    }
    println!("{unknown} of {asked} packets are unknown");
    // What is left are policies of equal priority, and the labels of kinds nobody knows.
    assert!(unknown * 20 < asked, "{unknown} of {asked}");
}

/// The packets of the scheduled cluster that the packet stands for.
fn counterparts(packet: &Packet, before: &Snapshot, after: &Snapshot) -> Vec<Packet> {
    let peers = |peer: Peer| match peer {
        Peer::Pod(id) => pods_of(before, after, id)
            .into_iter()
            .map(Peer::Pod)
            .collect(),
        Peer::Address(address) => vec![Peer::Address(address)],
    };
    let through_service = packet.through_service.map(|frontend| {
        let service = before.service(frontend.service);
        let namespace = &before.namespace(service.namespace).name;
        Frontend {
            service: after.find_service(namespace, &service.name).expect("it"),
            port: frontend.port,
        }
    });
    let itself = packet.source == packet.destination;
    let is_template = match packet.source {
        Peer::Pod(id) => before.pod(id).kind == PodKind::Template,
        Peer::Address(_) => false,
    };
    let mut packets = Vec::new();
    for source in peers(packet.source) {
        for destination in peers(packet.destination) {
            // Two replicas of a template are two pods; a pod and itself are one.
            if itself && is_template == (source == destination) {
                continue;
            }
            let has_family = |peer: Peer| match peer {
                Peer::Pod(id) => after.pod(id).address(packet.family).is_some(),
                Peer::Address(address) => IpFamily::of(address) == packet.family,
            };
            if has_family(source) && has_family(destination) {
                packets.push(Packet {
                    source,
                    destination,
                    through_service,
                    ..*packet
                });
            }
        }
    }
    packets
}

fn pods_of(before: &Snapshot, after: &Snapshot, id: PodId) -> Vec<PodId> {
    let pod = before.pod(id);
    let namespace = &before.namespace(pod.namespace).name;
    if pod.kind == PodKind::Single {
        return after.find_pod(namespace, &pod.name).into_iter().collect();
    }
    let workload = before.workload(pod.workload);
    after
        .find_workload(namespace, Some(&workload.kind), &workload.name)
        .into_iter()
        .flat_map(|id| after.workload(id).pod_ids())
        .collect()
}

const SHOP: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 5
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, ports: [{containerPort: 8080}]}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: shop}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {hostNetwork: true, containers: [{name: agent}]}
---
apiVersion: v1
kind: Pod
metadata: {name: odd, namespace: shop}
spec: {containers: [{name: odd}]}
status: {phase: Running, podIP: 169.254.9.9}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
";

#[test]
fn what_is_scaled_to_zero_has_no_pod_and_is_named() {
    let idle = |number: usize| {
        format!(
            "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: idle-{number}, namespace: \
             shop}}\nspec: {{replicas: 0, selector: {{matchLabels: {{a: b}}}}, template: {{metadata: \
             {{labels: {{a: b}}}}, spec: {{containers: [{{name: a}}]}}}}}}\n"
        )
    };
    let one = of_text(&format!("{SHOP}{}", idle(0)), &Options::default()).unwrap();
    let none = one.snapshot.find_workload("shop", None, "idle-0");
    assert!(none.is_empty(), "{none:?}");
    let said = "Deployment shop/idle-0 is scaled to zero, and has no pod here";
    assert!(one.notes.iter().any(|n| n == said), "{:?}", one.notes);
    let without = of_text(SHOP, &Options::default()).unwrap();
    assert_eq!(one.pods_of_input, without.pods_of_input);
    assert!(without.pods_of_input > 0);

    let yaml: String = (0..7).map(idle).collect();
    let seven = of_text(&yaml, &Options::default()).unwrap();
    let said = "idle-4 and 2 more are scaled to zero, and have no pod here";
    assert!(
        seven.notes.iter().any(|n| n.ends_with(said)),
        "{:?}",
        seven.notes
    );
    assert_eq!(seven.pods_of_input, 0);
    assert_eq!(seven.snapshot.pods.len(), 1, "only the name server");
}

#[test]
fn replicas_are_capped_and_daemons_are_on_every_node() {
    let options = Options {
        nodes: 3,
        families: Some(IpFamily::ALL.to_vec()),
        ..Options::default()
    };
    let scheduled = of_text(SHOP, &options).unwrap();
    let snapshot = &scheduled.snapshot;
    let count = |name: &str| {
        let found = snapshot.find_workload("shop", None, name);
        snapshot.workload(found[0]).pod_ids().count()
    };
    assert_eq!((count("web"), count("agent"), count("odd")), (2, 3, 1));
    let names: Vec<&str> = scheduled.nodes.iter().map(|node| &*node.name).collect();
    assert_eq!(names, ["node-1", "node-2", "node-3"]);
    assert_eq!(scheduled.nodes[1].pod_ranges.len(), 2);
    for pod in snapshot.pods.iter().filter(|pod| !pod.host_network) {
        let node = scheduled
            .nodes
            .iter()
            .find(|n| Some(&n.name) == pod.node.as_ref());
        for address in &pod.addresses {
            let ranges = &node.unwrap().pod_ranges;
            assert!(
                ranges.iter().any(|range| range.contains(address)),
                "{address}"
            );
        }
    }
    let notes = scheduled.notes.join("\n");
    assert!(notes.contains("3 replicas left out"), "{notes}");
    assert!(notes.contains("169.254.9.9 cannot be used"), "{notes}");
    assert!(snapshot.find_service("default", "kubernetes").is_some());
    assert!(snapshot.find_service("kube-system", "kube-dns").is_some());
}

#[test]
fn the_same_manifests_are_scheduled_the_same() {
    let twice =
        [0, 1].map(|_| format!("{:?}", of_text(SHOP, &Options::default()).unwrap().objects));
    assert_eq!(twice[0], twice[1]);
}

#[test]
fn a_cluster_that_is_too_large_is_refused() {
    let options = Options {
        most_pods: 3,
        ..Options::default()
    };
    let error = of_text(SHOP, &options).unwrap_err();
    assert!(
        matches!(error, ScheduleError::TooMany { what: "pods", .. }),
        "{error}"
    );
}

/// Node and addresses of every pod by namespace and name.
fn places(made: &Schedule) -> BTreeMap<String, (Option<String>, Vec<IpAddr>)> {
    let snapshot = &made.snapshot;
    let pods = snapshot.pods.iter().map(|pod| {
        let namespace = &snapshot.namespace(pod.namespace).name;
        let node = pod.node.as_ref().map(ToString::to_string);
        (
            format!("{namespace}/{}", pod.name),
            (node, pod.addresses.clone()),
        )
    });
    pods.collect()
}

#[test]
fn what_runs_stays_where_it_is_whoever_comes_or_goes() {
    let mut stayed = 0;
    for cluster in generated() {
        let fewer = Cluster {
            objects: cluster.objects.iter().step_by(2).cloned().collect(),
            ..cluster.clone()
        };
        for (before, after) in [(&cluster, &fewer), (&fewer, &cluster)] {
            let old = of_cluster(before, &Options::default());
            let options = Options {
                placed: Placement::of(&old),
                ..Options::default()
            };
            let new = of_cluster(after, &options);
            let names: BTreeSet<_> = old.nodes.iter().map(|node| &node.name).collect();
            let now: BTreeSet<_> = new.nodes.iter().map(|node| &node.name).collect();
            assert!(names.is_subset(&now), "seed {}", cluster.seed);
            let same_nodes = names == now;
            assert_eq!(old.families, new.families);
            assert_eq!(old.api_server, new.api_server);
            let (old, places) = (places(&old), places(&new));
            let mut given = BTreeSet::new();
            for pod in new.snapshot.pods.iter().filter(|pod| !pod.host_network) {
                for address in &pod.addresses {
                    assert!(given.insert(*address), "seed {}: {address}", cluster.seed);
                }
            }
            // What the manifests say of pods counts more.
            let said = after.snapshot();
            let is_said = |address: &IpAddr| said.pod_with_address(*address).is_some();
            let nodes = new.snapshot.node_addresses();
            // Pods of a DaemonSet are counted by nodes, and a lab that is up gets no more.
            for (name, place) in places.iter().filter(|_| same_nodes) {
                let Some(before) = old.get(name) else {
                    continue;
                };
                let mut all = before.1.iter().chain(&place.1);
                if all.all(|address| !is_said(address) && !nodes.contains(address)) {
                    assert_eq!(before, place, "seed {}: {name}", cluster.seed);
                    stayed += 1;
                }
            }
        }
    }
    assert!(stayed > 1000, "{stayed}");
}

const BALANCED: &str = "
apiVersion: v1
kind: Service
metadata: {name: open, namespace: shop}
spec: {type: LoadBalancer, ports: [{name: a, port: 80}, {name: b, port: 81, nodePort: 30081}]}
status: {loadBalancer: {ingress: [{ip: 203.0.113.80}]}}
---
apiVersion: v1
kind: Service
metadata: {name: limited, namespace: shop}
spec:
  type: LoadBalancer
  allocateLoadBalancerNodePorts: false
  loadBalancerSourceRanges: [192.0.2.0/24]
  ports: [{port: 80}]
status: {loadBalancer: {ingress: [{ip: 203.0.113.81}]}}
---
apiVersion: v1
kind: Service
metadata: {name: asked-itself, namespace: shop}
spec: {type: LoadBalancer, ports: [{port: 80}]}
status: {loadBalancer: {ingress: [{ip: 203.0.113.82, ipMode: Proxy}]}}
---
apiVersion: v1
kind: Service
metadata: {name: inside, namespace: shop}
spec: {ports: [{port: 80}]}
";

#[test]
fn services_that_have_node_ports_get_those_that_they_do_not_name() {
    let made = of_text(BALANCED, &Options::default()).unwrap();
    let ports = |made: &Schedule, name: &str| -> Vec<Option<u16>> {
        let id = made.snapshot.find_service("shop", name).unwrap();
        let ports = made.snapshot.service(id).ports.iter();
        ports.map(|port| port.node_port).collect()
    };
    let given = ports(&made, "open");
    assert!(given[0].is_some_and(|port| (30_000..=32_767).contains(&port)));
    assert_eq!(given[1], Some(30_081));
    assert_eq!(ports(&made, "limited"), [None]);
    assert_eq!(ports(&made, "inside"), [None]);
    // Whatever else there is, they stay as they are.
    let (first, _) = BALANCED.split_once("---").unwrap();
    let alone = of_text(first, &Options::default()).unwrap();
    assert_eq!(ports(&alone, "open"), given);
}

#[test]
fn balancers_that_nodes_do_not_translate_for_everybody_are_left_out_and_said() {
    let made = of_text(BALANCED, &Options::default()).unwrap();
    let external = |name: &str| {
        let id = made.snapshot.find_service("shop", name).unwrap();
        made.snapshot.service(id).external_addresses.clone()
    };
    assert_eq!(
        external("open"),
        ["203.0.113.80".parse::<IpAddr>().unwrap()]
    );
    for (name, address) in [
        ("limited", "203.0.113.81"),
        ("asked-itself", "203.0.113.82"),
    ] {
        assert!(external(name).is_empty(), "{name}");
        let mut notes = made.notes.iter();
        let told = notes.any(|note| note.contains(name) && note.contains(address));
        assert!(told, "{name}: {:?}", made.notes);
    }
}
