//! The pods: those that manifests list, and replicas of templates.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ringfence_model::address::IpFamily;
use ringfence_model::k8s_openapi::api::core::v1::{
    Container, ContainerPort, HostIP, Pod as PodObject, PodIP, PodSpec, PodStatus,
};
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use ringfence_model::labels::UnknownKeys;
use ringfence_model::parse::{Object, TypedObject};
use ringfence_model::snapshot::builder::BuildOptions;
use ringfence_model::snapshot::{Pod, PodKind, Snapshot, Workload};

use super::addresses::Addresses;
use super::nodes::Placed;
use super::objects::{hash_word, metadata, one_of_each};
use super::placement::{Place, Placement};
use super::{Options, ScheduleError, ScheduledNode};

/// The pods of a cluster.
pub(super) struct Pods {
    pub(super) objects: Vec<Object>,
    /// How many of them are the input's: the others are those that every cluster has.
    pub(super) of_input: usize,
}

pub(super) fn place(
    snapshot: &Snapshot,
    nodes: &[Placed],
    options: &Options,
    addresses: &mut Addresses,
    notes: &mut Vec<String>,
) -> Result<Pods, ScheduleError> {
    let mut placing = Placing {
        snapshot,
        nodes: nodes.iter().map(|placed| &placed.node).collect(),
        running: &options.placed,
        addresses,
        notes,
        // Where it was left.
        next: options.placed.pod_count(),
        placed: Vec::new(),
        left_out: 0,
        idle: Vec::new(),
    };
    let mut of_input = 0;
    for workload in &snapshot.workloads {
        for id in workload.pod_ids() {
            let pod = snapshot.pod(id);
            let before = placing.placed.len();
            match pod.kind {
                PodKind::Single => placing.keep(workload, pod)?,
                PodKind::Template => placing.replicas(workload, pod, options)?,
                PodKind::Outside => {}
            }
            if pod.origin.is_some() {
                of_input += placing.placed.len() - before;
            }
        }
        if placing.placed.len() > options.most_pods {
            return Err(ScheduleError::TooMany {
                what: "pods",
                count: placing.placed.len(),
                most: options.most_pods,
            });
        }
    }
    if placing.left_out > 0 {
        let count = placing.left_out;
        let plural = if count == 1 { "" } else { "s" };
        placing.notes.push(format!(
            "{count} replica{plural} left out: at most {} of one workload run here",
            options.replicas.max(1)
        ));
    }
    placing.note_idle();
    Ok(Pods {
        objects: placing.placed,
        of_input,
    })
}

/// As many workloads that are scaled to zero are named.
const MOST_NAMED: usize = 5;

struct Placing<'a> {
    snapshot: &'a Snapshot,
    nodes: Vec<&'a ScheduledNode>,
    /// Pods that run stay where they are.
    running: &'a Placement,
    addresses: &'a mut Addresses,
    notes: &'a mut Vec<String>,
    /// The node of the next pod that no other reason puts somewhere.
    next: usize,
    placed: Vec<Object>,
    left_out: u32,
    /// The workloads that are scaled to zero.
    idle: Vec<String>,
}

