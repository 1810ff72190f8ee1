use ringfence_model::address::{IpBlock, IpFamily, IpRangeSet};
use ringfence_model::k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use ringfence_model::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ringfence_model::policy::{
    Action, Direction, PodSelection, Policy, PolicyBody, PolicyFamily, Tier, TieredPeer,
    TieredPolicy, TieredPort, TieredRule,
};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{NamespaceId, PortRef, Snapshot};
use ringfence_model::tri::Tri;

use super::classes::ClassId;
use super::peers::{Context, NamespaceSpec, PeerSetId, PeerSpec, Peers};
use crate::sets::{PortSet, TriSet};

/// A policy whose selectors, blocks and ports have been looked up.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedPolicy {
    pub(crate) tier: Tier,
    /// Lower first, inside a tier.
    pub(crate) priority: u16,
    /// It has no place among the other policies of its tier.
    pub(crate) unordered: bool,
    /// The classes it applies to.
    pub(crate) subject: TriSet,
    /// How they are told; `None` for a policy of a namespace that does not exist.
    subject_spec: Option<PeerSpec>,
    /// Its rules; `None` when it says nothing about egress.
    pub(crate) egress: Option<Vec<ResolvedRule>>,
    /// Its rules; `None` when it says nothing about ingress.
    pub(crate) ingress: Option<Vec<ResolvedRule>>,
}

impl ResolvedPolicy {
    /// Decides whether it applies to a class that was not there when it was resolved.
    pub(crate) fn add_class(&mut self, class: ClassId, peers: &Peers, context: Context<'_>) -> Tri {
        let Some(spec) = &self.subject_spec else {
            return Tri::No;
        };
        // See `network_policy`.
        if self.tier == Tier::NetworkPolicy && context.classes.get(class).outside {
            return Tri::No;
        }
        // A subject is pods, never a block.
        let applies = peers.class_in(spec, class, IpFamily::V4, &[], context);
        self.subject.insert(class, applies);
        applies
    }

    pub(crate) fn rules(&self, direction: Direction) -> Option<&[ResolvedRule]> {
        match direction {
            Direction::Egress => self.egress.as_deref(),
            Direction::Ingress => self.ingress.as_deref(),
        }
    }
}

/// One rule.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedRule {
    pub(crate) action: Action,
    pub(crate) peers: PeerSetId,
    pub(crate) ports: PortMatch,
}

/// The ports of a rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct PortMatch {
    /// Those given by number, or all.
    pub(crate) fixed: PortSet,
    /// Those given by name; what they are depends on the destination pod.
    pub(crate) named: Vec<NamedPort>,
    /// Each as it is written, to be looked up among the ports of a Service; `None` for
    /// all traffic.
    pub(crate) written: Option<Vec<WrittenPort>>,
}

/// A port as a rule writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WrittenPort {
    /// `None`: any that has ports.
    pub(crate) protocol: Option<Protocol>,
    /// `None`: all numbers.
    pub(crate) target: Option<PortRef>,
    /// The end of a range.
    pub(crate) last: Option<u16>,
}

impl PortMatch {
    fn all() -> Self {
        Self {
            fixed: PortSet::all(),
            named: Vec::new(),
            written: None,
        }
    }

    /// A list without entries.
    fn none() -> Self {
        Self {
            written: Some(Vec::new()),
            ..Self::default()
        }
    }

    fn write(&mut self, protocol: Option<Protocol>, target: Option<PortRef>, last: Option<u16>) {
        self.written.get_or_insert_default().push(WrittenPort {
            protocol,
            target,
            last,
        });
    }
}

/// A port given by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedPort {
    pub(crate) name: String,
    /// The protocol it must have; `None` for any.
    pub(crate) protocol: Option<Protocol>,
}

/// The sets of addresses that a policy mentions: where the address space must be cut.
pub(crate) fn address_sets(policy: &Policy) -> Vec<IpRangeSet> {
    let mut sets = Vec::new();
    let mut add = |block: Option<IpBlock>| sets.extend(block.map(|block| block.addresses()));
    match &policy.body {
        PolicyBody::Network(spec) => {
            let egress = spec
                .egress
                .iter()
                .flatten()
                .filter_map(|rule| rule.to.as_ref());
            let ingress = spec
                .ingress
                .iter()
                .flatten()
                .filter_map(|rule| rule.from.as_ref());
            for peer in egress.chain(ingress).flatten() {
                add(peer.ip_block.as_ref().and_then(read_block));
            }
        }
        PolicyBody::Tiered(policy) => {
            for rule in policy.egress.iter().chain(&policy.ingress) {
                for peer in &rule.peers {
                    if let TieredPeer::Networks(cidrs) = peer {
                        for cidr in cidrs {
                            add(IpBlock::parse(cidr, &[]).ok());
                        }
                    }
                }
            }
        }
    }
    sets
}

