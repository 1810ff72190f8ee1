//! What is to be built, as a value.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use ringfence_dataplane::compile::{Bridge, HardwareAddress, Port};
use ringfence_model::address::IpFamily;
use ringfence_model::snapshot::PodId;

use super::neighbours::{Linked, write_down};
use super::pod_links::{NODE_HARDWARE, POD_BRIDGE, bridge_address, bridged, pod_hardware, routed};
use super::settings::{families, host_wishes, unfiltered_bridges};
use crate::on_link::metadata_on_link;
use crate::schedule::{Schedule, ScheduledNode};

/// How pods are connected to their node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Cni {
    /// Each pod has a link of its own to the node, which routes, as Calico does.
    #[default]
    Routed,
    /// The pods of a node are on one bridge, as the bridge plugin and flannel do.
    Bridge,
}

/// Everything there is to be.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The namespaces, by a number that none has had before.
    pub namespaces: BTreeMap<usize, PlannedNamespace>,
    /// The links between them.
    pub links: Vec<Link>,
    /// The namespace of each node, in the order of the schedule.
    pub nodes: Vec<usize>,
    /// The namespace of each pod, by [`PodId`]; a host-networked pod is in its node's.
    pub pods: Vec<usize>,
    /// The interface of the node that each pod is behind: its own, or the bridge that it shares;
    /// a host-networked pod is behind none.
    pub interfaces: Vec<Option<String>>,
    /// The port of that bridge that each pod alone is behind.
    pub ports: Vec<Option<Port>>,
    /// The namespace of everything outside the cluster.
    pub world: usize,
    /// Which pod is in which namespace.
    seats: BTreeMap<Seat, usize>,
    /// The number of the next namespace.
    next: usize,
}

/// What makes a pod the same after a change: one with another address, or on another
/// node, is another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seat {
    /// The number of its node's namespace.
    node: usize,
    /// Namespace and name.
    name: String,
    addresses: Vec<IpAddr>,
}

/// A namespace.
#[derive(Clone, Debug, Default)]
pub struct PlannedNamespace {
    /// What it is.
    pub name: String,
    /// Settings that must be there.
    pub settings: Vec<(&'static str, String)>,
    /// Settings that not every kernel has, and that only make things faster.
    pub wishes: Vec<(&'static str, String)>,
    /// Its bridges.
    pub bridges: Vec<Interface>,
    /// Routes that need no interface but the loopback.
    pub local: Vec<IpNet>,
}

/// Two interfaces that are one cable.
#[derive(Clone, Debug)]
pub struct Link {
    /// One end and its namespace.
    pub first: (usize, Interface),
    /// The other.
    pub second: (usize, Interface),
}

/// An interface, and the routes that lead through it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its hardware address, where it matters.
    pub hardware: Option<HardwareAddress>,
    /// The bridge that it is a port of.
    pub bridge: Option<&'static str>,
    /// Whether that bridge may send out here what came in here: a pod that reaches itself
    /// through a Service needs it.
    pub hairpin: bool,
    /// The hardware address that alone is behind this port of a bridge. The bridge learns no
    /// other from what comes in here, and this one nowhere else.
    pub behind: Option<HardwareAddress>,
    /// Its addresses with the length of their network.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Where it leads.
    pub routes: Vec<Route>,
    /// The hardware addresses of neighbours that are not asked for theirs.
    pub neighbours: Vec<(IpAddr, HardwareAddress)>,
}

/// A route through an interface.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// The destinations.
    pub to: IpNet,
    /// The router; `None` where they are on the link.
    pub via: Option<IpAddr>,
    /// The address that connections from here have.
    pub source: Option<IpAddr>,
}

/// The interface of every host that leads out of it. What is on a node is behind others.
pub(crate) const UPLINK: &str = "eth0";

const SWITCH_BRIDGE: &str = "br0";

impl Plan {
    /// The plan of a scheduled cluster.
    #[must_use]
    pub fn new(schedule: &Schedule, cni: Cni) -> Self {
        Self::after(&Self::default(), schedule, cni)
    }

