//! What one side of the connections of some pods is, as the engine has worked it out.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ringfence_engine::sets::PortSet;
use ringfence_engine::{Engine, PodTable, PortsId};
use ringfence_model::address::{IpFamily, IpRangeSet};
use ringfence_model::snapshot::{PodId, PodKind};
use smallvec::SmallVec;

use super::peers::PeerSet;
use super::sets::{Delta, PeerSets};

/// The ids that stand for the same ports, in the tables of an engine.
type Ids = SmallVec<[PortsId; 2]>;

/// A table of the engine as it was compiled.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// How many endpoints are judged by it.
    pub(super) endpoints: u32,
    /// What it says; nothing until it was compiled.
    pub(super) said: Option<Said>,
    /// The number of its chain; none where it leaves everything open.
    pub(super) chain: Option<u32>,
}

/// What a table says.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// What peers get that are in no group.
    pub(super) others: PortSet,
    others_id: PortsId,
    /// Groups of peers, in the order of what they get. None is empty.
    pub(super) groups: Vec<Group>,
    /// Whether something is neither allowed nor denied for certain.
    pub(super) unknown: bool,
}

/// The peers that get the same.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) ports: PortSet,
    ids: Ids,
    /// The number of the set of them.
    pub(super) set: u32,
}

/// The number of the set of a group that has no peers any more.
pub(super) const NOBODY: u32 = 0;

/// How the peers of one table changed.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// By the position of a group.
    pub(super) of_groups: BTreeMap<usize, Delta>,
    /// Peers that get what nobody got.
    pub(super) new_groups: BTreeMap<PortSet, Vec<IpAddr>>,
}

/// The address of a pod that packets come from or go to.
pub(super) fn peer_address(engine: &Engine, pod: PodId, family: IpFamily) -> Option<IpAddr> {
    let pod = engine.snapshot().pod(pod);
    let is_one = pod.kind == PodKind::Single && !pod.host_network;
    pod.address(family).filter(|_| is_one)
}

impl Said {
    /// Reads a whole table. The numbers of sets are left to `number`.
    pub(super) fn read(
        engine: &Engine,
        table: &PodTable<'_>,
        family: IpFamily,
        mut number: impl FnMut(PeerSet) -> u32,
    ) -> Self {
        let mut groups: BTreeMap<PortSet, (Ids, Vec<IpAddr>, IpRangeSet)> = BTreeMap::new();
        let others = table.others();
        let mut unknown = !others.maybe.is_empty();
        for group in table.groups() {
            let ports = group.ports();
            unknown |= !ports.maybe.is_empty();
            if ports.allow == others.allow {
                continue;
            }
            let empty = || (Ids::new(), Vec::new(), IpRangeSet::empty(family));
            let (ids, pods, blocks) = groups.entry(ports.allow).or_insert_with(empty);
            if !ids.contains(&group.ports_id()) {
                ids.push(group.ports_id());
            }
            let of_group = group.pods();
            pods.extend(of_group.filter_map(|pod| peer_address(engine, pod, family)));
            *blocks = blocks.union(&group.addresses());
        }
        let groups = groups
            .into_iter()
            .filter_map(|(ports, (ids, pods, blocks))| {
                let peers = PeerSet::new(pods, &blocks);
                (!peers.is_empty()).then(|| Group {
                    ports,
                    ids,
                    set: number(peers),
                })
            });
        Self {
            groups: groups.collect(),
            others: others.allow,
            others_id: table.others_id(),
            unknown,
        }
    }

    /// Whether something is not certain in a table that has groups which it had not.
    pub(super) fn is_unknown(table: &PodTable<'_>) -> bool {
        let mut groups = table.groups();
        !table.others().maybe.is_empty() || groups.any(|group| !group.ports().maybe.is_empty())
    }

    /// Looks how the peers with some addresses changed in a table which is otherwise as it
    /// was: `touched` has the addresses, ascending, with the pods that have them now.
    pub(super) fn moves(
        &mut self,
        table: &PodTable<'_>,
        sets: &PeerSets,
        touched: &[(IpAddr, SmallVec<[PodId; 2]>)],
    ) -> Moves {
        let mut moves = Moves::default();
        for (address, pods) in touched {
            let mut now: SmallVec<[usize; 4]> = SmallVec::new();
            for pod in pods {
                let id = table.peer_id(*pod);
                if id == self.others_id {
                    continue;
                }
                if let Some(group) = self.groups.iter().position(|group| group.ids.contains(&id)) {
                    now.push(group);
                    continue;
                }
                let ports = table.ports(id).allow;
                if ports == self.others {
                    continue;
                }
                match self.groups.iter().position(|group| group.ports == ports) {
                    Some(position) => {
                        now.push(position);
                        if let Some(group) = self.groups.get_mut(position) {
                            group.ids.push(id);
                        }
                    }
                    None => moves.new_groups.entry(ports).or_default().push(*address),
                }
            }
            let before = sets.of_address(*address);
            for (position, group) in self.groups.iter().enumerate() {
                let (was, is) = (before.contains(&group.set), now.contains(&position));
                if was != is {
                    let delta = moves.of_groups.entry(position).or_default();
                    delta.push((*address, is));
                }
            }
        }
        moves
    }

    /// Adds a group, in its place. One that is new is found by its ports until its ids
    /// are learned.
    pub(super) fn add_group(&mut self, ports: PortSet, set: u32) {
        let at = self.groups.partition_point(|group| group.ports < ports);
        let ids = Ids::new();
        self.groups.insert(at, Group { ports, ids, set });
    }

    /// Leaves out groups without peers.
    pub(super) fn drop_empty_groups(&mut self) {
        self.groups.retain(|group| group.set != NOBODY);
    }
}
