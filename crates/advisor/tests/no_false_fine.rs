//! No false "fine": what the engine says a pod can reach, and should not be able to
//! without somebody saying so, has a finding.
//!
//! Each pod that can open a connection for certain to a metadata endpoint that gives
//! secrets, to the public internet, or to a pod of another namespace must have a finding
//! about its workload that says so, a suppressed one, or, but for metadata, a rule that
//! states it: one that names whom, and names ports (docs/decisions/0015).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test panics where it does not find what it expects"
)]

mod loading;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ringfence_advisor::posture::Openness;
use ringfence_advisor::{Context, Report};
use ringfence_engine::sets::PortSet;
use ringfence_engine::{Packet, Peer, RuleRef, Verdict};
use ringfence_model::address::{IpFamily, public_internet};
use ringfence_model::k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use ringfence_model::parse;
use ringfence_model::policy::{Action, Direction, PodSelection, PolicyBody, TieredPeer};
use ringfence_model::protocol::Protocol;
use ringfence_model::selector::{matches, selects_everything};
use ringfence_model::snapshot::{NamespaceId, PodId, PodKind, WorkloadId};
use ringfence_model::tri::Tri;
use ringfence_testkit::generate::random::Cluster;

use crate::loading::{Loaded, manifests_below, words_of};

/// How many generated clusters are looked at; `RINGFENCE_CLUSTERS` says otherwise.
const CLUSTERS: u64 = 300;

/// Findings that say that cloud metadata is open.
const ABOUT_METADATA: [u16; 11] = [103, 201, 202, 203, 304, 401, 402, 403, 404, 701, 703];
/// Findings that say that the internet is open, or a part of it that is not stated.
const ABOUT_THE_INTERNET: [u16; 11] = [103, 201, 202, 203, 304, 402, 501, 502, 508, 701, 703];
/// Findings that say that other namespaces are open.
const ABOUT_NAMESPACES: [u16; 12] = [103, 201, 202, 203, 304, 402, 501, 502, 503, 508, 701, 703];

/// Something that a pod reaches.
struct Reached {
    source: PodId,
    destination: Peer,
    open: PortSet,
    about: &'static [u16],
    may_be_stated: bool,
}

struct Checked<'a> {
    loaded: &'a Loaded,
    context: Context<'a>,
    said: BTreeSet<(u16, WorkloadId)>,
}

impl<'a> Checked<'a> {
    fn new(loaded: &'a Loaded, report: &Report) -> Self {
        let suppressed = report.suppressed.iter().map(|s| &s.finding);
        let all = report.findings.iter().chain(suppressed);
        let said = all.flat_map(|finding| {
            let code = finding.rule.code.0;
            finding
                .affected
                .iter()
                .map(move |workload| (code, *workload))
        });
        Self {
            loaded,
            context: Context::new(&loaded.input()),
            said: said.collect(),
        }
    }

    /// The first pod of each group that no policy can tell apart: what is true of it is
    /// true of all.
    fn sources(&self) -> Vec<PodId> {
        self.context
            .groups()
            .iter()
            .map(|group| group.first)
            .collect()
    }

    fn reached(&self) -> Vec<Reached> {
        let mut reached = Vec::new();
        for source in self.sources() {
            self.metadata(source, &mut reached);
            self.internet(source, &mut reached);
            self.namespaces(source, &mut reached);
        }
        reached.retain(|reached| !reached.open.is_empty());
        reached
    }

    fn families(&self, pod: PodId) -> Vec<IpFamily> {
        let snapshot = &self.loaded.snapshot;
        snapshot.families_of(snapshot.pod(pod))
    }

    fn open(&self, source: PodId, destination: Peer, family: IpFamily) -> PortSet {
        let open = self
            .loaded
            .engine
            .ports(Peer::Pod(source), destination, family);
        without_icmp(&open.allow)
    }

    fn metadata(&self, source: PodId, reached: &mut Vec<Reached>) {
        let families = self.families(source);
        let addresses: BTreeSet<IpAddr> = self
            .context
            .metadata_endpoints()
            .map(|e| e.address)
            .collect();
        for address in addresses {
            let family = IpFamily::of(address);
            if families.contains(&family) {
                let destination = Peer::Address(address);
                reached.push(Reached {
                    source,
                    destination,
                    open: self.open(source, destination, family),
                    about: &ABOUT_METADATA,
                    may_be_stated: false,
                });
            }
        }
    }