/// Whether some rule is about the addresses of nodes.
pub(crate) fn mentions_nodes(policy: &Policy) -> bool {
    match &policy.body {
        PolicyBody::Network(_) => false,
        PolicyBody::Tiered(policy) => policy
            .egress
            .iter()
            .chain(&policy.ingress)
            .flat_map(|rule| &rule.peers)
            .any(|peer| matches!(peer, TieredPeer::Nodes(_))),
    }
}

fn read_block(block: &IPBlock) -> Option<IpBlock> {
    IpBlock::parse(&block.cidr, block.except.as_deref().unwrap_or_default()).ok()
}

/// Looks up everything a policy mentions.
pub(crate) fn resolve(policy: &Policy, peers: &mut Peers, context: Context<'_>) -> ResolvedPolicy {
    match &policy.body {
        PolicyBody::Network(spec) => network_policy(policy, spec, peers, context),
        PolicyBody::Tiered(tiered) => tiered_policy(policy, tiered, peers, context),
    }
}

fn namespace_id(snapshot: &Snapshot, policy: &Policy) -> Option<NamespaceId> {
    let name = policy.namespace.as_deref()?;
    let namespaces = &snapshot.namespaces;
    let position = namespaces.binary_search_by(|n| (*n.name).cmp(name)).ok()?;
    namespaces.get(position).filter(|n| n.identity_known)?;
    u32::try_from(position).ok().map(NamespaceId)
}

fn network_policy(
    policy: &Policy,
    spec: &NetworkPolicySpec,
    peers: &mut Peers,
    context: Context<'_>,
) -> ResolvedPolicy {
    let namespace = namespace_id(context.snapshot, policy);
    let pods = spec.pod_selector.as_ref().map(|s| peers.selector(s));
    let subject = namespace.map_or_else(TriSet::default, |namespace| {
        let mut subject = peers.pods(NamespaceSpec::Own(namespace), pods, context.classes);
        // A policy of a namespace of the input is not about endpoints outside it.
        subject.possible -= &context.classes.outside;
        subject
    });
    let types = spec.policy_types.as_deref().unwrap_or_default();
    let isolates = |direction: Direction| match types {
        [] => direction == Direction::Ingress || spec.egress.iter().flatten().next().is_some(),
        types => types.iter().any(|t| t == direction.policy_type()),
    };
    let mut rule = |other: Option<&[NetworkPolicyPeer]>, ports: Option<&[NetworkPolicyPort]>| {
        let specs = match other {
            None | Some([]) => vec![PeerSpec::Everyone],
            Some(other) => other
                .iter()
                .filter_map(|peer| peer_spec(peer, namespace, peers))
                .collect(),
        };
        ResolvedRule {
            action: Action::Accept,
            peers: peers.set(specs, context),
            ports: network_policy_ports(ports),
        }
    };
    let egress = isolates(Direction::Egress).then(|| {
        let rules = spec.egress.iter().flatten();
        rules
            .map(|r| rule(r.to.as_deref(), r.ports.as_deref()))
            .collect()
    });
    let ingress = isolates(Direction::Ingress).then(|| {
        let rules = spec.ingress.iter().flatten();
        rules
            .map(|r| rule(r.from.as_deref(), r.ports.as_deref()))
            .collect()
    });
    ResolvedPolicy {
        tier: Tier::NetworkPolicy,
        priority: 0,
        unordered: false,
        subject,
        subject_spec: namespace.map(|namespace| PeerSpec::Pods {
            namespaces: NamespaceSpec::Own(namespace),
            pods,
        }),
        egress,
        ingress,
    }
}

fn peer_spec(
    peer: &NetworkPolicyPeer,
    namespace: Option<NamespaceId>,
    peers: &mut Peers,
) -> Option<PeerSpec> {
    if let Some(block) = &peer.ip_block {
        return read_block(block).map(|block| peers.block(block));
    }
    let pods = peer.pod_selector.as_ref().map(|s| peers.selector(s));
    let namespaces = match &peer.namespace_selector {
        Some(selector) => NamespaceSpec::Selected(peers.selector(selector)),
        None if pods.is_none() => return None,
        None => NamespaceSpec::Own(namespace?),
    };
    Some(PeerSpec::Pods { namespaces, pods })
}

