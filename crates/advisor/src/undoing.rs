//! Which rules may undo an exception of another: those that cover what it excepts, on a
//! port that both allow or on which a metadata endpoint is served.
//!
//! Rules are not compared in pairs: there may be thousands for one pod, with as many
//! exceptions. Those that say the same are taken together, and the others are looked up
//! by ports, then by addresses.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::net::IpAddr;

use ringfence_engine::sets::PortSet;
use ringfence_model::address::{IpBlock, IpFamily, IpRangeSet, to_number};
use ringfence_model::protocol::Protocol;

use crate::context::{WrittenBlock, WrittenRule};
use crate::intervals::Intervals;

/// An exception, and what of a rule may undo it.
#[derive(Clone, Debug)]
pub(crate) struct Undoing<'c> {
    /// The rule that excepts.
    pub(crate) excepting: &'c WrittenRule<'c>,
    /// The block with the exception.
    pub(crate) block: &'c WrittenBlock,
    /// The index of the exception in its list.
    pub(crate) entry: usize,
    /// The rule that covers it.
    pub(crate) undoing: &'c WrittenRule<'c>,
    /// The peer that covers it; `None` if the rule is for everybody.
    pub(crate) peer: Option<usize>,
    /// What that covers.
    pub(crate) covered: Cow<'c, IpRangeSet>,
}

/// Equal values have one number, in the order in which they come.
struct Numbered<K> {
    numbers: HashMap<K, usize>,
}

impl<K: Eq + Hash> Numbered<K> {
    fn new() -> Self {
        Self {
            numbers: HashMap::new(),
        }
    }

    fn number(&mut self, value: K) -> usize {
        let next = self.numbers.len();
        *self.numbers.entry(value).or_insert(next)
    }
}

/// Rules that allow the same ports, by their addresses.
type ByAddress = [Intervals<usize>; 2];

/// Blocks of rules with the same ports that cover the same addresses.
struct Coverage<'c> {
    addresses: Cow<'c, IpRangeSet>,
    /// The indexes of the rules, and the peers.
    members: Vec<(usize, Option<usize>)>,
}

/// Blocks of rules with the same ports that except the same.
struct Exception<'c> {
    /// The number of its ports.
    ports: usize,
    written: &'c WrittenBlock,
    members: Vec<(usize, &'c WrittenBlock)>,
}

/// The rules for some pods, indexed.
struct Index<'c> {
    coverages: Vec<Coverage<'c>>,
    exceptions: Vec<Exception<'c>>,
    /// The ranges of ports by number.
    ranges: Vec<Vec<(u128, u128)>>,
    by_port: Intervals<usize>,
    /// By the number of the ports.
    by_address: Vec<ByAddress>,
}

impl<'c> Index<'c> {
    fn new(rules: &[&'c WrittenRule<'c>]) -> Self {
        let mut ports: Numbered<&PortSet> = Numbered::new();
        let mut shapes: Numbered<(usize, Cow<'c, IpRangeSet>)> = Numbered::new();
        let mut blocks: Numbered<(usize, &IpBlock)> = Numbered::new();
        let (mut coverages, mut exceptions, mut ranges) = (Vec::new(), Vec::new(), Vec::new());
        let mut by_address: Vec<[Vec<(u128, u128, usize)>; 2]> = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            let number = ports.number(&rule.ports);
            if number == ranges.len() {
                ranges.push(ranges_of(&rule.ports));
                by_address.push([Vec::new(), Vec::new()]);
            }
            for (peer, addresses) in covered(rule) {
                let shape = shapes.number((number, addresses.clone()));
                if shape == coverages.len() {
                    let of_family = by_address
                        .get_mut(number)
                        .and_then(|both| both.get_mut(place(addresses.family())));
                    if let Some(intervals) = of_family {
                        let ranges = addresses.ranges().iter();
                        intervals.extend(ranges.map(|(start, end)| (*start, *end, shape)));
                    }
                    coverages.push(Coverage {
                        addresses,
                        members: Vec::new(),
                    });
                }
                if let Some(coverage) = coverages.get_mut(shape) {
                    coverage.members.push((index, peer));
                }
            }
            for written in rule.blocks.iter().filter(|b| !b.block.except.is_empty()) {
                let shape = blocks.number((number, &written.block));
                if shape == exceptions.len() {
                    exceptions.push(Exception {
                        ports: number,
                        written,
                        members: Vec::new(),
                    });
                }
                if let Some(exception) = exceptions.get_mut(shape) {
                    exception.members.push((index, written));
                }
            }
        }
        let by_port = ranges.iter().enumerate().flat_map(|(number, ranges)| {
            let ranges: &Vec<(u128, u128)> = ranges;
            ranges
                .iter()
                .map(move |(start, end)| (*start, *end, number))
        });
        Self {
            by_port: Intervals::new(by_port.collect()),
            coverages,
            exceptions,
            ranges,
            by_address: by_address
                .into_iter()
                .map(|both| both.map(Intervals::new))
                .collect(),
        }
    }

