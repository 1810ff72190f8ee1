//! The plan, made.

use std::net::IpAddr;

use ipnet::IpNet;
use nlink::netlink::link::{BridgeLink, BridgePortConfig, VethLink};
use nlink::netlink::neigh::Neighbor;
use nlink::netlink::types::addr::Scope;
use nlink::netlink::types::route::{RouteScope, RouteType};
use nlink::{Connection, Ipv4Address, Ipv4Route, Ipv6Address, Ipv6Route};
use ringfence_model::address::IpFamily;
use ringfence_model::snapshot::PodId;

use super::neighbours::are_too_many;
use super::plan::{Cni, Interface, Plan, PlannedNamespace, Route};
use crate::error::LabError;
use crate::namespace::Namespace;
use crate::schedule::Schedule;

/// The network of a cluster, as long as it is held.
#[derive(Debug)]
pub struct Network {
    /// What was built.
    pub plan: Plan,
    namespaces: Vec<Namespace>,
}

type Routes = Connection<nlink::Route>;

impl Network {
    /// Builds the network of a schedule.
    ///
    /// # Errors
    /// If the kernel does not permit it, or lacks something that the lab needs.
    pub async fn build(schedule: &Schedule, cni: Cni) -> Result<Self, LabError> {
        let plan = Plan::new(schedule, cni);
        if cni == Cni::Bridge {
            bridges_must_be_filtered()?;
            bridges_must_have_ranges(schedule)?;
            bridges_must_not_be_crowded(schedule)?;
        }
        let names: Vec<String> = plan.namespaces.iter().map(|n| n.name.clone()).collect();
        let namespaces = Namespace::create(&names)?;
        let mut building = Building {
            connections: Vec::with_capacity(namespaces.len()),
        };
        for (planned, namespace) in plan.namespaces.iter().zip(&namespaces) {
            building.prepare(planned, namespace).await?;
        }
        for link in &plan.links {
            building
                .link(&namespaces, &link.first, &link.second)
                .await?;
        }
        // Routes by way of another interface need it up.
        for (planned, (namespace, routes)) in plan
            .namespaces
            .iter()
            .zip(namespaces.iter().zip(&building.connections))
        {
            for bridge in &planned.bridges {
                configure(namespace, routes, bridge).await?;
            }
            for net in &planned.local {
                let refused = |error| LabError::kernel(namespace.name(), net, error);
                match net {
                    IpNet::V4(net) => {
                        let route = Ipv4Route::new(net.addr(), net.prefix_len())
                            .route_type(RouteType::Local)
                            .scope(RouteScope::Host)
                            .dev_index(LOOPBACK);
                        routes.add_route(route).await.map_err(refused)?;
                    }
                    IpNet::V6(net) => {
                        let route = Ipv6Route::new(net.addr(), net.prefix_len())
                            .route_type(RouteType::Local)
                            .dev_index(LOOPBACK);
                        routes.add_route(route).await.map_err(refused)?;
                    }
                }
            }
        }
        for link in &plan.links {
            for (namespace, interface) in [&link.first, &link.second] {
                let (Some(namespace), Some(routes)) = (
                    namespaces.get(*namespace),
                    building.connections.get(*namespace),
                ) else {
                    continue;
                };
                configure(namespace, routes, interface).await?;
            }
        }
        Ok(Self { plan, namespaces })
    }

    /// The namespace of a pod: its node's if it is host-networked.
    #[must_use]
    pub fn pod(&self, id: PodId) -> Option<&Namespace> {
        self.namespaces.get(*self.plan.pods.get(id.0 as usize)?)
    }

    /// The namespace of the node with this index in the schedule.
    #[must_use]
    pub fn node(&self, index: usize) -> Option<&Namespace> {
        self.namespaces.get(*self.plan.nodes.get(index)?)
    }

    /// The namespace of everything outside the cluster.
    #[must_use]
    pub fn world(&self) -> Option<&Namespace> {
        self.namespaces.get(self.plan.world)
    }

    /// All namespaces, by their index in the plan.
    #[must_use]
    pub fn namespaces(&self) -> &[Namespace] {
        &self.namespaces
    }
}

/// The loopback is the first interface of every namespace.
const LOOPBACK: u32 = 1;

/// A bridge passes frames without asking netfilter unless the kernel has `br_netfilter`:
/// then nothing could be enforced between pods of one node.
fn bridges_must_be_filtered() -> Result<(), LabError> {
    let there = std::path::Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables").exists();
    match there {
        true => Ok(()),
        false => Err(LabError::Unsupported(
            "--cni bridge: this kernel has no br_netfilter, without which no policy holds \
             between pods of one bridge; load the module, or use --cni routed"
                .to_owned(),
        )),
    }
}

/// A bridge is a network: its pods have their addresses from one range.
fn bridges_must_have_ranges(schedule: &Schedule) -> Result<(), LabError> {
    let complete = |node: &&crate::schedule::ScheduledNode| {
        let has = |family: &IpFamily| {
            let mut ranges = node.pod_ranges.iter();
            ranges.any(|range| IpFamily::of(range.addr()) == *family)
        };
        schedule.families.iter().all(has)
    };
    match schedule.nodes.iter().find(|node| !complete(node)) {
        None => Ok(()),
        Some(node) => Err(LabError::Unsupported(format!(
            "--cni bridge: node {} has no range of its own for its pods, because the ranges \
             are too small or pods have addresses of other nodes' ranges; use --cni routed",
            node.name
        ))),
    }
}

