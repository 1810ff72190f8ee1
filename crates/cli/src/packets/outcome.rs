//! Packets with the same outcome, put together.

use std::net::IpAddr;

use ipnet::IpNet;
use ringfence_advisor::not_counted::NotCountedPolicy;
use ringfence_engine::reach::OpenPorts;
use ringfence_engine::sets::PortSet;
use ringfence_engine::{Frontend, Packet, Peer, Verdict};
use ringfence_model::address::IpFamily;
use ringfence_model::protocol::Protocol;
use ringfence_model::snapshot::{PodId, PodKind, ServiceId, Snapshot, WorkloadId};
use rustc_hash::FxHashMap;

/// What there is to say about a question.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Never empty.
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) notes: Vec<String>,
}

impl Answer {
    /// The verdict when all outcomes agree.
    pub(crate) fn common_verdict(&self) -> Option<Verdict> {
        let first = self.outcomes.first()?.verdict;
        let agree = self.outcomes.iter().all(|outcome| outcome.verdict == first);
        agree.then_some(first)
    }
}

/// The way through a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Via {
    pub(crate) service: ServiceId,
    /// The port that the client uses.
    pub(crate) port: u16,
    pub(crate) protocol: Protocol,
    /// The port behind it.
    pub(crate) target_port: u16,
    /// Whether the endpoint certainly is one.
    pub(crate) certain: bool,
}

impl Via {
    /// What the client connects to.
    pub(crate) fn frontend(&self) -> Frontend {
        Frontend {
            service: self.service,
            port: self.port,
        }
    }
}

/// One end of an outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Party {
    Workload(WorkloadId),
    Addresses(Vec<IpNet>),
}

impl Party {
    fn is_outside(&self) -> bool {
        matches!(self, Self::Addresses(_))
    }
}

/// Packets between the same parties with the same verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) from: Party,
    pub(crate) to: Party,
    pub(crate) via: Option<Via>,
    pub(crate) verdict: Verdict,
    /// The ports that share the verdict.
    pub(crate) ports: PortSet,
    pub(crate) families: Vec<IpFamily>,
    /// How many pairs of ends have this outcome, of all pairs between the parties.
    pub(crate) pairs: (usize, usize),
    /// The packet that stands for all of them.
    pub(crate) packet: Packet,
    /// Whether other packets between the same parties have another outcome.
    pub(crate) has_siblings: bool,
    /// Policies that no verdict counts and that could change this one, which is unknown
    /// for that reason.
    pub(crate) not_counted: Vec<NotCountedPolicy>,
    /// Whether it is unknown because nothing in the input shows that the pod has this
    /// family, and it would be another one if it had.
    pub(crate) is_of_unseen_family: bool,
}

/// A pair of ends that was judged for all ports.
pub(super) struct Judged<'a> {
    pub(super) source: Peer,
    pub(super) destination: Peer,
    /// The addresses that the end outside the cluster stands for.
    pub(super) addresses: Option<&'a [IpNet]>,
    pub(super) family: IpFamily,
    /// Whether nothing in the input shows that the pod has the family.
    pub(super) is_of_unseen_family: bool,
    pub(super) via: Option<&'a Via>,
    /// The ports that were asked for.
    pub(super) asked: &'a PortSet,
    pub(super) open: OpenPorts,
}

/// The ends of outcomes that belong together, and the way between them.
type Ends = (Party, Party, Option<Via>);

/// What is known of one pair of ends.
#[derive(Default)]
struct Between {
    /// Indices of its outcomes.
    outcomes: Vec<usize>,
    /// How many pairs were judged.
    pairs: usize,
}

/// Puts judged pairs together.
pub(super) struct Collector<'a> {
    snapshot: &'a Snapshot,
    outcomes: Vec<Outcome>,
    between: FxHashMap<Ends, Between>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        Self {
            snapshot,
            outcomes: Vec::new(),
            between: FxHashMap::default(),
        }
    }

    /// Whether the workload of a pod has other pods, of which the input knows.
    pub(super) fn has_other_pods(&self, pod: PodId) -> bool {
        let pod = self.snapshot.pod(pod);
        pod.kind == PodKind::Single && self.snapshot.workload(pod.workload).pods.len() > 1
    }

    pub(super) fn add(&mut self, judged: &Judged<'_>) {
        let party = |peer| match (peer, judged.addresses) {
            (Peer::Pod(id), _) => Party::Workload(self.snapshot.pod(id).workload),
            (Peer::Address(_), Some(nets)) => Party::Addresses(nets.to_vec()),
            (Peer::Address(address), None) => Party::Addresses(vec![IpNet::from(address)]),
        };
        let ends = (
            party(judged.source),
            party(judged.destination),
            judged.via.cloned(),
        );
        let allowed = judged.asked.intersection(&judged.open.allow);
        let maybe = judged.asked.intersection(&judged.open.maybe);
        let denied = judged.asked.difference(&allowed).difference(&maybe);
        let between = self.between.entry(ends.clone()).or_default();
        between.pairs += 1;
        for (verdict, ports) in [
            (Verdict::Allowed, allowed),
            (Verdict::Unknown, maybe),
            (Verdict::Denied, denied),
        ] {
            if ports.is_empty() {
                continue;
            }
            let known = between.outcomes.iter().copied().find(|index| {
                let outcome = self.outcomes.get(*index);
                outcome.is_some_and(|o| o.verdict == verdict && o.ports == ports)
            });
            if let Some(outcome) = known.and_then(|index| self.outcomes.get_mut(index)) {
                outcome.pairs.0 += 1;
                if !outcome.families.contains(&judged.family) {
                    outcome.families.push(judged.family);
                    outcome.families.sort_unstable();
                }
            } else {
                between.outcomes.push(self.outcomes.len());
                self.outcomes.push(outcome(judged, &ends, verdict, ports));
            }
        }
    }

    pub(super) fn finish(mut self) -> Vec<Outcome> {
        for between in self.between.values() {
            for index in &between.outcomes {
                if let Some(outcome) = self.outcomes.get_mut(*index) {
                    outcome.pairs.1 = between.pairs;
                }
            }
        }
        let mut outcomes = join_families(self.outcomes);
        let mut between: FxHashMap<(Party, Party), usize> = FxHashMap::default();
        let ends = |outcome: &Outcome| (outcome.from.clone(), outcome.to.clone());
        for outcome in &outcomes {
            *between.entry(ends(outcome)).or_default() += 1;
        }
        for outcome in &mut outcomes {
            outcome.has_siblings = between.get(&ends(outcome)).is_some_and(|n| *n > 1);
        }
        outcomes
    }
}