    fn internet(&self, source: PodId, reached: &mut Vec<Reached>) {
        for family in self.families(source) {
            let public = public_internet(family).to_nets();
            let engine = &self.loaded.engine;
            for region in engine.outside(source, Direction::Egress, family, &public) {
                let address = region.addresses[0].addr();
                reached.push(Reached {
                    source,
                    destination: Peer::Address(address),
                    open: without_icmp(&region.open.allow),
                    about: &ABOUT_THE_INTERNET,
                    may_be_stated: true,
                });
            }
        }
    }

    fn namespaces(&self, source: PodId, reached: &mut Vec<Reached>) {
        let snapshot = &self.loaded.snapshot;
        let own = snapshot.pod(source).namespace;
        let families = self.families(source);
        for pods in self.loaded.engine.alike() {
            let other = snapshot.pod(pods[0]);
            let is_real = other.kind != PodKind::Outside && !self.context.dns.is_assumed(pods[0]);
            // A hostNetwork pod is its node: RF103 is about it.
            if !is_real || other.host_network || other.namespace == own {
                continue;
            }
            for family in snapshot.families_of(other) {
                if families.contains(&family) {
                    let destination = Peer::Pod(pods[0]);
                    reached.push(Reached {
                        source,
                        destination,
                        open: self.open(source, destination, family),
                        about: &ABOUT_NAMESPACES,
                        may_be_stated: true,
                    });
                }
            }
        }
    }

    fn is_said(&self, reached: &Reached) -> bool {
        let workload = self.loaded.snapshot.pod(reached.source).workload;
        let mut about = reached.about.iter();
        about.any(|code| self.said.contains(&(*code, workload)))
    }

    /// Whether every port that is open is opened by a rule that states it.
    fn is_stated(&self, reached: &Reached) -> bool {
        reached.may_be_stated && first_ports(&reached.open).all(|port| self.states(reached, port))
    }

    fn states(&self, reached: &Reached, port: (Protocol, u16)) -> bool {
        let mut families = match reached.destination {
            Peer::Address(address) => vec![IpFamily::of(address)],
            Peer::Pod(_) => self.families(reached.source),
        };
        families.retain(|family| {
            let open = self.open(reached.source, reached.destination, *family);
            open.contains(port.0, port.1)
        });
        families.into_iter().all(|family| {
            let source = Peer::Pod(reached.source);
            let of_source = (reached.source, Direction::Egress, reached.destination);
            let of_destination = match reached.destination {
                Peer::Pod(pod) => Some((pod, Direction::Ingress, source)),
                Peer::Address(_) => None,
            };
            // A connection needs both sides: one may name whom and the other the ports.
            let sides = std::iter::once(of_source).chain(of_destination);
            let (mut names_whom, mut names_ports) = (false, false);
            for (pod, direction, other) in sides {
                let engine = &self.loaded.engine;
                let rules = engine.matching_rules(pod, direction, other, family, port);
                for matching in rules {
                    if matching.action == Action::Accept && matching.matches == Tri::Yes {
                        let (whom, ports) = self.names(matching.rule);
                        names_whom |= whom;
                        names_ports |= ports;
                    }
                }
            }
            names_whom && names_ports
        })
    }

    /// Whether a rule names whom it allows, and whether it names ports.
    fn names(&self, rule: RuleRef) -> (bool, bool) {
        match &self.loaded.snapshot.policy(rule.policy).body {
            PolicyBody::Network(_) => {
                let written = self.context.written_rule(rule).unwrap();
                let is_wide = IpFamily::ALL
                    .into_iter()
                    .any(|family| written.covers_the_internet(family));
                let names_whom = !written.is_for_everybody()
                    && !is_wide
                    && written.peers.iter().all(names_somebody)
                    && !self.is_nearly_every_namespace(rule, written.peers);
                (names_whom, self.names_ports(rule))
            }
            PolicyBody::Tiered(body) => {
                let at = rule;
                let rule = &body.rules(rule.direction)[rule.rule];
                let names_whom = rule.peers.iter().all(tiered_names_somebody);
                (names_whom, rule.ports.is_some() && self.names_ports(at))
            }
        }
    }

    /// Whether a rule leaves out more than a few of the TCP ports, and of the UDP ports.
    fn names_ports(&self, rule: RuleRef) -> bool {
        let ports = self.loaded.engine.ports_of(rule, None).allow;
        [Protocol::Tcp, Protocol::Udp].into_iter().all(|protocol| {
            let left_out = PortSet::protocol(protocol).difference(&ports);
            let left_out = left_out.ranges(protocol).into_iter();
            left_out.map(|(a, b)| b - a + 1).sum::<u16>() >= 1023
        })
    }