    /// The numbers of the ports that have some in common with these.
    fn sharing(&self, ports: usize) -> BTreeSet<usize> {
        let ranges = self.ranges.get(ports).into_iter().flatten();
        ranges
            .flat_map(|(start, end)| self.by_port.overlapping(*start, *end))
            .collect()
    }

    /// The coverages with ports of these numbers that have all of a range of addresses.
    fn containing(
        &self,
        ports: &BTreeSet<usize>,
        family: IpFamily,
        (start, end): (u128, u128),
    ) -> Vec<usize> {
        let indexes = ports.iter().filter_map(|ports| self.by_address.get(*ports));
        let of_family = indexes.filter_map(|both| both.get(place(family)));
        of_family
            .flat_map(|intervals| intervals.containing(start, end))
            .collect()
    }

    /// The coverages that may undo an exception.
    fn undoing(
        &self,
        exception: &Exception<'_>,
        entry: &ipnet::IpNet,
        sharing: &BTreeSet<usize>,
        served: &[(IpAddr, BTreeSet<usize>)],
    ) -> BTreeSet<usize> {
        let family = exception.written.block.family();
        let range = IpRangeSet::from_nets(family, [entry])
            .ranges()
            .first()
            .copied();
        let Some(range) = range else {
            return BTreeSet::new();
        };
        let mut found: BTreeSet<usize> = BTreeSet::new();
        found.extend(self.containing(sharing, family, range));
        for (address, on_its_port) in served.iter().filter(|(at, _)| entry.contains(at)) {
            let number = to_number(*address);
            found.extend(self.containing(sharing, family, (number, number)));
            found.extend(self.containing(on_its_port, family, (number, number)));
        }
        found
    }
}

/// The place of a family in what is kept for both.
fn place(family: IpFamily) -> usize {
    match family {
        IpFamily::V4 => 0,
        IpFamily::V6 => 1,
    }
}

/// Ports on one line; ICMP is left out: no packet of it shows an exception undone.
fn ranges_of(ports: &PortSet) -> Vec<(u128, u128)> {
    let protocols = Protocol::WITH_PORTS.into_iter();
    let ranges = protocols.flat_map(|protocol| {
        let ranges = ports.ranges(protocol).into_iter();
        ranges.map(move |(start, end)| (on_line(protocol, start), on_line(protocol, end)))
    });
    ranges.collect()
}

fn on_line(protocol: Protocol, port: u16) -> u128 {
    let base = match protocol {
        Protocol::Tcp => 0,
        Protocol::Udp => 1,
        Protocol::Sctp => 2,
        Protocol::Icmp => 3,
    };
    (base << 16) + u128::from(port)
}

/// What of the addresses that a rule covers: its blocks, or all.
fn covered<'c>(rule: &'c WrittenRule<'c>) -> Vec<(Option<usize>, Cow<'c, IpRangeSet>)> {
    if rule.is_for_everybody() {
        return IpFamily::ALL
            .map(|family| (None, Cow::Owned(IpRangeSet::full(family))))
            .into();
    }
    rule.blocks
        .iter()
        .map(|block| (Some(block.peer), Cow::Borrowed(&block.addresses)))
        .collect()
}