    /// The plan of a cluster with the same nodes as another: what is in both has the same
    /// number, and what is new has one that nothing had.
    #[must_use]
    pub fn after(before: &Self, schedule: &Schedule, cni: Cni) -> Self {
        let mut plan = Self::default();
        let switch = plan.add(PlannedNamespace {
            name: "switch".to_owned(),
            settings: families(schedule),
            wishes: unfiltered_bridges("0"),
            bridges: vec![Interface {
                name: SWITCH_BRIDGE.to_owned(),
                ..Interface::default()
            }],
            ..PlannedNamespace::default()
        });
        plan.world = plan.add(world(schedule));
        plan.nodes = schedule
            .nodes
            .iter()
            .map(|node| plan.add(node_namespace(schedule, node, cni)))
            .collect();
        // The nodes' own addresses first: routes to pods are sent from them.
        plan.switch_ports(schedule, switch);
        plan.next = plan.next.max(before.next);
        plan.pods_of(before, schedule, cni);
        plan
    }

    fn add(&mut self, namespace: PlannedNamespace) -> usize {
        let number = self.next;
        self.next += 1;
        self.namespaces.insert(number, namespace);
        number
    }

    /// The bridges of a node, by its index in the schedule.
    #[must_use]
    pub fn bridges(&self, node: usize) -> Vec<Bridge> {
        let number = self.nodes.get(node);
        let namespace = number.and_then(|number| self.namespaces.get(number));
        let bridges = namespace.into_iter().flat_map(|it| &it.bridges);
        let bridges = bridges.filter_map(|bridge| {
            let (name, hardware) = (bridge.name.clone(), bridge.hardware?);
            Some(Bridge { name, hardware })
        });
        bridges.collect()
    }

    /// Every interface that there is to be, by its namespace and its name.
    pub(super) fn interfaces_by_name(&self) -> BTreeMap<(usize, &str), &Interface> {
        let bridges = self.namespaces.iter().flat_map(|(number, namespace)| {
            let bridges = namespace.bridges.iter();
            bridges.map(|bridge| (*number, bridge))
        });
        let ends = self
            .links
            .iter()
            .flat_map(|link| [&link.first, &link.second]);
        let ends = ends.map(|(number, interface)| (*number, interface));
        let all = bridges.chain(ends);
        all.map(|(number, interface)| ((number, &*interface.name), interface))
            .collect()
    }

    /// Addresses of this plan that no pod of the other has on the same node, each with the
    /// namespace of that node.
    pub(super) fn addresses_missing_in(&self, other: &Self) -> Vec<(usize, IpAddr)> {
        let gone = self.seats.keys();
        let gone = gone.filter(|seat| !other.seats.contains_key(seat));
        gone.flat_map(|seat| seat.addresses.iter().map(|address| (seat.node, *address)))
            .collect()
    }

    /// A namespace and a link for each pod.
    fn pods_of(&mut self, before: &Self, schedule: &Schedule, cni: Cni) {
        let snapshot = &schedule.snapshot;
        let mut linked = Vec::new();
        for (id, pod) in snapshot.pod_ids() {
            let (node, on) = self.node_of(schedule, id);
            if pod.host_network {
                self.pods.push(node);
                self.interfaces.push(None);
                self.ports.push(None);
                continue;
            }
            let name = format!("{}/{}", snapshot.namespace(pod.namespace).name, pod.name);
            let planned = PlannedNamespace {
                name: name.clone(),
                settings: families(schedule),
                wishes: host_wishes(),
                ..PlannedNamespace::default()
            };
            let seat = Seat {
                node,
                name,
                addresses: pod.addresses.clone(),
            };
            let namespace = match before.seats.get(&seat) {
                Some(number) => {
                    self.namespaces.insert(*number, planned);
                    *number
                }
                None => self.add(planned),
            };
            self.seats.insert(seat, namespace);
            let interface = format!("pod{namespace}");
            let hardware = pod_hardware(namespace);
            let (own, nodes) = match cni {
                Cni::Routed => routed(&pod.addresses, on, &interface),
                Cni::Bridge => bridged(schedule, &pod.addresses, on, &interface, hardware),
            };
            linked.push(Linked {
                pod: id,
                link: self.links.len(),
            });
            let (interface, port) = match cni {
                Cni::Routed => (interface, None),
                Cni::Bridge => {
                    let name = interface;
                    (POD_BRIDGE.to_owned(), Some(Port { name, hardware }))
                }
            };
            self.interfaces.push(Some(interface));
            self.ports.push(port);
            self.pods.push(namespace);
            self.links.push(Link {
                first: (node, nodes),
                second: (
                    namespace,
                    Interface {
                        hardware: Some(hardware),
                        ..own
                    },
                ),
            });
        }
        write_down(self, schedule, cni, &linked);
    }

