//! A running lab: the network, what answers in it, and what holds the policies.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ringfence_dataplane::compile::{Enforcement, Node};
use ringfence_engine::{Engine, Profile};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::PodId;

use crate::dns::{Names, Zone};
use crate::enforcer::{Enforcer, NodeToEnforce};
use crate::error::LabError;
use crate::on_link;
use crate::probe::{Prober, Settings};
use crate::schedule::Schedule;
use crate::schedule::is_name_server;
use crate::schedule::node_local::is_cache;
use crate::services;
use crate::station::{Arrivals, Listening, Station};
use crate::topology::{Cni, Network};
use crate::world;

/// A running lab, until it is dropped.
#[derive(Debug)]
pub struct Lab {
    schedule: Schedule,
    network: Network,
    prober: Prober,
    names: Arc<Names>,
}

impl Lab {
    /// Builds the cluster of a schedule. Everything in it answers when this returns; no
    /// policy holds yet.
    ///
    /// # Errors
    /// If the kernel does not permit it, or lacks something that the lab needs.
    pub async fn build(schedule: Schedule, cni: Cni, probing: Settings) -> Result<Self, LabError> {
        raise_file_limit();
        let network = Network::build(&schedule, cni).await?;
        for index in 0..schedule.nodes.len() {
            if let Some(node) = network.node(index) {
                services::install(node, &schedule.snapshot).await?;
            }
        }
        let names = Arc::new(Names::new(Zone::new(&schedule.snapshot)));
        let arrivals = Arc::new(Arrivals::default());
        let listening = listening(&schedule, &network);
        let mut stations = Vec::with_capacity(listening.len());
        // The switch has one too, so that stations and namespaces have the same numbers.
        for (index, (namespace, listening)) in
            network.namespaces().iter().zip(&listening).enumerate()
        {
            stations.push(Station::open(
                namespace,
                index,
                &schedule.families,
                listening,
                &names,
                &arrivals,
            )?);
        }
        let prober = Prober::new(stations, arrivals, probing);
        Ok(Self {
            schedule,
            network,
            prober,
            names,
        })
    }

    /// What runs in it.
    #[must_use]
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Its network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// What sends probes in it.
    #[must_use]
    pub fn prober(&self) -> &Prober {
        &self.prober
    }

    /// The station of a pod: its node's if it is host-networked.
    #[must_use]
    pub fn station_of(&self, pod: PodId) -> Option<usize> {
        self.network.plan.pods.get(pod.0 as usize).copied()
    }

    /// What is known of a node and its pods; `None` if there is no such node.
    #[must_use]
    pub fn node(&self, index: usize, audit: bool) -> Option<Node> {
        let scheduled = self.schedule.nodes.get(index)?;
        let mut node = Node::from_snapshot(&self.schedule.snapshot, Some(&scheduled.name));
        node.pod_ranges = scheduled.pod_ranges.clone();
        for endpoint in &mut node.endpoints {
            let interface = self.network.plan.interfaces.get(endpoint.pod.0 as usize);
            let endpoint = Arc::make_mut(endpoint);
            endpoint.interface = interface.cloned().flatten();
            if audit {
                endpoint.enforcement = Enforcement::Audit;
            }
        }
        Some(node)
    }

    /// Makes the policies hold on every node, or only be told about.
    ///
    /// # Errors
    /// If the enforcer refuses.
    pub async fn enforce(
        &self,
        enforcer: &dyn Enforcer,
        profile: Profile,
        audit: bool,
    ) -> Result<Engine, LabError> {
        let engine = Engine::compile(&self.schedule.snapshot, profile);
        for (index, scheduled) in self.schedule.nodes.iter().enumerate() {
            let (Some(node), Some(namespace)) = (self.node(index, audit), self.network.node(index))
            else {
                continue;
            };
            let on = NodeToEnforce {
                name: &scheduled.name,
                namespace,
                node: &node,
                engine: &engine,
            };
            enforcer.enforce(on).await?;
        }
        Ok(engine)
    }