impl Placing<'_> {
    /// A pod that the manifests list.
    fn keep(&mut self, workload: &Workload, pod: &Pod) -> Result<(), ScheduleError> {
        let name = Arc::clone(&pod.name);
        self.put(workload, pod, &name, None)
    }

    /// The pods that a controller would make.
    fn replicas(
        &mut self,
        workload: &Workload,
        template: &Pod,
        options: &Options,
    ) -> Result<(), ScheduleError> {
        if &*workload.kind == "DaemonSet" {
            let names: Vec<Arc<str>> = self.nodes.iter().map(|node| node.name.clone()).collect();
            for (index, node) in names.iter().enumerate() {
                let name = replica_name(workload, index);
                self.put(workload, template, &name, Some((index, node)))?;
            }
            return Ok(());
        }
        let wanted = workload.replicas.unwrap_or(1);
        if wanted == 0 {
            let namespace = &self.snapshot.namespace(workload.namespace).name;
            let (kind, name) = (&workload.kind, &workload.name);
            self.idle.push(format!("{kind} {namespace}/{name}"));
            return Ok(());
        }
        let count = wanted.clamp(1, options.replicas.max(1));
        self.left_out += wanted.saturating_sub(count);
        for index in 0..count as usize {
            let name = replica_name(workload, index);
            let node = self.node_for(template, &name);
            self.put(workload, template, &name, Some((index, &node)))?;
        }
        Ok(())
    }

    /// Says which workloads are scaled to zero.
    fn note_idle(&mut self) {
        let named: Vec<&str> = self.idle.iter().take(MOST_NAMED).map(|n| &**n).collect();
        let more = match self.idle.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let is = match self.idle.len() {
            0 => return,
            1 => "is scaled to zero, and has",
            _ => "are scaled to zero, and have",
        };
        let note = format!("{}{more} {is} no pod here", named.join(", "));
        self.notes.push(note);
    }

    /// The node that the pod runs on already, or else the next one.
    fn node_for(&mut self, pod: &Pod, name: &str) -> Arc<str> {
        let namespace = &self.snapshot.namespace(pod.namespace).name;
        let place = self.running.pod(namespace, name);
        match place.and_then(|place| place.node.clone()) {
            Some(node) => node,
            None => self.next_node(),
        }
    }

    fn next_node(&mut self) -> Arc<str> {
        let index = self.next % self.nodes.len().max(1);
        self.next += 1;
        let node = self.nodes.get(index).map(|node| node.name.clone());
        node.unwrap_or_default()
    }

    /// Adds one pod; `replica` has its number and its node where it is made here.
    fn put(
        &mut self,
        workload: &Workload,
        pod: &Pod,
        name: &str,
        replica: Option<(usize, &Arc<str>)>,
    ) -> Result<(), ScheduleError> {
        let node = match (&pod.node, replica) {
            (Some(node), _) => Arc::clone(node),
            (None, Some((_, node))) => Arc::clone(node),
            (None, None) => self.node_for(pod, name),
        };
        let namespace = Arc::clone(&self.snapshot.namespace(pod.namespace).name);
        let on = self.nodes.iter().find(|n| n.name == node).copied();
        let own = match pod.host_network {
            true => on.map(|node| node.addresses.clone()).unwrap_or_default(),
            false => self.addresses_of(pod, on, &namespace, name)?,
        };
        let mut labels = (*pod.labels.known).clone();
        add_labels(&mut labels, pod.labels.unknown, workload, name, replica);
        let owner = (&*workload.kind != "Pod").then(|| OwnerReference {
            api_version: "apps/v1".to_owned(),
            kind: workload.kind.to_string(),
            name: workload.name.to_string(),
            uid: hash_word(&format!("{namespace}/{}", workload.name), 12),
            controller: Some(true),
            block_owner_deletion: None,
        });
        let object = PodObject {
            metadata: ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                labels: (!labels.is_empty()).then_some(labels),
                owner_references: owner.map(|owner| vec![owner]),
                ..metadata(Some(&namespace), name)
            },
            spec: Some(spec(pod, &node)),
            status: Some(status(&own, on)),
        };
        self.placed.push(Object {
            origin: pod.origin.clone().filter(|_| replica.is_none()),
            typed: TypedObject::Pod(Box::new(object)),
        });
        Ok(())
    }

    /// The addresses that the pod has in the manifests where they can be used, otherwise
    /// those that it runs with, otherwise new ones.
    fn addresses_of(
        &mut self,
        pod: &Pod,
        node: Option<&ScheduledNode>,
        namespace: &Arc<str>,
        name: &str,
    ) -> Result<Vec<IpAddr>, ScheduleError> {
        let usable: Vec<IpAddr> = pod
            .addresses
            .iter()
            .copied()
            .filter(|address| self.addresses.is_usable(*address))
            .collect();
        let kept = one_of_each(&usable, &self.addresses.families);
        if !kept.is_empty() {
            return Ok(kept);
        }
        let running = self.running.pod(namespace, name);
        if let Some(running) = running.filter(|place| self.is_still_its_own(place, node)) {
            return Ok(running.addresses.clone());
        }
        let ranges = node.map(|node| &node.pod_ranges[..]).unwrap_or_default();
        let what = format!("pod {namespace}/{name}");
        let families: Vec<IpFamily> = self.addresses.families.clone();
        let given: Result<Vec<IpAddr>, ScheduleError> = families
            .into_iter()
            .map(|family| self.addresses.for_pod(family, ranges, &what))
            .collect();
        let given = given?;
        if let Some(old) = pod.addresses.first() {
            let new: Vec<String> = given.iter().map(ToString::to_string).collect();
            self.notes.push(format!(
                "{what}: its address {old} cannot be used in the lab, it has {} here",
                new.join(" and ")
            ));
        }
        Ok(given)
    }

    /// Whether a pod can go on as it runs: on this node, with addresses that the manifests
    /// have given to nobody else in the meantime.
    fn is_still_its_own(&self, place: &Place, node: Option<&ScheduledNode>) -> bool {
        let mut addresses = place.addresses.iter();
        place.node.as_ref() == node.map(|node| &node.name)
            && !place.addresses.is_empty()
            && addresses.all(|address| self.snapshot.pod_with_address(*address).is_none())
    }
}

