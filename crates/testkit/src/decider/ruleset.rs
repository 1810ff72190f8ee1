use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ringfence_dataplane::compile::{Bridge, Compiled, HardwareAddress, Node, Port};
use ringfence_dataplane::interpret::{self, Frame, Link};
use ringfence_dataplane::ruleset::Hook;
use ringfence_engine::{Engine, Packet, Peer, Profile, Verdict};
use ringfence_model::address::IpFamily;
use ringfence_model::snapshot::{Pod, PodKind, Snapshot};

use super::Decider;

/// The compiled rulesets of all nodes of a cluster, interpreted. The pods of every other node are
/// on a bridge, and those of the others have links of their own; they send nothing but what is
/// theirs.
///
/// Pods whose node is not known are on one node of their own. What a ruleset does is
/// never unknown: [`Verdict::Unknown`] stands for packets that no network carries,
/// because an end has no address.
#[derive(Debug)]
pub struct Rulesets {
    snapshot: Arc<Snapshot>,
    nodes: BTreeMap<Option<Arc<str>>, (Node, Compiled)>,
}

/// Where one end of a packet is.
struct Place {
    address: IpAddr,
    node: Option<Arc<str>>,
    /// It is the node itself, or has its address.
    is_node: bool,
    /// It is in the cluster.
    is_inside: bool,
}

/// The bridge of every node.
const BRIDGE: &str = "cni0";
const BRIDGE_HARDWARE: HardwareAddress = [2, 0, 1, 0, 0, 0];

/// Gives each pod of a node a link of its own.
fn on_links(node: &mut Node) {
    for (number, endpoint) in node.endpoints.iter_mut().enumerate() {
        Arc::make_mut(endpoint).interface = Some(format!("pod{number}"));
    }
}

/// Puts the pods of a node on a bridge.
fn on_bridge(node: &mut Node) {
    for (number, endpoint) in node.endpoints.iter_mut().enumerate() {
        let [.., third, second, first] = number.to_be_bytes();
        let endpoint = Arc::make_mut(endpoint);
        endpoint.interface = Some(BRIDGE.to_owned());
        endpoint.port = Some(Port {
            name: format!("pod{number}"),
            hardware: [2, 0, 0, third, second, first],
        });
    }
    let (name, hardware) = (BRIDGE.to_owned(), BRIDGE_HARDWARE);
    node.bridges = vec![Bridge { name, hardware }];
}

enum Kind {
    Pod,
    Node,
    Outside,
}

impl Place {
    fn kind(&self) -> Kind {
        match (self.is_inside, self.is_node) {
            (true, true) => Kind::Node,
            (true, false) => Kind::Pod,
            (false, _) => Kind::Outside,
        }
    }
}

impl Rulesets {
    /// Compiles the rulesets of all nodes.
    #[must_use]
    pub fn new(snapshot: &Arc<Snapshot>, profile: Profile) -> Self {
        let engine = Engine::compile(snapshot, profile);
        let mut names: Vec<Option<Arc<str>>> = snapshot
            .pods
            .iter()
            .map(|pod| pod.node.clone())
            .chain(
                snapshot
                    .nodes
                    .iter()
                    .map(|node| Some(Arc::clone(&node.name))),
            )
            .collect();
        names.sort_unstable();
        names.dedup();
        let compile = |(number, name): (usize, Option<Arc<str>>)| {
            let mut node = Node::from_snapshot(snapshot, name.as_deref());
            match number % 2 {
                0 => on_bridge(&mut node),
                _ => on_links(&mut node),
            }
            let compiled = Compiled::new(&engine, &node, &Compiled::default());
            (name, (node, compiled))
        };
        Self {
            snapshot: Arc::clone(snapshot),
            nodes: names.into_iter().enumerate().map(compile).collect(),
        }
    }

