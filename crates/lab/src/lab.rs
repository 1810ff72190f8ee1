//! A running lab: the network, what answers in it, and what holds the policies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ringfence_dataplane::compile::{Enforcement, Node};
use ringfence_engine::{Engine, Profile};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::PodId;

use crate::dns::{Names, Zone};
use crate::enforcer::{Enforcer, NodeToEnforce};
use crate::error::LabError;
use crate::namespace::Namespace;
use crate::on_link;
use crate::probe::{Prober, Settings};
use crate::processes::end_all_in;
use crate::schedule::Schedule;
use crate::schedule::is_name_server;
use crate::schedule::node_local::is_cache;
use crate::services;
use crate::station::{Listening, Station};
use crate::topology::{Cni, Network};
use crate::world;

/// A running lab, until it is dropped.
#[derive(Debug)]
pub struct Lab {
    schedule: Schedule,
    network: Network,
    prober: Prober,
    names: Arc<Names>,
    /// Where UDP has been translated, on any node, since all Services were as they should be.
    translated: BTreeSet<services::Place>,
}

impl Lab {
    /// Builds the cluster of a schedule. Everything in it answers when this returns; no
    /// policy holds yet.
    ///
    /// # Errors
    /// If the kernel does not permit it, or lacks something that the lab needs.
    pub async fn build(schedule: Schedule, cni: Cni, probing: Settings) -> Result<Self, LabError> {
        raise_file_limit();
        let mut network = Network::empty(cni);
        network.take_over(&schedule).await?;
        let mut lab = Self {
            names: Arc::new(Names::new(Zone::new(&schedule.snapshot))),
            schedule,
            network,
            prober: Prober::new(Arc::default(), probing),
            translated: BTreeSet::new(),
        };
        lab.complete().await?;
        Ok(lab)
    }

    /// Whether the lab can become this.
    ///
    /// # Errors
    /// If it would have other nodes, or cannot be built.
    pub fn check(&self, schedule: &Schedule) -> Result<(), LabError> {
        if let Some(other) = difference(&self.schedule, schedule) {
            return Err(LabError::NodesStay(other));
        }
        self.network.check(schedule)
    }

    /// Takes over a schedule with the same nodes: pods that are not in it are gone when this
    /// returns. Those that are new are known, so that policies can hold for them, and come
    /// with [`Lab::complete`].
    ///
    /// # Errors
    /// If the lab cannot become this, or the kernel refuses.
    pub async fn take_over(&mut self, schedule: Schedule) -> Result<(), LabError> {
        self.check(&schedule)?;
        let taken = self.network.take_over(&schedule).await;
        let network = &self.network;
        self.prober
            .retain(|number| network.namespace(number).is_some());
        self.schedule = schedule;
        taken
    }

