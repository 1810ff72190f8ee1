//! One interface: what it lacks is added, what it should not have is taken away.

use std::collections::HashSet;
use std::hash::Hash;
use std::net::IpAddr;

use ipnet::IpNet;
use nlink::netlink::link::BridgePortConfig;
use nlink::netlink::neigh::Neighbor;
use nlink::netlink::types::addr::Scope;
use nlink::netlink::types::route::{RouteScope, RouteType};
use nlink::{Connection, FdbEntryBuilder, Ipv4Address, Ipv4Route, Ipv6Address, Ipv6Route};

use super::plan::{Interface, Route};
use crate::error::LabError;
use crate::namespace::Namespace;

/// A way to configure the interfaces of a namespace.
pub(super) type Routes = Connection<nlink::Route>;

/// The loopback is the first interface of every namespace.
pub(super) const LOOPBACK: u32 = 1;

/// An interface as it is. What is known follows each step, so that it is true wherever the
/// kernel refuses one.
#[derive(Debug)]
pub(super) struct Known {
    has: Interface,
    is_up: bool,
}

impl Known {
    /// An interface that was just made.
    pub(super) fn bare(name: &str) -> Self {
        let has = Interface {
            name: name.to_owned(),
            ..Interface::default()
        };
        Self { has, is_up: false }
    }

    /// Whether it is as it should be.
    pub(super) fn is(&self, wanted: &Interface) -> bool {
        self.is_up && self.has == *wanted
    }
}

/// An interface of a namespace that is changed.
pub(super) struct Editing<'a> {
    pub(super) namespace: &'a Namespace,
    pub(super) routes: &'a Routes,
    pub(super) known: &'a mut Known,
}

