//! What a change of the cluster opens and closes.
//!
//! Two compiled snapshots are compared by what can be reached, not by what is written:
//! a policy that is split in two changes nothing. Ends are compared by name, since
//! indices differ between snapshots.

mod evidence;
mod outside;
mod policies;
#[cfg(test)]
mod tests;

pub use evidence::{Cause, Evidence, Responsible, When, responsible};
pub use policies::{ChangedPolicy, PolicyStatus};

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;
use ringfence_model::address::{IpFamily, IpRangeSet};
use ringfence_model::snapshot::{Snapshot, WorkloadId};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::engine::Engine;
use crate::packet::Verdict;
use crate::reach::{End, OpenPorts, Reachability, Row, Selection};
use crate::sets::PortSet;
use outside::Outside;

/// A workload by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkloadName {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its kind.
    pub kind: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

impl WorkloadName {
    fn of(snapshot: &Snapshot, id: WorkloadId) -> Self {
        let workload = snapshot.workload(id);
        Self {
            namespace: Arc::clone(&snapshot.namespace(workload.namespace).name),
            kind: Arc::clone(&workload.kind),
            name: Arc::clone(&workload.name),
        }
    }

    /// The workload of that name.
    #[must_use]
    pub fn find(&self, snapshot: &Snapshot) -> Option<WorkloadId> {
        let found = snapshot.find_workload(&self.namespace, Some(&self.kind), &self.name);
        found.first().copied()
    }
}

/// One end of a [`Change`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChangedEnd {
    /// A workload: some pod of it.
    Workload(WorkloadName),
    /// Addresses outside the cluster, of either family: sorted, as few blocks as
    /// possible.
    Addresses(Vec<IpNet>),
}

/// Which of the two clusters has both ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Presence {
    /// Both have.
    Both,
    /// The old one only: a workload is gone, and its connections with it.
    OnlyBefore,
    /// The new one only: a workload is new, and so are all its connections.
    OnlyAfter,
}

/// Ports between two ends whose verdict has changed.
///
/// The verdict on two workloads is the best that any two pods of them get. A
/// connection with a workload that does not exist is denied.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Change {
    /// Who opens the connection.
    pub from: ChangedEnd,
    /// Who accepts it.
    pub to: ChangedEnd,
    /// The verdict in the old cluster.
    pub before: Verdict,
    /// The verdict in the new cluster; another one.
    pub after: Verdict,
    /// The ports.
    pub ports: PortSet,
    /// Which cluster has both ends.
    pub presence: Presence,
}

impl Change {
    /// Whether more may pass than before: `false` means less.
    #[must_use]
    pub fn opens(&self) -> bool {
        openness(self.after) > openness(self.before)
    }
}

fn openness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Denied => 0,
        Verdict::Unknown => 1,
        Verdict::Allowed => 2,
    }
}

/// The difference between two clusters.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Diff {
    /// Workloads that only the new cluster has, sorted.
    pub added: Vec<WorkloadName>,
    /// Workloads that only the old cluster has, sorted.
    pub removed: Vec<WorkloadName>,
    /// Policies that are not the same in both, sorted.
    pub policies: Vec<ChangedPolicy>,
    /// Connections whose verdict has changed, sorted.
    pub changes: Vec<Change>,
}

impl Diff {
    /// What passes now, or may pass, and did not before.
    pub fn opened(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.opens())
    }

    /// What passed before, or may have passed, and does not now.
    pub fn closed(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| !change.opens())
    }
}

/// Whether more than the snapshot has decides about an end: a policy that could not be
/// read may select it. What it reaches, and what reaches it, is not known.
pub type Doubt<'a> = &'a dyn Fn(&End) -> bool;

/// Whether pods whose addresses are not known are taken to have other families in the one
/// cluster than in the other. What is only told of one of them has not changed: both are
/// asked about both families then.
fn differ_in_families(old: &Engine, new: &Engine) -> bool {
    old.snapshot().default_families != new.snapshot().default_families
}

/// Compares what can be reached in two clusters.
///
/// Addresses that either cluster gives to pods do not count as outside.
#[must_use]
pub fn diff(old: &Engine, new: &Engine) -> Diff {
    diff_with_doubts(old, new, [&|_| false, &|_| false])
}

