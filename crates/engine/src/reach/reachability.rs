//! The answer of `reach`. Ends that are alike share one list of what they can open, so
//! that a thousand equal pods take the space of one, and a million connections between
//! them are never written down.

use std::hash::Hash;
use std::sync::Arc;

use ipnet::IpNet;
use ringfence_model::snapshot::WorkloadId;
use rustc_hash::FxHashMap;

use super::{Connection, End, OpenPorts};
use crate::sets::PortSet;

/// The number of an end in a [`Reachability`]; a workload's is its index in the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndId(u32);

/// The number of some ports in a [`Reachability`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpenId(u32);

/// The number of a list of destinations in a [`Reachability`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListId(u32);

/// One destination, and what is open to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    /// The destination.
    pub to: EndId,
    /// The ports.
    pub open: OpenId,
}

/// What one end can open.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Who opens it.
    pub from: EndId,
    /// The workloads that it reaches.
    pub workloads: ListId,
    /// The addresses outside the cluster that it reaches.
    pub outside: ListId,
    /// Whether `from` itself, where it is in the list, is left out: a bare pod is in the
    /// list that it shares with others like it, and does not connect to itself.
    pub without_itself: bool,
}

/// The connections that are possible, or may be, sorted by `from`, then `to`. Pairs
/// with nothing allowed and nothing unknown are left out.
#[derive(Clone, Debug, Default)]
pub struct Reachability {
    /// The workloads of the snapshot in their order, then addresses.
    ends: Vec<End>,
    opens: Vec<OpenPorts>,
    lists: Vec<Arc<[Entry]>>,
    /// Sorted by who opens.
    rows: Vec<Row>,
}

/// The connections are the same, however they are shared.
impl PartialEq for Reachability {
    fn eq(&self, other: &Self) -> bool {
        self.connections().eq(other.connections())
    }
}

impl Eq for Reachability {}

impl EndId {
    /// Its position among [`Reachability::ends`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The number of a workload.
    #[must_use]
    pub fn workload(id: WorkloadId) -> Self {
        Self(id.0)
    }
}

impl OpenId {
    /// Its position among [`Reachability::opens`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl Reachability {
    /// Every connection, one after the other. Of many workloads that are alike there may
    /// be very many; [`rows`](Self::rows) are few.
    pub fn connections(&self) -> impl Iterator<Item = Connection<'_>> {
        self.rows.iter().flat_map(move |row| {
            let from = self.end(row.from);
            self.entries(row).map(move |entry| {
                let open = self.open(entry.open);
                Connection {
                    from,
                    to: self.end(entry.to),
                    allow: &open.allow,
                    maybe: &open.maybe,
                }
            })
        })
    }

    /// How many connections there are, without going through them.
    #[must_use]
    pub fn len(&self) -> u64 {
        let of_row = |row: &Row| {
            let listed = self.list(row.workloads).len() + self.list(row.outside).len();
            let itself = row.without_itself && self.find(row.workloads, row.from).is_some();
            listed as u64 - u64::from(itself)
        };
        self.rows.iter().map(of_row).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What each end can open, sorted by who opens: workloads first.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The destinations of one end, sorted.
    pub fn entries(&self, row: &Row) -> impl Iterator<Item = Entry> + '_ {
        let left_out = row.without_itself.then_some(row.from);
        let workloads = self.list(row.workloads).iter();
        let outside = self.list(row.outside).iter();
        let workloads = workloads.filter(move |entry| Some(entry.to) != left_out);
        workloads.chain(outside).copied()
    }

    /// Every end that a connection may have, by its number.
    #[must_use]
    pub fn ends(&self) -> &[End] {
        &self.ends
    }

    /// The different sets of ports, by their number.
    #[must_use]
    pub fn opens(&self) -> &[OpenPorts] {
        &self.opens
    }

    /// The end with a number.
    #[must_use]
    pub fn end(&self, id: EndId) -> &End {
        #[expect(clippy::indexing_slicing, reason = "numbers are issued by `Draft`")]
        &self.ends[id.index()]
    }

    /// The ports with a number.
    #[must_use]
    pub fn open(&self, id: OpenId) -> &OpenPorts {
        #[expect(clippy::indexing_slicing, reason = "numbers are issued by `Draft`")]
        &self.opens[id.index()]
    }

    /// The destinations of a list: workloads by their index, addresses by themselves.
    #[must_use]
    pub fn list(&self, id: ListId) -> &[Entry] {
        #[expect(clippy::indexing_slicing, reason = "numbers are issued by `Draft`")]
        &self.lists[id.0 as usize]
    }

    /// What a list of workloads has for one of them.
    #[must_use]
    pub fn find(&self, list: ListId, to: EndId) -> Option<OpenId> {
        let list = self.list(list);
        let position = list.binary_search_by_key(&to, |entry| entry.to).ok()?;
        list.get(position).map(|entry| entry.open)
    }

    /// Leaves the connections with addresses outside the cluster alone.
    pub fn keep_external(&mut self) {
        let none = ListId(u32::try_from(self.lists.len()).unwrap_or(u32::MAX));
        self.lists.push(Arc::default());
        let ends = &self.ends;
        for row in &mut self.rows {
            if matches!(ends.get(row.from.index()), Some(End::Workload(_))) {
                row.workloads = none;
            }
        }
        self.forget_empty_rows();
    }

    fn forget_empty_rows(&mut self) {
        let lists = &self.lists;
        let is_empty = |id: ListId| lists.get(id.0 as usize).is_none_or(|list| list.is_empty());
        self.rows
            .retain(|row| !is_empty(row.workloads) || !is_empty(row.outside));
    }

    /// Leaves, of each destination, the ports that `wanted` says.
    pub fn keep_ports(&mut self, wanted: impl Fn(&End) -> PortSet) {
        let wanted: Vec<PortSet> = self.ends.iter().map(wanted).collect();
        self.change(
            |_| false,
            |_, to, open| match wanted.get(to.index()) {
                Some(ports) => OpenPorts {
                    allow: open.allow.intersection(ports),
                    maybe: open.maybe.intersection(ports),
                },
                None => OpenPorts::default(),
            },
        );
    }

    /// Makes everything unknown that is allowed from or to the ends that `is_doubtful`
    /// names.
    pub fn doubt(&mut self, is_doubtful: impl Fn(&End) -> bool) {
        let doubtful: Vec<bool> = self.ends.iter().map(is_doubtful).collect();
        let is_doubtful = |end: EndId| doubtful.get(end.index()).copied().unwrap_or(false);
        self.change(is_doubtful, |from_doubtful, to, open| {
            if from_doubtful || is_doubtful(to) {
                OpenPorts {
                    allow: PortSet::none(),
                    maybe: open.maybe.union(&open.allow),
                }
            } else {
                open.clone()
            }
        });
    }

    /// Changes what is open, by whether the source is marked, the destination, and what was
    /// open before.
    fn change(
        &mut self,
        marked: impl Fn(EndId) -> bool,
        changed: impl Fn(bool, EndId, &OpenPorts) -> OpenPorts,
    ) {
        let mut draft = Draft::default();
        let mut done: FxHashMap<(ListId, bool), ListId> = FxHashMap::default();
        for row in &self.rows {
            let mark = marked(row.from);
            let [workloads, outside] = [row.workloads, row.outside].map(|list| {
                *done.entry((list, mark)).or_insert_with(|| {
                    let entries = self.list(list).iter().map(|entry| {
                        let open = changed(mark, entry.to, self.open(entry.open));
                        (entry.to, draft.open(open))
                    });
                    let entries: Vec<_> = entries.collect();
                    draft.list(entries)
                })
            });
            draft.row(Row {
                workloads,
                outside,
                ..*row
            });
        }
        let ends = std::mem::take(&mut self.ends);
        *self = Self {
            ends,
            ..draft.finish()
        };
    }
}

