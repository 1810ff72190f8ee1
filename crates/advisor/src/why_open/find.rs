//! Looks for what a pod can open, and for the rules that let it out.

use std::collections::BTreeMap;

use ipnet::IpNet;
use ringfence_engine::explain::{DecidedBy, Effect};
use ringfence_engine::reach::{OpenPorts, OutsideRegion};
use ringfence_engine::sets::PortSet;
use ringfence_engine::{MatchingRule, Packet, Peer, Verdict};
use ringfence_model::address::{IpFamily, private_networks, public_internet};
use ringfence_model::policy::{Direction, Tier};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{NamespaceId, PodId, PodKind, WorkloadId};
use ringfence_model::tri::Tri;

use super::reached::{Cause, Destination, Opener, Reached};
use crate::context::{Context, InternetReach, PortWidth};
use crate::finding::{Place, Witness};

/// Looks for what a pod reaches.
pub(super) struct Finder<'c, 'a> {
    context: &'c Context<'a>,
    pod: PodId,
    /// Why packets are let out to which the same rules apply.
    known: BTreeMap<(Vec<MatchingRule>, bool, Verdict), Vec<Opener>>,
}

impl<'c, 'a> Finder<'c, 'a> {
    pub(super) fn new(context: &'c Context<'a>, pod: PodId) -> Self {
        Self {
            context,
            pod,
            known: BTreeMap::new(),
        }
    }

    pub(super) fn metadata(&mut self, index: usize, found: &mut Vec<Reached>) {
        let context = self.context;
        for exposure in context.exposures().get(index).into_iter().flatten() {
            let to = Peer::Address(exposure.address);
            let port = exposure.telling_port();
            let family = IpFamily::of(exposure.address);
            let (by, witness) = self.why_of(to, family, &[port]);
            let alike = found
                .iter_mut()
                .find(|reached| reached.open == exposure.open && reached.by == by);
            match alike.map(|reached| &mut reached.what) {
                Some(Destination::Metadata(addresses)) => addresses.push(exposure.address),
                _ => found.push(Reached {
                    what: Destination::Metadata(vec![exposure.address]),
                    open: exposure.open.clone(),
                    by,
                    too_wide: match exposure.open.allow.is_empty() {
                        false => Tri::Yes,
                        true => Tri::Unknown,
                    },
                    witness,
                }),
            }
        }
    }

    pub(super) fn outside(&mut self, found: &mut Vec<Reached>) {
        let context = self.context;
        let families = context.snapshot.families_of(context.snapshot.pod(self.pod));
        for family in families.iter().copied() {
            let public = public_internet(family).to_nets();
            let regions = self.regions(family, &public);
            let is_wide = is_all_of_the_internet(&regions);
            for region in regions {
                let too_wide = is_wide.and(every_port_is_open(&region.open));
                self.region(region, family, too_wide, Destination::Internet, found);
            }
            let private = private_networks(family).to_nets();
            for region in self.regions(family, &private) {
                self.region(region, family, Tri::No, Destination::Private, found);
            }
        }
    }

    fn regions(&self, family: IpFamily, nets: &[IpNet]) -> Vec<OutsideRegion> {
        let engine = self.context.engine;
        let regions = engine.outside(self.pod, Direction::Egress, family, nets);
        let is_closed = |region: &OutsideRegion| possible(&region.open).is_empty();
        regions.into_iter().filter(|r| !is_closed(r)).collect()
    }

    fn region(
        &mut self,
        region: OutsideRegion,
        family: IpFamily,
        too_wide: Tri,
        what: fn(Vec<IpNet>) -> Destination,
        found: &mut Vec<Reached>,
    ) {
        let Some(first) = region.addresses.first() else {
            return;
        };
        let to = Peer::Address(first.addr());
        let (by, witness) = self.why_of(to, family, &telling_ports(&region.open));
        found.push(Reached {
            what: what(region.addresses),
            open: region.open,
            by,
            too_wide,
            witness,
        });
    }

