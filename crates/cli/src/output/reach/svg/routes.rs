//! How edges run: out of one side, through the gaps of what lies between, into the
//! other. Edges with equal ports into one vertex share an arrow head and a label.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::placement::{Column, Placement, Rect};
use super::{edge_label, label_width};
use crate::output::reach::graph::{Edge, Graph, Mark, Vertex};
use crate::output::reach::view::Open;

/// Between an edge and what it passes.
const CLEARANCE: f64 = 7.0;
/// Between edges through one gap.
const LANE: f64 = 4.0;
const HEAD: f64 = 7.0;
const STUB: f64 = 24.0;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// An edge with its path.
#[derive(Debug)]
pub(super) struct Routed<'a> {
    pub(super) edge: &'a Edge,
    pub(super) mark: Mark,
    pub(super) is_bundle: bool,
    /// Where the label begins; only the first of edges that share a head has one.
    pub(super) label: Option<Point>,
    points: Vec<Point>,
    course: Course,
}

/// The direction in which an edge leaves and arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Course {
    Right,
    Left,
    Down,
    Up,
    /// Out of the right side and back in at the right side, past what lies between.
    Around,
    /// A short arrow at one end only: the other is the frame around everything.
    Stub,
}

/// Whether an edge stands for several workloads.
pub(super) fn is_bundle(edge: &Edge) -> bool {
    let whole = |vertex| matches!(vertex, Vertex::Namespace(_) | Vertex::Everything);
    whole(edge.from) || whole(edge.to)
}

/// Routes every edge whose ends are placed.
pub(super) fn route<'a>(graph: &'a Graph<'_>, placement: &Placement) -> Vec<Routed<'a>> {
    let mut router = Router {
        placement,
        lanes: BTreeMap::new(),
        slots: Slots::default(),
    };
    let mut ends = Vec::new();
    // What a frame has among itself is written into it.
    for edge in graph.edges.iter().filter(|edge| edge.from != edge.to) {
        let (Some(from), Some(to)) = (placement.rect(edge.from), placement.rect(edge.to)) else {
            continue;
        };
        let course = course(edge, from, to, placement);
        let slots = &mut router.slots;
        slots.add(edge.from, course.leaves(), false, &edge.open, to.middle());
        slots.add(edge.to, course.arrives(), true, &edge.open, from.middle());
        ends.push((edge, from, to, course));
    }
    router.slots.settle();
    let mut labelled: Vec<(Vertex, Course, &Open)> = Vec::new();
    let mut placed: Vec<Rect> = placement.nodes().collect();
    let mut routed = Vec::new();
    for (edge, from, to, course) in ends {
        let points = router.points(edge, from, to, course);
        let key = (edge.to, course, &edge.open);
        let label = if labelled.contains(&key) {
            None
        } else {
            labelled.push(key);
            label_at(edge, &points, course)
                .map(|at| beside(at, label_width(&edge_label(edge)), course, &mut placed))
        };
        routed.push(Routed {
            edge,
            mark: graph.mark(edge),
            is_bundle: is_bundle(edge),
            label,
            points,
            course,
        });
    }
    routed
}

fn course(edge: &Edge, from: &Rect, to: &Rect, placement: &Placement) -> Course {
    let inside = |outer: &Rect, inner: &Rect| {
        outer.x <= inner.x
            && outer.y <= inner.y
            && inner.right() <= outer.right()
            && inner.bottom() <= outer.bottom()
    };
    let framed = edge.from == Vertex::Everything || edge.to == Vertex::Everything;
    if framed && (inside(from, to) || inside(to, from)) {
        Course::Stub
    } else if to.x >= from.right() {
        Course::Right
    } else if to.right() <= from.x {
        Course::Left
    } else if placement.is_clear_between(from, to) {
        if to.y >= from.bottom() {
            Course::Down
        } else {
            Course::Up
        }
    } else {
        Course::Around
    }
}

