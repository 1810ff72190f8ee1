//! Where everything stands: namespaces as boxes in columns, workloads in layers
//! inside them, and what is outside the cluster at the edges.

use std::collections::BTreeMap;

use ringfence_model::snapshot::{NamespaceId, WorkloadId};

use super::inside::Inner;
use super::layers::layers;
use super::{MONO, NAME, characters, cut, label, label_width};
use crate::output::reach::graph::{Cluster, Edge, Graph, Vertex};

const TOP: f64 = 84.0;
const BOTTOM: f64 = 56.0;
const SIDE: f64 = 28.0;
/// Between boxes of a column.
const BOX_GAP: f64 = 30.0;
pub(super) const BOX_PADDING: f64 = 16.0;
pub(super) const BOX_HEADER: f64 = 32.0;
pub(super) const NODE_GAP: f64 = 16.0;
const NODE_HEIGHT: f64 = 32.0;
/// Height that an incoming arrow of its own needs.
pub(super) const PORT_HEIGHT: f64 = 15.0;
/// Between columns: room for curves and one label.
const CURVES: f64 = 64.0;
const LONGEST_NAME: usize = 34;
/// Around everything, when an edge begins or ends at every workload.
const FRAME: f64 = 22.0;
const FRAME_HEADER: f64 = 34.0;

/// A rectangle.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Rect {
    pub(super) fn right(&self) -> f64 {
        self.x + self.width
    }

    pub(super) fn bottom(&self) -> f64 {
        self.y + self.height
    }

    pub(super) fn middle(&self) -> f64 {
        self.y + self.height / 2.0
    }
}

/// Rectangles side by side that an edge must get through: their x range, and the
/// stretches of y that are taken.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) taken: Vec<(f64, f64)>,
    /// The box that it is a part of; `None` for a column of whole boxes.
    pub(super) inside: Option<NamespaceId>,
}

/// Where everything stands.
#[derive(Debug)]
pub(super) struct Placement {
    pub(super) width: f64,
    pub(super) height: f64,
    /// One for each cluster, in order.
    pub(super) boxes: Vec<Rect>,
    pub(super) columns: Vec<Column>,
    pub(super) rects: BTreeMap<Vertex, Rect>,
    pub(super) home: BTreeMap<WorkloadId, NamespaceId>,
}

impl Placement {
    /// Places everything in `graph`.
    pub(super) fn of(graph: &Graph<'_>) -> Self {
        Placer { graph }.place()
    }

    /// Everything that must not be covered: workloads, and what is outside.
    pub(super) fn nodes(&self) -> impl Iterator<Item = Rect> {
        let is_node =
            |vertex: &Vertex| !matches!(vertex, Vertex::Namespace(_) | Vertex::Everything);
        let nodes = self.rects.iter().filter(move |(vertex, _)| is_node(vertex));
        nodes.map(|(_, rect)| *rect)
    }

    /// Where a vertex stands.
    pub(super) fn rect(&self, vertex: Vertex) -> Option<&Rect> {
        self.rects.get(&vertex)
    }

    /// Whether nothing stands between two rectangles, one of which is above the other.
    pub(super) fn is_clear_between(&self, a: &Rect, b: &Rect) -> bool {
        let (upper, lower) = if a.y < b.y { (a, b) } else { (b, a) };
        let (left, right) = (a.x.max(b.x), a.right().min(b.right()));
        if lower.y < upper.bottom() {
            return false;
        }
        !self.rects.iter().any(|(vertex, rect)| {
            *vertex != Vertex::Everything
                && rect != a
                && rect != b
                && rect.y >= upper.bottom()
                && rect.bottom() <= lower.y
                && rect.x < right
                && rect.right() > left
        }) && lower.y - upper.bottom() < 3.0 * BOX_GAP
    }

    /// The box that a vertex is, or is in.
    pub(super) fn namespace(&self, vertex: Vertex) -> Option<NamespaceId> {
        match vertex {
            Vertex::Namespace(id) => Some(id),
            Vertex::Workload(id) => self.home.get(&id).copied(),
            Vertex::Everything | Vertex::Source(_) | Vertex::Destination(_) => None,
        }
    }
}

/// A name as it is shown.
pub(super) fn shortened(name: &str) -> String {
    cut(name, LONGEST_NAME)
}

/// Places the vertices of one graph.
pub(super) struct Placer<'a> {
    pub(super) graph: &'a Graph<'a>,
}

