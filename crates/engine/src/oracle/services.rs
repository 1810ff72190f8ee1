//! Egress to a Service, judged before its address is translated.
//!
//! The network policy agent of the AWS VPC CNI looks at packets where they leave the pod,
//! and there they still have the address and port of the Service. Its controller makes up
//! for that: a selector also stands for the Services whose own selector it matches, at the
//! port of the Service that leads to the port of the rule. A block is compared with the
//! address as it is.

use ringfence_model::address::{IpBlock, IpFamily};
use ringfence_model::k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort};
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ringfence_model::labels::{LabelValue, Labels};
use ringfence_model::policy::{Direction, PodSelection, TieredPeer, TieredPort, TieredRule};
use ringfence_model::protocol::Protocol;
use ringfence_model::selector;
use ringfence_model::snapshot::{NamespaceId, Pod, PortRef, Service, assignable_addresses};
use ringfence_model::tri::Tri;

use super::{Oracle, Question};
use crate::packet::Packet;

/// What egress rules see in the place of the endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServiceSeen<'a> {
    service: &'a Service,
    port: u16,
    protocol: Protocol,
    family: IpFamily,
}

/// A port that a rule asks for, as it is written.
struct Wanted {
    /// `None`: any number.
    target: Option<PortRef>,
    /// The end of a range.
    last: Option<i32>,
}

/// The ports of a rule that are of the packet's protocol; `None` for all traffic.
type WantedPorts = Option<Vec<Wanted>>;

