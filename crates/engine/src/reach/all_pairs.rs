use std::sync::Arc;

use rayon::prelude::*;
use ringfence_model::address::IpFamily;
use ringfence_model::policy::Direction;
use roaring::RoaringBitmap;
use rustc_hash::FxHashMap;

use crate::engine::Engine;
use crate::resolve::atoms::FIRST_ATOM;
use crate::resolve::classes::ClassId;
use crate::sets::OutcomeId;
use crate::update::Affected;

/// The outcomes of the two sides of a connection.
pub(crate) type PairOutcome = (OutcomeId, OutcomeId);

/// Where connections from one class can go, in one family: destination classes by
/// outcome. Pairs with nothing possibly allowed are left out, and so is what
/// own-node traffic adds.
pub(crate) type Row = Vec<(PairOutcome, RoaringBitmap)>;

/// The ingress sides, turned round: for each source, where it may be let in.
///
/// A source with few allowed destinations looks those up one by one. One with many
/// (it is not isolated) takes the destinations that let it in instead. So the cost
/// follows the number of pairs that are allowed, not of all pairs.
#[derive(Clone, Debug)]
pub(crate) struct IngressIndex {
    family: IpFamily,
    /// side -> the classes that have it.
    classes_of_side: FxHashMap<u32, RoaringBitmap>,
    /// source class -> sides with a small cell that may let it in, and the outcome.
    narrow: Vec<Vec<(u32, OutcomeId)>>,
    /// Sides with a large cell, or a rest, that may let sources in.
    wide: Vec<u32>,
}

/// A cell with more sources than this is looked up, not turned round.
const NARROW: u64 = 256;

impl IngressIndex {
    pub(crate) fn new(engine: &Engine, family: IpFamily) -> Self {
        let classes = engine.classes.len();
        let mut classes_of_side: FxHashMap<u32, RoaringBitmap> = FxHashMap::default();
        for class in engine.classes.present(family) {
            let side = engine.side_index(class, Direction::Ingress, family);
            classes_of_side.entry(side).or_default().insert(class);
        }
        let mut sides: Vec<u32> = classes_of_side.keys().copied().collect();
        sides.sort_unstable();
        let mut narrow = vec![Vec::new(); classes as usize];
        let mut wide = Vec::new();
        for index in sides {
            let Some(side) = engine.sides.get(index as usize) else {
                continue;
            };
            let lets_in = |outcome| engine.may_allow(outcome);
            let mut is_wide = lets_in(side.rest);
            for cell in side.cells.iter().filter(|cell| lets_in(cell.outcome)) {
                is_wide |= cell.peers.range_cardinality(0..FIRST_ATOM) > NARROW;
            }
            if is_wide {
                wide.push(index);
                continue;
            }
            for cell in side.cells.iter().filter(|cell| lets_in(cell.outcome)) {
                for source in cell.peers.range(0..FIRST_ATOM) {
                    if let Some(sides) = narrow.get_mut(source as usize) {
                        sides.push((index, cell.outcome));
                    }
                }
            }
        }
        Self {
            family,
            classes_of_side,
            narrow,
            wide,
        }
    }

    /// Where connections from `source` can go.
    pub(crate) fn row(&self, engine: &Engine, source: ClassId) -> Row {
        let universe = engine.classes.present(self.family);
        if !universe.contains(source) {
            return Row::new();
        }
        let side = engine.side(source, Direction::Egress, self.family);
        let allows = |outcome| engine.may_allow(outcome);
        let mut row: FxHashMap<PairOutcome, RoaringBitmap> = FxHashMap::default();
        let Some(doors) = self.doors(engine, source) else {
            for cell in side.cells.iter().filter(|cell| allows(cell.outcome)) {
                for class in cell.peers.range(0..FIRST_ATOM) {
                    if !universe.contains(class) {
                        continue;
                    }
                    let ingress = engine
                        .side(class, Direction::Ingress, self.family)
                        .outcome(source);
                    if allows(ingress) {
                        row.entry((cell.outcome, ingress))
                            .or_default()
                            .insert(class);
                    }
                }
            }
            return in_order(row);
        };
        for (index, ingress) in doors {
            let Some(classes) = self.classes_of_side.get(&index) else {
                continue;
            };
            let mut rest = classes.clone();
            for cell in &side.cells {
                let reached = cell.peers.among(classes);
                if reached.is_empty() {
                    continue;
                }
                rest -= &reached;
                if allows(cell.outcome) {
                    *row.entry((cell.outcome, ingress)).or_default() |= reached;
                }
            }
            if allows(side.rest) && !rest.is_empty() {
                *row.entry((side.rest, ingress)).or_default() |= rest;
            }
        }
        in_order(row)
    }