/// Where the label of an edge begins.
fn label_at(edge: &Edge, points: &[Point], course: Course) -> Option<Point> {
    let (start, end) = (*points.first()?, *points.last()?);
    let width = label_width(&edge_label(edge));
    let left_of = |x: f64| x - HEAD - 5.0 - width;
    let (x, y) = match course {
        Course::Right => (left_of(end.x), end.y),
        Course::Stub if edge.from == Vertex::Everything => (left_of(start.x) + HEAD, end.y),
        Course::Stub | Course::Left | Course::Around => (end.x + HEAD + 5.0, end.y),
        Course::Down => (end.x + 7.0, f64::midpoint(start.y, end.y)),
        Course::Up => (end.x - 7.0 - width, f64::midpoint(start.y, end.y)),
    };
    Some(Point { x, y })
}

/// The place for a label that is nearest to where it belongs and covers neither
/// another label nor a node: a little up or down, or further along the edge.
fn beside(at: Point, width: f64, course: Course, placed: &mut Vec<Rect>) -> Point {
    let rect = |dx: f64, dy: f64| Rect {
        x: at.x + dx,
        y: at.y - 5.5 + dy,
        width,
        height: 11.0,
    };
    let covers = |a: &Rect, b: &Rect| {
        a.x < b.right() + 3.0 && b.x < a.right() + 3.0 && a.y < b.bottom() && b.y < a.bottom()
    };
    let along = match course {
        Course::Right | Course::Stub | Course::Up => -1.0,
        Course::Left | Course::Around | Course::Down => 1.0,
    };
    let candidates = [
        (0.0, 0.0),
        (0.0, -11.5),
        (0.0, 11.5),
        (along * 28.0, 0.0),
        (along * 56.0, 0.0),
        (0.0, -23.0),
        (0.0, 23.0),
        (along * 90.0, 0.0),
    ];
    let free = candidates
        .into_iter()
        .map(|(dx, dy)| rect(dx, dy))
        .find(|rect| !placed.iter().any(|other| covers(rect, other)));
    let chosen = free.unwrap_or_else(|| rect(0.0, 0.0));
    placed.push(chosen);
    Point {
        x: chosen.x,
        y: chosen.middle(),
    }
}

/// A side of a rectangle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Border {
    Left,
    Right,
    /// Top or bottom; arrows there are placed by what they lead to.
    Other,
}

impl Course {
    fn leaves(self) -> Border {
        match self {
            Self::Right | Self::Around | Self::Stub => Border::Right,
            Self::Left => Border::Left,
            Self::Down | Self::Up => Border::Other,
        }
    }

    fn arrives(self) -> Border {
        match self {
            Self::Right | Self::Stub => Border::Left,
            Self::Left | Self::Around => Border::Right,
            Self::Down | Self::Up => Border::Other,
        }
    }
}

/// A place along a border at which arrows with the same ports leave or arrive.
#[derive(Clone, Debug)]
struct Slot {
    arrives: bool,
    open: Open,
    /// The far ends: the sum of their heights, and their number.
    far: (f64, f64),
}

#[derive(Default)]
struct Slots {
    borders: BTreeMap<(Vertex, Border), Vec<Slot>>,
}

impl Slots {
    fn add(&mut self, vertex: Vertex, border: Border, arrives: bool, open: &Open, far: f64) {
        let slots = self.borders.entry((vertex, border)).or_default();
        match slots
            .iter_mut()
            .find(|s| s.arrives == arrives && s.open == *open)
        {
            Some(slot) => slot.far = (slot.far.0 + far, slot.far.1 + 1.0),
            None => slots.push(Slot {
                arrives,
                open: open.clone(),
                far: (far, 1.0),
            }),
        }
    }

    /// Slots in the order of their far ends, so that edges do not cross at once.
    fn settle(&mut self) {
        for slots in self.borders.values_mut() {
            let height = |slot: &Slot| slot.far.0 / slot.far.1;
            slots.sort_by(|a, b| {
                let by_height = height(a).total_cmp(&height(b));
                by_height
                    .then(a.arrives.cmp(&b.arrives))
                    .then(a.open.cmp(&b.open))
            });
        }
    }

