//! From two endpoints to packets: which pods, ports, families and addresses are
//! behind a question, judged one by one and put together by outcome.

mod destination;
mod family;
mod outcome;

pub(crate) use outcome::{Answer, Outcome, Party, Via};

use std::net::IpAddr;

use ipnet::IpNet;
use ringfence_engine::reach::{OpenPorts, OutsideRegion};
use ringfence_engine::sets::PortSet;
use ringfence_engine::{Engine, Peer};
use ringfence_model::address::IpFamily;
use ringfence_model::policy::Direction;
use ringfence_model::snapshot::{PodId, Snapshot};

use crate::endpoint::{PortWord, Target, TargetKind};
use destination::{Destination, destinations};
use outcome::{Collector, Judged};

/// A question that cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QuestionError {
    #[error("a service accepts connections and opens none: name a workload as the source")]
    ServiceAsSource,
    #[error("both ends are outside the cluster: policies apply to pods only")]
    BothOutside,
    #[error("a port belongs to the destination, not to the source")]
    SourcePort,
    #[error("service {service} has no port {port}{hint}")]
    NoServicePort {
        service: String,
        port: String,
        hint: String,
    },
    #[error("no container of {name} declares a port named `{port}`{hint}")]
    NoNamedPort {
        name: String,
        port: String,
        hint: String,
    },
    #[error("port `{0}` is a name, and names mean something only on pods: write a number")]
    NamedPortOfAddress(String),
    #[error("service {0} leads nowhere: no pod or endpoint in the input is behind it")]
    NothingBehind(String),
    #[error(
        "service {service} leads nowhere: its pods declare no port named {port}, which is its target port"
    )]
    NoTargetPort { service: String, port: String },
    #[error("service {0} is another name for {1}, which is outside the cluster: name its address")]
    ExternalName(String, String),
    #[error("which ports must be permitted? addresses declare none: give `ports`")]
    PortsNeeded,
    #[error("the two ends have no address family in common")]
    NoCommonFamily,
}

/// Which ports to ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ports<'a> {
    /// Those that the destination was named with; without any, those that its word
    /// implies, or its pods declare, or its service has.
    AsNamed,
    /// These.
    These(&'a [PortWord]),
    /// Every port of every protocol, and ICMP.
    All,
}

/// Judges every packet from `from` to `to`.
pub(crate) fn judge(
    engine: &Engine,
    from: &Target,
    to: &Target,
    ports: &Ports<'_>,
) -> Result<Answer, QuestionError> {
    if from.port.is_some() {
        return Err(QuestionError::SourcePort);
    }
    let snapshot = engine.snapshot();
    let (destinations, mut notes) = destinations(snapshot, to, ports, &engine.profile())?;
    let mut collector = Collector::new(snapshot);
    match &from.kind {
        TargetKind::Service(_) if from.implied_ports.is_empty() => {
            return Err(QuestionError::ServiceAsSource);
        }
        TargetKind::Addresses { word, nets } => {
            let outside = Outside {
                nets,
                by_word: word.is_some(),
            };
            for destination in &destinations {
                let Destination::Pods { via, pods } = destination else {
                    return Err(QuestionError::BothOutside);
                };
                for (pod, ports) in pods {
                    from_addresses(engine, outside, (*pod, ports), via.as_ref(), &mut collector);
                }
            }
        }
        TargetKind::Workloads(_) | TargetKind::Pod(_) | TargetKind::Service(_) => {
            let sources = pods_of(snapshot, from);
            for destination in &destinations {
                for source in &sources {
                    from_pod(engine, *source, destination, &mut collector);
                }
            }
        }
    }
    let outcomes = collector.finish();
    if outcomes.is_empty() {
        return Err(QuestionError::NoCommonFamily);
    }
    notes.sort();
    notes.dedup();
    Ok(Answer { outcomes, notes })
}

/// The pods of a target, those behind a service included.
fn pods_of(snapshot: &Snapshot, target: &Target) -> Vec<PodId> {
    if let TargetKind::Pod(pod) = target.kind {
        return vec![pod];
    }
    let workloads = target.selection(snapshot).workloads.unwrap_or_default();
    workloads
        .into_iter()
        .flat_map(|id| snapshot.workload(id).pod_ids())
        .collect()
}

