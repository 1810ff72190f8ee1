//! Egress to a Service under a profile that judges it before its address is translated.

use std::collections::BTreeSet;

use ringfence_model::address::IpFamily;
use ringfence_model::labels::LabelValue;
use ringfence_model::policy::Direction;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{ContainerPort, Pod, PodId, PortRef, Service};
use ringfence_model::tri::Tri;
use rustc_hash::FxHashSet;

use crate::engine::Engine;
use crate::packet::{Frontend, Packet, Peer, Verdict};
use crate::resolve::peers::PeerSpec;
use crate::resolve::policies::{ResolvedRule, WrittenPort};
use crate::sets::{Outcome, PortSet};
use crate::side::{Judge, Matching};

/// A port of a Service, as egress rules see it.
pub(crate) struct ServiceSeen<'a> {
    engine: &'a Engine,
    service: &'a Service,
    family: IpFamily,
    protocol: Protocol,
    port: u16,
}

impl Engine {
    /// The Service, if egress rules see it and it has an address to be seen.
    pub(crate) fn service_seen(
        &self,
        family: IpFamily,
        protocol: Protocol,
        frontend: Frontend,
    ) -> Option<ServiceSeen<'_>> {
        let service = self.snapshot.services.get(frontend.service.0 as usize)?;
        let has_address = !service.headless && service.external_name.is_none();
        (has_address && self.profile.judges_before_dnat).then_some(ServiceSeen {
            engine: self,
            service,
            family,
            protocol,
            port: frontend.port,
        })
    }

    /// The egress of a pod to a Service, for whichever ports it leads to; `None` where
    /// egress rules see the endpoint.
    pub(crate) fn outcome_to_service(
        &self,
        source: PodId,
        family: IpFamily,
        protocol: Protocol,
        frontend: Frontend,
    ) -> Option<Outcome> {
        let seen = self.service_seen(family, protocol, frontend)?;
        if self.snapshot.pod(source).host_network {
            return Some(Outcome::allowed());
        }
        let side = self.side(self.class_of(source), Direction::Egress, family);
        Some(self.with_judge(
            &side.key,
            &side.sets,
            &side.names,
            &FxHashSet::default(),
            |judge| seen.outcome(judge),
        ))
    }

    /// The verdict of egress rules that see a Service.
    pub(crate) fn egress_to_service(&self, packet: &Packet) -> Option<Verdict> {
        let (Peer::Pod(source), Some(frontend)) = (packet.source, packet.through_service) else {
            return None;
        };
        let outcome = self.outcome_to_service(source, packet.family, packet.protocol, frontend)?;
        Some(Verdict::from_possible(
            !outcome.allow.is_empty(),
            !outcome.deny.is_empty(),
        ))
    }
}

