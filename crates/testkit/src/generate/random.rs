//! Small clusters with many coincidences: few labels, few numbers, addresses at the
//! edges of blocks, equal priorities. A cluster is its seed.

mod addresses;
mod network_policies;
mod packets;
mod selectors;
mod services;
mod shrink;
mod tiered_policies;
mod workloads;

pub use packets::Questions;

use std::sync::Arc;

use ringfence_engine::{Packet, Peer, Verdict};
use ringfence_model::address::IpFamily;
use ringfence_model::diagnostic::Diagnostic;
use ringfence_model::parse::{Object, Sources, TypedObject};
use ringfence_model::policy::Policy;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::Snapshot;
use ringfence_model::snapshot::builder::{BuildOptions, SnapshotBuilder};

use super::dice::Dice;
use super::manifest;

/// A generated cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The seed it was made from.
    pub seed: u64,
    /// What the objects do not say.
    pub options: BuildOptions,
    /// Its objects.
    pub objects: Vec<Object>,
}

/// The namespaces that things may be in.
const NAMESPACES: [&str; 3] = ["x", "y", "z"];

impl Cluster {
    /// The cluster with this seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let mut typed = workloads::namespaces(&mut dice);
        typed.extend(workloads::nodes(&mut dice));
        typed.extend(workloads::workloads(&mut dice));
        typed.extend(workloads::ingress(&mut dice));
        let policies = network_policies::network_policies(&mut dice)
            .into_iter()
            .chain(tiered_policies::tiered_policies(&mut dice));
        typed.extend(policies.map(|policy| TypedObject::Policy(Box::new(policy))));
        typed.extend(services::services(&mut Dice::new(seed.rotate_left(32))));
        Self {
            seed,
            options: options(&mut dice),
            objects: typed
                .into_iter()
                .map(|typed| Object {
                    origin: None,
                    typed,
                })
                .collect(),
        }
    }

    /// The snapshot of the cluster; its objects have no sources.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::new(self.build().0)
    }

    /// The snapshot, and what building had to say.
    #[must_use]
    pub fn build(&self) -> (Snapshot, Vec<Diagnostic>) {
        let mut builder = SnapshotBuilder::new(self.options.clone());
        builder.add(self.objects.iter().cloned());
        builder.build(&Sources::default())
    }

    /// Its policies.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.objects
            .iter()
            .filter_map(|object| match &object.typed {
                TypedObject::Policy(policy) => Some(&**policy),
                _ => None,
            })
    }

    /// Its objects as text.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        manifest::to_yaml(&self.objects)
    }

    /// Every cluster that has one thing less: an object, a rule, a peer, a port.
    #[must_use]
    pub fn variations(&self) -> Vec<Self> {
        shrink::smaller(self)
    }

    /// The smallest cluster that can be had from this one by leaving things out and
    /// for which `fails` still holds.
    #[must_use]
    pub fn shrink(&self, fails: &dyn Fn(&Self) -> bool) -> Self {
        shrink::shrink(self, fails)
    }

    /// An `expected.yaml` for this cluster that asks one question.
    #[must_use]
    pub fn expected_yaml(&self, snapshot: &Snapshot, packet: &Packet, verdict: Verdict) -> String {
        let port = match packet.protocol {
            Protocol::Icmp => "icmp".to_owned(),
            protocol => format!("{}/{protocol}", packet.port),
        };
        let families = match &self.options.families {
            Some(families) => format!(", families: [{}]", comma_separated(families)),
            None => String::new(),
        };
        let through = match packet.through_service {
            Some(frontend) => {
                let service = snapshot.service(frontend.service);
                format!(
                    ", through: \"{}/{}:{}\"",
                    snapshot.namespace(service.namespace).name,
                    service.name,
                    frontend.port
                )
            }
            None => String::new(),
        };
        format!(
            "why: generated with seed {}\n\
             settings: {{podCidrs: [{}]{families}}}\n\
             cases:\n  - {{from: {}, to: {}, port: {port}, family: {}{through}, verdict: {verdict}}}\n",
            self.seed,
            comma_separated(&self.options.pod_cidrs),
            endpoint(snapshot, packet.source),
            endpoint(snapshot, packet.destination),
            packet.family,
        )
    }
}

fn comma_separated<T: ToString>(items: &[T]) -> String {
    let texts: Vec<String> = items.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

/// An end of a packet as fixtures write it.
fn endpoint(snapshot: &Snapshot, peer: Peer) -> String {
    match peer {
        Peer::Address(address) => format!("\"{address}\""),
        Peer::Pod(id) => {
            let pod = snapshot.pod(id);
            let workload = snapshot.workload(pod.workload);
            let kind = match snapshot.find_pod(&snapshot.namespace(pod.namespace).name, &pod.name) {
                Some(found) if found == id => "Pod",
                _ => &workload.kind,
            };
            format!(
                "\"{}/{kind}/{}\"",
                snapshot.namespace(pod.namespace).name,
                pod.name
            )
        }
    }
}

fn options(dice: &mut Dice) -> BuildOptions {
    let families = match dice.below(10) {
        0..=4 => None,
        5 => Some(vec![IpFamily::V4]),
        6 => Some(vec![IpFamily::V6]),
        _ => Some(vec![IpFamily::V4, IpFamily::V6]),
    };
    BuildOptions {
        pod_cidrs: addresses::pod_cidrs(dice),
        families,
        ..BuildOptions::default()
    }
}
