//! The pods of a node as they were compiled, and how they differ from what they are now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringfence_model::snapshot::PodId;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::node::Endpoint;
use crate::ruleset::{Edit, Key, Name, Value};

/// The place of an endpoint, as long as it stays.
pub(super) type Slot = u32;

/// An endpoint that is judged by no table.
pub(super) const NO_TABLE: u32 = u32::MAX;

/// An endpoint, and by what it is judged.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) endpoint: Arc<Endpoint>,
    /// By family and direction: its table.
    pub(super) tables: [[u32; 2]; 2],
    /// By family: the number of what it can open to itself.
    pub(super) to_itself: [Option<u32>; 2],
    /// Whether that is not certain.
    pub(super) itself_unknown: bool,
}

/// The endpoints of a node.
#[derive(Clone, Debug, Default)]
pub(super) struct Endpoints {
    slots: Vec<Option<Held>>,
    free: Vec<Slot>,
    /// In the order of the node.
    order: Vec<(Arc<Endpoint>, Slot)>,
    of_pod: FxHashMap<PodId, SmallVec<[Slot; 2]>>,
    /// The pods that are closed, with how many endpoints each.
    pub(super) closed: BTreeMap<PodId, u32>,
    /// How many endpoints are why an element is in a set.
    reasons: FxHashMap<(Shared, Key), u32>,
}

/// Sets whose elements may have several endpoints as their reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Shared {
    /// Interfaces.
    Interfaces,
    /// Interfaces with the addresses behind them.
    Sources,
    /// Ports of bridges.
    Ports,
    /// The same, as interfaces of the node.
    Underneath,
    /// Hardware addresses behind ports of bridges.
    Hardware,
    /// The same, with the port.
    HardwareBehind,
    /// Ports of bridges with the addresses behind them.
    Behind,
    /// Addresses behind ports of bridges.
    Taken,
}

impl Endpoints {
    /// Takes out the endpoints that are no longer as they were, and puts in those that are
    /// new. Gives both. A place that became free may have been taken again.
    ///
    /// Every endpoint is compared, so that a change cannot be forgotten. Those that the
    /// caller shares with what is held are not looked into.
    pub(super) fn follow(&mut self, now: &[Arc<Endpoint>]) -> (Vec<(Slot, Held)>, Vec<Slot>) {
        let same = |(held, now): &(&(Arc<Endpoint>, Slot), &Arc<Endpoint>)| {
            Arc::ptr_eq(&held.0, now) || held.0 == **now
        };
        let first = self.order.iter().zip(now).take_while(same).count();
        let both = self.order.iter().rev().zip(now.iter().rev());
        let most = self.order.len().min(now.len()) - first;
        let last = both.take(most).take_while(same).count();
        let old = first..self.order.len() - last;
        let new = now.get(first..now.len() - last).unwrap_or_default();
        if old.is_empty() && new.is_empty() {
            return (Vec::new(), Vec::new());
        }
        // Between the ends that stayed, those that are the same stay as well.
        let old: Vec<(Arc<Endpoint>, Slot)> = self.order.drain(old).collect();
        let mut stay: FxHashMap<&Endpoint, Vec<Slot>> = FxHashMap::default();
        for (endpoint, slot) in old.iter().rev() {
            stay.entry(endpoint).or_default().push(*slot);
        }
        let kept: Vec<Option<Slot>> = new
            .iter()
            .map(|endpoint| stay.get_mut(&**endpoint).and_then(Vec::pop))
            .collect();
        let gone: BTreeSet<Slot> = stay.into_values().flatten().collect();
        let gone = gone.into_iter();
        let gone = gone.filter_map(|slot| Some((slot, self.remove(slot)?)));
        let gone: Vec<(Slot, Held)> = gone.collect();
        let mut joined = Vec::new();
        let mut order = Vec::with_capacity(new.len());
        for (endpoint, kept) in new.iter().zip(kept) {
            let slot = kept.unwrap_or_else(|| {
                let slot = self.insert(Arc::clone(endpoint));
                joined.push(slot);
                slot
            });
            order.push((Arc::clone(endpoint), slot));
        }
        self.order.splice(first..first, order);
        (gone, joined)
    }

    fn insert(&mut self, endpoint: Arc<Endpoint>) -> Slot {
        let of_pod = endpoint.pod;
        if endpoint.closed {
            *self.closed.entry(of_pod).or_default() += 1;
        }
        let held = Held {
            endpoint,
            tables: [[NO_TABLE; 2]; 2],
            to_itself: [None; 2],
            itself_unknown: false,
        };
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        if let Some(free) = self.slots.get_mut(slot as usize) {
            *free = Some(held);
        }
        self.of_pod.entry(of_pod).or_default().push(slot);
        slot
    }

    fn remove(&mut self, slot: Slot) -> Option<Held> {
        let held = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        if held.endpoint.closed {
            let count = self.closed.entry(held.endpoint.pod).or_default();
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.closed.remove(&held.endpoint.pod);
            }
        }
        if let Some(slots) = self.of_pod.get_mut(&held.endpoint.pod) {
            slots.retain(|other| *other != slot);
            if slots.is_empty() {
                self.of_pod.remove(&held.endpoint.pod);
            }
        }
        Some(held)
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Held> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Held> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// The endpoints that are a pod: none, where it is not on this node, or one.
    pub(super) fn of_pod(&self, pod: PodId) -> &[Slot] {
        self.of_pod.get(&pod).map_or(&[], SmallVec::as_slice)
    }

    /// All endpoints with their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Held)> {
        let slots = (0..).zip(&self.slots);
        slots.filter_map(|(slot, held)| Some((slot, held.as_ref()?)))
    }

    /// An endpoint is a reason for an element to be in a set.
    pub(super) fn give_reason(
        &mut self,
        shared: Shared,
        set: &Name,
        key: Key,
        edit: &mut Edit<'_>,
    ) {
        let reasons = self.reasons.entry((shared, key.clone()));
        *reasons.or_default() += 1;
        edit.set_element(set, key, Value::None);
    }

    /// It is not any more; with the last of them the element goes.
    pub(super) fn take_reason(
        &mut self,
        shared: Shared,
        set: &Name,
        key: Key,
        edit: &mut Edit<'_>,
    ) {
        let reason = (shared, key);
        let left = self.reasons.get_mut(&reason).map(|count| {
            *count = count.saturating_sub(1);
            *count
        });
        if left == Some(0) {
            self.reasons.remove(&reason);
            edit.remove_element(set, &reason.1);
        }
    }
}
