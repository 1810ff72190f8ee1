use std::net::IpAddr;

use ringfence_engine::RuleRef;
use ringfence_engine::sets::PortSet;
use ringfence_model::address::{IpBlock, IpFamily, IpRangeSet, from_number, public_internet};
use ringfence_model::k8s_openapi::api::networking::v1::{
    NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use ringfence_model::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ringfence_model::policy::{Direction, Policy, PolicyBody};
use ringfence_model::protocol::Protocol;
use ringfence_model::source::KeyPath;

use super::Context;
use super::internet::is_the_internet;
use crate::finding::Place;

/// A rule of a `NetworkPolicy` that is in effect, as it is written: what it says about
/// addresses and numbered ports. What it does to pods is the engine's to say.
#[derive(Clone, Debug)]
pub struct WrittenRule<'a> {
    /// Which one it is.
    pub id: RuleRef,
    /// Its policy.
    pub policy: &'a Policy,
    /// The policy's `spec`.
    pub spec: &'a NetworkPolicySpec,
    /// Its `to` or `from`; empty for everybody.
    pub peers: &'a [NetworkPolicyPeer],
    /// Its blocks that can be read.
    pub blocks: Vec<WrittenBlock>,
    /// Its `ports`, as they are written; empty for all.
    pub port_entries: &'a [NetworkPolicyPort],
    /// Its ports; those that are named are left out: a name means nothing for an address.
    pub ports: PortSet,
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

impl<'a> WrittenRule<'a> {
    fn read(
        (id, policy, spec): (RuleRef, &'a Policy, &'a NetworkPolicySpec),
        peers: Option<&'a Vec<NetworkPolicyPeer>>,
        ports: Option<&'a Vec<NetworkPolicyPort>>,
    ) -> Self {
        let peers = peers.map_or(&[][..], Vec::as_slice);
        let port_entries = ports.map_or(&[][..], Vec::as_slice);
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
        Self {
            id,
            policy,
            spec,
            peers,
            blocks: blocks.collect(),
            port_entries,
            ports: numbered(port_entries),
        }
    }

    /// Whether it names no peers, which means everybody.
    #[must_use]
    pub fn is_for_everybody(&self) -> bool {
        self.peers.is_empty()
    }

    /// Whether some peer can be outside the policy's own namespace.
    #[must_use]
    pub fn leaves_namespace(&self) -> bool {
        let leaves = |peer: &NetworkPolicyPeer| {
            peer.pod_selector.is_none() || peer.namespace_selector.is_some()
        };
        self.is_for_everybody() || self.peers.iter().any(leaves)
    }

    /// "egress rule 2 of `web`": rules are counted from 1 for people.
    #[must_use]
    pub fn name(&self) -> String {
        let number = self.id.rule + 1;
        format!(
            "{} rule {number} of `{}`",
            self.id.direction, self.policy.name
        )
    }

    /// Where the rule is in its policy.
    #[must_use]
    pub fn path(&self) -> KeyPath {
        rule_path(self.id)
    }

    /// Where a peer is in its policy.
    #[must_use]
    pub fn peer_path(&self, peer: usize) -> KeyPath {
        self.path().key(self.id.direction.peers_key()).index(peer)
    }

    /// Where a block is in its policy.
    #[must_use]
    pub fn block_path(&self, block: &WrittenBlock) -> KeyPath {
        self.peer_path(block.peer).key("ipBlock")
    }

    /// Where an entry of its ports is in its policy.
    #[must_use]
    pub fn port_path(&self, port: usize) -> KeyPath {
        self.path().key("ports").index(port)
    }

    /// A value inside the policy.
    #[must_use]
    pub fn place(&self, path: KeyPath, label: &str) -> Option<Place> {
        let origin = self.policy.origin.as_ref()?;
        Some(Place::value(origin, path, label))
    }

    /// The addresses of a family that it covers, whatever pods have.
    #[must_use]
    pub fn addresses(&self, family: IpFamily) -> IpRangeSet {
        if self.is_for_everybody() {
            return IpRangeSet::full(family);
        }
        let empty = IpRangeSet::empty(family);
        self.blocks
            .iter()
            .fold(empty, |all, block| all.union(&block.addresses))
    }

    /// Whether it covers so many of the public addresses of a family that it is about the
    /// internet: an eighth, or more.
    #[must_use]
    pub fn covers_the_internet(&self, family: IpFamily) -> bool {
        is_the_internet(&self.addresses(family))
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

/// Where a rule is in its policy.
#[must_use]
pub fn rule_path(rule: RuleRef) -> KeyPath {
    KeyPath::root()
        .key("spec")
        .key(rule.direction.rules_key())
        .index(rule.rule)
}

/// The rules of network policies that are in effect, in the order of the policies; of one
/// policy, egress first.
pub(super) fn rules<'a>(context: &Context<'a>) -> Vec<WrittenRule<'a>> {
    let mut found = Vec::new();
    for (id, policy) in context.snapshot.policy_ids() {
        let PolicyBody::Network(spec) = &policy.body else {
            continue;
        };
        let at = |direction, rule| {
            let id = RuleRef {
                policy: id,
                direction,
                rule,
            };
            (id, policy, spec)
        };
        if context.engine.covers(id, Direction::Egress) {
            let rules = spec.egress.iter().flatten().enumerate();
            found.extend(rules.map(|(index, rule)| {
                let id = at(Direction::Egress, index);
                WrittenRule::read(id, rule.to.as_ref(), rule.ports.as_ref())
            }));
        }
        if context.engine.covers(id, Direction::Ingress) {
            let rules = spec.ingress.iter().flatten().enumerate();
            found.extend(rules.map(|(index, rule)| {
                let id = at(Direction::Ingress, index);
                WrittenRule::read(id, rule.from.as_ref(), rule.ports.as_ref())
            }));
        }
    }
    found
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