fn network_policy_ports(ports: Option<&[NetworkPolicyPort]>) -> PortMatch {
    let ports = match ports {
        None | Some([]) => return PortMatch::all(),
        Some(ports) => ports,
    };
    let mut matched = PortMatch::none();
    for port in ports {
        let Some(protocol) = Protocol::from_field(port.protocol.as_deref()) else {
            continue;
        };
        match &port.port {
            None => {
                matched.fixed = matched.fixed.union(&PortSet::protocol(protocol));
                matched.write(Some(protocol), None, None);
            }
            Some(IntOrString::Int(first)) => {
                let last = port.end_port.unwrap_or(*first);
                // Numbers outside 1..=65535 never match a packet.
                let bound = |number: i32| u16::try_from(number.clamp(0, 65_535)).unwrap_or(0);
                if *first <= 65_535 && last >= 1 {
                    let range = PortSet::range(protocol, bound(*first), bound(last));
                    matched.fixed = matched.fixed.union(&range);
                }
                if let Ok(number) = u16::try_from(*first) {
                    let end = port.end_port.map(bound);
                    matched.write(Some(protocol), Some(PortRef::Number(number)), end);
                }
            }
            Some(IntOrString::String(name)) => {
                let target = PortRef::Name(name.as_str().into());
                matched.write(Some(protocol), Some(target), None);
                matched.named.push(NamedPort {
                    name: name.clone(),
                    protocol: Some(protocol),
                });
            }
        }
    }
    matched
}

fn tiered_policy(
    policy: &Policy,
    tiered: &TieredPolicy,
    peers: &mut Peers,
    context: Context<'_>,
) -> ResolvedPolicy {
    let (namespaces, pods) = selection(&tiered.subject, peers);
    let subject = peers.pods(namespaces, pods, context.classes);
    let mut rules = |rules: &[TieredRule]| {
        (!rules.is_empty()).then(|| {
            rules
                .iter()
                .map(|rule| tiered_rule(rule, peers, context))
                .collect()
        })
    };
    ResolvedPolicy {
        tier: tiered.tier,
        priority: tiered.priority,
        unordered: policy.family == PolicyFamily::BaselineAdminNetworkPolicy,
        subject,
        subject_spec: Some(PeerSpec::Pods { namespaces, pods }),
        egress: rules(&tiered.egress),
        ingress: rules(&tiered.ingress),
    }
}

fn selection(
    selection: &PodSelection,
    peers: &mut Peers,
) -> (NamespaceSpec, Option<super::peers::SelectorId>) {
    match selection {
        PodSelection::Namespaces(namespaces) => {
            (NamespaceSpec::Selected(peers.selector(namespaces)), None)
        }
        PodSelection::Pods {
            namespace_selector,
            pod_selector,
        } => (
            NamespaceSpec::Selected(peers.selector(namespace_selector)),
            Some(peers.selector(pod_selector)),
        ),
    }
}

fn tiered_rule(rule: &TieredRule, peers: &mut Peers, context: Context<'_>) -> ResolvedRule {
    if rule.peers.contains(&TieredPeer::Unrecognized) {
        // Fails closed, as a whole.
        let (action, specs) = match rule.action {
            Action::Accept => (Action::Accept, Vec::new()),
            Action::Deny | Action::Pass => (Action::Deny, vec![PeerSpec::Everyone]),
        };
        return ResolvedRule {
            action,
            peers: peers.set(specs, context),
            ports: PortMatch::all(),
        };
    }
    let mut specs = Vec::new();
    for peer in &rule.peers {
        match peer {
            TieredPeer::Pods(pods) => {
                let (namespaces, pods) = selection(pods, peers);
                specs.push(PeerSpec::Pods { namespaces, pods });
            }
            TieredPeer::Nodes(nodes) => specs.push(PeerSpec::Nodes(peers.selector(nodes))),
            TieredPeer::Networks(cidrs) => {
                let blocks = cidrs.iter().filter_map(|c| IpBlock::parse(c, &[]).ok());
                specs.extend(blocks.map(|block| peers.block(block)));
            }
            TieredPeer::DomainNames(_) => specs.push(PeerSpec::DomainNames),
            TieredPeer::Unrecognized => {}
        }
    }
    ResolvedRule {
        action: rule.action,
        peers: peers.set(specs, context),
        ports: tiered_ports(rule.ports.as_deref()),
    }
}

fn tiered_ports(ports: Option<&[TieredPort]>) -> PortMatch {
    let Some(ports) = ports else {
        return PortMatch::all();
    };
    let mut matched = PortMatch::none();
    for port in ports {
        match port {
            TieredPort::Range {
                protocol,
                start,
                end,
            } => {
                let range = PortSet::range(*protocol, *start, *end);
                matched.fixed = matched.fixed.union(&range);
                let last = (end > start).then_some(*end);
                matched.write(Some(*protocol), Some(PortRef::Number(*start)), last);
            }
            TieredPort::Named(name) => {
                matched.write(None, Some(PortRef::Name(name.as_str().into())), None);
                matched.named.push(NamedPort {
                    name: name.clone(),
                    protocol: None,
                });
            }
        }
    }
    matched
}
