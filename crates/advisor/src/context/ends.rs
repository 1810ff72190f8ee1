use std::net::IpAddr;

use ringfence_engine::sets::PortSet;
use ringfence_engine::{MatchingRule, Packet, Peer, RuleRef, Verdict};
use ringfence_model::address::{IpFamily, IpRangeSet, from_number, public_internet};
use ringfence_model::k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, LabelSelectorRequirement,
};
use ringfence_model::labels::METADATA_NAME;
use ringfence_model::policy::{Action, Direction};
use ringfence_model::protocol::Protocol;
use ringfence_model::selector::{matches, selects_everything};
use ringfence_model::snapshot::{PodId, PodKind, PolicyId};
use ringfence_model::tri::Tri;

use super::{Context, WrittenRule};
use crate::finding::Witness;

/// How many pods of each end are tried when a packet is looked for that shows something.
const TRIED: usize = 16;

impl Context<'_> {
    /// Whether there are pods in the input: without any, nothing can be said about what
    /// selectors select.
    #[must_use]
    pub fn has_pods(&self) -> bool {
        !self.groups().is_empty()
    }

    /// Whether a selector of namespaces leaves none out: it is empty, or asks for nothing
    /// but a label that every namespace has, or for the absence of one that no namespace of
    /// the input has. One that names a namespace, or a label, is about those that have it.
    #[must_use]
    pub fn is_every_namespace(&self, selector: &LabelSelector) -> bool {
        let names_none = |requirement: &LabelSelectorRequirement| {
            let key = requirement.key.as_str();
            match requirement.operator.as_str() {
                "Exists" => key == METADATA_NAME,
                "DoesNotExist" => key != METADATA_NAME,
                _ => false,
            }
        };
        let mut requirements = selector.match_expressions.iter().flatten();
        let mut namespaces = self.snapshot.namespaces.iter();
        selects_everything(selector)
            || selector.match_labels.iter().flatten().next().is_none()
                && requirements.all(names_none)
                && namespaces.all(|namespace| matches(selector, &namespace.labels).possible())
    }

    /// Whether every peer of a rule names namespaces or pods by labels, none of them all.
    #[must_use]
    pub fn is_specific(&self, rule: &WrittenRule<'_>) -> bool {
        let narrows = |peer: &NetworkPolicyPeer| {
            let (pods, namespaces) = (&peer.pod_selector, &peer.namespace_selector);
            peer.ip_block.is_none()
                && (pods.as_ref().is_some_and(|s| !selects_everything(s))
                    || namespaces
                        .as_ref()
                        .is_some_and(|s| !self.is_every_namespace(s)))
        };
        !rule.peers.is_empty() && rule.peers.iter().all(narrows)
    }

    /// Those of some pods that are certain, in the input, and subject to policies: one of
    /// each group.
    #[must_use]
    pub fn telling(&self, pods: &[(PodId, Tri)]) -> Vec<PodId> {
        let is_real = |id: PodId| {
            let pod = self.snapshot.pod(id);
            !pod.host_network && pod.kind != PodKind::Outside && !self.dns.is_assumed(id)
        };
        let pods = pods
            .iter()
            .filter(|(id, applies)| applies.certain() && is_real(*id));
        let mut first: Vec<PodId> = pods.map(|(id, _)| self.first_of_group(*id)).collect();
        first.sort_unstable();
        first.dedup();
        first
    }

    /// The pods that a policy applies to for certain, one of each group.
    #[must_use]
    pub fn subjects(&self, policy: PolicyId) -> Vec<PodId> {
        self.telling(&self.engine.subjects_of(policy))
    }

    /// The pods that the peers of a rule are for certain, one of each group.
    #[must_use]
    pub fn peers(&self, rule: RuleRef) -> Vec<PodId> {
        let mut pods = self.engine.peers_of(rule, IpFamily::V4);
        pods.extend(self.engine.peers_of(rule, IpFamily::V6));
        pods.sort_unstable();
        pods.dedup();
        self.telling(&pods)
    }

    /// The workloads of the groups that these pods are the first of.
    #[must_use]
    pub fn workloads_like(&self, pods: &[PodId]) -> Vec<ringfence_model::snapshot::WorkloadId> {
        let groups = self
            .groups()
            .iter()
            .filter(|g| pods.binary_search(&g.first).is_ok());
        self.workloads(groups.flat_map(|group| group.pods.iter().copied()))
    }

    /// The pods at the two ends of the connections that a rule is about: those that open
    /// them, and those that accept them.
    #[must_use]
    pub fn ends(&self, rule: RuleRef) -> (Vec<PodId>, Vec<PodId>) {
        let (subjects, peers) = (self.subjects(rule.policy), self.peers(rule));
        match rule.direction {
            Direction::Egress => (subjects, peers),
            Direction::Ingress => (peers, subjects),
        }
    }

    /// Two pods as the ends of a packet in the first family that both have; not one pod
    /// and itself.
    #[must_use]
    pub fn between(
        &self,
        source: PodId,
        destination: PodId,
        (protocol, port): (Protocol, u16),
    ) -> Option<Packet> {
        let of_source = self.snapshot.families_of(self.snapshot.pod(source));
        let of_destination = self.snapshot.families_of(self.snapshot.pod(destination));
        let mut common = of_source.into_iter().filter(|f| of_destination.contains(f));
        if source == destination && self.snapshot.pod(source).kind != PodKind::Template {
            return None;
        }
        common.next().map(|family| Packet {
            source: Peer::Pod(source),
            destination: Peer::Pod(destination),
            family,
            protocol,
            port,
            through_service: None,
        })
    }

    /// The rules for the egress of a packet's source that match it, or may; none where the
    /// source is not a pod.
    pub(super) fn egress_rules_matching(&self, packet: &Packet) -> Vec<MatchingRule> {
        let Peer::Pod(source) = packet.source else {
            return Vec::new();
        };
        self.engine.matching_rules(
            source,
            Direction::Egress,
            packet.destination,
            packet.family,
            (packet.protocol, packet.port),
        )
    }

    /// The first rule for the egress of a packet's source that accepts it for certain.
    #[must_use]
    pub fn accepting_rule(&self, packet: &Packet) -> Option<RuleRef> {
        let rules = self.egress_rules_matching(packet);
        let mut rules = rules.iter();
        let accepts = rules.find(|m| m.action == Action::Accept && m.matches == Tri::Yes);
        accepts.map(|matching| matching.rule)
    }

    /// A packet between pods of two lists with the verdict that is wanted, if some of the
    /// first pods of the lists have one; `port` chooses the port for a destination.
    #[must_use]
    pub fn witness_between(
        &self,
        (sources, destinations): (&[PodId], &[PodId]),
        port: &dyn Fn(PodId) -> (Protocol, u16),
        wanted: Verdict,
    ) -> Option<Witness> {
        for destination in destinations.iter().take(TRIED) {
            for source in sources.iter().take(TRIED) {
                let packet = self.between(*source, *destination, port(*destination));
                let witness = packet.map(|packet| self.witness(packet));
                if let Some(witness) = witness.filter(|w| w.verdict == wanted) {
                    return Some(witness);
                }
            }
        }
        None
    }

    /// A packet from one of some pods to one of some addresses that is let through. An
    /// address of which nothing but the address is known is preferred.
    #[must_use]
    pub fn witness_to(
        &self,
        sources: &[PodId],
        addresses: &IpRangeSet,
        (protocol, port): (Protocol, u16),
    ) -> Option<Witness> {
        let family = addresses.family();
        let candidates = self.unremarkable(addresses);
        for source in sources.iter().take(TRIED) {
            if !self
                .snapshot
                .families_of(self.snapshot.pod(*source))
                .contains(&family)
            {
                continue;
            }
            for address in &candidates {
                let witness = self.witness(Packet {
                    source: Peer::Pod(*source),
                    destination: Peer::Address(*address),
                    family,
                    protocol,
                    port,
                    through_service: None,
                });
                if witness.verdict == Verdict::Allowed {
                    return Some(witness);
                }
            }
        }
        None
    }

    /// Some addresses of a set that are neither pods' nor nodes' nor Services', as far as is
    /// known; public ones if there are any.
    #[must_use]
    pub fn unremarkable(&self, addresses: &IpRangeSet) -> Vec<IpAddr> {
        let family = addresses.family();
        let outside_pods = match self.snapshot.pod_range(family) {
            Some(pods) => addresses.difference(pods),
            None => addresses.clone(),
        };
        let public = outside_pods.intersection(public_internet(family));
        let outside_pods = if public.is_empty() {
            outside_pods
        } else {
            public
        };
        let candidates = outside_pods.ranges().iter().flat_map(|(start, end)| {
            let last = (*end).min(start + 8);
            (start + 1..=last).chain([*start]).filter(move |n| n <= end)
        });
        candidates
            .map(|number| from_number(family, number))
            .filter(|address| {
                let mut services = self.snapshot.services.iter();
                self.snapshot.pod_with_address(*address).is_none()
                    && !services.any(|service| service.cluster_ips.contains(address))
                    && self.snapshot.node_name_with_address(*address).is_none()
            })
            .take(TRIED)
            .collect()
    }

    /// A port of a set that people recognise: one that the destination declares, else
    /// that of HTTPS or HTTP, else the first. `None` where ICMP is all there is.
    #[must_use]
    pub fn telling_port(&self, ports: &PortSet, destination: Peer) -> Option<(Protocol, u16)> {
        let declared = match destination {
            Peer::Pod(pod) => Some(self.snapshot.pod(pod).ports.iter()),
            Peer::Address(_) => None,
        };
        let declared = declared.into_iter().flatten().map(|p| (p.protocol, p.port));
        let common = [(Protocol::Tcp, 443), (Protocol::Tcp, 80)];
        let mut known = declared.chain(common);
        known
            .find(|(protocol, port)| ports.contains(*protocol, *port))
            .or_else(|| {
                let mut protocols = Protocol::WITH_PORTS.into_iter();
                protocols.find_map(|p| Some((p, ports.ranges(p).first()?.0)))
            })
    }

    /// The first of the pods that no policy can tell from this one.
    fn first_of_group(&self, pod: PodId) -> PodId {
        self.first_in_group
            .get(pod.0 as usize)
            .copied()
            .unwrap_or(pod)
    }
}

/// For each pod, the first of its group.
pub(super) fn first_in_group(pods: usize, groups: &[super::Group]) -> Vec<PodId> {
    let mut first: Vec<PodId> = (0u32..).map(PodId).take(pods).collect();
    for group in groups {
        for pod in &group.pods {
            if let Some(slot) = first.get_mut(pod.0 as usize) {
                *slot = group.first;
            }
        }
    }
    first
}

/// `443/TCP`, or `ICMP`.
#[must_use]
pub fn port_text((protocol, port): (Protocol, u16)) -> String {
    match protocol {
        Protocol::Icmp => "ICMP".to_owned(),
        protocol => format!("{port}/{protocol}"),
    }
}