    /// How far along the border, from 0 to 1.
    fn share(&self, vertex: Vertex, border: Border, arrives: bool, open: &Open) -> f64 {
        let Some(slots) = self.borders.get(&(vertex, border)) else {
            return 0.5;
        };
        let position = slots
            .iter()
            .position(|s| s.arrives == arrives && s.open == *open);
        let number = |n: usize| u32::try_from(n).map_or(0.0, f64::from);
        (number(position.unwrap_or(0)) + 1.0) / (number(slots.len()) + 1.0)
    }
}

struct Router<'a> {
    placement: &'a Placement,
    /// How many edges run through a gap: by column and gap.
    lanes: BTreeMap<(usize, usize), u32>,
    slots: Slots,
}

impl Router<'_> {
    fn points(&mut self, edge: &Edge, from: &Rect, to: &Rect, course: Course) -> Vec<Point> {
        let slots = &self.slots;
        let exit = slots.share(edge.from, course.leaves(), false, &edge.open);
        let entry = slots.share(edge.to, course.arrives(), true, &edge.open);
        let along = |rect: &Rect, share: f64| rect.y + rect.height * share;
        match course {
            Course::Stub if edge.from == Vertex::Everything => {
                let y = along(to, entry);
                vec![Point { x: to.x - STUB, y }, Point { x: to.x, y }]
            }
            Course::Stub => {
                let y = along(from, exit);
                vec![
                    Point { x: from.right(), y },
                    Point {
                        x: from.right() + STUB,
                        y,
                    },
                ]
            }
            Course::Around => vec![
                Point {
                    x: from.right(),
                    y: along(from, exit),
                },
                Point {
                    x: to.right(),
                    y: along(to, entry),
                },
            ],
            Course::Down | Course::Up => {
                let left = from.x.max(to.x);
                let right = from.right().min(to.right());
                let x = left + (right - left) * (0.25 + 0.5 * entry);
                let (start, end) = match course {
                    Course::Down => (from.bottom(), to.y),
                    _ => (from.y, to.bottom()),
                };
                vec![Point { x, y: start }, Point { x, y: end }]
            }
            Course::Right | Course::Left => {
                let rightwards = course == Course::Right;
                let start = Point {
                    x: if rightwards { from.right() } else { from.x },
                    y: along(from, exit),
                };
                let end = Point {
                    x: if rightwards { to.x } else { to.right() },
                    y: along(to, entry),
                };
                let mut points = vec![start];
                self.pass_columns(edge, start, end, &mut points);
                points.push(end);
                points
            }
        }
    }

    /// Adds points through the gaps of the columns between `start` and `end`.
    fn pass_columns(&mut self, edge: &Edge, start: Point, end: Point, points: &mut Vec<Point>) {
        let own = [edge.from, edge.to].map(|vertex| self.placement.namespace(vertex));
        let (low, high) = (start.x.min(end.x), start.x.max(end.x));
        let mut between: Vec<(usize, &Column)> = self
            .placement
            .columns
            .iter()
            .enumerate()
            .filter(|(_, column)| column.left >= low && column.right <= high)
            // Inside a box only where the edge begins or ends in it.
            .filter(|(_, column)| column.inside.is_none() || own.contains(&column.inside))
            .collect();
        between.sort_by(|a, b| a.1.left.total_cmp(&b.1.left));
        if start.x > end.x {
            between.reverse();
        }
        for (index, column) in between {
            let x = f64::midpoint(column.left, column.right);
            let share = (x - start.x) / (end.x - start.x);
            let wanted = start.y + (end.y - start.y) * share.clamp(0.0, 1.0);
            let y = self.lane(index, column, wanted);
            let (near, far) = if start.x < end.x {
                (column.left, column.right)
            } else {
                (column.right, column.left)
            };
            points.push(Point { x: near, y });
            points.push(Point { x: far, y });
        }
    }

    /// The nearest height to `wanted` that is free in a column; edges through the same
    /// gap run side by side.
    fn lane(&mut self, index: usize, column: &Column, wanted: f64) -> f64 {
        let mut taken = column.taken.clone();
        taken.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut gaps: Vec<(f64, f64)> = Vec::new();
        let mut top = 70.0;
        for (start, end) in taken {
            if start - top > 2.0 {
                gaps.push((top, start));
            }
            top = end.max(top);
        }
        gaps.push((top, top + 400.0));
        let distance = |gap: &(f64, f64)| {
            let (low, high) = (
                gap.0 + CLEARANCE,
                (gap.1 - CLEARANCE).max(gap.0 + CLEARANCE),
            );
            (wanted - wanted.clamp(low, high)).abs()
        };
        let nearest = gaps
            .iter()
            .enumerate()
            .min_by(|a, b| distance(a.1).total_cmp(&distance(b.1)));
        let Some((number, (low, high))) = nearest else {
            return wanted;
        };
        let used = self.lanes.entry((index, number)).or_default();
        let shift = f64::from(*used) * LANE;
        *used += 1;
        let (low, high) = (low + CLEARANCE, high - CLEARANCE);
        if low >= high {
            return f64::midpoint(low, high);
        }
        let base = wanted.clamp(low, high);
        // Away from the border that it was pushed to.
        let shifted = if base <= low {
            base + shift
        } else {
            base - shift
        };
        shifted.clamp(low, high)
    }
}