    /// Whether all pods of at least three other namespaces are peers, and no namespace but
    /// that of the control plane is left out.
    fn is_nearly_every_namespace(&self, rule: RuleRef, peers: &[NetworkPolicyPeer]) -> bool {
        let snapshot = &self.loaded.snapshot;
        let own = snapshot.policy(rule.policy).namespace.as_deref();
        let groups = self.context.groups().iter().filter(|g| !g.host_network);
        let others: BTreeSet<NamespaceId> = groups.map(|g| g.namespace).collect();
        let others = others.iter().map(|id| snapshot.namespace(*id));
        let others = others.filter(|namespace| Some(&*namespace.name) != own);
        let (mut reached, mut left_out) = (0, 0);
        for namespace in others {
            let is_reached = peers.iter().any(|peer| {
                let all_pods = peer.pod_selector.as_ref().is_none_or(selects_everything);
                let selector = peer.namespace_selector.as_ref();
                all_pods && selector.is_some_and(|s| matches(s, &namespace.labels).certain())
            });
            match is_reached {
                true => reached += 1,
                false if &*namespace.name == "kube-system" => {}
                false => left_out += 1,
            }
        }
        reached >= 3 && left_out == 0
    }

    fn describe(&self, reached: &Reached) -> String {
        let to = match reached.destination {
            Peer::Pod(pod) => self.context.name_of(pod),
            Peer::Address(address) => address.to_string(),
        };
        let from = self.context.name_of(reached.source);
        format!("{from} reaches {to} on {}", reached.open)
    }
}

fn names_somebody(peer: &NetworkPolicyPeer) -> bool {
    let narrows = |selector: &_| !selects_everything(selector);
    peer.ip_block.is_some()
        || peer.namespace_selector.as_ref().is_none_or(narrows)
        || peer.pod_selector.as_ref().is_some_and(narrows)
}

fn tiered_names_somebody(peer: &TieredPeer) -> bool {
    match peer {
        TieredPeer::Pods(PodSelection::Namespaces(selector)) => !selects_everything(selector),
        TieredPeer::Pods(PodSelection::Pods {
            namespace_selector,
            pod_selector,
        }) => !selects_everything(namespace_selector) || !selects_everything(pod_selector),
        TieredPeer::Networks(blocks) => blocks.iter().all(|block| {
            let (_, length) = block.split_once('/').unwrap();
            length.parse::<u8>().unwrap() >= 8
        }),
        TieredPeer::Nodes(_) | TieredPeer::DomainNames(_) => true,
        TieredPeer::Unrecognized => false,
    }
}

fn without_icmp(ports: &PortSet) -> PortSet {
    ports.difference(&PortSet::protocol(Protocol::Icmp))
}

/// The first port of each range: rules change at the ends of ranges.
fn first_ports(ports: &PortSet) -> impl Iterator<Item = (Protocol, u16)> {
    Protocol::WITH_PORTS.into_iter().flat_map(|protocol| {
        let ranges = ports.ranges(protocol).to_vec();
        ranges.into_iter().map(move |(start, _)| (protocol, start))
    })
}

/// What is open in a cluster and has no finding.
fn unsaid(loaded: &Loaded) -> (usize, Vec<String>) {
    let report = loaded.report();
    let checked = Checked::new(loaded, &report);
    let reached = checked.reached();
    let unsaid = reached
        .iter()
        .filter(|reached| !checked.is_said(reached) && !checked.is_stated(reached));
    (reached.len(), unsaid.map(|r| checked.describe(r)).collect())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Each folder and each single file of manifests that this repository has.
fn inputs() -> Vec<(PathBuf, Vec<PathBuf>)> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let below = |folder: PathBuf| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let mut inputs = Vec::new();
    for tree in below(own.join("tests/trees")) {
        inputs.push((tree.clone(), manifests_below(&tree.join("manifests"))));
    }
    for rule in below(own.join("tests/rules")) {
        for file in manifests_below(&rule) {
            inputs.push((file.clone(), vec![file]));
        }
    }
    for fixture in below(root().join("fixtures")) {
        let file = fixture.join("cluster.yaml");
        if file.exists() {
            inputs.push((file.clone(), vec![file]));
        }
    }
    let shop = root().join("examples/shop");
    for step in below(shop.join("steps")) {
        let mut files = manifests_below(&shop.join("base"));
        files.extend(manifests_below(&step));
        inputs.push((step, files));
    }
    for example in ["shop/base", "dual-stack", "cluster-policies"] {
        let folder = root().join("examples").join(example);
        inputs.push((folder.clone(), manifests_below(&folder)));
    }
    inputs
}