impl Oracle<'_> {
    /// The Service, if rules see it. A headless one has no address: clients connect to
    /// the endpoints themselves.
    pub(super) fn service_seen(&self, question: &Question<'_>) -> Option<ServiceSeen<'_>> {
        let (service, port) = self.service_of(question.packet, question.direction)?;
        Some(ServiceSeen {
            service,
            port,
            protocol: question.packet.protocol,
            family: question.packet.family,
        })
    }

    /// The Service and its port, if rules of a direction see them.
    pub(crate) fn service_of(
        &self,
        packet: &Packet,
        direction: Direction,
    ) -> Option<(&Service, u16)> {
        if !self.profile.judges_before_dnat || direction != Direction::Egress {
            return None;
        }
        let frontend = packet.through_service?;
        let service = self.snapshot.services.get(frontend.service.0 as usize)?;
        let has_address = !service.headless && service.external_name.is_none();
        has_address.then_some((service, frontend.port))
    }

    /// Whether the peers and the ports of a rule match.
    pub(super) fn network_policy_rule_on_service(
        &self,
        peers: Option<&[NetworkPolicyPeer]>,
        ports: Option<&[NetworkPolicyPort]>,
        seen: &ServiceSeen<'_>,
        namespace: NamespaceId,
    ) -> (Tri, Tri) {
        let wanted = wanted_by_network_policy(ports, seen.protocol);
        let one = |peer: &NetworkPolicyPeer| {
            if let Some(block) = &peer.ip_block {
                let except = block.except.as_deref().unwrap_or_default();
                let block = IpBlock::parse(&block.cidr, except);
                let covered = block.map_or(Tri::No, |block| seen.in_block(&block));
                return (covered, seen.own_port(&wanted));
            }
            let pods = peer.pod_selector.as_ref();
            let in_namespace = match (&peer.namespace_selector, pods) {
                (None, None) => Tri::No,
                (None, Some(_)) => Tri::from(seen.service.namespace == namespace),
                (Some(s), _) => self.namespace_of_service(s, seen),
            };
            let selected = in_namespace.and(seen.selected(pods));
            (selected, self.port_that_leads_to(&wanted, seen))
        };
        match peers {
            None | Some([]) => (Tri::Yes, seen.own_port(&wanted)),
            Some(peers) => together(peers.iter().map(one)),
        }
    }

    /// Whether the peers and the ports of a rule match; none of its peers is unknown.
    pub(super) fn tiered_rule_on_service(
        &self,
        rule: &TieredRule,
        seen: &ServiceSeen<'_>,
    ) -> (Tri, Tri) {
        let wanted = wanted_by_tiered_policy(rule.ports.as_deref(), seen.protocol);
        together(rule.peers.iter().map(|peer| match peer {
            TieredPeer::Pods(selection) => {
                let (namespaces, pods) = match selection {
                    PodSelection::Namespaces(namespaces) => (namespaces, None),
                    PodSelection::Pods {
                        namespace_selector,
                        pod_selector,
                    } => (namespace_selector, Some(pod_selector)),
                };
                let in_namespace = self.namespace_of_service(namespaces, seen);
                let selected = in_namespace.and(seen.selected(pods));
                (selected, self.port_that_leads_to(&wanted, seen))
            }
            TieredPeer::Networks(cidrs) => {
                let blocks = cidrs.iter().filter_map(|c| IpBlock::parse(c, &[]).ok());
                let covered = Tri::any(blocks.map(|block| seen.in_block(&block)));
                (covered, seen.own_port(&wanted))
            }
            TieredPeer::DomainNames(_) => (Tri::Unknown, seen.own_port(&wanted)),
            TieredPeer::Nodes(_) | TieredPeer::Unrecognized => (Tri::No, Tri::No),
        }))
    }

    fn namespace_of_service(&self, namespaces: &LabelSelector, seen: &ServiceSeen<'_>) -> Tri {
        let namespace = self.snapshot.namespace(seen.service.namespace);
        selector::matches(namespaces, &namespace.labels)
    }

    /// Whether the port of the Service is the one that leads to a port of the rule: by
    /// its target port, as it is written, or else by the ports that pods declare.
    fn port_that_leads_to(&self, wanted: &WantedPorts, seen: &ServiceSeen<'_>) -> Tri {
        let Some(wanted) = wanted else {
            return Tri::Yes;
        };
        Tri::any(wanted.iter().map(|wanted| {
            let Some(target) = &wanted.target else {
                return Tri::Yes;
            };
            // A range begins at the port that was found and ends where the rule says.
            let hit = |first: u16| {
                let range = i32::from(first)..=wanted.last.unwrap_or(0);
                first == seen.port || range.contains(&i32::from(seen.port))
            };
            let of_protocol = |p: &&_| is_of(p, seen.protocol);
            let mut ports = seen.service.ports.iter().filter(of_protocol);
            match ports.find(|port| port.target_port == *target) {
                Some(port) => Tri::from(hit(port.port)),
                None => self.by_pods(target, hit, seen),
            }
        }))
    }

    /// The pods behind the Service are asked one after the other, in no order that is
    /// known, until one tells which port of the Service leads to the target.
    fn by_pods(&self, target: &PortRef, hit: impl Fn(u16) -> bool, seen: &ServiceSeen<'_>) -> Tri {
        let mut told: Vec<(Tri, bool)> = Vec::new();
        let mut any = false;
        for (_, pod) in self.snapshot.pods_in(seen.service.namespace) {
            let behind = is_behind(pod, seen.service);
            any |= behind.possible();
            if let Some(port) = seen.told_by(pod, target).filter(|_| behind.possible()) {
                told.push((behind, hit(port)));
            }
        }
        if !any {
            // Pods that are not in the input would tell.
            return Tri::Unknown;
        }
        let some_miss = told.iter().any(|(_, hit)| !hit);
        match (told.iter().any(|(_, hit)| *hit), some_miss) {
            (false, _) => Tri::No,
            (true, false) if told.iter().any(|(behind, _)| behind.certain()) => Tri::Yes,
            (true, _) => Tri::Unknown,
        }
    }
}