    pub(super) fn workloads(&mut self, found: &mut Vec<Reached>) {
        let context = self.context;
        let (snapshot, engine) = (context.snapshot, context.engine);
        let source = snapshot.pod(self.pod);
        let families = snapshot.families_of(source);
        let mut by_workload: BTreeMap<WorkloadId, (OpenPorts, PodId, IpFamily)> = BTreeMap::new();
        for (id, other) in snapshot.pod_ids() {
            let is_real = other.kind != PodKind::Outside && !context.dns.is_assumed(id);
            if !is_real || other.workload == source.workload {
                continue;
            }
            let theirs = snapshot.families_of(other);
            for family in families.iter().filter(|family| theirs.contains(family)) {
                let open = engine.ports(Peer::Pod(self.pod), Peer::Pod(id), *family);
                if possible(&open).is_empty() {
                    continue;
                }
                by_workload
                    .entry(other.workload)
                    .and_modify(|(known, pod, shown)| {
                        if known.allow.is_empty() && !open.allow.is_empty() {
                            (*pod, *shown) = (id, *family);
                        }
                        let allow = known.allow.union(&open.allow);
                        known.maybe = known.maybe.union(&open.maybe).difference(&allow);
                        known.allow = allow;
                    })
                    .or_insert((open, id, *family));
            }
        }
        let is_wide = self.is_every_namespace(&by_workload);
        let own = source.namespace;
        let first = found.len();
        for (workload, (open, pod, family)) in by_workload {
            let namespace = snapshot.workload(workload).namespace;
            let (by, witness) = self.why_of(Peer::Pod(pod), family, &telling_ports(&open));
            let alike = found.iter_mut().skip(first).find(|reached| {
                let same_place =
                    matches!(reached.what, Destination::Workloads(n, _) if n == namespace);
                same_place && reached.open == open && reached.by == by
            });
            match alike.map(|reached| &mut reached.what) {
                Some(Destination::Workloads(_, workloads)) => workloads.push(workload),
                _ => {
                    let too_wide = match namespace == own {
                        true => Tri::No,
                        false => is_wide.and(every_port_is_open(&open)),
                    };
                    found.push(Reached {
                        what: Destination::Workloads(namespace, vec![workload]),
                        open,
                        by,
                        too_wide,
                        witness,
                    });
                }
            }
        }
    }

    /// Whether every port of some workload is open in every other namespace that has one, or
    /// in all but a few.
    fn is_every_namespace(
        &self,
        reached: &BTreeMap<WorkloadId, (OpenPorts, PodId, IpFamily)>,
    ) -> Tri {
        let snapshot = self.context.snapshot;
        let own = snapshot.pod(self.pod).namespace;
        let mut by_namespace: BTreeMap<NamespaceId, Tri> = BTreeMap::new();
        for group in self.context.groups() {
            if group.namespace != own {
                by_namespace.insert(group.namespace, Tri::No);
            }
        }
        for (workload, (open, ..)) in reached {
            let namespace = snapshot.workload(*workload).namespace;
            if let Some(is_open) = by_namespace.get_mut(&namespace) {
                *is_open = is_open.or(every_port_is_open(open));
            }
        }
        let is_wide = |is_open: fn(Tri) -> bool| {
            let others = by_namespace.iter();
            let others: Vec<(NamespaceId, bool)> =
                others.map(|(id, open)| (*id, is_open(*open))).collect();
            let all = others.iter().all(|(_, is_open)| *is_open);
            !others.is_empty() && (all || self.context.few_left_out(&others).is_some())
        };
        match (is_wide(Tri::certain), is_wide(Tri::possible)) {
            (true, _) => Tri::Yes,
            (false, true) => Tri::Unknown,
            (false, false) => Tri::No,
        }
    }

    /// Why some ports are let out of the pod, and the packet to the first of them.
    fn why_of(
        &mut self,
        to: Peer,
        family: IpFamily,
        ports: &[(Protocol, u16)],
    ) -> (Vec<Opener>, Witness) {
        let first = ports.first().copied().unwrap_or((Protocol::Tcp, 443));
        let (mut by, witness) = self.why(to, family, first);
        for port in ports.iter().skip(1) {
            for opener in self.why(to, family, *port).0 {
                if !by.contains(&opener) {
                    by.push(opener);
                }
            }
        }
        (by, witness)
    }

    /// Why a packet is let out of the pod, and the packet.
    fn why(
        &mut self,
        to: Peer,
        family: IpFamily,
        (protocol, port): (Protocol, u16),
    ) -> (Vec<Opener>, Witness) {
        let context = self.context;
        let witness = context.witness(Packet {
            source: Peer::Pod(self.pod),
            destination: to,
            family,
            protocol,
            port,
            through_service: None,
        });
        let rules = context.engine.matching_rules(
            self.pod,
            Direction::Egress,
            to,
            family,
            (protocol, port),
        );
        let in_node = match to {
            Peer::Pod(other) => context.snapshot.pod(other).host_network,
            Peer::Address(_) => false,
        };
        let key = (rules, in_node, witness.verdict);
        let by = match self.known.get(&key) {
            Some(by) => by.clone(),
            None => {
                let by = openers(context, &witness.packet);
                self.known.insert(key, by.clone());
                by
            }
        };
        (by, witness)
    }
}