/// What may undo exceptions among rules for the same pods, in the order of the rules.
/// `served` is where metadata endpoints are: on such a port it does not matter whether the
/// rule that excepts is about it.
pub(crate) fn candidates<'c>(
    rules: &[&'c WrittenRule<'c>],
    served: &[(IpAddr, u16)],
) -> Vec<Undoing<'c>> {
    let index = Index::new(rules);
    let served: Vec<(IpAddr, BTreeSet<usize>)> = served
        .iter()
        .map(|(address, port)| {
            let at = on_line(Protocol::Tcp, *port);
            (
                *address,
                index.by_port.containing(at, at).into_iter().collect(),
            )
        })
        .collect();
    let mut sharing: HashMap<usize, BTreeSet<usize>> = HashMap::new();
    let mut found = Vec::new();
    for exception in &index.exceptions {
        let ports = exception.ports;
        let sharing = sharing.entry(ports).or_insert_with(|| index.sharing(ports));
        // A rule that is about excepted addresses only is there to allow just those.
        let mut is_apart: HashMap<usize, bool> = HashMap::new();
        for (entry, excepted) in exception.written.block.except.iter().enumerate() {
            for number in index.undoing(exception, excepted, sharing, &served) {
                let Some(coverage) = index.coverages.get(number) else {
                    continue;
                };
                let is_apart = *is_apart.entry(number).or_insert_with(|| {
                    coverage.addresses.is_disjoint(&exception.written.addresses)
                });
                if is_apart {
                    continue;
                }
                for (excepting, block) in &exception.members {
                    for (undoing, peer) in &coverage.members {
                        if undoing != excepting || *peer != Some(block.peer) {
                            let order = (*excepting, block.peer, *undoing, *peer, entry);
                            found.push((order, *block, &coverage.addresses));
                        }
                    }
                }
            }
        }
    }
    found.sort_by_key(|(order, ..)| *order);
    let found = found.into_iter().filter_map(|(order, block, covered)| {
        let (excepting, _, undoing, peer, entry) = order;
        Some(Undoing {
            excepting: *rules.get(excepting)?,
            block,
            entry,
            undoing: *rules.get(undoing)?,
            peer,
            covered: covered.clone(),
        })
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ringfence_engine::RuleRef;
    use ringfence_model::k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicySpec};
    use ringfence_model::policy::{Direction, Policy, PolicyBody, PolicyFamily};
    use ringfence_model::snapshot::PolicyId;

    use super::*;

    const CIDRS: [&str; 6] = [
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.1.0.0/16",
        "169.254.0.0/16",
        "::/0",
        "fd00::/8",
    ];
    const ENTRIES: [&str; 7] = [
        "10.0.0.0/8",
        "10.1.0.0/16",
        "10.1.2.0/24",
        "169.254.0.0/16",
        "169.254.169.254/32",
        "fd00::/8",
        "fd00:ec2::254/128",
    ];

    /// Where it is excepted, and what covers it.
    type Found = Vec<(RuleRef, usize, usize, RuleRef, Option<usize>)>;

    fn found(rules: &[&WrittenRule<'_>], served: &[(IpAddr, u16)]) -> Found {
        candidates(rules, served)
            .iter()
            .map(|c| (c.excepting.id, c.block.peer, c.entry, c.undoing.id, c.peer))
            .collect()
    }

    /// The same by comparing every rule with every other.
    fn by_pairs(rules: &[&WrittenRule<'_>], served: &[(IpAddr, u16)]) -> Found {
        let mut found = Vec::new();
        for (excepting, undoing) in rules.iter().flat_map(|a| rules.iter().map(move |b| (a, b))) {
            let icmp = PortSet::protocol(Protocol::Icmp);
            let common = excepting.ports.intersection(&undoing.ports);
            let shares = !common.difference(&icmp).is_empty();
            for (block, (peer, covered)) in excepting
                .blocks
                .iter()
                .flat_map(|block| covered(undoing).into_iter().map(move |c| (block, c)))
            {
                let family = block.block.family();
                let is_itself = excepting.id == undoing.id && peer == Some(block.peer);
                if is_itself || covered.is_disjoint(&block.addresses) {
                    continue;
                }
                for (entry, net) in block.block.except.iter().enumerate() {
                    let all = IpRangeSet::from_nets(family, [net]);
                    let is_served = served.iter().any(|(address, port)| {
                        let opens = undoing.ports.contains(Protocol::Tcp, *port);
                        net.contains(address) && covered.contains(*address) && (shares || opens)
                    });
                    let is_all = shares && !all.is_empty() && all.is_subset(&covered);
                    if is_served || is_all {
                        found.push((excepting.id, block.peer, entry, undoing.id, peer));
                    }
                }
            }
        }
        found.sort_unstable();
        found
    }

    #[test]
    fn what_is_looked_up_is_what_comparing_all_pairs_finds() {
        let policy = Policy {
            family: PolicyFamily::NetworkPolicy,
            namespace: None,
            name: "any".into(),
            annotations: BTreeMap::new(),
            body: PolicyBody::Network(NetworkPolicySpec::default()),
            origin: None,
        };
        let spec = NetworkPolicySpec::default();
        let peers = vec![NetworkPolicyPeer::default(); 3];
        let served = [
            ("169.254.169.254".parse().unwrap(), 80),
            ("fd00:ec2::254".parse().unwrap(), 80),
        ];
        // Numbers that look random and are the same every time.
        let mut state = 7_u64;
        let mut next = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % below
        };
        let mut is_something = false;
        for _ in 0..300 {
            let rules: Vec<WrittenRule<'_>> = (0..next(12))
                .map(|rule| {
                    let blocks: Vec<WrittenBlock> = (0..next(4))
                        .map(|peer| {
                            let except: Vec<String> = (0..next(3))
                                .map(|_| ENTRIES[next(ENTRIES.len())].to_owned())
                                .collect();
                            let block = IpBlock::parse(CIDRS[next(CIDRS.len())], &except).unwrap();
                            let addresses = block.addresses();
                            WrittenBlock {
                                peer,
                                block,
                                addresses,
                            }
                        })
                        .collect();
                    let ports = match next(5) {
                        0 => PortSet::all(),
                        1 => PortSet::none(),
                        2 => PortSet::range(Protocol::Tcp, 79, 81),
                        3 => PortSet::range(Protocol::Udp, 53, 53),
                        _ => PortSet::range(Protocol::Tcp, 443, 443),
                    };
                    WrittenRule {
                        id: RuleRef {
                            policy: PolicyId(0),
                            direction: Direction::Egress,
                            rule,
                        },
                        policy: &policy,
                        spec: &spec,
                        peers: &peers[..blocks.len()],
                        blocks,
                        port_entries: &[],
                        ports,
                    }
                })
                .collect();
            let rules: Vec<&WrittenRule<'_>> = rules.iter().collect();
            let mut looked_up = found(&rules, &served);
            looked_up.sort_unstable();
            is_something |= !looked_up.is_empty();
            assert_eq!(looked_up, by_pairs(&rules, &served));
        }
        assert!(is_something);
    }
}