    /// The ingress sides that may let a source in, with the outcome. Together with its
    /// egress side they are all that its row depends on. `None` for a source with few
    /// destinations, of which each is looked up instead.
    pub(crate) fn doors(&self, engine: &Engine, source: ClassId) -> Option<Vec<(u32, OutcomeId)>> {
        if !engine.classes.present(self.family).contains(source) {
            return Some(Vec::new());
        }
        let side = engine.side(source, Direction::Egress, self.family);
        let narrow = self
            .narrow
            .get(source as usize)
            .map_or(&[][..], Vec::as_slice);
        if !engine.may_allow(side.rest) {
            let cells = side.cells.iter();
            let few: u64 = cells
                .filter(|cell| engine.may_allow(cell.outcome))
                .map(|cell| cell.peers.range_cardinality(0..FIRST_ATOM))
                .sum();
            let let_in = narrow.len() + self.wide.len();
            if few <= let_in as u64 {
                return None;
            }
        }
        let wide = self.wide.iter().filter_map(|index| {
            let outcome = engine.sides.get(*index as usize)?.outcome(source);
            engine.may_allow(outcome).then_some((*index, outcome))
        });
        Some(narrow.iter().copied().chain(wide).collect())
    }
}

fn in_order(row: FxHashMap<PairOutcome, RoaringBitmap>) -> Row {
    let mut row: Row = row.into_iter().collect();
    row.sort_unstable_by_key(|(outcome, _)| *outcome);
    row
}

/// Every pair of classes, as rows of bitmaps.
#[derive(Clone, Debug, PartialEq)]
pub struct AllPairs {
    /// IPv4 and IPv6: a row for each class.
    rows: [Vec<Row>; 2],
}

impl AllPairs {
    /// Pairs of classes (source, destination, family) with something possibly allowed.
    #[must_use]
    pub fn pairs(&self) -> u64 {
        let sets = self.rows.iter().flatten().flatten();
        sets.map(|(_, classes)| classes.len()).sum()
    }

    /// Takes over what a change to `engine` did, given the classes it affected.
    pub fn update(&mut self, engine: &Engine, affected: &Affected) {
        for (family, rows) in IpFamily::ALL.into_iter().zip(&mut self.rows) {
            // A class that is new is in no row yet.
            let listed = u32::try_from(rows.len()).unwrap_or(u32::MAX);
            let mut listed_before = affected.classes.clone();
            listed_before.remove_range(listed..);
            if !listed_before.is_empty() {
                for row in rows.iter_mut() {
                    remove(row, &listed_before);
                }
            }
            rows.resize(engine.classes.features.len(), Row::new());
            let present = engine.classes.present(family);
            for class in &affected.classes {
                if let Some(row) = rows.get_mut(class as usize) {
                    row.clear();
                }
            }
            for class in &affected.classes & present {
                let out = candidates(engine, class, Direction::Egress, family);
                let into = candidates(engine, class, Direction::Ingress, family);
                let outwards = out.iter().map(|other| (class, other));
                let inwards = (into - &affected.classes)
                    .into_iter()
                    .map(|other| (other, class));
                for (from, to) in outwards.chain(inwards) {
                    let (egress, ingress) = engine.pair(from, to, family);
                    if engine.may_allow(egress)
                        && engine.may_allow(ingress)
                        && let Some(row) = rows.get_mut(from as usize)
                    {
                        insert(row, (egress, ingress), to);
                    }
                }
            }
        }
    }
}

/// The classes to which, or from which, one side alone may allow something.
fn candidates(
    engine: &Engine,
    class: ClassId,
    direction: Direction,
    family: IpFamily,
) -> RoaringBitmap {
    let present = engine.classes.present(family);
    let side = engine.side(class, direction, family);
    if engine.may_allow(side.rest) {
        return present.clone();
    }
    let mut others = RoaringBitmap::new();
    for cell in side
        .cells
        .iter()
        .filter(|cell| engine.may_allow(cell.outcome))
    {
        others |= &*cell.peers.to_set();
    }
    others & present
}

/// Takes some destinations out of a row. Taking out few of them one by one is much
/// cheaper than subtracting sets, and there are as many rows as classes.
fn remove(row: &mut Row, classes: &RoaringBitmap) {
    let mut emptied = false;
    for (_, destinations) in row.iter_mut() {
        if classes.len() <= 8 {
            for class in classes {
                destinations.remove(class);
            }
        } else {
            *destinations -= classes;
        }
        emptied |= destinations.is_empty();
    }
    if emptied {
        row.retain(|(_, destinations)| !destinations.is_empty());
    }
}

fn insert(row: &mut Row, outcome: PairOutcome, destination: ClassId) {
    match row.binary_search_by_key(&outcome, |(outcome, _)| *outcome) {
        Ok(position) => {
            if let Some((_, destinations)) = row.get_mut(position) {
                destinations.insert(destination);
            }
        }
        Err(position) => row.insert(position, (outcome, RoaringBitmap::from([destination]))),
    }
}

impl Engine {
    /// Answers for every pair of classes at once, both families.
    #[must_use]
    pub fn all_pairs(&self) -> AllPairs {
        let [v4, v6] = self.ingress_indices();
        let rows = [v4, v6].map(|index| {
            (0..self.classes.len())
                .into_par_iter()
                .map(|class| index.row(self, class))
                .collect()
        });
        AllPairs { rows }
    }

    /// The ingress sides of both families, turned round. Made once, until something
    /// changes.
    pub(crate) fn ingress_indices(&self) -> &[IngressIndex; 2] {
        self.ingress_indices.get_or_init(|| {
            let of = |family| IngressIndex::new(self, family);
            let (v4, v6) = rayon::join(|| of(IpFamily::V4), || of(IpFamily::V6));
            Arc::new([v4, v6])
        })
    }
}