impl ServiceSeen<'_> {
    /// Whether a block covers the address of the Service, which manifests seldom say.
    fn in_block(&self, block: &IpBlock) -> Tri {
        if block.family() != self.family {
            return Tri::No;
        }
        let covered = block.addresses();
        let mut addresses = self.service.cluster_ips.iter();
        if let Some(address) = addresses.find(|a| IpFamily::of(**a) == self.family) {
            return Tri::from(covered.contains(*address));
        }
        let space = assignable_addresses(self.family);
        if space.is_subset(&covered) {
            Tri::Yes
        } else if space.is_disjoint(&covered) {
            Tri::No
        } else {
            Tri::Unknown
        }
    }

    /// Whether a selector of pods, `None` for all, matches what the Service selects by.
    /// Of two addresses, only the first is sure to be listed.
    fn selected(&self, pods: Option<&LabelSelector>) -> Tri {
        let labels: Labels = self.service.selector.iter().flatten().collect();
        let first = self.service.cluster_ips.first();
        let listed = match first.map(|address| IpFamily::of(*address)) {
            Some(family) if family != self.family => Tri::Unknown,
            _ => Tri::Yes,
        };
        pods.map_or(Tri::Yes, |s| selector::matches(s, &labels))
            .and(listed)
    }

    /// Whether a rule names the port of the Service itself, by number.
    fn own_port(&self, wanted: &WantedPorts) -> Tri {
        let Some(wanted) = wanted else {
            return Tri::Yes;
        };
        let names = |wanted: &Wanted| match &wanted.target {
            None => true,
            Some(PortRef::Name(_)) => false,
            Some(PortRef::Number(first)) => {
                let first = i32::from(*first);
                (first..=wanted.last.unwrap_or(first)).contains(&i32::from(self.port))
            }
        };
        Tri::from(wanted.iter().any(names))
    }

    /// The port of the Service that leads to a port on one pod. A number need not be
    /// declared; if it is, it goes by its name, too.
    fn told_by(&self, pod: &Pod, target: &PortRef) -> Option<u16> {
        let mut declared = pod.ports.iter().filter(|p| p.protocol == self.protocol);
        let (number, name) = match target {
            PortRef::Name(name) => {
                let port = declared.find(|p| p.name.as_ref() == Some(name))?;
                (port.port, port.name.clone())
            }
            PortRef::Number(number) => {
                let port = declared.find(|p| p.port == *number);
                (*number, port.and_then(|p| p.name.clone()))
            }
        };
        let mut ports = self.service.ports.iter();
        let port = ports.find(|port| {
            is_of(port, self.protocol)
                && match &port.target_port {
                    PortRef::Name(target) => name.as_ref() == Some(target),
                    PortRef::Number(target) => *target == number,
                }
        });
        port.map(|port| port.port)
    }
}

fn is_of(port: &ringfence_model::snapshot::ServicePort, protocol: Protocol) -> bool {
    port.protocol == protocol
}

/// Whether a pod is behind a Service; one that selects nothing takes every pod of its
/// namespace for its own here.
fn is_behind(pod: &Pod, service: &Service) -> Tri {
    let wanted = service.selector.iter().flatten();
    Tri::all(wanted.map(|(key, value)| match pod.labels.get(key) {
        LabelValue::Present(found) => Tri::from(found == value),
        LabelValue::Absent => Tri::No,
        LabelValue::Unknown => Tri::Unknown,
    }))
}

/// Several peers, each with the ports that it goes with: whether some peer matches, and
/// whether some that matches has a port that does.
fn together(each: impl Iterator<Item = (Tri, Tri)>) -> (Tri, Tri) {
    let each: Vec<(Tri, Tri)> = each.collect();
    let peers = Tri::any(each.iter().map(|(peer, _)| *peer));
    let ports = match Tri::any(each.iter().map(|(peer, port)| peer.and(*port))) {
        Tri::Yes => Tri::Yes,
        Tri::Unknown if peers.certain() => Tri::Unknown,
        Tri::Unknown => Tri::Yes,
        Tri::No if peers.possible() => Tri::No,
        Tri::No => Tri::any(each.iter().map(|(_, port)| *port)),
    };
    (peers, ports)
}

fn wanted_by_network_policy(
    ports: Option<&[NetworkPolicyPort]>,
    protocol: Protocol,
) -> WantedPorts {
    let ports = ports.filter(|ports| !ports.is_empty())?;
    let of_protocol = ports
        .iter()
        .filter(|port| Protocol::from_field(port.protocol.as_deref()) == Some(protocol));
    let wanted = of_protocol.filter_map(|port| {
        let target = match &port.port {
            None => None,
            Some(IntOrString::String(name)) => Some(PortRef::Name(name.as_str().into())),
            Some(IntOrString::Int(number)) => Some(PortRef::Number(u16::try_from(*number).ok()?)),
        };
        let last = port.end_port;
        Some(Wanted { target, last })
    });
    Some(wanted.collect())
}

fn wanted_by_tiered_policy(ports: Option<&[TieredPort]>, protocol: Protocol) -> WantedPorts {
    let wanted = ports?.iter().filter_map(|port| match port {
        TieredPort::Range {
            protocol: of,
            start,
            end,
        } => (*of == protocol).then(|| Wanted {
            target: Some(PortRef::Number(*start)),
            last: (end > start).then(|| i32::from(*end)),
        }),
        TieredPort::Named(name) => (protocol != Protocol::Icmp).then(|| Wanted {
            target: Some(PortRef::Name(name.as_str().into())),
            last: None,
        }),
    });
    Some(wanted.collect())
}