    /// Makes what is scheduled and not there. Everything answers when this returns.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub async fn complete(&mut self) -> Result<(), LabError> {
        self.network.complete().await?;
        let listening = listening(&self.schedule, &self.network);
        let none = Listening::default();
        // The switch has a station too, so that all namespaces have one.
        for (number, namespace) in self.network.namespaces() {
            let listening = listening.get(&number).unwrap_or(&none);
            if let Some(station) = self.prober.station(number) {
                station.listen(listening).await?;
                continue;
            }
            let station = Station::open(
                namespace,
                number,
                &self.schedule.families,
                listening,
                &self.names,
                self.prober.arrivals(),
            );
            let station = station.await?;
            self.prober.add(station);
        }
        self.install_services().await?;
        self.names.replace(Zone::new(&self.schedule.snapshot));
        Ok(())
    }

    /// Makes every node translate for the Services, and for none that were before.
    async fn install_services(&mut self) -> Result<(), LabError> {
        let snapshot = &self.schedule.snapshot;
        let nodes = 0..self.schedule.nodes.len();
        let nodes: Vec<&Namespace> = nodes.filter_map(|i| self.network.node(i)).collect();
        let entrances = nodes
            .iter()
            .map(|n| services::entrances(n.name(), snapshot));
        let entrances: BTreeSet<services::Place> = entrances.flatten().collect();
        // Where this fails, some nodes have the new Services, and others the old ones.
        self.translated.extend(&entrances);
        for node in nodes {
            services::install(node, snapshot).await?;
            services::forget_stale(node, &self.translated, snapshot).await?;
        }
        self.translated = entrances;
        Ok(())
    }

    /// Lets go of pods that are gone, and ends the processes that are still in their network;
    /// says of those that cannot be ended that they go on. Until then nobody else gets the
    /// numbers of their open files.
    pub async fn let_go(&mut self) -> Vec<String> {
        let going_on = end_all_in(self.network.leaving()).await;
        self.network.let_go();
        going_on
    }

    /// Ends the processes that are in its network, and says of those that cannot be ended that
    /// they go on. Without it they would, alone with a loopback device.
    pub async fn end(&self) -> Vec<String> {
        let all = self.network.namespaces();
        let all: Vec<Namespace> = all.map(|(_, namespace)| namespace.clone()).collect();
        end_all_in(&all).await
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
        node.bridges = self.network.plan.bridges(index);
        for endpoint in &mut node.endpoints {
            let (plan, pod) = (&self.network.plan, endpoint.pod.0 as usize);
            let endpoint = Arc::make_mut(endpoint);
            endpoint.interface = plan.interfaces.get(pod).cloned().flatten();
            endpoint.port = plan.ports.get(pod).cloned().flatten();
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
}

/// How the nodes of two schedules differ, as the end of a sentence.
fn difference(old: &Schedule, new: &Schedule) -> Option<String> {
    let names = |schedule: &Schedule| -> BTreeSet<Arc<str>> {
        let nodes = schedule.nodes.iter();
        nodes.map(|node| Arc::clone(&node.name)).collect()
    };
    let (before, after) = (names(old), names(new));
    if let Some(name) = after.difference(&before).next() {
        return Some(format!("add the node {name}"));
    }
    if let Some(name) = before.difference(&after).next() {
        return Some(format!("take away the node {name}"));
    }
    // The namespaces of nodes are known by their order.
    let mut nodes = old.nodes.iter().zip(&new.nodes);
    if let Some((node, _)) = nodes.find(|(a, b)| a.name != b.name || a.addresses != b.addresses) {
        return Some(format!("change the addresses of the node {}", node.name));
    }
    let cluster = |schedule: &Schedule| {
        let families = schedule.families.clone();
        (
            families,
            schedule.api_server.clone(),
            schedule.node_local_dns,
        )
    };
    (cluster(old) != cluster(new)).then(|| "change the network of the nodes".to_owned())
}

/// What each namespace answers on.
fn listening(schedule: &Schedule, network: &Network) -> BTreeMap<usize, Listening> {
    let snapshot = &schedule.snapshot;
    let numbers = network.namespaces().map(|(number, _)| number);
    let mut all: BTreeMap<usize, Listening> = numbers
        .map(|number| (number, Listening::default()))
        .collect();
    for (id, pod) in snapshot.pod_ids() {
        let station = network.plan.pods.get(id.0 as usize).copied();
        let Some(own) = station.and_then(|station| all.get_mut(&station)) else {
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
            match station.and_then(|station| all.get_mut(&station)) {
                Some(own) => {
                    own.ports.insert((translation.protocol, *port));
                }
                None => {
                    elsewhere.insert((translation.protocol, *port));
                }
            }
        }
    }
    if let Some(own) = all.get_mut(&network.plan.world) {
        let tcp = world::TCP_PORTS.map(|port| (Protocol::Tcp, port));
        let udp = world::UDP_PORTS.map(|port| (Protocol::Udp, port));
        own.ports = tcp.into_iter().chain(udp).chain(elsewhere).collect();
        own.dns.insert(53);
    }
    for (station, at) in on_link::listeners(schedule, network) {
        if let Some(own) = all.get_mut(&station) {
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
