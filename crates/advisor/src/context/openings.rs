use std::collections::BTreeMap;
use std::net::IpAddr;

use ringfence_engine::{Packet, Peer, RuleRef};
use ringfence_model::address::IpFamily;
use ringfence_model::metadata::{self, MetadataEndpoint};
use ringfence_model::policy::{Action, Direction};
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{NamespaceId, WorkloadId};
use ringfence_model::tri::Tri;

use super::{Context, Exposure, Group};

/// What lets packets to cloud metadata through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// No policy isolates the pods of this namespace.
    NotIsolated(NamespaceId),
    /// This rule, for pods of this namespace.
    Rule(RuleRef, NamespaceId),
}

/// One group of pods, one metadata address that it reaches, and a port that shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The index of the group.
    pub group: usize,
    /// The address.
    pub address: IpAddr,
    /// The protocol of the port.
    pub protocol: Protocol,
    /// A port that is open, or may be.
    pub port: u16,
    /// Whether it is open for certain.
    pub certain: bool,
    /// Whether the platform serves on this port.
    pub served: bool,
}

impl Opening {
    /// The packet that shows it.
    #[must_use]
    pub fn packet(&self, group: &Group) -> Packet {
        Packet {
            source: Peer::Pod(group.first),
            destination: Peer::Address(self.address),
            family: IpFamily::of(self.address),
            protocol: self.protocol,
            port: self.port,
            through_service: None,
        }
    }

    /// Address and port as `explain` takes them.
    #[must_use]
    pub fn at(&self) -> String {
        address_text(self.address, (self.protocol, self.port))
    }
}

/// Address and port as `explain` takes them.
#[must_use]
pub fn address_text(address: IpAddr, (protocol, port): (Protocol, u16)) -> String {
    match (address, protocol) {
        (IpAddr::V6(address), Protocol::Tcp) => format!("[{address}]:{port}"),
        (address, Protocol::Tcp) => format!("{address}:{port}"),
        (address, protocol) => format!("{address}, port {port}/{protocol}"),
    }
}

/// How many ports of one address are looked at for rules that open them: the one that
/// tells most, and the first of each range.
const PORTS: usize = 6;

/// What is open, by what opens it.
pub(super) fn of(context: &Context<'_>) -> BTreeMap<Cause, Vec<Opening>> {
    let mut openings: BTreeMap<Cause, Vec<Opening>> = BTreeMap::new();
    let groups = context.groups().iter().zip(context.exposures()).enumerate();
    for (index, (group, exposures)) in groups {
        // They bypass every policy: another rule says so, and what they reach.
        if group.host_network {
            continue;
        }
        for exposure in exposures {
            let mut found: BTreeMap<Cause, Opening> = BTreeMap::new();
            for (protocol, port) in telling_ports(exposure) {
                let opening = Opening {
                    group: index,
                    address: exposure.address,
                    protocol,
                    port,
                    certain: exposure.open.allow.contains(protocol, port),
                    served: protocol == Protocol::Tcp && exposure.served_on.contains(&port),
                };
                for cause in causes(context, group, &opening) {
                    found.entry(cause).or_insert(opening);
                }
            }
            for (cause, opening) in found {
                openings.entry(cause).or_default().push(opening);
            }
        }
    }
    openings
}

fn telling_ports(exposure: &Exposure) -> Vec<(Protocol, u16)> {
    let ports = match exposure.open.allow.is_empty() {
        true => &exposure.open.maybe,
        false => &exposure.open.allow,
    };
    let mut telling = vec![exposure.telling_port()];
    for protocol in Protocol::WITH_PORTS {
        for (start, _) in ports.ranges(protocol) {
            if telling.len() < PORTS && !telling.contains(&(protocol, start)) {
                telling.push((protocol, start));
            }
        }
    }
    telling
}

/// The rules that allow the packet, or that nothing isolates the pod.
fn causes(context: &Context<'_>, group: &Group, opening: &Opening) -> Vec<Cause> {
    let packet = opening.packet(group);
    let rules = context.engine.matching_rules(
        group.first,
        Direction::Egress,
        packet.destination,
        packet.family,
        (packet.protocol, packet.port),
    );
    let allowing: Vec<Cause> = rules
        .iter()
        .filter(|m| m.action == Action::Accept && (m.matches == Tri::Yes || !opening.certain))
        .map(|matching| Cause::Rule(matching.rule, group.namespace))
        .collect();
    if allowing.is_empty() {
        vec![Cause::NotIsolated(group.namespace)]
    } else {
        allowing
    }
}

impl Context<'_> {
    /// The providers of an address that count, for a sentence.
    #[must_use]
    pub fn providers_at(&self, address: IpAddr) -> String {
        let counts = |endpoint: &&MetadataEndpoint| self.options.counts(endpoint);
        let endpoints = metadata::endpoints_at(address).filter(counts);
        let mut names: Vec<&str> = endpoints.map(|endpoint| endpoint.provider).collect();
        names.dedup();
        match names.as_slice() {
            [] => "no provider that counts".to_owned(),
            [one] => (*one).to_owned(),
            [one, two] => format!("{one} and {two}"),
            [one, two, ..] => format!("{one}, {two} and others"),
        }
    }

    /// The workloads and the addresses that some openings are about, each once.
    #[must_use]
    pub fn concerned_by(&self, openings: &[&Opening]) -> (Vec<WorkloadId>, Vec<IpAddr>) {
        let groups = openings.iter().filter_map(|o| self.groups().get(o.group));
        let workloads = self.workloads(groups.flat_map(|g| g.pods.iter().copied()));
        let mut addresses: Vec<IpAddr> = openings.iter().map(|o| o.address).collect();
        addresses.sort_unstable();
        addresses.dedup();
        (workloads, addresses)
    }

    /// Whether the IPv4 metadata endpoints are closed to a group and IPv6 ones are open.
    #[must_use]
    pub fn leaks_over_ipv6(&self, index: usize) -> bool {
        let (Some(group), Some(exposures)) =
            (self.groups().get(index), self.exposures().get(index))
        else {
            return false;
        };
        let is_v4 = |exposure: &&Exposure| exposure.address.is_ipv4();
        let v6_open = exposures
            .iter()
            .any(|e| e.address.is_ipv6() && !e.open.allow.is_empty());
        if group.host_network || !v6_open {
            return false;
        }
        let common_counts = self
            .metadata_endpoints()
            .any(|endpoint| endpoint.address == metadata::COMMON);
        let v4_closed = match common_counts {
            true => !exposures.iter().any(|e| e.address == metadata::COMMON),
            false => !exposures.iter().any(|e| is_v4(&e)),
        };
        let families = self.snapshot.families_of(self.snapshot.pod(group.first));
        // A pod without IPv4 has nothing of IPv4 to close, unless somebody has tried.
        v4_closed && (families.contains(&IpFamily::V4) || self.excepts_ipv4_metadata(group))
    }

    fn excepts_ipv4_metadata(&self, group: &Group) -> bool {
        let policies = self.engine.policies_for(group.first, Direction::Egress);
        let rules = policies.flat_map(|(policy, _)| self.written_rules_of(policy));
        let mut blocks = rules
            .filter(|rule| rule.id.direction == Direction::Egress)
            .flat_map(|rule| &rule.blocks);
        blocks.any(|block| {
            block.block.cidr.contains(&metadata::COMMON)
                && !block.addresses.contains(metadata::COMMON)
        })
    }
}
