//! Who a rule is about: selectors, address blocks, nodes, named ports.

use ringfence_model::address::IpBlock;
use ringfence_model::k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::policy::PodSelection;
use ringfence_model::selector;
use ringfence_model::snapshot::{NamespaceId, Pod, PodKind, PossibleAddresses};
use ringfence_model::tri::Tri;

use super::{Oracle, Question};
use crate::packet::{Packet, Peer};

impl Oracle<'_> {
    /// Rules 2 and 3: no peers means every peer; peers are ORed.
    pub(super) fn network_policy_peers(
        &self,
        peers: Option<&[NetworkPolicyPeer]>,
        question: &Question<'_>,
        namespace: NamespaceId,
    ) -> Tri {
        match peers {
            None | Some([]) => Tri::Yes,
            Some(peers) => Tri::any(
                peers
                    .iter()
                    .map(|peer| self.network_policy_peer(peer, question, namespace)),
            ),
        }
    }

    fn network_policy_peer(
        &self,
        peer: &NetworkPolicyPeer,
        question: &Question<'_>,
        namespace: NamespaceId,
    ) -> Tri {
        if let Some(block) = &peer.ip_block {
            let except = block.except.as_deref().unwrap_or_default();
            // Validation has seen to it that the block can be read.
            return IpBlock::parse(&block.cidr, except)
                .map_or(Tri::No, |block| self.in_block(&block, question));
        }
        // Rule 4: a peer with no field is invalid; it matches nothing.
        if peer.pod_selector.is_none() && peer.namespace_selector.is_none() {
            return Tri::No;
        }
        let Some(pod) = self.selectable(question.other) else {
            return Tri::No;
        };
        let of_namespace = self.snapshot.namespace(pod.namespace);
        let in_namespace = match &peer.namespace_selector {
            Some(s) => selector::matches(s, &of_namespace.labels),
            None if !of_namespace.identity_known => Tri::Unknown,
            None => Tri::from(pod.namespace == namespace),
        };
        let selected = peer
            .pod_selector
            .as_ref()
            .map_or(Tri::Yes, |s| selector::matches(s, &pod.labels));
        in_namespace.and(selected).and(known_to_be_a_pod(pod))
    }

    /// Pods by namespace and labels; host-networked pods and addresses never
    /// (ClusterNetworkPolicy rule 4).
    pub(super) fn selected(&self, selection: &PodSelection, peer: Peer) -> Tri {
        self.selectable(peer)
            .map_or(Tri::No, |pod| self.pod_selected(selection, pod))
    }

    pub(super) fn pod_selected(&self, selection: &PodSelection, pod: &Pod) -> Tri {
        let namespace = &self.snapshot.namespace(pod.namespace).labels;
        match selection {
            PodSelection::Namespaces(selector) => selector::matches(selector, namespace),
            PodSelection::Pods {
                namespace_selector,
                pod_selector,
            } => selector::matches(namespace_selector, namespace)
                .and(selector::matches(pod_selector, &pod.labels)),
        }
        .and(known_to_be_a_pod(pod))
    }

    /// The pod behind a peer, if selectors can select it at all: not an address
    /// outside the cluster (rule 3), not a host-networked pod (rule 11).
    fn selectable(&self, peer: Peer) -> Option<&Pod> {
        match peer {
            Peer::Pod(id) => Some(self.snapshot.pod(id)).filter(|pod| !pod.host_network),
            Peer::Address(_) => None,
        }
    }

    /// Rule 5: whether the other end's address is in a block.
    pub(super) fn in_block(&self, block: &IpBlock, question: &Question<'_>) -> Tri {
        let family = question.packet.family;
        if block.family() != family {
            return Tri::No;
        }
        let covered = block.addresses();
        let pod = match question.other {
            Peer::Address(address) => {
                let of_node = self.snapshot.node_name_with_address(address).is_some();
                if of_node && !self.profile.blocks_match_cluster_addresses {
                    return Tri::No;
                }
                return Tri::from(covered.contains(address));
            }
            Peer::Pod(id) => self.snapshot.pod(id),
        };
        if !self.profile.blocks_match_cluster_addresses {
            return Tri::No;
        }
        match self.snapshot.possible_addresses(pod, family) {
            PossibleAddresses::Known(address) => Tri::from(covered.contains(address)),
            PossibleAddresses::Within(space) => {
                if space.is_subset(&covered) {
                    Tri::Yes
                } else if space.is_disjoint(&covered) {
                    Tri::No
                } else {
                    Tri::Unknown
                }
            }
        }
    }

    /// The `nodes` peer: the addresses of the selected nodes.
    pub(super) fn on_node(&self, nodes: &LabelSelector, question: &Question<'_>) -> Tri {
        let all = &self.snapshot.nodes;
        match question.other {
            Peer::Address(_) if all.is_empty() => Tri::Unknown,
            Peer::Address(address) => Tri::any(all.iter().map(|node| {
                let selected = selector::matches(nodes, &node.labels);
                if node.addresses.is_empty() {
                    selected.and(Tri::Unknown)
                } else {
                    selected.and(node.addresses.contains(&address).into())
                }
            })),
            Peer::Pod(id) => {
                let pod = self.snapshot.pod(id);
                if !pod.host_network {
                    return Tri::No;
                }
                let node = all.iter().find(|n| Some(&*n.name) == pod.node.as_deref());
                node.map_or(Tri::Unknown, |n| selector::matches(nodes, &n.labels))
            }
        }
    }

    /// The `domainNames` peer: which addresses a name has is not in a snapshot.
    pub(super) fn behind_domain_name(&self, peer: Peer) -> Tri {
        match peer {
            Peer::Address(_) => Tri::Unknown,
            Peer::Pod(id) if self.snapshot.pod(id).host_network => Tri::Unknown,
            Peer::Pod(_) => Tri::No,
        }
    }

    /// Rule 7: a named port is looked up on the destination pod.
    pub(super) fn named_port(&self, name: &str, packet: &Packet) -> Tri {
        match packet.destination {
            Peer::Address(_) => Tri::No,
            Peer::Pod(id) => {
                let pod = self.snapshot.pod(id);
                if pod.kind == PodKind::Outside {
                    return Tri::Unknown;
                }
                let declared = Tri::from(
                    pod.ports_named(name)
                        .any(|p| p.protocol == packet.protocol && p.port == packet.port),
                );
                // Rule 11: it is seen as its node's address, for which a name means
                // nothing (rule 7); some implementations look the name up all the same.
                if pod.host_network {
                    return declared.and(Tri::Unknown);
                }
                declared
            }
        }
    }
}

/// An endpoint outside the input may be host-networked, or no pod at all, and then no
/// selector selects it.
fn known_to_be_a_pod(pod: &Pod) -> Tri {
    match pod.kind {
        PodKind::Outside => Tri::Unknown,
        PodKind::Single | PodKind::Template => Tri::Yes,
    }
}