impl Routed<'_> {
    /// The path as SVG writes it, up to the arrow head.
    pub(super) fn path(&self) -> String {
        let mut path = String::new();
        let Some(first) = self.points.first() else {
            return path;
        };
        let _ = write!(path, "M{:.1} {:.1}", first.x, first.y);
        if self.course == Course::Around {
            if let Some(end) = self.points.last().map(|end| self.before_head(*end)) {
                let x = first.x.max(end.x) + 34.0;
                let _ = write!(
                    path,
                    "C{x:.1} {:.1} {x:.1} {:.1} {:.1} {:.1}",
                    first.y, end.y, end.x, end.y
                );
            }
            return path;
        }
        for (position, pair) in self.points.windows(2).enumerate() {
            let &[from, mut to] = pair else { continue };
            if position + 2 == self.points.len() {
                to = self.before_head(to);
            }
            if matches!(self.course, Course::Down | Course::Up) {
                let _ = write!(path, "L{:.1} {:.1}", to.x, to.y);
            } else if (from.y - to.y).abs() < 0.05 {
                let _ = write!(path, "H{:.1}", to.x);
            } else {
                let bend = (to.x - from.x) * 0.5;
                let _ = write!(
                    path,
                    "C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}",
                    from.x + bend,
                    from.y,
                    to.x - bend,
                    to.y,
                    to.x,
                    to.y
                );
            }
        }
        path
    }

    fn before_head(&self, end: Point) -> Point {
        let Point { x, y } = end;
        match self.course {
            Course::Right | Course::Stub => Point { x: x - HEAD, y },
            Course::Left | Course::Around => Point { x: x + HEAD, y },
            Course::Down => Point { x, y: y - HEAD },
            Course::Up => Point { x, y: y + HEAD },
        }
    }

    /// The corners of the arrow head.
    pub(super) fn head(&self) -> String {
        let Some(&end) = self.points.last() else {
            return String::new();
        };
        let base = self.before_head(end);
        let (across_x, across_y) = match self.course {
            Course::Right | Course::Left | Course::Around | Course::Stub => (0.0, 3.8),
            Course::Down | Course::Up => (3.8, 0.0),
        };
        format!(
            "{:.1},{:.1} {:.1},{:.1} {:.1},{:.1}",
            end.x,
            end.y,
            base.x + across_x,
            base.y + across_y,
            base.x - across_x,
            base.y - across_y
        )
    }
}