impl Placer<'_> {
    fn place(&self) -> Placement {
        let inners: Vec<Inner> = self.graph.clusters.iter().map(|c| self.inner(c)).collect();
        let columns = self.columns_of_boxes(&inners);
        let (sources, destinations) = self.outside();
        let framed_by = if self.graph.uses(Vertex::Everything) {
            2.0 * FRAME_HEADER
        } else {
            0.0
        };
        let content =
            self.content_height(&columns, &inners, &[&sources, &destinations]) + framed_by;

        let mut placement = Placement {
            width: 0.0,
            height: TOP + content + BOTTOM,
            boxes: vec![Rect::default(); inners.len()],
            columns: Vec::new(),
            rects: BTreeMap::new(),
            home: BTreeMap::new(),
        };
        let framed = self.graph.uses(Vertex::Everything);
        let mut x = SIDE;
        x = self.place_outside(&sources, x, content, &mut placement);
        let start = x + if framed {
            self.gap_into_frame(&sources)
        } else {
            0.0
        };
        x = start;
        for (number, column) in columns.iter().enumerate() {
            let first = number == 0;
            x += match (first, framed) {
                (true, true) => FRAME,
                (true, false) if sources.is_empty() => 0.0,
                _ => self.gap_before(column),
            };
            x = self.place_column(column, &inners, x, content, &mut placement);
        }
        if framed {
            x += FRAME;
            let frame = self.frame(start, x, &placement);
            placement.rects.insert(Vertex::Everything, frame);
            placement.height = placement.height.max(frame.bottom() + BOTTOM + 6.0);
        }
        if !destinations.is_empty() {
            x += if x > SIDE {
                self.gap_for(&destinations)
            } else {
                0.0
            };
            x = self.place_outside(&destinations, x, content, &mut placement);
        }
        placement.width = (x + SIDE).max(super::legend_width(self.graph));
        placement
    }

    /// The clusters of each column, in order.
    fn columns_of_boxes(&self, inners: &[Inner]) -> Vec<Vec<usize>> {
        let clusters = &self.graph.clusters;
        let home: BTreeMap<WorkloadId, usize> = clusters
            .iter()
            .enumerate()
            .flat_map(|(index, c)| c.workloads.iter().map(move |id| (*id, index)))
            .collect();
        let index = |vertex: Vertex| match vertex {
            Vertex::Workload(id) => home.get(&id).copied(),
            Vertex::Namespace(id) => clusters.iter().position(|c| c.namespace == id),
            Vertex::Everything | Vertex::Source(_) | Vertex::Destination(_) => None,
        };
        let edges: Vec<(usize, usize)> = self
            .graph
            .edges
            .iter()
            .filter(|edge| !edge.open.allow.is_empty())
            .filter_map(|edge| Some((index(edge.from)?, index(edge.to)?)))
            .filter(|(from, to)| from != to)
            .collect();
        let most = (2..).find(|n| n * n >= inners.len()).unwrap_or(2).max(3);
        let layer_of = layers(clusters.len(), &edges, most);
        let count = layer_of.iter().max().map_or(0, |last| last + 1);
        let mut columns = vec![Vec::new(); count];
        for (cluster, layer) in layer_of.iter().enumerate() {
            if let Some(column) = columns.get_mut(*layer) {
                column.push(cluster);
            }
        }
        columns.retain(|column| !column.is_empty());
        // Without edges between them, boxes make a block about as wide as high.
        if let [only] = columns.as_slice()
            && only.len() > 2
        {
            return only
                .chunks(only.len().div_ceil(most))
                .map(<[_]>::to_vec)
                .collect();
        }
        columns
    }

    /// The frame around all boxes.
    fn frame(&self, left: f64, right: f64, placement: &Placement) -> Rect {
        let top = placement
            .boxes
            .iter()
            .map(|b| b.y)
            .fold(f64::INFINITY, f64::min);
        let bottom = placement.boxes.iter().map(Rect::bottom).fold(0.0, f64::max);
        Rect {
            x: left,
            y: top - FRAME_HEADER,
            width: right - left,
            height: bottom - top + FRAME_HEADER + FRAME,
        }
    }

    fn gap_into_frame(&self, sources: &[Vertex]) -> f64 {
        if sources.is_empty() {
            return 0.0;
        }
        self.gap(|edge| edge.to == Vertex::Everything)
    }

    /// Places that connect to the cluster, and places that it connects to.
    fn outside(&self) -> (Vec<Vertex>, Vec<Vertex>) {
        self.graph
            .outside()
            .map(|(vertex, _)| vertex)
            .partition(|vertex| matches!(vertex, Vertex::Source(_)))
    }

    fn content_height(
        &self,
        columns: &[Vec<usize>],
        inners: &[Inner],
        outside: &[&[Vertex]; 2],
    ) -> f64 {
        let boxes = columns.iter().map(|column| column_height(column, inners));
        let places = outside.iter().map(|vertices| self.outside_height(vertices));
        boxes.chain(places).fold(120.0, f64::max)
    }

    fn outside_height(&self, vertices: &[Vertex]) -> f64 {
        let nodes: f64 = vertices.iter().map(|v| self.height_of(*v)).sum();
        nodes + BOX_GAP * gaps(vertices.len())
    }

    fn place_outside(
        &self,
        vertices: &[Vertex],
        x: f64,
        content: f64,
        placement: &mut Placement,
    ) -> f64 {
        if vertices.is_empty() {
            return x;
        }
        let width = vertices
            .iter()
            .map(|v| self.width_of(*v))
            .fold(0.0, f64::max);
        let mut y = TOP + (content - self.outside_height(vertices)) / 2.0;
        for vertex in vertices {
            let height = self.height_of(*vertex);
            placement.rects.insert(
                *vertex,
                Rect {
                    x,
                    y,
                    width,
                    height,
                },
            );
            y += height + BOX_GAP;
        }
        x + width
    }

    fn place_column(
        &self,
        column: &[usize],
        inners: &[Inner],
        x: f64,
        content: f64,
        placement: &mut Placement,
    ) -> f64 {
        let members = || {
            column
                .iter()
                .filter_map(|i| Some((*i, inners.get(*i)?, self.graph.clusters.get(*i)?)))
        };
        let width = members()
            .map(|(_, inner, _)| inner.width)
            .fold(0.0, f64::max);
        let mut y = TOP + (content - column_height(column, inners)) / 2.0;
        let mut taken = Vec::new();
        for (index, inner, cluster) in members() {
            let rect = Rect {
                x: x + (width - inner.width) / 2.0,
                y,
                width: inner.width,
                height: inner.height,
            };
            taken.push((rect.y, rect.bottom()));
            if let Some(slot) = placement.boxes.get_mut(index) {
                *slot = rect;
            }
            placement
                .rects
                .insert(Vertex::Namespace(cluster.namespace), rect);
            self.place_inner(inner, &rect, cluster.namespace, placement);
            y += inner.height + BOX_GAP;
        }
        placement.columns.push(Column {
            left: x,
            right: x + width,
            taken,
            inside: None,
        });
        x + width
    }

    fn width_of(&self, vertex: Vertex) -> f64 {
        let name = shortened(&self.graph.outside_name(vertex));
        characters(&name) * NAME * MONO + 32.0
    }

    /// High enough for the arrows that end there.
    pub(super) fn height_of(&self, vertex: Vertex) -> f64 {
        let opens = self.graph.edges.iter().any(|edge| edge.from == vertex);
        let leaving = if opens { 1.0 } else { 0.0 };
        ((self.incoming(vertex) + leaving) * PORT_HEIGHT).max(NODE_HEIGHT)
    }

    /// How many different arrows end at a vertex.
    pub(super) fn incoming(&self, vertex: Vertex) -> f64 {
        let mut opens: Vec<_> = self
            .graph
            .edges
            .iter()
            .filter(|edge| edge.to == vertex)
            .map(|edge| &edge.open)
            .collect();
        opens.sort_unstable();
        opens.dedup();
        u32::try_from(opens.len()).map_or(0.0, f64::from)
    }

    pub(super) fn gap(&self, ends_here: impl Fn(&Edge) -> bool) -> f64 {
        let labels = self.graph.edges.iter().filter(|edge| ends_here(edge));
        CURVES
            + labels
                .map(|edge| label_width(&label(&edge.open)))
                .fold(0.0, f64::max)
    }

    fn gap_before(&self, column: &[usize]) -> f64 {
        let clusters: Vec<&Cluster> = column
            .iter()
            .filter_map(|i| self.graph.clusters.get(*i))
            .collect();
        self.gap(|edge| match edge.to {
            Vertex::Namespace(id) => clusters.iter().any(|c| c.namespace == id),
            Vertex::Workload(id) => clusters.iter().any(|c| c.workloads.contains(&id)),
            Vertex::Everything | Vertex::Source(_) | Vertex::Destination(_) => false,
        })
    }

    fn gap_for(&self, vertices: &[Vertex]) -> f64 {
        self.gap(|edge| vertices.contains(&edge.to))
    }
}

pub(super) fn gaps(count: usize) -> f64 {
    u32::try_from(count.saturating_sub(1)).map_or(0.0, f64::from)
}

fn column_height(column: &[usize], inners: &[Inner]) -> f64 {
    let boxes = column.iter().filter_map(|index| inners.get(*index));
    boxes.map(|inner| inner.height).sum::<f64>() + BOX_GAP * gaps(column.len())
}