/// A [`Reachability`] in the making.
#[derive(Debug, Default)]
pub(super) struct Draft {
    ends: Vec<End>,
    addresses: FxHashMap<Vec<IpNet>, EndId>,
    opens: Numbered<OpenPorts>,
    lists: Numbered<Arc<[Entry]>>,
    rows: Vec<Row>,
}

impl Draft {
    /// One for a snapshot with so many workloads.
    pub(super) fn new(workloads: usize) -> Self {
        let workloads = (0u32..).take(workloads).map(WorkloadId);
        Self {
            ends: workloads.map(End::Workload).collect(),
            ..Self::default()
        }
    }

    /// The number of some addresses.
    pub(super) fn addresses(&mut self, nets: Vec<IpNet>) -> EndId {
        if let Some(id) = self.addresses.get(&nets) {
            return *id;
        }
        let id = EndId(u32::try_from(self.ends.len()).unwrap_or(u32::MAX));
        self.ends.push(End::Addresses(nets.clone()));
        self.addresses.insert(nets, id);
        id
    }

    /// The number of some ports.
    pub(super) fn open(&mut self, open: OpenPorts) -> OpenId {
        OpenId(self.opens.number(open))
    }

    /// The number of a list of destinations, which must be sorted. Those with nothing open
    /// are left out.
    pub(super) fn list(&mut self, entries: impl IntoIterator<Item = (EndId, OpenId)>) -> ListId {
        let opens = &self.opens.values;
        let is_open = |open: OpenId| {
            let open = opens.get(open.index());
            open.is_some_and(|open| *open != OpenPorts::default())
        };
        let entries = entries.into_iter().map(|(to, open)| Entry { to, open });
        let entries: Arc<[Entry]> = entries.filter(|entry| is_open(entry.open)).collect();
        ListId(self.lists.number(entries))
    }

    /// Adds what one end can open; after all those that come before it.
    pub(super) fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// It, without what it needed to be made.
    pub(super) fn finish(self) -> Reachability {
        let mut made = Reachability {
            ends: self.ends,
            opens: self.opens.values,
            lists: self.lists.values,
            rows: self.rows,
        };
        made.forget_empty_rows();
        made
    }
}

/// Values by number, each once.
#[derive(Debug)]
struct Numbered<T> {
    values: Vec<T>,
    numbers: FxHashMap<T, u32>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            numbers: FxHashMap::default(),
        }
    }
}

impl<T: Clone + Eq + Hash> Numbered<T> {
    fn number(&mut self, value: T) -> u32 {
        if let Some(number) = self.numbers.get(&value) {
            return *number;
        }
        let number = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.push(value.clone());
        self.numbers.insert(value, number);
        number
    }
}