fn from_pod(engine: &Engine, source: PodId, destination: &Destination, into: &mut Collector<'_>) {
    let snapshot = engine.snapshot();
    match destination {
        Destination::Pods { via, pods } => {
            for (pod, ports) in pods {
                // Of a workload with several pods, a pod and itself is no connection.
                if *pod == source && into.has_other_pods(source) {
                    continue;
                }
                for family in family::between(snapshot, source, *pod) {
                    let ends = (Peer::Pod(source), Peer::Pod(*pod));
                    into.add(&Judged {
                        source: ends.0,
                        destination: ends.1,
                        addresses: None,
                        family,
                        is_of_unseen_family: false,
                        via: via.as_ref(),
                        asked: ports,
                        open: match via {
                            Some(via) => engine.ports_through_service(
                                source,
                                ends.1,
                                family,
                                via.protocol,
                                via.frontend(),
                            ),
                            None => engine.ports(ends.0, ends.1, family),
                        },
                    });
                }
            }
        }
        Destination::Addresses {
            via,
            nets,
            by_word,
            ports,
        } => {
            if let Some(via) = via
                && engine.profile().judges_before_dnat
            {
                to_addresses_of_service(engine, source, (via, nets), ports, into);
                return;
            }
            let outside = Outside {
                nets,
                by_word: *by_word,
            };
            for region in regions(engine, source, Direction::Egress, outside) {
                into.add(&Judged {
                    source: Peer::Pod(source),
                    destination: Peer::Address(region.address),
                    addresses: Some(&region.addresses),
                    family: region.family,
                    is_of_unseen_family: region.is_of_unseen_family,
                    via: via.as_ref(),
                    asked: ports,
                    open: region.open,
                });
            }
        }
    }
}

/// Of a service that leads to addresses, egress rules see the service.
fn to_addresses_of_service(
    engine: &Engine,
    source: PodId,
    (via, nets): (&Via, &[IpNet]),
    ports: &PortSet,
    into: &mut Collector<'_>,
) {
    let snapshot = engine.snapshot();
    for net in nets {
        for family in family::towards(snapshot, source, std::slice::from_ref(net), false) {
            let destination = Peer::Address(net.addr());
            let (protocol, frontend) = (via.protocol, via.frontend());
            into.add(&Judged {
                source: Peer::Pod(source),
                destination,
                addresses: Some(std::slice::from_ref(net)),
                family,
                is_of_unseen_family: false,
                via: Some(via),
                asked: ports,
                open: engine.ports_through_service(source, destination, family, protocol, frontend),
            });
        }
    }
}

fn from_addresses(
    engine: &Engine,
    outside: Outside<'_>,
    (pod, ports): (PodId, &PortSet),
    via: Option<&Via>,
    into: &mut Collector<'_>,
) {
    for region in regions(engine, pod, Direction::Ingress, outside) {
        into.add(&Judged {
            source: Peer::Address(region.address),
            destination: Peer::Pod(pod),
            addresses: Some(&region.addresses),
            family: region.family,
            is_of_unseen_family: region.is_of_unseen_family,
            via,
            asked: ports,
            open: region.open,
        });
    }
}

/// Addresses that a question names.
#[derive(Clone, Copy)]
struct Outside<'a> {
    nets: &'a [IpNet],
    /// Whether they stand behind a word (`internet`), which means addresses of whichever
    /// families the cluster has.
    by_word: bool,
}

/// Addresses outside the cluster that a pod gets along with alike.
struct Region {
    addresses: Vec<IpNet>,
    /// One that stands for all of them.
    address: IpAddr,
    family: IpFamily,
    is_of_unseen_family: bool,
    open: OpenPorts,
}

impl Region {
    fn new(region: OutsideRegion, family: IpFamily) -> Option<Self> {
        let address = outcome::representative(&region.addresses)?;
        Some(Self {
            addresses: region.addresses,
            address,
            family,
            is_of_unseen_family: false,
            open: region.open,
        })
    }
}

/// How a pod and the addresses get along. Together the regions are every address that the
/// pod has a family for; behind a word, those of a family that nothing in the input shows
/// are among them where more is open to them.
fn regions(engine: &Engine, pod: PodId, direction: Direction, outside: Outside<'_>) -> Vec<Region> {
    let snapshot = engine.snapshot();
    let of_family = |family: IpFamily| {
        let regions = engine.outside(pod, direction, family, outside.nets);
        regions
            .into_iter()
            .filter_map(move |region| Region::new(region, family))
    };
    let families = family::towards(snapshot, pod, outside.nets, outside.by_word);
    let mut found: Vec<Region> = families.into_iter().flat_map(of_family).collect();
    if !outside.by_word {
        return found;
    }
    let open = found.iter().map(|region| &region.open.allow);
    let open = open.fold(PortSet::none(), |all, ports| all.union(ports));
    for family in snapshot.unseen_families(snapshot.pod(pod)) {
        found.extend(of_family(family).filter_map(|region| {
            let maybe = region
                .open
                .allow
                .union(&region.open.maybe)
                .difference(&open);
            let unseen = Region {
                is_of_unseen_family: true,
                open: OpenPorts {
                    allow: PortSet::none(),
                    maybe,
                },
                ..region
            };
            (!unseen.open.maybe.is_empty()).then_some(unseen)
        }));
    }
    found
}
