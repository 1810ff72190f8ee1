//! What is to be built, as a value.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use ringfence_model::address::{IpFamily, from_number, to_number};
use ringfence_model::snapshot::PodId;

use super::neighbours::{Linked, write_down};
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
    /// The namespaces.
    pub namespaces: Vec<PlannedNamespace>,
    /// The links between them.
    pub links: Vec<Link>,
    /// The namespace of each node, in the order of the schedule.
    pub nodes: Vec<usize>,
    /// The namespace of each pod, by [`PodId`]; a host-networked pod is in its node's.
    pub pods: Vec<usize>,
    /// The interface of the node that each pod is behind: its own, or the bridge that it shares;
    /// a host-networked pod is behind none.
    pub interfaces: Vec<Option<String>>,
    /// The namespace of everything outside the cluster.
    pub world: usize,
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
#[derive(Clone, Debug, Default)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its hardware address, where it matters.
    pub hardware: Option<[u8; 6]>,
    /// The bridge that it is a port of.
    pub bridge: Option<&'static str>,
    /// Whether that bridge may send out here what came in here: a pod that reaches itself
    /// through a Service needs it.
    pub hairpin: bool,
    /// Its addresses with the length of their network.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Where it leads.
    pub routes: Vec<Route>,
    /// The hardware addresses of neighbours that are not asked for theirs.
    pub neighbours: Vec<(IpAddr, [u8; 6])>,
}

/// A route through an interface.
#[derive(Clone, Debug)]
pub struct Route {
    /// The destinations.
    pub to: IpNet,
    /// The router; `None` where they are on the link.
    pub via: Option<IpAddr>,
    /// The address that connections from here have.
    pub source: Option<IpAddr>,
}

/// The gateway of every pod, an address of no network: the node answers for it.
const GATEWAY_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 1, 1));
const GATEWAY_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));
/// As Calico has it: every pod's gateway has the same hardware address, also on a bridge.
pub(super) const NODE_HARDWARE: [u8; 6] = [0xee; 6];
const SWITCH_BRIDGE: &str = "br0";
pub(super) const POD_BRIDGE: &str = "cni0";

impl Plan {
    /// The plan of a scheduled cluster.
    #[must_use]
    pub fn new(schedule: &Schedule, cni: Cni) -> Self {
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
        plan.pods_of(schedule, cni);
        plan
    }

    fn add(&mut self, namespace: PlannedNamespace) -> usize {
        self.namespaces.push(namespace);
        self.namespaces.len() - 1
    }