/// What lets a packet out of its source.
fn openers(context: &Context<'_>, packet: &Packet) -> Vec<Opener> {
    let egress = context.explain(packet).egress;
    let alone = |cause, text: &str| {
        vec![Opener {
            cause,
            text: text.to_owned(),
            place: None,
        }]
    };
    match egress.decided_by {
        DecidedBy::HostNetwork => alone(
            Cause::HostNetwork,
            "no policy applies to the network of a node",
        ),
        DecidedBy::OwnNode => alone(Cause::OwnNode, "a pod and its node always reach each other"),
        DecidedBy::DefaultAllow | DecidedBy::NotAPod | DecidedBy::SamePod => {
            alone(Cause::NotIsolated, "no policy isolates its egress")
        }
        DecidedBy::Tier(_) | DecidedBy::Undetermined => {
            let reasons = egress.reasons.iter().filter(|reason| {
                reason.decisive && matches!(reason.effect, Effect::Allows | Effect::MayMatch)
            });
            let openers: Vec<Opener> = reasons
                .map(|reason| {
                    let policy = context.snapshot.policy(reason.policy);
                    let name = policy.display_name();
                    let verb = match reason.effect {
                        Effect::Allows => "allowed by",
                        _ => "perhaps allowed by",
                    };
                    let text = match reason.rule {
                        Some(rule) => format!("{verb} {name}, egress rule {}", rule + 1),
                        None => format!("{verb} {name}"),
                    };
                    Opener {
                        cause: match policy.tier() {
                            Tier::NetworkPolicy => Cause::Rule(reason.policy),
                            Tier::Admin | Tier::Baseline => Cause::ClusterWide(reason.policy),
                        },
                        text,
                        place: policy
                            .origin
                            .as_ref()
                            .map(|origin| Place::value(origin, reason.path.clone(), "")),
                    }
                })
                .collect();
            match openers.is_empty() {
                true => alone(Cause::Unclear, "it depends on what the input does not say"),
                false => openers,
            }
        }
    }
}

fn possible(open: &OpenPorts) -> PortSet {
    open.allow.union(&open.maybe)
}

fn every_tcp_port(ports: &PortSet) -> bool {
    PortWidth::of(ports, Protocol::Tcp) == Some(PortWidth::Every)
}

pub(super) fn every_port_is_open(open: &OpenPorts) -> Tri {
    match (every_tcp_port(&open.allow), every_tcp_port(&possible(open))) {
        (true, _) => Tri::Yes,
        (false, true) => Tri::Unknown,
        (false, false) => Tri::No,
    }
}

/// Whether every port of most of the internet is open.
fn is_all_of_the_internet(regions: &[OutsideRegion]) -> Tri {
    let is_wide = |ports: fn(&OpenPorts) -> PortSet| {
        let wide = regions.iter().map(|region| OutsideRegion {
            addresses: region.addresses.clone(),
            open: OpenPorts {
                allow: ports(&region.open),
                maybe: PortSet::none(),
            },
        });
        let regions = wide.filter(|r| every_tcp_port(&r.open.allow)).collect();
        InternetReach { regions }.is_wide()
    };
    match (is_wide(|open| open.allow.clone()), is_wide(possible)) {
        (true, _) => Tri::Yes,
        (false, true) => Tri::Unknown,
        (false, false) => Tri::No,
    }
}

/// Ports that are asked about at most, to find the rules that open them.
const ASKED: usize = 6;

/// A port that tells most, and the first of each range of what is open for certain; or of
/// what may be, where nothing is.
fn telling_ports(open: &OpenPorts) -> Vec<(Protocol, u16)> {
    let ports = match open.allow.is_empty() {
        true => &open.maybe,
        false => &open.allow,
    };
    let mut telling = vec![telling_port(open)];
    for protocol in Protocol::WITH_PORTS {
        for (start, _) in ports.ranges(protocol) {
            if telling.len() < ASKED && !telling.contains(&(protocol, start)) {
                telling.push((protocol, start));
            }
        }
    }
    telling
}

/// A port that is open, or may be: the web's first, for that is what people try.
fn telling_port(open: &OpenPorts) -> (Protocol, u16) {
    for ports in [&open.allow, &open.maybe] {
        for port in [443, 80] {
            if ports.contains(Protocol::Tcp, port) {
                return (Protocol::Tcp, port);
            }
        }
        for protocol in Protocol::WITH_PORTS {
            if let Some((start, _)) = ports.ranges(protocol).first() {
                return (protocol, *start);
            }
        }
        if ports.has_icmp() {
            return (Protocol::Icmp, 0);
        }
    }
    (Protocol::Tcp, 443)
}
