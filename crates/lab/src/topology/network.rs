//! The plan, made: all of it at first, and later what a change adds to it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use nlink::netlink::link::{BridgeLink, VethLink};
use ringfence_model::snapshot::PodId;

use super::bridges;
use super::interface::{Editing, Known, LOOPBACK, Routes, take_for_own};
use super::plan::{Cni, Interface, Plan, PlannedNamespace};
use super::pod_links::POD_BRIDGE;
use crate::error::LabError;
use crate::namespace::Namespace;
use crate::schedule::Schedule;

/// The network of a cluster, as long as it is held.
///
/// It changes in two steps: [`Network::take_over`] takes away what is not wanted any more,
/// and [`Network::complete`] makes what is not there yet. The first network of a cluster is
/// a change of none.
#[derive(Debug)]
pub struct Network {
    /// What there is to be.
    pub plan: Plan,
    cni: Cni,
    /// What there is, by the number of the namespace in the plan.
    there: BTreeMap<usize, There>,
    /// What is not there any more, and still held.
    leaving: Vec<Namespace>,
}

/// A namespace, and what was made in it.
#[derive(Debug)]
struct There {
    namespace: Namespace,
    interfaces: BTreeMap<String, Known>,
}

impl Network {
    /// A network with nothing in it.
    #[must_use]
    pub fn empty(cni: Cni) -> Self {
        Self {
            plan: Plan::default(),
            cni,
            there: BTreeMap::new(),
            leaving: Vec::new(),
        }
    }

    /// Whether there can be the network of a schedule.
    ///
    /// # Errors
    /// If there cannot, with the reason.
    pub fn check(&self, schedule: &Schedule) -> Result<(), LabError> {
        match self.cni {
            Cni::Bridge => bridges::check(schedule),
            Cni::Routed => Ok(()),
        }
    }

    /// Plans the network of a schedule with the same nodes, and takes away what is not in it:
    /// pods with their links, and the ways to them.
    ///
    /// # Errors
    /// If the kernel does not permit it.
    pub async fn take_over(&mut self, schedule: &Schedule) -> Result<(), LabError> {
        self.check(schedule)?;
        let plan = Plan::after(&self.plan, schedule, self.cni);
        let before = std::mem::replace(&mut self.plan, plan);
        let planned = &self.plan.namespaces;
        let numbers = self.there.keys().copied();
        let gone: Vec<usize> = numbers.filter(|n| !planned.contains_key(n)).collect();
        for number in gone {
            let there = self.there.remove(&number);
            self.leaving.extend(there.map(|there| there.namespace));
        }
        self.take_away().await?;
        self.forget(&before).await
    }

    /// Interfaces that nobody wants any more, and what the others have too much of.
    async fn take_away(&mut self) -> Result<(), LabError> {
        let wanted = self.plan.interfaces_by_name();
        for (number, there) in &mut self.there {
            let names: Vec<String> = there
                .interfaces
                .iter()
                .filter(|(name, known)| {
                    let wanted = wanted.get(&(*number, &***name));
                    !wanted.is_some_and(|wanted| known.is(wanted))
                })
                .map(|(name, _)| name.clone())
                .collect();
            if names.is_empty() {
                continue;
            }
            let routes = there.namespace.route()?;
            for name in names {
                match wanted.get(&(*number, &*name)) {
                    Some(wanted) => {
                        if let Some(mut editing) = there.editing(&name, &routes) {
                            editing.reduce(wanted).await?;
                        }
                    }
                    None => {
                        // The other end of a cable goes with it.
                        let gone = routes.del_link_if_exists(&*name).await;
                        gone.map_err(|error| {
                            LabError::kernel(there.namespace.name(), &name, error)
                        })?;
                        there.interfaces.remove(&name);
                    }
                }
            }
        }
        Ok(())
    }