fn outcome(judged: &Judged<'_>, ends: &Ends, verdict: Verdict, ports: PortSet) -> Outcome {
    let (protocol, port) = representative_port(&ports);
    let (from, to, via) = ends.clone();
    Outcome {
        from,
        to,
        via,
        verdict,
        ports,
        families: vec![judged.family],
        pairs: (1, 1),
        packet: Packet {
            through_service: judged.via.map(Via::frontend),
            source: judged.source,
            destination: judged.destination,
            family: judged.family,
            protocol,
            port,
        },
        has_siblings: false,
        not_counted: Vec::new(),
        is_of_unseen_family: judged.is_of_unseen_family,
    }
}

/// Addresses of the two families never share a party; where everything else is equal
/// they are one outcome to a person.
fn join_families(outcomes: Vec<Outcome>) -> Vec<Outcome> {
    let (with_addresses, mut joined): (Vec<Outcome>, Vec<Outcome>) = outcomes
        .into_iter()
        .partition(|outcome| outcome.from.is_outside() || outcome.to.is_outside());
    let first = joined.len();
    for outcome in with_addresses {
        let candidates = joined.get_mut(first..).unwrap_or_default();
        let twin = candidates.iter_mut().find(|known| {
            known.families != outcome.families
                && known.verdict == outcome.verdict
                && known.ports == outcome.ports
                && known.via == outcome.via
                && known.is_of_unseen_family == outcome.is_of_unseen_family
                && same_or_addresses(&known.from, &outcome.from)
                && same_or_addresses(&known.to, &outcome.to)
        });
        match twin {
            Some(known) => {
                join(&mut known.from, &outcome.from);
                join(&mut known.to, &outcome.to);
                known.families.extend(&outcome.families);
                known.families.sort_unstable();
                known.families.dedup();
                known.pairs.0 += outcome.pairs.0;
                known.pairs.1 += outcome.pairs.1;
            }
            None => joined.push(outcome),
        }
    }
    joined
}

fn same_or_addresses(a: &Party, b: &Party) -> bool {
    a == b || matches!((a, b), (Party::Addresses(_), Party::Addresses(_)))
}

fn join(into: &mut Party, other: &Party) {
    if let (Party::Addresses(known), Party::Addresses(more)) = (into, other) {
        known.extend(more);
        known.sort_unstable();
        known.dedup();
    }
}

/// Ports that people know, to stand for many.
const WELL_KNOWN: [(Protocol, u16); 6] = [
    (Protocol::Tcp, 443),
    (Protocol::Tcp, 80),
    (Protocol::Tcp, 8080),
    (Protocol::Udp, 53),
    (Protocol::Tcp, 22),
    (Protocol::Icmp, 0),
];

fn representative_port(ports: &PortSet) -> (Protocol, u16) {
    let known = WELL_KNOWN
        .into_iter()
        .find(|(protocol, port)| ports.contains(*protocol, *port));
    let first = || {
        Protocol::WITH_PORTS.into_iter().find_map(|protocol| {
            let (start, _) = ports.ranges(protocol).first().copied()?;
            Some((protocol, start))
        })
    };
    // A set of one port is that port, however well known others are.
    known.or_else(first).unwrap_or((Protocol::Icmp, 0))
}

/// Addresses that people know, to stand for many.
const KNOWN_ADDRESSES: [&str; 5] = [
    "1.1.1.1",
    "8.8.8.8",
    "169.254.169.254",
    "2606:4700:4700::1111",
    "fd00:ec2::254",
];

/// An address that stands for all of `nets`.
pub(super) fn representative(nets: &[IpNet]) -> Option<IpAddr> {
    let known = KNOWN_ADDRESSES
        .iter()
        .filter_map(|text| text.parse::<IpAddr>().ok())
        .find(|address| nets.iter().any(|net| net.contains(address)));
    let first = || {
        // The first address of a block is a network's own.
        let net = nets
            .iter()
            .max_by_key(|net| net.max_prefix_len() - net.prefix_len())?;
        Some(net.hosts().next().unwrap_or_else(|| net.addr()))
    };
    known.or_else(first)
}
