//! What is known of the node whose ruleset is compiled.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use ringfence_model::address::IpFamily;
use ringfence_model::labels::{LabelValue, Labels};
use ringfence_model::snapshot::{PodId, PodKind, Snapshot};

use crate::ruleset::Name;

/// The label of a namespace that says how its policies are enforced.
pub const MODE_LABEL: &str = "ringfence.dev/mode";

/// What becomes of a connection that no policy allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Enforcement {
    /// It is denied.
    #[default]
    Enforce,
    /// It is allowed, and logged as one that would be denied.
    Audit,
}

/// A pod of the node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The pod.
    pub pod: PodId,
    /// Namespace and name.
    pub name: Name,
    /// Its addresses, at most one of each family.
    pub addresses: Vec<IpAddr>,
    /// The interface of the node that it is behind: one of its own, or a bridge that pods
    /// share. From there comes nothing but what is from addresses of the pods behind it;
    /// without this, nothing holds for what a pod sends from an address that is not its own,
    /// and every pod has a link-local one.
    pub interface: Option<String>,
    /// The port of that bridge that the pod alone is behind; nothing without an interface.
    /// Without it no other pod of the bridge, nor the node, gets anything from the pod where
    /// [`Node::bridges`] are told.
    pub port: Option<Port>,
    /// What becomes of its connections that no policy allows.
    pub enforcement: Enforcement,
    /// Whether nothing passes to and from it, because its own rules were refused.
    pub closed: bool,
}

/// An Ethernet address.
pub type HardwareAddress = [u8; 6];

/// The port of a bridge that a pod is behind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Port {
    /// The interface of the node that is the port.
    pub name: String,
    /// The hardware address of the pod: that of the link's other end. Its address on the link
    /// is the one that follows from this; from another one nothing passes.
    pub hardware: HardwareAddress,
}

/// A bridge of the node. Pods are behind its ports, and nothing else: what comes by another port,
/// an uplink, gets to no pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bridge {
    /// Its name.
    pub name: String,
    /// The hardware address that it has as an interface of the node.
    pub hardware: HardwareAddress,
}

impl Endpoint {
    /// Its address in a family.
    #[must_use]
    pub fn address(&self, family: IpFamily) -> Option<IpAddr> {
        let mut addresses = self.addresses.iter().copied();
        addresses.find(|address| IpFamily::of(*address) == family)
    }
}

/// Choices that hold for all pods of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The bits of connections' marks that are ours; they follow each other.
    pub mark_mask: u32,
    /// The NFLOG group that denied connections are told to.
    pub log_group: u16,
    /// How many denied connections of one pod are logged in a second, in the long run.
    pub log_rate: u32,
    /// How many are logged at once.
    pub log_burst: u32,
    /// Whether addresses in the node's ranges that no known pod has are closed.
    pub close_unknown_addresses: bool,
    /// Whether packets of pods to this node itself are judged one by one where their
    /// connections are not tracked, as NodeLocal DNSCache has it. They are dropped
    /// otherwise.
    pub judge_untracked: bool,
    /// The UDP ports at which a node takes packets out of packets, as overlay networks do. No
    /// pod sends there: what it puts inside would come from whomever it likes.
    pub tunnel_ports: Vec<u16>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mark_mask: 0xfff0_0000,
            log_group: 1042,
            log_rate: 10,
            log_burst: 20,
            close_unknown_addresses: true,
            judge_untracked: false,
            // VXLAN (RFC 7348), VXLAN as Linux had it before, Geneve (RFC 8926).
            tunnel_ports: vec![4789, 8472, 6081],
        }
    }
}

impl Settings {
    /// The generation after this one. Generation 0 is that of connections that were
    /// never judged.
    pub(super) fn epoch_after(&self, epoch: u32) -> u32 {
        let last = self.mark_mask >> self.mark_mask.trailing_zeros().min(31);
        match epoch {
            epoch if epoch < last => epoch + 1,
            _ => 1,
        }
    }

    /// The generation whose mark this is; `None` for a mark that is none of ours, or of
    /// no generation.
    pub(crate) fn epoch_of(&self, mark: u32) -> Option<u32> {
        let epoch = mark >> self.mark_mask.trailing_zeros().min(31);
        (mark & !self.mark_mask == 0 && epoch > 0).then_some(epoch)
    }

    /// The mark of connections that were judged in this generation.
    pub(super) fn mark(&self, epoch: u32) -> u32 {
        epoch << self.mark_mask.trailing_zeros().min(31) & self.mark_mask
    }
}

/// The node whose ruleset is compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its pods. They are shared with what is compiled from them, so that comparing those
    /// that did not change costs next to nothing; [`Arc::make_mut`] changes one.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// Its own addresses.
    pub addresses: Vec<IpAddr>,
    /// The ranges that its pods have their addresses from.
    pub pod_ranges: Vec<IpNet>,
    /// The bridges that its pods are on.
    pub bridges: Vec<Bridge>,
    /// Choices.
    pub settings: Settings,
}

impl Node {
    /// What a snapshot says of the node with this name: its addresses, and its pods
    /// that have one. Which interfaces they are behind it does not say. Without a name,
    /// the pods of which the node is not known.
    #[must_use]
    pub fn from_snapshot(snapshot: &Snapshot, name: Option<&str>) -> Self {
        let endpoints = snapshot
            .pod_ids()
            .filter(|(_, pod)| {
                pod.kind == PodKind::Single
                    && !pod.host_network
                    && !pod.addresses.is_empty()
                    && pod.node.as_deref() == name
            })
            .map(|(id, pod)| {
                let namespace = snapshot.namespace(pod.namespace);
                Arc::new(Endpoint {
                    pod: id,
                    name: Name::from(format!("{}/{}", namespace.name, pod.name)),
                    addresses: pod.addresses.clone(),
                    interface: None,
                    port: None,
                    enforcement: enforcement(&namespace.labels),
                    closed: false,
                })
            });
        let all = snapshot.node_addresses().into_iter();
        let own = all
            .filter(|address| name.is_some() && snapshot.node_name_with_address(*address) == name);
        Self {
            endpoints: endpoints.collect(),
            addresses: own.collect(),
            pod_ranges: Vec::new(),
            bridges: Vec::new(),
            settings: Settings::default(),
        }
    }
}

/// Only the exact word puts a namespace into audit mode: nothing else opens it.
fn enforcement(labels: &Labels) -> Enforcement {
    match labels.get(MODE_LABEL) {
        LabelValue::Present("audit") => Enforcement::Audit,
        _ => Enforcement::Enforce,
    }
}
