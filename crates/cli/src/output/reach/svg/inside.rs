//! The inside of a namespace's box: its workloads in layers, or in a block.

use std::collections::BTreeMap;

use ringfence_model::snapshot::{NamespaceId, WorkloadId};

use super::layers::layers;
use super::placement::{
    BOX_HEADER, BOX_PADDING, Column, NODE_GAP, PORT_HEIGHT, Placement, Placer, Rect, gaps,
    shortened,
};
use super::{MONO, NAME, characters, label, label_width};
use crate::output::reach::graph::{Cluster, Edge, Vertex};

/// A box before it has a position: its layers of nodes.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) layers: Vec<Vec<WorkloadId>>,
    /// The x of each layer, and its width.
    pub(super) spans: Vec<(f64, f64)>,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Placer<'_> {
    /// The layers of a namespace's workloads, by the edges between them.
    pub(super) fn inner(&self, cluster: &Cluster) -> Inner {
        let index = |vertex: Vertex| match vertex {
            Vertex::Workload(id) => cluster.workloads.binary_search(&id).ok(),
            _ => None,
        };
        let edges: Vec<(usize, usize)> = self
            .graph
            .edges
            .iter()
            .filter(|edge| !edge.open.allow.is_empty())
            .filter_map(|edge| Some((index(edge.from)?, index(edge.to)?)))
            .collect();
        let layer_of = layers(cluster.workloads.len(), &edges, 5);
        let count = layer_of.iter().max().map_or(1, |last| last + 1);
        let mut found: Vec<Vec<WorkloadId>> = vec![Vec::new(); count];
        for (id, layer) in cluster.workloads.iter().zip(&layer_of) {
            if let Some(layer) = found.get_mut(*layer) {
                layer.push(*id);
            }
        }
        if edges.is_empty() {
            found = grid(&cluster.workloads);
        }
        found.retain(|layer| !layer.is_empty());
        untangle(&mut found, &self.graph.edges);

        let mut x = BOX_PADDING;
        let mut spans = Vec::new();
        for (number, layer) in found.iter().enumerate() {
            if number > 0 {
                x += if edges.is_empty() {
                    NODE_GAP
                } else {
                    self.gap_into(layer)
                };
            }
            let width = layer
                .iter()
                .map(|id| self.node_width(*id))
                .fold(0.0, f64::max);
            spans.push((x, width));
            x += width;
        }
        let height = found
            .iter()
            .map(|layer| self.stack_height(layer))
            .fold(0.0, f64::max);
        let own = self
            .graph
            .among_itself(Vertex::Namespace(cluster.namespace));
        let note = own.map_or(0.0, |open| label_width(&label(open)) + 34.0);
        let header = characters(&cluster.name) * 8.2 + 2.0 * BOX_PADDING + note;
        let bundles = self.incoming(Vertex::Namespace(cluster.namespace)) * PORT_HEIGHT;
        Inner {
            layers: found,
            spans,
            width: (x + BOX_PADDING).max(header),
            height: (height + BOX_HEADER + BOX_PADDING).max(bundles + 24.0),
        }
    }

    pub(super) fn place_inner(
        &self,
        inner: &Inner,
        rect: &Rect,
        namespace: NamespaceId,
        placement: &mut Placement,
    ) {
        let room = rect.height - BOX_HEADER - BOX_PADDING;
        for (layer, (left, width)) in inner.layers.iter().zip(&inner.spans) {
            let x = rect.x + left;
            let mut y = rect.y + BOX_HEADER + (room - self.stack_height(layer)) / 2.0;
            let mut taken = vec![(rect.y, rect.y + BOX_HEADER - 8.0)];
            for id in layer {
                let vertex = Vertex::Workload(*id);
                let node = Rect {
                    x,
                    y,
                    width: *width,
                    height: self.height_of(vertex),
                };
                taken.push((node.y, node.bottom()));
                placement.rects.insert(vertex, node);
                placement.home.insert(*id, namespace);
                y += node.height + NODE_GAP;
            }
            placement.columns.push(Column {
                left: x,
                right: x + width,
                taken,
                inside: Some(namespace),
            });
        }
    }

    fn stack_height(&self, layer: &[WorkloadId]) -> f64 {
        let nodes: f64 = layer
            .iter()
            .map(|id| self.height_of(Vertex::Workload(*id)))
            .sum();
        nodes + NODE_GAP * gaps(layer.len())
    }

    fn node_width(&self, id: WorkloadId) -> f64 {
        let name = shortened(&self.graph.view.names.workload_alone(id));
        (characters(&name) * NAME * MONO + 24.0).max(76.0)
    }

    fn gap_into(&self, layer: &[WorkloadId]) -> f64 {
        self.gap(|edge| matches!(edge.to, Vertex::Workload(id) if layer.contains(&id))) - 14.0
    }
}

/// Workloads without edges between them: a block about as wide as high.
fn grid(workloads: &[WorkloadId]) -> Vec<Vec<WorkloadId>> {
    let rows = (1..)
        .find(|n| n * n * 2 >= workloads.len() * 3)
        .unwrap_or(1)
        .max(2);
    workloads.chunks(rows).map(<[_]>::to_vec).collect()
}

/// Puts the nodes of each layer in the order of what leads to them, so that fewer
/// edges cross.
fn untangle(layers: &mut [Vec<WorkloadId>], edges: &[Edge]) {
    let mut height: BTreeMap<WorkloadId, f64> = BTreeMap::new();
    for layer in layers {
        let mut keyed: Vec<(f64, WorkloadId)> = layer
            .iter()
            .enumerate()
            .map(|(position, id)| {
                let above: Vec<f64> = edges
                    .iter()
                    .filter(|edge| edge.to == Vertex::Workload(*id))
                    .filter_map(|edge| match edge.from {
                        Vertex::Workload(from) => height.get(&from).copied(),
                        _ => None,
                    })
                    .collect();
                let own = u32::try_from(position).map_or(0.0, f64::from);
                let key = match u32::try_from(above.len()) {
                    Ok(0) | Err(_) => own,
                    Ok(count) => above.iter().sum::<f64>() / f64::from(count),
                };
                (key, *id)
            })
            .collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        *layer = keyed.into_iter().map(|(_, id)| id).collect();
        for (position, id) in layer.iter().enumerate() {
            height.insert(*id, u32::try_from(position).map_or(0.0, f64::from));
        }
    }
}
