//! Which column a vertex belongs in: sources left of what they connect to.

/// The layer of each of `count` vertices, from 0.
///
/// Cycles are broken first: an edge counts as backwards when it leads from a vertex
/// that receives more to one that opens more. Then a vertex stands right of
/// everything that leads to it. At most `most` layers; more are squeezed.
pub(super) fn layers(count: usize, edges: &[(usize, usize)], most: usize) -> Vec<usize> {
    let order = order(count, edges);
    let mut position = vec![0; count];
    for (place, vertex) in order.iter().enumerate() {
        if let Some(slot) = position.get_mut(*vertex) {
            *slot = place;
        }
    }
    let at = |vertex: usize| position.get(vertex).copied().unwrap_or(0);
    let mut layer = vec![0usize; count];
    for vertex in order {
        let mine = layer.get(vertex).copied().unwrap_or(0);
        for (from, to) in edges {
            if *from == vertex
                && at(*to) > at(vertex)
                && let Some(slot) = layer.get_mut(*to)
            {
                *slot = (*slot).max(mine + 1);
            }
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
    let mut left: Vec<usize> = (0..count).collect();
    let mut front = Vec::new();
    let mut back = Vec::new();
    while !left.is_empty() {
        let degree = |vertex: usize, outwards: bool| {
            edges
                .iter()
                .filter(|(from, to)| from != to && left.contains(from) && left.contains(to))
                .filter(|(from, to)| vertex == if outwards { *from } else { *to })
                .count()
        };
        let sink = left.iter().copied().rev().find(|v| degree(*v, true) == 0);
        let source = left.iter().copied().find(|v| degree(*v, false) == 0);
        let chosen = match (sink, source) {
            (_, Some(source)) => {
                front.push(source);
                source
            }
            (Some(sink), None) => {
                back.push(sink);
                sink
            }
            (None, None) => {
                let surplus = |v: usize| {
                    let signed = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
                    signed(degree(v, true)) - signed(degree(v, false))
                };
                let best = left.iter().copied().rev().max_by_key(|v| surplus(*v));
                let Some(best) = best else { break };
                front.push(best);
                best
            }
        };
        left.retain(|vertex| *vertex != chosen);
    }
    back.reverse();
    front.extend(back);
    front
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