    /// Takes over a schedule that differs in its policies, Services and namespaces, and
    /// in no pod and no node.
    ///
    /// # Errors
    /// If it differs in pods or nodes, which would be another lab.
    pub async fn update(&mut self, schedule: Schedule) -> Result<(), LabError> {
        if let Some(other) = difference(&self.schedule, &schedule) {
            return Err(LabError::Unsupported(format!(
                "in a lab that is up, pods and nodes stay as they are, and {other}: nothing is \
                 changed; for other pods start another lab, with `ringfence lab up`"
            )));
        }
        for index in 0..schedule.nodes.len() {
            if let Some(node) = self.network.node(index) {
                services::install(node, &schedule.snapshot).await?;
            }
        }
        self.names.replace(Zone::new(&schedule.snapshot));
        self.schedule = schedule;
        Ok(())
    }
}

/// What differs in the pods or the nodes of two schedules, as the end of a sentence.
fn difference(old: &Schedule, new: &Schedule) -> Option<String> {
    type Place = (Vec<IpAddr>, Option<Arc<str>>, bool);
    let pods = |schedule: &Schedule| -> BTreeMap<String, Place> {
        let snapshot = &schedule.snapshot;
        let pods = snapshot.pods.iter().map(|pod| {
            let namespace = &snapshot.namespace(pod.namespace).name;
            let place = (pod.addresses.clone(), pod.node.clone(), pod.host_network);
            (format!("{namespace}/{}", pod.name), place)
        });
        pods.collect()
    };
    let (before, after) = (pods(old), pods(new));
    let named = |names: Vec<&String>, what: &str| {
        let (first, more) = names.split_first()?;
        let more = match more.len() {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        Some(format!("this would {what} the pod {first}{more}"))
    };
    let only = |one: &'_ BTreeMap<String, Place>, other: &BTreeMap<String, Place>, what: &str| {
        let names = one.keys().filter(|name| !other.contains_key(*name));
        named(names.collect(), what)
    };
    let moved = || {
        let differs = before.iter().filter(|(name, place)| {
            let now = after.get(*name);
            now.is_some_and(|now| now != *place)
        });
        named(differs.map(|(name, _)| name).collect(), "move")
    };
    let order = |schedule: &Schedule| -> Vec<Arc<str>> {
        let pods = schedule.snapshot.pods.iter();
        pods.map(|pod| Arc::clone(&pod.name)).collect()
    };
    let nodes = || {
        let differ = old.nodes != new.nodes
            || old.families != new.families
            // What is built is known by the number of the pod.
            || order(old) != order(new);
        differ.then(|| "this would change the nodes".to_owned())
    };
    only(&after, &before, "add")
        .or_else(|| only(&before, &after, "take away"))
        .or_else(nodes)
        .or_else(moved)
}

/// What each namespace answers on.
fn listening(schedule: &Schedule, network: &Network) -> Vec<Listening> {
    let snapshot = &schedule.snapshot;
    let mut all = vec![Listening::default(); network.namespaces().len()];
    for (id, pod) in snapshot.pod_ids() {
        let station = network.plan.pods.get(id.0 as usize).copied();
        let Some(own) = station.and_then(|station| all.get_mut(station)) else {
            continue;
        };
        let names = is_name_server(snapshot, pod) || is_cache(snapshot, pod);
        for port in pod.ports.iter() {
            own.ports.insert((port.protocol, port.port));
            if names && matches!(port.port, 53 | 5353) {
                own.dns.insert(port.port);
            }
        }
    }
    // A Service may lead to a port that no container declares.
    let mut elsewhere = BTreeSet::new();
    for translation in services::translations(snapshot) {
        for (address, port) in &translation.endpoints {
            let pod = snapshot.pod_with_address(*address);
            let station = pod.and_then(|pod| network.plan.pods.get(pod.0 as usize).copied());
            match station.and_then(|station| all.get_mut(station)) {
                Some(own) => {
                    own.ports.insert((translation.protocol, *port));
                }
                None => {
                    elsewhere.insert((translation.protocol, *port));
                }
            }
        }
    }
    if let Some(own) = all.get_mut(network.plan.world) {
        let tcp = world::TCP_PORTS.map(|port| (Protocol::Tcp, port));
        let udp = world::UDP_PORTS.map(|port| (Protocol::Udp, port));
        own.ports = tcp.into_iter().chain(udp).chain(elsewhere).collect();
        own.dns.insert(53);
    }
    for (station, at) in on_link::listeners(schedule, network) {
        if let Some(own) = all.get_mut(station) {
            own.at_interfaces.push(at);
        }
    }
    all
}

/// A lab of a thousand pods holds more files than a shell allows.
fn raise_file_limit() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // A limit that stays low shows where a socket is refused.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}