impl ServiceSeen<'_> {
    /// The outcome, spread over all ports: which of them the Service leads to does not
    /// matter before translation.
    pub(crate) fn outcome(&self, judge: &Judge<'_>) -> Outcome {
        let at_service = judge.outcome_for(self);
        let spread = |ports: &PortSet| match ports.contains(self.protocol, self.port) {
            true => PortSet::all(),
            false => PortSet::none(),
        };
        Outcome {
            allow: spread(&at_service.allow),
            deny: spread(&at_service.deny),
        }
    }

    /// Whether a rule matches, and whether its peers do.
    fn matched(&self, rule: &ResolvedRule) -> (Tri, Tri) {
        let own_port = Tri::from(rule.ports.fixed.contains(self.protocol, self.port));
        let specs = self.engine.peers.specs(rule.peers);
        let each = specs.iter().map(|spec| {
            let peers = &self.engine.peers;
            let member = peers.service_in(spec, self.service, self.family);
            let port = match spec {
                PeerSpec::Pods { .. } => self.leads_to(rule.ports.written.as_deref()),
                _ => own_port,
            };
            (member.and(port), member)
        });
        each.fold((Tri::No, Tri::No), |(rule, peers), (both, member)| {
            (rule.or(both), peers.or(member))
        })
    }

    /// Whether this is the port that is taken for one of those of a rule.
    fn leads_to(&self, written: Option<&[WrittenPort]>) -> Tri {
        let Some(written) = written else {
            return Tri::Yes;
        };
        let is_of_protocol = |port: &&WrittenPort| match port.protocol {
            Some(protocol) => protocol == self.protocol,
            None => self.protocol != Protocol::Icmp,
        };
        Tri::any(written.iter().filter(is_of_protocol).map(|port| {
            let Some(target) = &port.target else {
                return Tri::Yes;
            };
            let (found, certain) = self.taken_for(target);
            let hits = found.iter().filter(|first| {
                **first == self.port
                    || port
                        .last
                        .is_some_and(|last| (**first..=last).contains(&self.port))
            });
            match hits.count() {
                // Nothing is known of the pods that would tell.
                0 if found.is_empty() && !certain => Tri::Unknown,
                0 => Tri::No,
                hits if hits == found.len() && certain => Tri::Yes,
                _ => Tri::Unknown,
            }
        }))
    }

    /// The ports of the Service that may be taken for a target port, and whether it is
    /// certain that one of them is (or that none is).
    fn taken_for(&self, target: &PortRef) -> (BTreeSet<u16>, bool) {
        let mut ports = self.service.ports.iter();
        let same = ports.find(|p| p.protocol == self.protocol && p.target_port == *target);
        if let Some(port) = same {
            return (BTreeSet::from([port.port]), true);
        }
        let mut found = BTreeSet::new();
        let (mut some_pod, mut certain) = (false, false);
        for (_, pod) in self.engine.snapshot.pods_in(self.service.namespace) {
            let selected = self.selects(pod);
            if !selected.possible() {
                continue;
            }
            some_pod = true;
            if let Some(port) = self.by_pod(pod, target) {
                found.insert(port);
                certain |= selected.certain();
            }
        }
        let none_is = found.is_empty() && some_pod;
        (found, certain || none_is)
    }

    fn selects(&self, pod: &Pod) -> Tri {
        let mut selected = Tri::Yes;
        for (key, value) in self.service.selector.iter().flatten() {
            selected = selected.and(match pod.labels.get(key) {
                LabelValue::Present(found) => Tri::from(found == value),
                LabelValue::Absent => Tri::No,
                LabelValue::Unknown => Tri::Unknown,
            });
        }
        selected
    }

    /// The port of the Service that leads to a port of a pod, by its number or by the
    /// name that the pod gives it.
    fn by_pod(&self, pod: &Pod, target: &PortRef) -> Option<u16> {
        let is_target = |port: &&ContainerPort| {
            port.protocol == self.protocol
                && match target {
                    PortRef::Name(name) => port.name.as_ref() == Some(name),
                    PortRef::Number(number) => port.port == *number,
                }
        };
        let declared = pod.ports.iter().find(is_target);
        let number = match (target, declared) {
            (PortRef::Number(number), _) => *number,
            (PortRef::Name(_), Some(port)) => port.port,
            (PortRef::Name(_), None) => return None,
        };
        let name = declared.and_then(|port| port.name.as_ref());
        let of_service = self.service.ports.iter();
        let mut leading = of_service.filter(|port| match &port.target_port {
            PortRef::Name(wanted) => Some(wanted) == name,
            PortRef::Number(wanted) => *wanted == number,
        });
        let port = leading.find(|port| port.protocol == self.protocol);
        port.map(|port| port.port)
    }
}

impl Matching for ServiceSeen<'_> {
    fn member(&self, rule: &ResolvedRule) -> Tri {
        self.matched(rule).1
    }

    fn ports(&self, rule: &ResolvedRule) -> (PortSet, PortSet) {
        let this = || match self.protocol {
            Protocol::Icmp => PortSet::protocol(Protocol::Icmp),
            protocol => PortSet::range(protocol, self.port, self.port),
        };
        match self.matched(rule).0 {
            Tri::Yes => (this(), this()),
            Tri::Unknown => (PortSet::none(), this()),
            Tri::No => (PortSet::none(), PortSet::none()),
        }
    }
}
