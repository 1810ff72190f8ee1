//! `NetworkPolicy`, rules 1 to 9.

use ringfence_model::k8s_openapi::api::networking::v1::{NetworkPolicyPort, NetworkPolicySpec};
use ringfence_model::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ringfence_model::policy::{Direction, PolicyBody};
use ringfence_model::protocol::Protocol;
use ringfence_model::selector;
use ringfence_model::snapshot::NamespaceId;
use ringfence_model::tri::Tri;

use super::{Oracle, Possible, Question, Step};
use crate::explain::Effect;
use crate::packet::Packet;

impl Oracle<'_> {
    /// Isolated by any policy: allowed if any rule of any isolating policy matches,
    /// else denied (rules 2 and 8). Not isolated: the next tier decides.
    pub(super) fn network_policies(
        &self,
        question: &Question<'_>,
        steps: &mut Vec<Step>,
    ) -> Possible {
        // Each policy that isolates, or may: whether it does, and whether it allows.
        let mut isolating: Vec<(Tri, Tri)> = Vec::new();
        for (id, policy) in self.snapshot.policy_ids() {
            let PolicyBody::Network(spec) = &policy.body else {
                continue;
            };
            if !applies_to(spec, question.direction) {
                continue;
            }
            let namespace = self.snapshot.namespace(question.subject.namespace);
            if !namespace.identity_known || policy.namespace.as_deref() != Some(&*namespace.name) {
                continue;
            }
            let selects = spec
                .pod_selector
                .as_ref()
                .map_or(Tri::Yes, |s| selector::matches(s, &question.subject.labels));
            if !selects.possible() {
                continue;
            }
            let rules = self.rules(spec, question, question.subject.namespace);
            let allows = Tri::any(rules.iter().map(|(peers, ports)| peers.and(*ports)));
            isolating.push((selects, allows));
            for (rule, (peers, ports)) in rules.into_iter().enumerate() {
                steps.push(Step {
                    policy: id,
                    rule: Some(rule),
                    effect: match peers.and(ports) {
                        Tri::No => Effect::NoMatch,
                        Tri::Yes | Tri::Unknown => Effect::Allows,
                    },
                    selects,
                    peers,
                    ports,
                });
            }
            if !allows.certain() {
                steps.push(Step {
                    policy: id,
                    rule: None,
                    effect: Effect::Isolates,
                    selects,
                    peers: allows,
                    ports: allows,
                });
            }
        }
        let certainly_allowed = isolating.iter().any(|(s, a)| s.certain() && a.certain());
        if certainly_allowed {
            return Possible {
                accept: true,
                ..Possible::default()
            };
        }
        Possible {
            accept: isolating.iter().any(|(_, allows)| allows.possible()),
            deny: isolating.iter().any(|(_, allows)| !allows.certain()),
            pass: false,
            undecided: !isolating.iter().any(|(selects, _)| selects.certain()),
        }
    }

    /// For each rule of the question's direction: whether its peers and its ports match.
    fn rules(
        &self,
        spec: &NetworkPolicySpec,
        question: &Question<'_>,
        namespace: NamespaceId,
    ) -> Vec<(Tri, Tri)> {
        let seen = self.service_seen(question);
        let one = |peers: Option<&[_]>, ports: Option<&[_]>| {
            if let Some(seen) = &seen {
                return self.network_policy_rule_on_service(peers, ports, seen, namespace);
            }
            (
                self.network_policy_peers(peers, question, namespace),
                self.network_policy_ports(ports, question.packet),
            )
        };
        match question.direction {
            Direction::Egress => spec
                .egress
                .iter()
                .flatten()
                .map(|rule| one(rule.to.as_deref(), rule.ports.as_deref()))
                .collect(),
            Direction::Ingress => spec
                .ingress
                .iter()
                .flatten()
                .map(|rule| one(rule.from.as_deref(), rule.ports.as_deref()))
                .collect(),
        }
    }

    /// Rules 6 and 7. No ports: all traffic, ICMP too (rule 9).
    fn network_policy_ports(&self, ports: Option<&[NetworkPolicyPort]>, packet: &Packet) -> Tri {
        match ports {
            None | Some([]) => Tri::Yes,
            Some(ports) => Tri::any(
                ports
                    .iter()
                    .map(|port| self.network_policy_port(port, packet)),
            ),
        }
    }

    fn network_policy_port(&self, port: &NetworkPolicyPort, packet: &Packet) -> Tri {
        if Protocol::from_field(port.protocol.as_deref()) != Some(packet.protocol) {
            return Tri::No;
        }
        let number = i32::from(packet.port);
        match &port.port {
            None => Tri::Yes,
            Some(IntOrString::Int(first)) => {
                Tri::from((*first..=port.end_port.unwrap_or(*first)).contains(&number))
            }
            Some(IntOrString::String(name)) => self.named_port(name, packet),
        }
    }
}

/// Rule 1: which directions a policy isolates.
fn applies_to(spec: &NetworkPolicySpec, direction: Direction) -> bool {
    match (spec.policy_types.as_deref(), direction) {
        (None | Some([]), Direction::Ingress) => true,
        (None | Some([]), Direction::Egress) => spec.egress.iter().flatten().next().is_some(),
        (Some(types), _) => types.iter().any(|t| t == direction.policy_type()),
    }
}