/// The same with ends in the old cluster, and in the new one, of which not everything is
/// known. A verdict that is not known in either is no change.
#[must_use]
pub fn diff_with_doubts(old: &Engine, new: &Engine, doubts: [Doubt<'_>; 2]) -> Diff {
    let names = Names::merge(old.snapshot(), new.snapshot());
    let outside = outside_both(old.snapshot(), new.snapshot());
    let selection = Selection {
        workloads: None,
        addresses: Some(outside.iter().flat_map(IpRangeSet::to_nets).collect()),
        any_family: differ_in_families(old, new),
    };
    let [doubt_old, doubt_new] = doubts;
    let before = Reached::of(old, &names.old, &selection, doubt_old);
    let after = Reached::of(new, &names.new, &selection, doubt_new);
    let doubted = |ends: &[usize]| {
        [&before, &after].map(|reached| ends.iter().any(|end| reached.doubtful.contains(end)))
    };

    let none = OpenPorts::default();
    let mut changes = Vec::new();
    for (number, from) in names.all.iter().enumerate() {
        let (was, is) = (before.opened_by(number), after.opened_by(number));
        for (number_of_to, was, is) in both(was, is, &none) {
            let Some(to) = names.get(number_of_to) else {
                continue;
            };
            for (before, after, ports) in transitions(was, is, doubted(&[number, number_of_to])) {
                changes.push(Change {
                    from: ChangedEnd::Workload(from.name.clone()),
                    to: ChangedEnd::Workload(to.name.clone()),
                    before,
                    after,
                    ports,
                    presence: from.presence.max(to.presence),
                });
            }
        }
    }
    for (index, end) in names.all.iter().enumerate() {
        let workload = || ChangedEnd::Workload(end.name.clone());
        for inwards in [false, true] {
            let was = before.outside.get(&(index, inwards));
            let is = after.outside.get(&(index, inwards));
            for mut change in outside::changes(was, is, &outside, doubted(&[index])) {
                // A rule may name the address of a pod where the range of pods is not
                // known: that is no address outside.
                change.addresses.retain(|net| {
                    net.prefix_len() < net.max_prefix_len()
                        || [old, new]
                            .iter()
                            .all(|e| e.snapshot().pod_with_address(net.addr()).is_none())
                });
                if change.addresses.is_empty() {
                    continue;
                }
                let addresses = ChangedEnd::Addresses(change.addresses);
                let (from, to) = if inwards {
                    (addresses, workload())
                } else {
                    (workload(), addresses)
                };
                changes.push(Change {
                    from,
                    to,
                    before: change.before,
                    after: change.after,
                    ports: change.ports,
                    presence: end.presence,
                });
            }
        }
    }
    changes.sort_unstable();
    let of = |presence| {
        let ends = names.all.iter().filter(move |end| end.presence == presence);
        ends.map(|end| end.name.clone()).collect()
    };
    Diff {
        added: of(Presence::OnlyAfter),
        removed: of(Presence::OnlyBefore),
        policies: policies::changed(old.snapshot(), new.snapshot()),
        changes,
    }
}

/// The ports whose verdict differs, by what it was and what it is. Where the old cluster,
/// or the new one, is `doubted`, what is not allowed there is not known to be denied.
fn transitions(
    was: &OpenPorts,
    is: &OpenPorts,
    doubted: [bool; 2],
) -> Vec<(Verdict, Verdict, PortSet)> {
    let mut found: BTreeMap<(Verdict, Verdict), PortSet> = BTreeMap::new();
    if was == is {
        return Vec::new();
    }
    let [doubt_before, doubt_after] = doubted;
    let settled = |verdict: Verdict, doubted: bool| match verdict {
        Verdict::Denied if doubted => Verdict::Unknown,
        verdict => verdict,
    };
    for before in [Verdict::Allowed, Verdict::Denied, Verdict::Unknown] {
        for after in [Verdict::Allowed, Verdict::Denied, Verdict::Unknown] {
            let shown = (settled(before, doubt_before), settled(after, doubt_after));
            if before == after || shown.0 == shown.1 {
                continue;
            }
            let ports = with_verdict(was, before).intersection(&with_verdict(is, after));
            if !ports.is_empty() {
                let all = found.entry(shown).or_insert_with(PortSet::none);
                *all = all.union(&ports);
            }
        }
    }
    let found = found.into_iter();
    found
        .map(|((before, after), ports)| (before, after, ports))
        .collect()
}

/// The ports that have a verdict.
fn with_verdict(open: &OpenPorts, verdict: Verdict) -> PortSet {
    match verdict {
        Verdict::Allowed => open.allow.clone(),
        Verdict::Unknown => open.maybe.clone(),
        Verdict::Denied => open.allow.union(&open.maybe).complement(),
    }
}

/// The addresses that neither cluster gives to pods, IPv4 and IPv6.
fn outside_both(old: &Snapshot, new: &Snapshot) -> [IpRangeSet; 2] {
    IpFamily::ALL.map(|family| {
        let pods = [old.pod_range(family), new.pod_range(family)];
        let all = IpRangeSet::full(family);
        pods.into_iter()
            .flatten()
            .fold(all, |left, pods| left.difference(pods))
    })
}

/// A workload that one of the clusters has.
struct NamedEnd {
    name: WorkloadName,
    presence: Presence,
}

/// The workloads of both clusters under common numbers, sorted by name.
struct Names {
    all: Vec<NamedEnd>,
    /// The number of each workload of the old cluster, by index.
    old: Vec<usize>,
    /// The number of each workload of the new cluster, by index.
    new: Vec<usize>,
}

impl Names {
    fn merge(old: &Snapshot, new: &Snapshot) -> Self {
        let names = |snapshot: &Snapshot| -> Vec<WorkloadName> {
            let ids = snapshot.workload_ids().map(|(id, _)| id);
            ids.map(|id| WorkloadName::of(snapshot, id)).collect()
        };
        let (old, new) = (names(old), names(new));
        let mut by_name: BTreeMap<&WorkloadName, Presence> = BTreeMap::new();
        for name in &old {
            by_name.insert(name, Presence::OnlyBefore);
        }
        for name in &new {
            let presence = by_name.entry(name).or_insert(Presence::OnlyAfter);
            if *presence == Presence::OnlyBefore {
                *presence = Presence::Both;
            }
        }
        let numbers: FxHashMap<&WorkloadName, usize> = by_name.keys().copied().zip(0..).collect();
        let numbers_of = |names: &[WorkloadName]| {
            let numbers = names.iter().filter_map(|name| numbers.get(name));
            numbers.copied().collect()
        };
        Self {
            old: numbers_of(&old),
            new: numbers_of(&new),
            all: by_name
                .iter()
                .map(|(name, presence)| NamedEnd {
                    name: (*name).clone(),
                    presence: *presence,
                })
                .collect(),
        }
    }

    fn get(&self, number: usize) -> Option<&NamedEnd> {
        self.all.get(number)
    }
}

/// What can be reached in one cluster, by common numbers.
#[derive(Default)]
struct Reached {
    reachability: Reachability,
    /// By common number.
    rows: FxHashMap<usize, Row>,
    /// The common number of each workload, by index.
    numbers: Vec<usize>,
    /// The common numbers of ends of which not everything is known.
    doubtful: FxHashSet<usize>,
    /// By workload, and whether the connections come in.
    outside: FxHashMap<(usize, bool), Outside>,
}

impl Reached {
    fn of(engine: &Engine, numbers: &[usize], selection: &Selection, doubt: Doubt<'_>) -> Self {
        let mut reachability = engine.reach(selection, selection);
        let doubtful: FxHashSet<usize> = engine
            .snapshot()
            .workload_ids()
            .zip(numbers)
            .filter(|((id, _), _)| doubt(&End::Workload(*id)))
            .map(|(_, number)| *number)
            .collect();
        if !doubtful.is_empty() {
            reachability.doubt(doubt);
        }
        let mut reached = Self {
            reachability,
            numbers: numbers.to_vec(),
            doubtful,
            ..Self::default()
        };
        let reachability = &reached.reachability;
        for row in reachability.rows() {
            let (regions, inwards): (Vec<_>, bool) = match reachability.end(row.from) {
                End::Workload(_) => {
                    if let Some(number) = numbers.get(row.from.index()) {
                        reached.rows.insert(*number, *row);
                    }
                    let outside = reachability.list(row.outside).iter();
                    let regions = outside.map(|entry| (row.from, entry.to, entry.open));
                    (regions.collect(), false)
                }
                End::Addresses(_) => {
                    let inside = reachability.list(row.workloads).iter();
                    let regions = inside.map(|entry| (entry.to, row.from, entry.open));
                    (regions.collect(), true)
                }
            };
            for (workload, addresses, open) in regions {
                if let (Some(number), End::Addresses(nets)) =
                    (numbers.get(workload.index()), reachability.end(addresses))
                {
                    let regions = reached.outside.entry((*number, inwards)).or_default();
                    regions.add(nets, reachability.open(open).clone());
                }
            }
        }
        reached
    }

    /// The workloads that one can connect to, sorted by number.
    fn opened_by(&self, number: usize) -> Vec<(usize, &OpenPorts)> {
        let row = self.rows.get(&number);
        let entries = row
            .into_iter()
            .flat_map(|row| self.reachability.entries(row));
        let mut opened: Vec<(usize, &OpenPorts)> = entries
            .filter_map(|entry| match self.reachability.end(entry.to) {
                End::Workload(id) => {
                    let to = self.numbers.get(id.0 as usize)?;
                    Some((*to, self.reachability.open(entry.open)))
                }
                End::Addresses(_) => None,
            })
            .collect();
        opened.sort_unstable_by_key(|(to, _)| *to);
        opened
    }
}

/// What was open and is, for every number that either has.
fn both<'a>(
    was: Vec<(usize, &'a OpenPorts)>,
    is: Vec<(usize, &'a OpenPorts)>,
    none: &'a OpenPorts,
) -> impl Iterator<Item = (usize, &'a OpenPorts, &'a OpenPorts)> {
    let (mut was, mut is) = (was.into_iter().peekable(), is.into_iter().peekable());
    std::iter::from_fn(move || {
        let next = [was.peek(), is.peek()].into_iter().flatten();
        let number = next.map(|(number, _)| *number).min()?;
        let was = was.next_if(|(of, _)| *of == number);
        let is = is.next_if(|(of, _)| *of == number);
        let open = |end: Option<(usize, &'a OpenPorts)>| end.map_or(none, |(_, open)| open);
        Some((number, open(was), open(is)))
    })
}
