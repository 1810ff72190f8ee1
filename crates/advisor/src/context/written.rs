use std::net::IpAddr;

use ringfence_engine::RuleRef;
use ringfence_engine::sets::PortSet;
use ringfence_model::address::{IpBlock, IpFamily, IpRangeSet, from_number, public_internet};
use ringfence_model::k8s_openapi::api::networking::v1::{
    NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use ringfence_model::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ringfence_model::policy::{Direction, PolicyBody};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PolicyId, Snapshot};
use ringfence_model::source::KeyPath;

/// A rule of a `NetworkPolicy` that is in effect, as it is written: what it says about
/// addresses and numbered ports. What it does to pods is the engine's to say.
#[derive(Clone, Debug, PartialEq)]
pub struct WrittenRule {
    /// The rule.
    pub rule: RuleRef,
    /// Whether it names no peers, which means everybody.
    pub everybody: bool,
    /// Its peers, as they are written.
    pub peers: Vec<NetworkPolicyPeer>,
    /// Its blocks.
    pub blocks: Vec<WrittenBlock>,
    /// Its ports; those that are named are left out: a name means nothing for an address.
    pub ports: PortSet,
    /// Its ports, as they are written; empty for all.
    pub port_entries: Vec<NetworkPolicyPort>,
}

/// One `ipBlock`.
#[derive(Clone, Debug, PartialEq)]
pub struct WrittenBlock {
    /// The index of the peer in the rule.
    pub peer: usize,
    /// What it says.
    pub block: IpBlock,
    /// The addresses that it covers.
    pub addresses: IpRangeSet,
}

impl WrittenRule {
    /// Where the rule is in its policy.
    #[must_use]
    pub fn path(&self) -> KeyPath {
        rule_path(self.rule)
    }

    /// Where a peer is in its policy.
    #[must_use]
    pub fn peer_path(&self, peer: usize) -> KeyPath {
        let peers = self.rule.direction.peers_key();
        self.path().key(peers).index(peer)
    }

    /// Where a block is in its policy.
    #[must_use]
    pub fn block_path(&self, block: &WrittenBlock) -> KeyPath {
        self.peer_path(block.peer).key("ipBlock")
    }

    /// The addresses of a family that it covers, whatever pods have.
    #[must_use]
    pub fn addresses(&self, family: IpFamily) -> IpRangeSet {
        if self.everybody {
            return IpRangeSet::full(family);
        }
        let empty = IpRangeSet::empty(family);
        self.blocks
            .iter()
            .fold(empty, |all, block| all.union(&block.addresses))
    }

    /// Whether it covers most of the public addresses of a family.
    #[must_use]
    pub fn covers_the_internet(&self, family: IpFamily) -> bool {
        let public = public_internet(family);
        let covered = self.addresses(family).intersection(public);
        2.0 * size(&covered) > size(public)
    }

    /// A public address that it covers, one that people know if possible.
    #[must_use]
    pub fn public_address(&self, family: IpFamily) -> Option<IpAddr> {
        let covered = self.addresses(family).intersection(public_internet(family));
        let known = match family {
            IpFamily::V4 => IpAddr::from([8, 8, 8, 8]),
            IpFamily::V6 => IpAddr::from([0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888]),
        };
        if covered.contains(known) {
            return Some(known);
        }
        let (first, _) = covered.ranges().first()?;
        Some(from_number(family, *first))
    }

    /// Whether its numbered ports are those of name servers, and no others.
    #[must_use]
    pub fn is_for_dns_only(&self) -> bool {
        let dns = [53, 5353].into_iter().flat_map(|port| {
            [Protocol::Tcp, Protocol::Udp].map(|protocol| PortSet::range(protocol, port, port))
        });
        let dns = dns.fold(PortSet::none(), |all, port| all.union(&port));
        self.ports.is_subset(&dns)
    }
}