/// Everybody on a bridge has everybody else for a neighbour.
fn bridges_must_not_be_crowded(schedule: &Schedule) -> Result<(), LabError> {
    match are_too_many(schedule) {
        false => Ok(()),
        true => Err(LabError::Unsupported(
            "--cni bridge: there are too many pods on one bridge; use --cni routed, or more \
             --nodes"
                .to_owned(),
        )),
    }
}

struct Building {
    /// By namespace.
    connections: Vec<Routes>,
}

impl Building {
    async fn prepare(
        &mut self,
        planned: &PlannedNamespace,
        namespace: &Namespace,
    ) -> Result<(), LabError> {
        for (key, value) in &planned.settings {
            namespace.set(key, value)?;
        }
        for (key, value) in &planned.wishes {
            // Older kernels lack some of these; what they do is written with them.
            let _ = namespace.set(key, value);
        }
        let routes = namespace.route()?;
        let refused = |what: &str| {
            let name = namespace.name().to_owned();
            let what = what.to_owned();
            move |error| LabError::kernel(&name, what, error)
        };
        routes
            .set_link_up_by_index(LOOPBACK)
            .await
            .map_err(refused("lo"))?;
        for bridge in &planned.bridges {
            let mut link = BridgeLink::new(&bridge.name);
            if let Some(hardware) = bridge.hardware {
                link = link.address(hardware);
            }
            let made = routes.add_link(link).await;
            made.map_err(refused(&bridge.name))?;
        }
        self.connections.push(routes);
        Ok(())
    }

    async fn link(
        &self,
        namespaces: &[Namespace],
        first: &(usize, Interface),
        second: &(usize, Interface),
    ) -> Result<(), LabError> {
        let (Some(near), Some(far), Some(routes)) = (
            namespaces.get(first.0),
            namespaces.get(second.0),
            self.connections.get(first.0),
        ) else {
            return Err(LabError::Bug("a link without a namespace".to_owned()));
        };
        let mut link = VethLink::new(&first.1.name, &second.1.name).peer_netns_fd(far.fd());
        if let Some(hardware) = first.1.hardware {
            link = link.address(hardware);
        }
        if let Some(hardware) = second.1.hardware {
            link = link.peer_address(hardware);
        }
        let made = routes.add_link(link).await;
        made.map_err(|error| LabError::kernel(near.name(), &first.1.name, error))
    }
}

/// Gives an interface its addresses, its bridge and its routes, and turns it on.
async fn configure(
    namespace: &Namespace,
    routes: &Routes,
    interface: &Interface,
) -> Result<(), LabError> {
    let refused = |error| LabError::kernel(namespace.name(), &interface.name, error);
    let found = routes.get_link_by_name(interface.name.as_str()).await;
    let index = found
        .map_err(refused)?
        .ok_or_else(|| LabError::kernel(namespace.name(), &interface.name, "it is not there"))?
        .ifindex();
    if let Some(bridge) = interface.bridge {
        let master = routes.get_link_by_name(bridge).await.map_err(refused)?;
        if let Some(master) = master {
            let joined = routes
                .set_link_master_by_index(index, master.ifindex())
                .await;
            joined.map_err(refused)?;
        }
        if interface.hairpin {
            let port = BridgePortConfig::new().hairpin(true);
            let set = routes.set_bridge_port_by_index(index, port).await;
            set.map_err(refused)?;
        }
    }
    let mut batch = routes.batch();
    for (address, length) in &interface.addresses {
        batch = match address {
            IpAddr::V4(v4) => {
                let link_local = v4.is_link_local();
                let scope = if link_local {
                    Scope::Link
                } else {
                    Scope::Universe
                };
                let address = Ipv4Address::with_index(index, *v4, *length).scope(scope);
                batch.add_address(address, index)
            }
            IpAddr::V6(v6) => {
                let address = Ipv6Address::with_index(index, *v6, *length).nodad();
                batch.add_address(address, index)
            }
        };
    }
    if !batch.is_empty() {
        batch.execute_all().await.map_err(refused)?;
    }
    routes.set_link_up_by_index(index).await.map_err(refused)?;
    let mut batch = routes.batch();
    for (address, hardware) in &interface.neighbours {
        let neighbour = Neighbor::new(&*interface.name, *address).lladdr(*hardware);
        batch = batch.add_neighbor(neighbour.permanent(), index);
    }
    if !batch.is_empty() {
        batch.execute_all().await.map_err(refused)?;
    }
    for route in &interface.routes {
        add_route(routes, route, index)
            .await
            .map_err(|error| LabError::kernel(namespace.name(), route.to, error))?;
    }
    Ok(())
}

/// One by one: batches of nlink 0.33 lose the interface of a route.
async fn add_route(routes: &Routes, route: &Route, index: u32) -> nlink::Result<()> {
    match route.to {
        IpNet::V4(net) => {
            let mut made = Ipv4Route::new(net.addr(), net.prefix_len()).dev_index(index);
            match route.via {
                Some(IpAddr::V4(via)) => made = made.gateway(via).onlink(),
                _ => made = made.scope(RouteScope::Link),
            }
            if let Some(IpAddr::V4(source)) = route.source {
                made = made.prefsrc(source);
            }
            routes.add_route(made).await
        }
        IpNet::V6(net) => {
            let mut made = Ipv6Route::new(net.addr(), net.prefix_len()).dev_index(index);
            if let Some(IpAddr::V6(via)) = route.via {
                made = made.gateway(via).onlink();
            }
            if let Some(IpAddr::V6(source)) = route.source {
                made = made.prefsrc(source);
            }
            routes.add_route(made).await
        }
    }
}