    /// A namespace and a link for each pod.
    fn pods_of(&mut self, schedule: &Schedule, cni: Cni) {
        let snapshot = &schedule.snapshot;
        let mut linked = Vec::new();
        for (id, pod) in snapshot.pod_ids() {
            let (node, on) = self.node_of(schedule, id);
            if pod.host_network {
                self.pods.push(node);
                self.interfaces.push(None);
                continue;
            }
            let namespace = self.add(PlannedNamespace {
                name: format!("{}/{}", snapshot.namespace(pod.namespace).name, pod.name),
                settings: families(schedule),
                wishes: host_wishes(),
                ..PlannedNamespace::default()
            });
            let interface = format!("pod{}", id.0);
            let (own, nodes) = match cni {
                Cni::Routed => routed(&pod.addresses, on, &interface),
                Cni::Bridge => bridged(schedule, &pod.addresses, on, &interface),
            };
            linked.push(Linked {
                pod: id,
                link: self.links.len(),
            });
            self.interfaces.push(Some(match cni {
                Cni::Routed => interface.clone(),
                Cni::Bridge => POD_BRIDGE.to_owned(),
            }));
            self.pods.push(namespace);
            self.links.push(Link {
                first: (node, nodes),
                second: (
                    namespace,
                    Interface {
                        hardware: Some(pod_hardware(id)),
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
            let number = u32::try_from(index).unwrap_or(u32::MAX);
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
                        name: "eth0".to_owned(),
                        hardware: Some(hardware_address(0x06, number)),
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

/// The gateway of a pod with this address, and the length of the gateway's network.
pub(super) fn gateway(address: IpAddr) -> (IpAddr, u8) {
    match address {
        IpAddr::V4(_) => (GATEWAY_V4, 32),
        IpAddr::V6(_) => (GATEWAY_V6, 64),
    }
}

/// A pod's end and the node's of a link of their own.
fn routed(
    addresses: &[IpAddr],
    node: Option<&ScheduledNode>,
    interface: &str,
) -> (Interface, Interface) {
    let nodes = node.map(|node| &node.addresses[..]).unwrap_or_default();
    let mut pods_end = Interface {
        name: "eth0".to_owned(),
        ..Interface::default()
    };
    let mut nodes_end = Interface {
        name: interface.to_owned(),
        hardware: Some(NODE_HARDWARE),
        ..Interface::default()
    };
    for address in addresses {
        let family = IpFamily::of(*address);
        let (gateway, length) = gateway(*address);
        pods_end.addresses.push((*address, full_length(*address)));
        if family == IpFamily::V4 {
            pods_end.routes.push(Route {
                to: IpNet::from(gateway),
                via: None,
                source: Some(*address),
            });
        }
        pods_end.routes.push(Route {
            to: everything(family),
            via: Some(gateway),
            source: Some(*address),
        });
        nodes_end.addresses.push((gateway, length));
        nodes_end.addresses.extend(metadata_on(family));
        nodes_end.routes.push(Route {
            to: IpNet::from(*address),
            via: None,
            source: of_family(nodes, family),
        });
    }
    (pods_end, nodes_end)
}

/// A pod's end of a link, and a port of its node's bridge.
fn bridged(
    schedule: &Schedule,
    addresses: &[IpAddr],
    node: Option<&ScheduledNode>,
    interface: &str,
) -> (Interface, Interface) {
    let mut pods_end = Interface {
        name: "eth0".to_owned(),
        ..Interface::default()
    };
    let ranges = node.map(|node| &node.pod_ranges[..]).unwrap_or_default();
    for address in addresses {
        let family = IpFamily::of(*address);
        let Some((gateway, length)) = bridge_address(schedule, ranges, family) else {
            continue;
        };
        let inside = ranges.iter().any(|range| range.contains(address));
        let own = if inside {
            length
        } else {
            full_length(*address)
        };
        pods_end.addresses.push((*address, own));
        if !inside {
            pods_end.routes.push(Route {
                to: IpNet::from(gateway),
                via: None,
                source: None,
            });
        }
        pods_end.routes.push(Route {
            to: everything(family),
            via: Some(gateway),
            source: None,
        });
    }
    let port = Interface {
        name: interface.to_owned(),
        bridge: Some(POD_BRIDGE),
        hairpin: true,
        ..Interface::default()
    };
    (pods_end, port)
}

/// The address of a node's bridge: the first of its range that no pod has.
pub(super) fn bridge_address(
    schedule: &Schedule,
    ranges: &[IpNet],
    family: IpFamily,
) -> Option<(IpAddr, u8)> {
    let mut ranges = ranges.iter();
    let range = ranges.find(|range| IpFamily::of(range.addr()) == family)?;
    let (first, last) = (to_number(range.network()), to_number(range.broadcast()));
    let address = (first.checked_add(1)?..last)
        .map(|number| from_number(family, number))
        .find(|address| schedule.snapshot.pod_with_address(*address).is_none())?;
    Some((address, range.prefix_len()))
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
fn metadata_on(family: IpFamily) -> impl Iterator<Item = (IpAddr, u8)> {
    let addresses = metadata_on_link(family).into_iter();
    addresses.map(|address| (address, full_length(address)))
}

fn of_family(addresses: &[IpAddr], family: IpFamily) -> Option<IpAddr> {
    let mut addresses = addresses.iter().copied();
    addresses.find(|address| IpFamily::of(*address) == family)
}

fn everything(family: IpFamily) -> IpNet {
    match family {
        IpFamily::V4 => IpNet::V4(ipnet::Ipv4Net::default()),
        IpFamily::V6 => IpNet::V6(ipnet::Ipv6Net::default()),
    }
}

fn full_length(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The hardware address of a pod.
pub(super) fn pod_hardware(pod: PodId) -> [u8; 6] {
    hardware_address(0x02, pod.0)
}

/// A local hardware address with this number; `kind` has its second bit set.
fn hardware_address(kind: u8, number: u32) -> [u8; 6] {
    let [a, b, c, d] = number.to_be_bytes();
    [kind, 0, a, b, c, d]
}