/// The number of addresses, near enough.
fn size(addresses: &IpRangeSet) -> f64 {
    let nets = addresses.to_nets();
    let sizes = nets
        .iter()
        .map(|net| 2_f64.powi(i32::from(net.max_prefix_len() - net.prefix_len())));
    sizes.sum()
}

/// Where a rule is in its policy.
#[must_use]
pub fn rule_path(rule: RuleRef) -> KeyPath {
    KeyPath::root()
        .key("spec")
        .key(rule.direction.rules_key())
        .index(rule.rule)
}

/// The rules of each policy that are in effect, by the index of the policy.
pub(super) fn of(snapshot: &Snapshot) -> Vec<Vec<WrittenRule>> {
    let policies = snapshot.policy_ids();
    let rules = policies.map(|(id, policy)| match &policy.body {
        PolicyBody::Network(spec) => of_policy(id, spec),
        PolicyBody::Tiered(_) => Vec::new(),
    });
    rules.collect()
}

fn of_policy(policy: PolicyId, spec: &NetworkPolicySpec) -> Vec<WrittenRule> {
    let types = spec.policy_types.as_deref().unwrap_or_default();
    // Without types, egress counts if it has a rule; rules without effect are not here.
    let counts = |direction: Direction| {
        types.is_empty() || types.iter().any(|t| t == direction.policy_type())
    };
    let mut rules = Vec::new();
    let mut add = |direction, index, peers: Option<&Vec<_>>, ports: Option<&Vec<_>>| {
        if counts(direction) {
            let rule = RuleRef {
                policy,
                direction,
                rule: index,
            };
            rules.push(written(rule, peers, ports));
        }
    };
    for (index, rule) in spec.egress.iter().flatten().enumerate() {
        add(
            Direction::Egress,
            index,
            rule.to.as_ref(),
            rule.ports.as_ref(),
        );
    }
    for (index, rule) in spec.ingress.iter().flatten().enumerate() {
        add(
            Direction::Ingress,
            index,
            rule.from.as_ref(),
            rule.ports.as_ref(),
        );
    }
    rules
}

fn written(
    rule: RuleRef,
    peers: Option<&Vec<NetworkPolicyPeer>>,
    ports: Option<&Vec<NetworkPolicyPort>>,
) -> WrittenRule {
    let peers = peers.cloned().unwrap_or_default();
    let port_entries = ports.cloned().unwrap_or_default();
    let blocks = peers.iter().enumerate().filter_map(|(peer, written)| {
        let written = written.ip_block.as_ref()?;
        let except = written.except.as_deref().unwrap_or_default();
        let block = IpBlock::parse(&written.cidr, except).ok()?;
        Some(WrittenBlock {
            peer,
            addresses: block.addresses(),
            block,
        })
    });
    WrittenRule {
        rule,
        everybody: peers.is_empty(),
        blocks: blocks.collect(),
        peers,
        ports: numbered(&port_entries),
        port_entries,
    }
}

fn numbered(entries: &[NetworkPolicyPort]) -> PortSet {
    if entries.is_empty() {
        return PortSet::all();
    }
    let ports = entries.iter().map(numbers_of);
    ports.fold(PortSet::none(), |all, ports| all.union(&ports))
}

/// The numbered ports of one entry.
#[must_use]
pub fn numbers_of(entry: &NetworkPolicyPort) -> PortSet {
    let Some(protocol) = Protocol::from_field(entry.protocol.as_deref()) else {
        return PortSet::none();
    };
    match &entry.port {
        None => PortSet::protocol(protocol),
        Some(IntOrString::String(_)) => PortSet::none(),
        Some(IntOrString::Int(port)) => {
            let end = entry.end_port.unwrap_or(*port);
            match (u16::try_from(*port), u16::try_from(end)) {
                (Ok(start), Ok(end)) => PortSet::range(protocol, start, end),
                _ => PortSet::none(),
            }
        }
    }
}