/// What makes pods of a template, by its kind, namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Controller {
    kind: String,
    namespace: String,
    name: String,
}

impl Controller {
    pub(super) fn of(typed: &TypedObject, build: &BuildOptions) -> Self {
        let namespace = typed.namespace().unwrap_or(&build.default_namespace);
        Self {
            kind: typed.kind().to_owned(),
            namespace: namespace.to_owned(),
            name: typed.name().to_owned(),
        }
    }
}

/// The workloads that have no pod among these, because they are scaled to zero.
pub(super) fn without_pods(snapshot: &Snapshot, pods: &[Object]) -> BTreeSet<Controller> {
    let mut idle: BTreeSet<Controller> = snapshot
        .workloads
        .iter()
        .filter(|workload| workload.replicas == Some(0))
        .map(|workload| Controller {
            kind: workload.kind.to_string(),
            namespace: snapshot.namespace(workload.namespace).name.to_string(),
            name: workload.name.to_string(),
        })
        .collect();
    for object in pods {
        let TypedObject::Pod(pod) = &object.typed else {
            continue;
        };
        for owner in pod.metadata.owner_references.iter().flatten() {
            idle.remove(&Controller {
                kind: owner.kind.clone(),
                namespace: pod.metadata.namespace.clone().unwrap_or_default(),
                name: owner.name.clone(),
            });
        }
    }
    idle
}

/// The name that the controller would give, with a word of our own where it is random.
fn replica_name(workload: &Workload, index: usize) -> String {
    let name = &workload.name;
    match &*workload.kind {
        "Pod" => name.to_string(),
        "StatefulSet" => format!("{name}-{index}"),
        "Deployment" | "Rollout" => format!(
            "{name}-{}-{}",
            template_hash(workload),
            hash_word(&format!("{name}/{index}"), 5)
        ),
        kind => format!("{name}-{}", hash_word(&format!("{kind}/{name}/{index}"), 5)),
    }
}

fn template_hash(workload: &Workload) -> String {
    hash_word(&format!("{}/{}", workload.kind, workload.name), 9)
}

/// The labels that a controller adds to the pods it makes.
fn add_labels(
    labels: &mut BTreeMap<String, String>,
    unknown: UnknownKeys,
    workload: &Workload,
    name: &str,
    replica: Option<(usize, &Arc<str>)>,
) {
    let UnknownKeys::These(keys) = unknown else {
        return;
    };
    let index = replica.map_or(0, |(index, _)| index);
    for key in keys {
        let value = match *key {
            "statefulset.kubernetes.io/pod-name" => name.to_owned(),
            "apps.kubernetes.io/pod-index" | "batch.kubernetes.io/job-completion-index" => {
                index.to_string()
            }
            "batch.kubernetes.io/job-name" | "job-name" => workload.name.to_string(),
            "deploymentconfig" | "deployment" => workload.name.to_string(),
            "pod-template-generation" => "1".to_owned(),
            _ => template_hash(workload),
        };
        labels.entry((*key).to_owned()).or_insert(value);
    }
}

fn spec(pod: &Pod, node: &str) -> PodSpec {
    let ports = pod.ports.iter().map(|port| ContainerPort {
        name: port.name.as_ref().map(ToString::to_string),
        protocol: Some(port.protocol.as_str().to_owned()),
        container_port: i32::from(port.port),
        ..ContainerPort::default()
    });
    PodSpec {
        node_name: Some(node.to_owned()),
        host_network: pod.host_network.then_some(true),
        containers: vec![Container {
            name: "main".to_owned(),
            ports: (!pod.ports.is_empty()).then(|| ports.collect()),
            ..Container::default()
        }],
        ..PodSpec::default()
    }
}

fn status(own: &[IpAddr], node: Option<&ScheduledNode>) -> PodStatus {
    let all = own.iter().map(|address| PodIP {
        ip: address.to_string(),
    });
    let hosts: Vec<HostIP> = node
        .map(|node| &node.addresses[..])
        .unwrap_or_default()
        .iter()
        .map(|address| HostIP {
            ip: address.to_string(),
        })
        .collect();
    PodStatus {
        phase: Some("Running".to_owned()),
        pod_ip: own.first().map(ToString::to_string),
        pod_ips: Some(all.collect()),
        host_ip: hosts.first().map(|host| host.ip.clone()),
        host_ips: Some(hosts),
        ..PodStatus::default()
    }
}