impl Editing<'_> {
    /// Takes away what is not wanted.
    pub(super) async fn reduce(&mut self, wanted: &Interface) -> Result<(), LabError> {
        let index = self.index().await?;
        for route in missing(&self.known.has.routes, &wanted.routes) {
            delete_route(self.routes, &route, index)
                .await
                .map_err(|error| self.refused(route.to, error))?;
            self.known.has.routes.retain(|known| *known != route);
        }
        for neighbour in missing(&self.known.has.neighbours, &wanted.neighbours) {
            forget(self.routes, index, neighbour.0)
                .await
                .map_err(|error| self.refused(neighbour.0, error))?;
            self.known
                .has
                .neighbours
                .retain(|known| *known != neighbour);
        }
        for address in missing(&self.known.has.addresses, &wanted.addresses) {
            let gone = match address.0 {
                IpAddr::V4(v4) => {
                    let address = Ipv4Address::with_index(index, v4, address.1);
                    self.routes.del_address_config(address).await
                }
                IpAddr::V6(v6) => {
                    let address = Ipv6Address::with_index(index, v6, address.1);
                    self.routes.del_address_config(address).await
                }
            };
            gone.map_err(|error| self.refused(address.0, error))?;
            self.known.has.addresses.retain(|known| *known != address);
        }
        Ok(())
    }

    /// Adds what is wanted and not there: the bridge, addresses, neighbours and routes; and
    /// turns the interface on.
    pub(super) async fn complete(&mut self, wanted: &Interface) -> Result<(), LabError> {
        if self.known.is(wanted) {
            return Ok(());
        }
        let index = self.index().await?;
        let is_new = self.known.has.addresses.is_empty() && self.known.has.neighbours.is_empty();
        if self.known.has.bridge != wanted.bridge {
            self.join_bridge(wanted, index).await?;
        }
        let addresses = missing(&wanted.addresses, &self.known.has.addresses);
        let mut batch = self.routes.batch();
        for (address, length) in &addresses {
            batch = match address {
                IpAddr::V4(v4) => {
                    let scope = match v4.is_link_local() {
                        true => Scope::Link,
                        false => Scope::Universe,
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
            let added = batch.execute_all().await;
            added.map_err(|error| self.refused(&wanted.name, error))?;
            self.known.has.addresses.extend(addresses);
        }
        let up = self.routes.set_link_up_by_index(index).await;
        up.map_err(|error| self.refused(&wanted.name, error))?;
        self.write_down(wanted, index, is_new).await?;
        for route in missing(&wanted.routes, &self.known.has.routes) {
            add_route(self.routes, &route, index)
                .await
                .map_err(|error| self.refused(route.to, error))?;
            self.known.has.routes.push(route);
        }
        // In the same order, so that it is seen to be the same.
        self.known.has.clone_from(wanted);
        self.known.is_up = true;
        Ok(())
    }

    /// Neighbours that are not to be asked for.
    async fn write_down(
        &mut self,
        wanted: &Interface,
        index: u32,
        is_new: bool,
    ) -> Result<(), LabError> {
        let neighbours = missing(&wanted.neighbours, &self.known.has.neighbours);
        let mut batch = self.routes.batch();
        for (address, hardware) in &neighbours {
            let neighbour = Neighbor::with_index(index, *address).lladdr(*hardware);
            let neighbour = neighbour.permanent();
            if is_new {
                batch = batch.add_neighbor(neighbour, index);
                continue;
            }
            // Somebody may have been asked before it was written down.
            let written = self.routes.replace_neighbor(neighbour).await;
            written.map_err(|error| self.refused(address, error))?;
            self.known.has.neighbours.push((*address, *hardware));
        }
        if !batch.is_empty() {
            let written = batch.execute_all().await;
            written.map_err(|error| self.refused(&wanted.name, error))?;
            self.known.has.neighbours.extend(neighbours);
        }
        Ok(())
    }

    /// Forgets what hardware address somebody had who is gone.
    pub(super) async fn forget(&self, address: IpAddr) -> Result<(), LabError> {
        let index = self.index().await?;
        forget(self.routes, index, address)
            .await
            .map_err(|error| self.refused(address, error))
    }

    async fn join_bridge(&mut self, wanted: &Interface, index: u32) -> Result<(), LabError> {
        let refused = |error| LabError::kernel(self.namespace.name(), &wanted.name, error);
        if let Some(bridge) = wanted.bridge {
            let master = self.routes.get_link_by_name(bridge).await;
            if let Some(master) = master.map_err(refused)? {
                let joined = self
                    .routes
                    .set_link_master_by_index(index, master.ifindex())
                    .await;
                joined.map_err(refused)?;
            }
            let port = BridgePortConfig::new()
                .hairpin(wanted.hairpin)
                .learning(wanted.behind.is_none());
            let set = self.routes.set_bridge_port_by_index(index, port).await;
            set.map_err(refused)?;
            if let Some(hardware) = wanted.behind {
                let behind = FdbEntryBuilder::new(hardware).ifindex(index);
                let added = self.routes.replace_fdb(behind.static_()).await;
                added.map_err(refused)?;
            }
        }
        self.known.has.bridge = wanted.bridge;
        self.known.has.hairpin = wanted.hairpin;
        self.known.has.behind = wanted.behind;
        Ok(())
    }

    async fn index(&self) -> Result<u32, LabError> {
        let name = &*self.known.has.name;
        let found = self.routes.get_link_by_name(name).await;
        let found = found.map_err(|error| self.refused(name, error))?;
        match found {
            Some(link) => Ok(link.ifindex()),
            None => Err(self.refused(name, "it is not there")),
        }
    }

    fn refused(&self, what: impl std::fmt::Display, error: impl std::fmt::Display) -> LabError {
        LabError::kernel(self.namespace.name(), what, error)
    }
}

/// What is in the first list and not in the second, in the order of the first.
fn missing<T: Clone + Eq + Hash>(of: &[T], others: &[T]) -> Vec<T> {
    let others: HashSet<&T> = others.iter().collect();
    let own = of.iter().filter(|one| !others.contains(one));
    own.cloned().collect()
}

async fn forget(routes: &Routes, index: u32, address: IpAddr) -> nlink::Result<()> {
    let neighbour = Neighbor::with_index(index, address);
    routes.del_neighbor_if_exists(neighbour).await.map(|_| ())
}

/// One by one: batches of nlink 0.33 lose the interface of a route.
async fn add_route(routes: &Routes, route: &Route, index: u32) -> nlink::Result<()> {
    match route.to {
        IpNet::V4(net) => routes.add_route(v4(route, net, index)).await,
        IpNet::V6(net) => routes.add_route(v6(route, net, index)).await,
    }
}

/// The kernel takes a route away by itself where it was from an address that is gone.
async fn delete_route(routes: &Routes, route: &Route, index: u32) -> nlink::Result<()> {
    let gone = match route.to {
        IpNet::V4(net) => routes.del_route_if_exists(v4(route, net, index)).await,
        IpNet::V6(net) => routes.del_route_if_exists(v6(route, net, index)).await,
    };
    gone.map(|_| ())
}

fn v4(route: &Route, net: ipnet::Ipv4Net, index: u32) -> Ipv4Route {
    let mut made = Ipv4Route::new(net.addr(), net.prefix_len()).dev_index(index);
    match route.via {
        Some(IpAddr::V4(via)) => made = made.gateway(via).onlink(),
        _ => made = made.scope(RouteScope::Link),
    }
    if let Some(IpAddr::V4(source)) = route.source {
        made = made.prefsrc(source);
    }
    made
}

fn v6(route: &Route, net: ipnet::Ipv6Net, index: u32) -> Ipv6Route {
    let mut made = Ipv6Route::new(net.addr(), net.prefix_len()).dev_index(index);
    if let Some(IpAddr::V6(via)) = route.via {
        made = made.gateway(via).onlink();
    }
    if let Some(IpAddr::V6(source)) = route.source {
        made = made.prefsrc(source);
    }
    made
}

/// Takes everything that is sent to these addresses for what is sent to this host.
pub(super) async fn take_for_own(routes: &Routes, net: IpNet) -> nlink::Result<()> {
    match net {
        IpNet::V4(net) => {
            let route = Ipv4Route::new(net.addr(), net.prefix_len())
                .route_type(RouteType::Local)
                .scope(RouteScope::Host)
                .dev_index(LOOPBACK);
            routes.add_route(route).await
        }
        IpNet::V6(net) => {
            let route = Ipv6Route::new(net.addr(), net.prefix_len())
                .route_type(RouteType::Local)
                .dev_index(LOOPBACK);
            routes.add_route(route).await
        }
    }
}