#[test]
fn nothing_that_is_open_in_this_repository_is_left_unsaid() {
    let (mut reached, mut wrong) = (0, Vec::new());
    for (name, files) in inputs() {
        let loaded = Loaded::read(&files, &words_of(&files[0]));
        let (count, unsaid) = unsaid(&loaded);
        reached += count;
        wrong.extend(
            unsaid
                .iter()
                .map(|what| format!("{}: {what}", name.display())),
        );
    }
    assert!(wrong.is_empty(), "{} of {reached}: {wrong:#?}", wrong.len());
    assert!(reached > 1000, "{reached}");
}

#[test]
fn nothing_that_is_open_in_generated_clusters_is_left_unsaid() {
    let clusters = std::env::var("RINGFENCE_CLUSTERS").ok();
    let clusters = clusters.map_or(CLUSTERS, |text| text.parse().unwrap());
    let (mut reached, mut wrong) = (0, Vec::new());
    for seed in 0..clusters {
        let cluster = Cluster::from_seed(seed);
        let input = parse::Input {
            name: format!("seed-{seed}.yaml"),
            bytes: cluster.to_yaml().into_bytes(),
        };
        let loaded = Loaded::of(vec![input], "", cluster.options.clone());
        let (count, unsaid) = unsaid(&loaded);
        reached += count;
        wrong.extend(unsaid.iter().map(|what| format!("seed {seed}: {what}")));
    }
    wrong.truncate(40);
    assert!(wrong.is_empty(), "of {reached}: {wrong:#?}");
    assert!(reached > 1000, "{reached}");
}

/// A policy of another maker, or one that cannot be read, of a namespace.
fn not_counted(seed: u64, namespace: &str) -> String {
    match seed % 3 {
        0 => format!(
            "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {{name: foreign, namespace: {namespace}}}\nspec: {{}}\n"
        ),
        _ => format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: broken, namespace: {namespace}}}\nspec: {{podSelector: {{}}, egres: []}}\n"
        ),
    }
}

/// Packets to what a cell of the posture is about.
fn packets_outside(context: &Context<'_>, source: PodId, internet: bool) -> Vec<Packet> {
    let addresses: Vec<IpAddr> = match internet {
        true => ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111"]
            .map(|text| text.parse().unwrap())
            .to_vec(),
        false => context.metadata_endpoints().map(|e| e.address).collect(),
    };
    let families = context.snapshot.families_of(context.snapshot.pod(source));
    let of_families = addresses
        .into_iter()
        .filter(|address| families.contains(&IpFamily::of(*address)));
    let ports = [
        (Protocol::Tcp, 80),
        (Protocol::Tcp, 443),
        (Protocol::Udp, 5000),
    ];
    of_families
        .flat_map(|address| ports.map(|port| (address, port)))
        .map(|(address, (protocol, port))| Packet {
            source: Peer::Pod(source),
            destination: Peer::Address(address),
            family: IpFamily::of(address),
            protocol,
            port,
            through_service: None,
        })
        .collect()
}

#[test]
fn nothing_is_called_closed_that_explain_does_not_call_denied() {
    let (mut closed, mut unknown, mut wrong) = (0, 0, Vec::new());
    for seed in 0..CLUSTERS {
        let cluster = Cluster::from_seed(seed);
        let input = |name: &str, text: String| parse::Input {
            name: format!("{name}-{seed}.yaml"),
            bytes: text.into_bytes(),
        };
        let yaml = || input("cluster", cluster.to_yaml());
        let read = |inputs| Loaded::of(inputs, "", cluster.options.clone());
        let names = read(vec![yaml()]).snapshot;
        let Some(namespace) = names.pods.first().map(|pod| pod.namespace) else {
            continue;
        };
        let policy = not_counted(seed, &names.namespace(namespace).name);
        let loaded = read(vec![yaml(), input("policy", policy)]);
        let context = Context::new(&loaded.input());
        assert!(!context.not_counted.is_empty(), "seed {seed}");
        for row in loaded.report().posture {
            let id = loaded.snapshot.find_namespace(&row.namespace).unwrap();
            for (internet, cell) in [(false, row.metadata), (true, row.internet)] {
                unknown += usize::from(cell == Openness::Unknown);
                if cell != Openness::Closed {
                    continue;
                }
                closed += 1;
                for group in context.groups_in(id) {
                    for packet in packets_outside(&context, group.first, internet) {
                        let profile = loaded.engine.profile();
                        let snapshot = &*loaded.snapshot;
                        let doubts = context
                            .not_counted
                            .could_change(snapshot, &profile, &packet, true);
                        if loaded.engine.can(&packet) != Verdict::Denied || !doubts.is_empty() {
                            wrong.push(format!("seed {seed}: {}: {packet:?}", row.namespace));
                        }
                    }
                }
            }
        }
    }
    wrong.truncate(20);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(
        closed > 20 && unknown > 100,
        "{closed} closed, {unknown} unknown"
    );
}