    fn node_of<'a>(&self, schedule: &'a Schedule, id: PodId) -> (usize, Option<&'a ScheduledNode>) {
        let name = schedule.snapshot.pod(id).node.as_ref();
        let mut nodes = schedule.nodes.iter().zip(&self.nodes);
        match nodes.find(|(node, _)| Some(&node.name) == name) {
            Some((node, namespace)) => (*namespace, Some(node)),
            None => (self.world, None),
        }
    }

    /// The links of nodes and of the world to the switch.
    fn switch_ports(&mut self, schedule: &Schedule, switch: usize) {
        let hosts = schedule.nodes.iter().zip(self.nodes.clone());
        let hosts = hosts.map(|(node, namespace)| (node.addresses.clone(), namespace));
        // The world first. Where both ends of a cable have the same number in their namespaces,
        // the kernel takes up to a second to see that it is plugged in; the first port of the
        // switch has number 3, as `eth0` of a node with a bridge.
        let world = (schedule.api_server.clone(), self.world);
        let hosts: Vec<(Vec<IpAddr>, usize)> = std::iter::once(world).chain(hosts).collect();
        for (index, (addresses, namespace)) in hosts.iter().enumerate() {
            let mut routes = Vec::new();
            for (others, other) in &hosts {
                if other == namespace {
                    continue;
                }
                routes.extend(others.iter().map(|address| Route {
                    to: IpNet::from(*address),
                    via: None,
                    source: of_family(addresses, IpFamily::of(*address)),
                }));
                routes.extend(self.pods_behind(schedule, *other, others));
            }
            if *namespace != self.world {
                routes.extend(schedule.api_server.iter().map(|gateway| Route {
                    to: everything(IpFamily::of(*gateway)),
                    via: Some(*gateway),
                    source: of_family(addresses, IpFamily::of(*gateway)),
                }));
            }
            self.links.push(Link {
                first: (
                    switch,
                    Interface {
                        name: format!("port{index}"),
                        bridge: Some(SWITCH_BRIDGE),
                        ..Interface::default()
                    },
                ),
                second: (
                    *namespace,
                    Interface {
                        name: UPLINK.to_owned(),
                        hardware: Some(hardware_address(0x06, index)),
                        addresses: addresses.iter().map(|a| (*a, full_length(*a))).collect(),
                        routes,
                        ..Interface::default()
                    },
                ),
            });
        }
    }

    /// Routes to the pods of a node by the addresses of that node.
    fn pods_behind(&self, schedule: &Schedule, node: usize, via: &[IpAddr]) -> Vec<Route> {
        let on_node = schedule
            .snapshot
            .pod_ids()
            .filter(|(id, pod)| !pod.host_network && self.node_of(schedule, *id).0 == node);
        let addresses = on_node.flat_map(|(_, pod)| pod.addresses.clone());
        let routes = addresses.map(|address| Route {
            to: IpNet::from(address),
            via: of_family(via, IpFamily::of(address)),
            source: None,
        });
        routes.filter(|route| route.via.is_some()).collect()
    }
}

