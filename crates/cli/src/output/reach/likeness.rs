//! Nodes that a picture need not tell apart until it is drawn: thousands of equal pods
//! are worked on as one.

use std::hash::Hash;

use rustc_hash::FxHashMap;

use super::view::{Block, Node};

/// Nodes that are alike: they open the same to all others, and all others to them.
#[derive(Debug)]
pub(super) struct Likeness {
    group_of: FxHashMap<Node, usize>,
    /// Sorted.
    groups: Vec<Vec<Node>>,
}

impl Likeness {
    /// The nodes of `blocks`; those that differ in `kind` are not alike.
    pub(super) fn new<K: Eq + Hash>(blocks: &[Block], kind: impl Fn(Node) -> K) -> Self {
        let sets = || {
            blocks.iter().flat_map(|block| {
                let rows = block.rows.iter().map(|row| &row.to);
                std::iter::once(&block.sources).chain(rows)
            })
        };
        let mut nodes: Vec<Node> = sets().flatten().copied().collect();
        nodes.sort_unstable();
        nodes.dedup();
        let mut kinds: FxHashMap<K, usize> = FxHashMap::default();
        let mut group_of: FxHashMap<Node, usize> = FxHashMap::default();
        let mut sizes: Vec<usize> = Vec::new();
        for node in &nodes {
            let next = kinds.len();
            let group = *kinds.entry(kind(*node)).or_insert(next);
            group_of.insert(*node, group);
            count(&mut sizes, group);
        }
        // Each set of nodes that a row names cuts the groups that it has a part of.
        for set in sets() {
            let mut inside: FxHashMap<usize, usize> = FxHashMap::default();
            for group in set.iter().filter_map(|node| group_of.get(node)) {
                *inside.entry(*group).or_default() += 1;
            }
            inside.retain(|group, named| sizes.get(*group).is_some_and(|size| *named < *size));
            let mut cut: FxHashMap<usize, usize> = FxHashMap::default();
            for node in set {
                let Some(group) = group_of.get_mut(node) else {
                    continue;
                };
                if inside.contains_key(group) {
                    let next = sizes.len();
                    let new = *cut.entry(*group).or_insert(next);
                    count(&mut sizes, new);
                    if let Some(size) = sizes.get_mut(*group) {
                        *size -= 1;
                    }
                    *group = new;
                }
            }
        }
        let mut groups = vec![Vec::new(); sizes.len()];
        for node in nodes {
            let group = group_of.get(&node).and_then(|group| groups.get_mut(*group));
            if let Some(group) = group {
                group.push(node);
            }
        }
        Self { group_of, groups }
    }

    /// All that are like a node, it included, sorted.
    pub(super) fn like(&self, node: Node) -> &[Node] {
        let group = self.group_of.get(&node);
        let group = group.and_then(|group| self.groups.get(*group));
        group.map_or(&[], Vec::as_slice)
    }

    /// One for each group of `nodes`, which must be made of whole groups.
    pub(super) fn representatives(&self, nodes: &[Node]) -> Vec<Node> {
        let is_first = |node: &&Node| self.like(**node).first() == Some(*node);
        nodes.iter().filter(is_first).copied().collect()
    }

    /// How many pairs of different nodes there are of those like one and like another.
    pub(super) fn pairs(&self, from: Node, to: Node) -> usize {
        let itself = usize::from(from == to);
        self.like(from).len() * self.like(to).len().saturating_sub(itself)
    }
}

/// One more in a group, which may be the next new one.
fn count(sizes: &mut Vec<usize>, group: usize) {
    match sizes.get_mut(group) {
        Some(size) => *size += 1,
        None => sizes.push(1),
    }
}