    /// Who was on a bridge with a pod that is gone has learnt where it was. Whoever gets its
    /// address is not there.
    async fn forget(&mut self, before: &Plan) -> Result<(), LabError> {
        if self.cni != Cni::Bridge {
            return Ok(());
        }
        let mut gone: BTreeMap<usize, Vec<IpAddr>> = BTreeMap::new();
        for (node, address) in before.addresses_missing_in(&self.plan) {
            gone.entry(node).or_default().push(address);
        }
        for (node, addresses) in gone {
            let links = self.plan.links.iter();
            let on_bridge = links
                .filter(|link| link.first.0 == node && link.first.1.bridge == Some(POD_BRIDGE));
            let pods = on_bridge.map(|link| (link.second.0, &*link.second.1.name));
            for (number, name) in pods.chain([(node, POD_BRIDGE)]) {
                let Some(there) = self.there.get_mut(&number) else {
                    continue;
                };
                let routes = there.namespace.route()?;
                if let Some(editing) = there.editing(name, &routes) {
                    for address in &addresses {
                        editing.forget(*address).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes what is planned and not there.
    ///
    /// # Errors
    /// If the kernel does not permit it, or lacks something that the lab needs. What was made
    /// until then is known, and the next change goes on from there.
    pub async fn complete(&mut self) -> Result<(), LabError> {
        let mut work = Work {
            there: &mut self.there,
            connections: HashMap::new(),
        };
        let planned = self.plan.namespaces.iter();
        let new: Vec<(&usize, &PlannedNamespace)> = planned
            .filter(|(number, _)| !work.there.contains_key(number))
            .collect();
        let names: Vec<String> = new.iter().map(|(_, n)| n.name.clone()).collect();
        let made = Namespace::create(&names)?;
        for ((number, _), namespace) in new.iter().zip(made) {
            let interfaces = BTreeMap::new();
            let there = There {
                namespace,
                interfaces,
            };
            work.there.insert(**number, there);
        }
        for (number, planned) in new {
            work.prepare(*number, planned).await?;
        }
        for link in &self.plan.links {
            work.link(&link.first, &link.second).await?;
        }
        // Routes by way of another interface need it up.
        for (number, planned) in &self.plan.namespaces {
            for bridge in &planned.bridges {
                work.configure(*number, bridge).await?;
            }
        }
        for link in &self.plan.links {
            for (number, interface) in [&link.first, &link.second] {
                work.configure(*number, interface).await?;
            }
        }
        Ok(())
    }

    /// The namespaces of pods that are gone, until they are let go of.
    #[must_use]
    pub fn leaving(&self) -> &[Namespace] {
        &self.leaving
    }

    /// Lets go of the namespaces of pods that are gone. Until then nobody else gets the
    /// number of their open files.
    pub fn let_go(&mut self) {
        self.leaving.clear();
    }

    /// The namespace of a pod: its node's if it is host-networked.
    #[must_use]
    pub fn pod(&self, id: PodId) -> Option<&Namespace> {
        self.namespace(*self.plan.pods.get(id.0 as usize)?)
    }

    /// The namespace of the node with this index in the schedule.
    #[must_use]
    pub fn node(&self, index: usize) -> Option<&Namespace> {
        self.namespace(*self.plan.nodes.get(index)?)
    }

    /// The namespace of everything outside the cluster.
    #[must_use]
    pub fn world(&self) -> Option<&Namespace> {
        self.namespace(self.plan.world)
    }

    /// The namespace with this number in the plan, if it is there.
    #[must_use]
    pub fn namespace(&self, number: usize) -> Option<&Namespace> {
        self.there.get(&number).map(|there| &there.namespace)
    }

    /// All namespaces that are there, by their number in the plan.
    pub fn namespaces(&self) -> impl Iterator<Item = (usize, &Namespace)> {
        let all = self.there.iter();
        all.map(|(number, there)| (*number, &there.namespace))
    }
}

impl There {
    fn editing<'a>(&'a mut self, name: &str, routes: &'a Routes) -> Option<Editing<'a>> {
        let known = self.interfaces.get_mut(name)?;
        Some(Editing {
            namespace: &self.namespace,
            routes,
            known,
        })
    }
}

/// What is being made.
struct Work<'a> {
    there: &'a mut BTreeMap<usize, There>,
    /// By namespace; each is an open file, so they are not kept any longer.
    connections: HashMap<usize, Routes>,
}

impl Work<'_> {
    /// A namespace that is there, with a connection to configure it.
    fn open(&mut self, number: usize) -> Result<(&mut There, &Routes), LabError> {
        let there = self
            .there
            .get_mut(&number)
            .ok_or_else(|| LabError::Bug("an interface without a namespace".to_owned()))?;
        let routes = match self.connections.entry(number) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(unknown) => {
                unknown.insert(there.namespace.route()?)
            }
        };
        Ok((there, routes))
    }

    /// Settings of a new namespace, and its bridges, with nothing on them.
    async fn prepare(&mut self, number: usize, planned: &PlannedNamespace) -> Result<(), LabError> {
        let (there, routes) = self.open(number)?;
        let namespace = &there.namespace;
        let refused = |what: &str, error| LabError::kernel(namespace.name(), what, error);
        for (key, value) in &planned.settings {
            namespace.set(key, value)?;
        }
        for (key, value) in &planned.wishes {
            // Older kernels lack some of these; what they do is written with them.
            let _ = namespace.set(key, value);
        }
        let up = routes.set_link_up_by_index(LOOPBACK).await;
        up.map_err(|error| refused("lo", error))?;
        for net in &planned.local {
            let taken = take_for_own(routes, *net).await;
            taken.map_err(|error| LabError::kernel(namespace.name(), net, error))?;
        }
        for bridge in &planned.bridges {
            let mut link = BridgeLink::new(&bridge.name);
            if let Some(hardware) = bridge.hardware {
                link = link.address(hardware);
            }
            let made = routes.add_link(link).await;
            made.map_err(|error| refused(&bridge.name, error))?;
            there
                .interfaces
                .insert(bridge.name.clone(), Known::bare(&bridge.name));
        }
        Ok(())
    }

    /// A cable between two interfaces, unless it is there.
    async fn link(
        &mut self,
        first: &(usize, Interface),
        second: &(usize, Interface),
    ) -> Result<(), LabError> {
        let (far, _) = self.open(second.0)?;
        let far = far.namespace.clone();
        let (near, routes) = self.open(first.0)?;
        if near.interfaces.contains_key(&first.1.name) {
            return Ok(());
        }
        let mut link = VethLink::new(&first.1.name, &second.1.name).peer_netns_fd(far.fd());
        if let Some(hardware) = first.1.hardware {
            link = link.address(hardware);
        }
        if let Some(hardware) = second.1.hardware {
            link = link.peer_address(hardware);
        }
        let made = routes.add_link(link).await;
        made.map_err(|error| LabError::kernel(near.namespace.name(), &first.1.name, error))?;
        for (number, interface) in [first, second] {
            let (there, _) = self.open(*number)?;
            let name = interface.name.clone();
            there.interfaces.insert(name, Known::bare(&interface.name));
        }
        Ok(())
    }

    async fn configure(&mut self, number: usize, wanted: &Interface) -> Result<(), LabError> {
        let is_done = self.there.get(&number).is_some_and(|there| {
            let known = there.interfaces.get(&wanted.name);
            known.is_some_and(|known| known.is(wanted))
        });
        if is_done {
            return Ok(());
        }
        let (there, routes) = self.open(number)?;
        match there.editing(&wanted.name, routes) {
            Some(mut editing) => editing.complete(wanted).await,
            None => Err(LabError::Bug(format!("{} was not made", wanted.name))),
        }
    }
}
