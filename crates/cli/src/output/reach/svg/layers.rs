//! Which column a vertex belongs in: sources left of what they connect to.

/// The layer of each of `count` vertices, from 0.
///
/// Cycles are broken first: an edge counts as backwards when it leads from a vertex
/// that receives more to one that opens more. Then a vertex stands right of
/// everything that leads to it. At most `most` layers; more are squeezed.
pub(super) fn layers(count: usize, edges: &[(usize, usize)], most: usize) -> Vec<usize> {
    let mut position = vec![0; count];
    for (place, vertex) in order(count, edges).into_iter().enumerate() {
        if let Some(slot) = position.get_mut(vertex) {
            *slot = place;
        }
    }
    let at = |vertex: usize| position.get(vertex).copied().unwrap_or(0);
    let mut forwards: Vec<(usize, usize)> = edges
        .iter()
        .copied()
        .filter(|(from, to)| at(*to) > at(*from))
        .collect();
    forwards.sort_unstable_by_key(|(from, _)| at(*from));
    let mut layer = vec![0usize; count];
    for (from, to) in forwards {
        let next = layer.get(from).map_or(0, |mine| mine + 1);
        if let Some(slot) = layer.get_mut(to) {
            *slot = (*slot).max(next);
        }
    }
    let used = layer.iter().max().map_or(0, |last| last + 1);
    if used > most && most > 0 {
        for slot in &mut layer {
            *slot = *slot * most / used;
        }
    }
    layer
}

/// Vertices so that few edges lead backwards (Eades, Lin, Smyth): sinks are put last,
/// sources first, and of the rest the one that opens most beyond what it receives.
fn order(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut neighbours: Vec<Neighbours> = (0..count).map(|_| Neighbours::default()).collect();
    for (from, to) in edges.iter().filter(|(from, to)| from != to) {
        if let Some(vertex) = neighbours.get_mut(*from) {
            vertex.opens.push(*to);
            vertex.left_out += 1;
        }
        if let Some(vertex) = neighbours.get_mut(*to) {
            vertex.receives.push(*from);
            vertex.left_in += 1;
        }
    }
    let mut left: Vec<usize> = (0..count).collect();
    let mut front = Vec::new();
    let mut back = Vec::new();
    while let Some(&last) = left.last() {
        let is = |vertex: &&usize, test: fn(&Neighbours) -> bool| {
            neighbours.get(**vertex).is_some_and(test)
        };
        let source = left.iter().find(|v| is(v, |n| n.left_in == 0)).copied();
        let sink = left.iter().rfind(|v| is(v, |n| n.left_out == 0)).copied();
        let surplus = |vertex: &&usize| neighbours.get(**vertex).map_or(0, Neighbours::surplus);
        let chosen = match (source, sink) {
            (Some(source), _) => {
                front.push(source);
                source
            }
            (None, Some(sink)) => {
                back.push(sink);
                sink
            }
            (None, None) => {
                let best = left
                    .iter()
                    .rev()
                    .max_by_key(surplus)
                    .copied()
                    .unwrap_or(last);
                front.push(best);
                best
            }
        };
        left.retain(|vertex| *vertex != chosen);
        let Neighbours {
            opens, receives, ..
        } = neighbours
            .get_mut(chosen)
            .map(std::mem::take)
            .unwrap_or_default();
        for to in opens {
            if let Some(vertex) = neighbours.get_mut(to) {
                vertex.left_in = vertex.left_in.saturating_sub(1);
            }
        }
        for from in receives {
            if let Some(vertex) = neighbours.get_mut(from) {
                vertex.left_out = vertex.left_out.saturating_sub(1);
            }
        }
    }
    back.reverse();
    front.extend(back);
    front
}

/// The edges of one vertex, and how many of them lead to vertices without a place yet.
#[derive(Debug, Default)]
struct Neighbours {
    opens: Vec<usize>,
    receives: Vec<usize>,
    left_out: usize,
    left_in: usize,
}

impl Neighbours {
    fn surplus(&self) -> i64 {
        let signed = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        signed(self.left_out) - signed(self.left_in)
    }
}

#[cfg(test)]
mod tests {
    use super::layers;

    #[test]
    fn a_chain_is_as_many_layers() {
        assert_eq!(layers(3, &[(0, 1), (1, 2), (0, 2)], 9), [0, 1, 2]);
    }

    #[test]
    fn a_cycle_is_cut_where_least_is_lost() {
        // Everything leads to 2, which answers to 0 only.
        assert_eq!(layers(3, &[(0, 1), (0, 2), (1, 2), (2, 0)], 9), [0, 1, 2]);
        assert_eq!(layers(2, &[(0, 1), (1, 0)], 9).iter().max(), Some(&1));
    }

    #[test]
    fn too_many_layers_are_squeezed() {
        let chain: Vec<(usize, usize)> = (0..9).map(|n| (n, n + 1)).collect();
        assert_eq!(layers(10, &chain, 5).iter().max(), Some(&4));
        assert!(layers(0, &[], 5).is_empty());
    }
}