fn node_namespace(schedule: &Schedule, node: &ScheduledNode, cni: Cni) -> PlannedNamespace {
    let mut settings = families(schedule);
    for family in &schedule.families {
        settings.push(match family {
            IpFamily::V4 => ("net.ipv4.ip_forward", "1".to_owned()),
            IpFamily::V6 => ("net.ipv6.conf.all.forwarding", "1".to_owned()),
        });
    }
    if schedule.families.contains(&IpFamily::V4) {
        for key in [
            "net.ipv4.conf.all.rp_filter",
            "net.ipv4.conf.default.rp_filter",
        ] {
            settings.push((key, "0".to_owned()));
        }
        settings.push(("net.ipv4.conf.all.send_redirects", "0".to_owned()));
        settings.push(("net.ipv4.conf.default.send_redirects", "0".to_owned()));
    }
    let mut bridges = Vec::new();
    if cni == Cni::Bridge {
        let own = schedule
            .families
            .iter()
            .filter_map(|family| bridge_address(schedule, &node.pod_ranges, *family));
        let on_link = schedule.families.iter().map(|family| metadata_on(*family));
        let name = &node.name;
        let outside = schedule
            .snapshot
            .pods
            .iter()
            .filter(|pod| pod.node.as_ref() == Some(name) && !pod.host_network);
        let routes = outside
            .flat_map(|pod| pod.addresses.clone())
            .filter(|address| !node.pod_ranges.iter().any(|range| range.contains(address)))
            .map(|address| Route {
                to: IpNet::from(address),
                via: None,
                source: None,
            });
        bridges.push(Interface {
            name: POD_BRIDGE.to_owned(),
            hardware: Some(NODE_HARDWARE),
            addresses: own.chain(on_link.flatten()).collect(),
            routes: routes.collect(),
            ..Interface::default()
        });
        settings.extend(unfiltered_bridges("1"));
    }
    let own_name_server = schedule.node_local_dns.into_iter().map(IpNet::from);
    if schedule.node_local_dns.is_some() {
        // It answers from an address that no interface has.
        settings.push(("net.ipv4.ip_nonlocal_bind", "1".to_owned()));
    }
    PlannedNamespace {
        name: node.name.to_string(),
        settings,
        wishes: host_wishes(),
        bridges,
        local: own_name_server.collect(),
    }
}

/// Everything that is not in the cluster is here.
fn world(schedule: &Schedule) -> PlannedNamespace {
    let mut settings = families(schedule);
    for family in &schedule.families {
        settings.push(match family {
            IpFamily::V4 => ("net.ipv4.ip_nonlocal_bind", "1".to_owned()),
            IpFamily::V6 => ("net.ipv6.ip_nonlocal_bind", "1".to_owned()),
        });
    }
    if schedule.families.contains(&IpFamily::V4) {
        settings.push(("net.ipv4.conf.all.rp_filter", "0".to_owned()));
        settings.push(("net.ipv4.conf.default.rp_filter", "0".to_owned()));
    }
    PlannedNamespace {
        name: "world".to_owned(),
        settings,
        wishes: host_wishes(),
        bridges: Vec::new(),
        local: schedule.families.iter().copied().map(everything).collect(),
    }
}

/// The metadata addresses that a node has on a link of pods, each a network of its own.
pub(super) fn metadata_on(family: IpFamily) -> impl Iterator<Item = (IpAddr, u8)> {
    let addresses = metadata_on_link(family).into_iter();
    addresses.map(|address| (address, full_length(address)))
}

pub(super) fn of_family(addresses: &[IpAddr], family: IpFamily) -> Option<IpAddr> {
    let mut addresses = addresses.iter().copied();
    addresses.find(|address| IpFamily::of(*address) == family)
}

pub(super) fn everything(family: IpFamily) -> IpNet {
    match family {
        IpFamily::V4 => IpNet::V4(ipnet::Ipv4Net::default()),
        IpFamily::V6 => IpNet::V6(ipnet::Ipv6Net::default()),
    }
}

/// The length of a network of one address.
pub(crate) fn full_length(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// A local hardware address with this number; `kind` has its second bit set.
pub(super) fn hardware_address(kind: u8, number: usize) -> HardwareAddress {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    let [a, b, c, d] = number.to_be_bytes();
    [kind, 0, a, b, c, d]
}
