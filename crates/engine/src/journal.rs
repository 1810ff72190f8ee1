//! What changed in an engine, for those who hold something that was made from it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use ringfence_model::snapshot::{Pod, PodId};
use roaring::RoaringBitmap;

use crate::engine::Engine;
use crate::resolve::classes::ClassId;

/// What an engine is after a change. No two engines have the same one, unless one is a
/// copy of the other and neither was changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Revision(u64);

impl Revision {
    fn next() -> Self {
        // 0 is nobody's: that of an engine that does not exist.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What changed since some revision, as far as tables
/// ([`Engine::table`]) and ports of pods to themselves ([`Engine::ports_to_itself`]) go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineChanges {
    /// Pods that may be among other peers than before, in any table, with all addresses
    /// that they had before.
    pub moved: BTreeMap<PodId, BTreeSet<IpAddr>>,
    /// Pods that may have other tables, or other ports to themselves.
    pub pods: BTreeSet<PodId>,
    /// The numbers of tables that may have become others altogether, or that did not
    /// exist. Other tables differ by pods that moved, and by what is in `grown`.
    pub tables: BTreeSet<u32>,
    /// The numbers of tables that may have groups of peers that they had not.
    pub grown: BTreeSet<u32>,
}

/// The changes of an engine, the last of them.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    now: Revision,
    entries: VecDeque<Entry>,
    /// How much all entries hold.
    weight: usize,
}

/// What is kept of changes, in pods, classes and tables. A holder that is further behind
/// has little to gain from what it has.
const KEPT: usize = 16_384;

/// One change.
#[derive(Clone, Debug)]
struct Entry {
    before: Revision,
    moved: Vec<(PodId, Vec<IpAddr>)>,
    /// The classes that got sides, new ones or the same.
    classes: RoaringBitmap,
    built: RoaringBitmap,
    grown: RoaringBitmap,
}

impl Entry {
    fn weight(&self) -> usize {
        let bitmaps = [&self.classes, &self.built, &self.grown];
        let listed: u64 = bitmaps.iter().map(|bitmap| bitmap.len()).sum();
        1 + self.moved.len() + usize::try_from(listed).unwrap_or(KEPT)
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            now: Revision::next(),
            entries: VecDeque::new(),
            weight: 0,
        }
    }
}

impl Journal {
    /// Begins a change. Everything that is written down until the next one belongs to it.
    pub(crate) fn begin(&mut self) {
        if let Some(last) = self.entries.back() {
            self.weight += last.weight();
        }
        while self.weight > KEPT {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.weight -= oldest.weight();
        }
        self.entries.push_back(Entry {
            before: self.now,
            moved: Vec::new(),
            classes: RoaringBitmap::new(),
            built: RoaringBitmap::new(),
            grown: RoaringBitmap::new(),
        });
        self.now = Revision::next();
    }

    /// A pod may be among other peers than before.
    pub(crate) fn moved(&mut self, id: PodId, before: &Pod) {
        if let Some(entry) = self.entries.back_mut() {
            entry.moved.push((id, before.addresses.clone()));
        }
    }

    /// A class got its sides.
    pub(crate) fn placed(&mut self, class: ClassId) {
        if let Some(entry) = self.entries.back_mut() {
            entry.classes.insert(class);
        }
    }

    /// A side was made, perhaps in the place of another.
    pub(crate) fn built(&mut self, side: u32) {
        if let Some(entry) = self.entries.back_mut() {
            entry.built.insert(side);
        }
    }

    /// A side has one cell more.
    pub(crate) fn grown(&mut self, side: u32) {
        if let Some(entry) = self.entries.back_mut() {
            entry.grown.insert(side);
        }
    }
}

impl Engine {
    /// What the engine is now. Every change makes it another.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.journal.now
    }

    /// What changed since it was of that revision; `None` where that is too long ago, or
    /// it never was: then everything may have changed.
    #[must_use]
    pub fn changes_since(&self, revision: Revision) -> Option<EngineChanges> {
        let mut changes = EngineChanges::default();
        if revision == self.journal.now {
            return Some(changes);
        }
        let entries = &self.journal.entries;
        let first = entries.iter().rposition(|entry| entry.before == revision)?;
        let mut classes = RoaringBitmap::new();
        for entry in entries.range(first..) {
            for (id, addresses) in &entry.moved {
                changes.moved.entry(*id).or_default().extend(addresses);
                changes.pods.insert(*id);
            }
            classes |= &entry.classes;
            changes.tables.extend(&entry.built);
            changes.grown.extend(&entry.grown);
        }
        for class in classes {
            let pods = self.classes.pods.get(class as usize);
            changes.pods.extend(pods.into_iter().flatten());
        }
        Some(changes)
    }
}