    fn place(&self, peer: Peer, family: IpFamily) -> Option<Place> {
        match peer {
            Peer::Pod(id) => {
                let pod: &Pod = self.snapshot.pod(id);
                let address = pod.address(family)?;
                (pod.kind == PodKind::Single).then(|| Place {
                    address,
                    node: pod.node.clone(),
                    is_node: pod.host_network,
                    is_inside: true,
                })
            }
            Peer::Address(address) => {
                let node = self.snapshot.node_name_with_address(address);
                Some(Place {
                    address,
                    node: node.map(Arc::from),
                    is_node: node.is_some(),
                    is_inside: node.is_some(),
                })
            }
        }
    }

    fn passes(&self, node: &Option<Arc<str>>, hook: Hook, frame: &Frame) -> bool {
        let ruleset = self.nodes.get(node).map(|(_, compiled)| &compiled.ruleset);
        ruleset.is_none_or(|ruleset| interpret::pass(ruleset, hook, frame).accepted)
    }

    /// Whether a pod's packet gets as far as the policies: from the interface that it is behind,
    /// over the bridge and, where it is for another pod, out of it again.
    fn gets_on(&self, node: &Option<Arc<str>>, packet: &Frame, to_pod: bool) -> bool {
        let behind = |address: IpAddr| {
            let (node, _) = self.nodes.get(node)?;
            let mut endpoints = node.endpoints.iter();
            endpoints.find(|it| it.addresses.contains(&address))
        };
        let Some(from) = behind(packet.source) else {
            return true;
        };
        let arriving = Frame {
            interface: from.interface.clone().unwrap_or_default(),
            ..packet.clone()
        };
        if !self.passes(node, Hook::Arriving, &arriving) {
            return false;
        }
        let Some(port) = &from.port else {
            return true;
        };
        let to = behind(packet.destination).filter(|_| to_pod);
        let to = to.and_then(|to| to.port.as_ref());
        let frame = Frame {
            interface: port.name.clone(),
            link: Some(Link {
                out: to.map(|port| port.name.clone()),
                ether_type: match packet.source {
                    IpAddr::V4(_) => 0x0800,
                    IpAddr::V6(_) => 0x86dd,
                },
                source: port.hardware,
                destination: to.map_or(BRIDGE_HARDWARE, |port| port.hardware),
                arp: None,
                neighbour: None,
            }),
            ..packet.clone()
        };
        self.passes(node, Hook::FrameArriving, &frame)
            && (to.is_none() || self.passes(node, Hook::FrameForward, &frame))
    }
}

impl Decider for Rulesets {
    fn name(&self) -> &'static str {
        "rulesets"
    }

    fn decide(&self, packet: &Packet) -> Verdict {
        let ends = (
            self.place(packet.source, packet.family),
            self.place(packet.destination, packet.family),
        );
        let (Some(from), Some(to)) = ends else {
            return Verdict::Unknown;
        };
        if packet.source == packet.destination && packet.through_service.is_none() {
            return Verdict::Allowed;
        }
        let frame = Frame::opening(
            "eth0",
            from.address,
            to.address,
            packet.protocol,
            packet.port,
        );
        let here = from.is_inside && to.is_inside && from.node == to.node;
        let gets_on = |to_pod| self.gets_on(&from.node, &frame, to_pod);
        let leaves = match from.kind() {
            Kind::Pod if to.is_node && here => {
                gets_on(false) && self.passes(&from.node, Hook::Input, &frame)
            }
            Kind::Pod => gets_on(here) && self.passes(&from.node, Hook::Forward, &frame),
            // What a node sends meets no hook of its own.
            Kind::Node | Kind::Outside => true,
        };
        let arrives = match to.kind() {
            Kind::Pod if !here => self.passes(&to.node, Hook::Forward, &frame),
            // It was asked as it left, or comes from the pod's own node.
            Kind::Pod | Kind::Node | Kind::Outside => true,
        };
        Verdict::from_possible(leaves && arrives, !(leaves && arrives))
    }
}
