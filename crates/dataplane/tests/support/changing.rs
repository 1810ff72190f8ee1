//! A cluster that changes all the time, all of its pods on one node.

use std::sync::Arc;

use ringfence_dataplane::compile::{Bridge, Endpoint, Enforcement, Node, Port};
use ringfence_engine::{Engine, Profile};
use ringfence_model::labels::Labels;
use ringfence_model::policy::Policy;
use ringfence_model::snapshot::builder::{BuildOptions, SnapshotBuilder};
use ringfence_model::snapshot::{PodId, Snapshot};
use ringfence_testkit::generate::random::Cluster;
use ringfence_testkit::generate::scale::Shape;

/// What a change is called that is none.
pub(crate) const NOTHING: &str = "nothing";

/// Which cluster.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// A random one.
    Small,
    /// One with deployments, all alike.
    Regular,
}

/// The cluster, and what may become of it.
pub(crate) struct Changing {
    pub(crate) engine: Engine,
    pub(crate) node: Node,
    policies: Vec<Policy>,
    away: Vec<Arc<Endpoint>>,
    size: Size,
    state: u64,
}

fn regular() -> Arc<Snapshot> {
    let shape = Shape {
        namespaces: 3,
        deployments: 12,
        replicas: 3,
        ..Shape::default()
    };
    let mut builder = SnapshotBuilder::new(BuildOptions::default());
    builder.add(shape.objects());
    Arc::new(builder.build(&Default::default()).0)
}

impl Changing {
    pub(crate) fn new(seed: u64, size: Size) -> Self {
        let other = Cluster::from_seed(seed + 100_000);
        let (snapshot, policies) = match size {
            Size::Small => {
                let cluster = Cluster::from_seed(seed);
                let policies = cluster.policies().chain(other.policies());
                (cluster.snapshot(), policies.cloned().collect())
            }
            Size::Regular => {
                let snapshot = regular();
                let policies = snapshot.policies.to_vec();
                (snapshot, policies)
            }
        };
        let mut node = Node {
            pod_ranges: vec!["10.0.0.0/16".parse().unwrap(), "fd00::/64".parse().unwrap()],
            ..Node::default()
        };
        node.settings.judge_untracked = seed.is_multiple_of(3);
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
            if number % 3 > 0 {
                Arc::make_mut(endpoint).interface = Some(format!("pod{number}"));
            }
            if number % 3 > 1 {
                Arc::make_mut(endpoint).port = Some(port(number));
            }
        }
        if seed.is_multiple_of(2) {
            node.bridges = vec![Bridge {
                name: "cni0".to_owned(),
                hardware: [2, 0, 0, 1, 0, 0],
            }];
        }
        Self {
            engine: Engine::compile(&snapshot, Profile::default()),
            node,
            policies,
            away: Vec::new(),
            size,
            state: seed,
        }
    }

    /// An engine that remembers nothing.
    pub(crate) fn recompile(&mut self) {
        self.engine = Engine::compile(self.engine.snapshot(), self.engine.profile());
    }

    /// A number that depends on a text.
    pub(crate) fn roll_of(&self, text: &str) -> u64 {
        text.bytes()
            .fold(self.state, |all, byte| all.rotate_left(5) ^ u64::from(byte))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.state >> 33).unwrap() % bound.max(1)
    }

    /// Makes some changes, and says which.
    pub(crate) fn change(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.one_change()).collect()
    }

    fn one_change(&mut self) -> String {
        let kind = self.below(11);
        let endpoints = self.node.endpoints.len();
        let at = self.below(endpoints);
        match kind {
            0 | 1 if !self.policies.is_empty() => {
                let which = self.below(self.policies.len());
                self.engine.upsert_policy(self.policies[which].clone());
                "policy added"
            }
            2 => {
                let which = self.below(self.engine.snapshot().policies.len());
                if let Some(policy) = self.engine.snapshot().policies.get(which).cloned() {
                    self.engine.remove_policy(&policy);
                }
                "policy removed"
            }
            3..=5 => {
                self.relabel();
                "pod relabelled"
            }
            6 => {
                self.readdress();
                "address changed"
            }
            7 if endpoints > 0 => {
                let gone = self.node.endpoints.remove(at);
                self.away.push(gone);
                "endpoint left"
            }
            8 if !self.away.is_empty() => {
                let which = self.below(self.away.len());
                let came = self.away.swap_remove(which);
                self.node.endpoints.insert(at, came);
                "endpoint joined"
            }
            9 if endpoints > 0 => {
                let endpoint = Arc::make_mut(&mut self.node.endpoints[at]);
                endpoint.closed = !endpoint.closed;
                "endpoint closed or opened"
            }
            10 if endpoints > 0 => {
                let endpoint = Arc::make_mut(&mut self.node.endpoints[at]);
                endpoint.enforcement = match endpoint.enforcement {
                    Enforcement::Audit => Enforcement::Enforce,
                    Enforcement::Enforce => Enforcement::Audit,
                };
                endpoint.interface = match endpoint.interface {
                    Some(_) => None,
                    None => Some(format!("pod{}", endpoint.pod.0 % 7)),
                };
                endpoint.port = match endpoint.port {
                    Some(_) => None,
                    None => Some(port(endpoint.pod.0 as usize % 5)),
                };
                "endpoint audited"
            }
            _ => NOTHING,
        }
        .to_owned()
    }

    fn relabel(&mut self) {
        let pods = &self.engine.snapshot().pods;
        let count = pods.len();
        if count == 0 {
            return;
        }
        let (id, other) = (self.below(count), self.below(count));
        let alone = self.below(4) == 0;
        let pods = &self.engine.snapshot().pods;
        let mut pod = pods[id].clone();
        pod.labels = Labels::clone(&pods[other].labels);
        if alone && self.size == Size::Small {
            pod.ports = pods[other].ports.clone();
        }
        let id = PodId(u32::try_from(id).unwrap());
        self.engine.replace_pod(id, pod);
    }

    /// A pod gets another address: a free one, none, or that of another pod.
    fn readdress(&mut self) {
        let count = self.engine.snapshot().pods.len();
        let (which, how, other) = (self.below(count), self.below(5), self.below(count));
        let Some(pod) = self.engine.snapshot().pods.get(which) else {
            return;
        };
        let mut pod = pod.clone();
        if pod.host_network {
            return;
        }
        let last = u8::try_from(self.below(250)).unwrap() + 1;
        pod.addresses = match how {
            0 => Vec::new(),
            1 => self.engine.snapshot().pods[other].addresses.clone(),
            2 => vec![[10, 0, 9, last].into()],
            3 => vec![[192, 168, 0, last].into()],
            _ => vec![
                [10, 0, 8, last].into(),
                [0xfd00, 0, 0, 0, 0, 0, 7, u16::from(last)].into(),
            ],
        };
        let id = PodId(u32::try_from(which).unwrap());
        for endpoint in &mut self.node.endpoints {
            // Now and then a node knows later than the cluster.
            if endpoint.pod == id && last % 5 > 0 {
                Arc::make_mut(endpoint).addresses = pod.addresses.clone();
            }
        }
        self.engine.replace_pod(id, pod);
    }
}

/// The port of a bridge with this number.
fn port(number: usize) -> Port {
    let [.., high, low] = number.to_be_bytes();
    Port {
        name: format!("port{number}"),
        hardware: [2, 0, 0, 0, high, low],
    }
}
