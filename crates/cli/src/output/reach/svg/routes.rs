//! How edges run: out of one side, through the gaps of what lies between, into the
//! other. Edges with equal ports into one vertex share an arrow head and a label.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::label_width;
use super::placement::{Column, Placement, Rect};
use crate::output::reach::graph::{Edge, Graph, Mark, Vertex, label};
use crate::output::reach::view::Open;

/// Between an edge and what it passes.
const CLEARANCE: f64 = 7.0;
/// Between edges through one gap.
const LANE: f64 = 4.0;
const HEAD: f64 = 7.0;

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
    /// From a box to itself.
    Loop,
}

/// Whether an edge stands for several workloads.
pub(super) fn is_bundle(edge: &Edge) -> bool {
    let whole = |vertex| matches!(vertex, Vertex::Namespace(_));
    whole(edge.from) || whole(edge.to)
}

/// Routes every edge whose ends are placed.
pub(super) fn route<'a>(graph: &'a Graph<'_>, placement: &Placement) -> Vec<Routed<'a>> {
    let mut router = Router {
        placement,
        lanes: BTreeMap::new(),
        exits: Slots::default(),
        entries: Slots::default(),
    };
    let mut ends = Vec::new();
    for edge in &graph.edges {
        let (Some(from), Some(to)) = (placement.rect(edge.from), placement.rect(edge.to)) else {
            continue;
        };
        let course = course(edge, from, to);
        router.exits.add(edge.from, course, &edge.open, to.middle());
        router
            .entries
            .add(edge.to, course, &edge.open, from.middle());
        ends.push((edge, from, to, course));
    }
    router.exits.settle();
    router.entries.settle();
    let mut labelled: Vec<(Vertex, Course, &Open)> = Vec::new();
    let mut routed = Vec::new();
    for (edge, from, to, course) in ends {
        let points = router.points(edge, from, to, course);
        let key = (edge.to, course, &edge.open);
        let label = if labelled.contains(&key) {
            None
        } else {
            labelled.push(key);
            points.last().map(|end| label_at(*end, course, &edge.open))
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

fn course(edge: &Edge, from: &Rect, to: &Rect) -> Course {
    if edge.from == edge.to {
        Course::Loop
    } else if to.x >= from.right() {
        Course::Right
    } else if to.right() <= from.x {
        Course::Left
    } else if to.y >= from.bottom() {
        Course::Down
    } else {
        Course::Up
    }
}

fn label_at(end: Point, course: Course, open: &Open) -> Point {
    let width = label_width(&label(open));
    match course {
        Course::Right => Point {
            x: end.x - HEAD - 5.0 - width,
            y: end.y,
        },
        Course::Left => Point {
            x: end.x + HEAD + 5.0,
            y: end.y,
        },
        Course::Down => Point {
            x: end.x + 8.0,
            y: end.y - 12.0,
        },
        Course::Up => Point {
            x: end.x + 8.0,
            y: end.y + 12.0,
        },
        Course::Loop => Point {
            x: end.x - 44.0 - width,
            y: end.y - 2.0,
        },
    }
}

/// The places along a side at which arrows leave or arrive.
#[derive(Default)]
struct Slots {
    /// (vertex, course) -> the sets of ports, with the mean height of the far ends.
    groups: BTreeMap<(Vertex, Course), Vec<(Open, f64, f64)>>,
}

impl Slots {
    fn add(&mut self, vertex: Vertex, course: Course, open: &Open, far: f64) {
        let group = self.groups.entry((vertex, course)).or_default();
        match group.iter_mut().find(|(known, ..)| known == open) {
            Some((_, sum, count)) => {
                *sum += far;
                *count += 1.0;
            }
            None => group.push((open.clone(), far, 1.0)),
        }
    }

    /// Slots in the order of their far ends, so that edges do not cross at once.
    fn settle(&mut self) {
        for group in self.groups.values_mut() {
            group.sort_by(|a, b| (a.1 / a.2).total_cmp(&(b.1 / b.2)).then(a.0.cmp(&b.0)));
        }
    }

    /// How far along the side, from 0 to 1.
    fn share(&self, vertex: Vertex, course: Course, open: &Open) -> f64 {
        let Some(group) = self.groups.get(&(vertex, course)) else {
            return 0.5;
        };
        let position = group.iter().position(|(known, ..)| known == open);
        let number = |n: usize| u32::try_from(n).map_or(0.0, f64::from);
        (number(position.unwrap_or(0)) + 1.0) / (number(group.len()) + 1.0)
    }
}

struct Router<'a> {
    placement: &'a Placement,
    /// How many edges run through a gap: by column and gap.
    lanes: BTreeMap<(usize, usize), u32>,
    exits: Slots,
    entries: Slots,
}

impl Router<'_> {
    fn points(&mut self, edge: &Edge, from: &Rect, to: &Rect, course: Course) -> Vec<Point> {
        let exit = self.exits.share(edge.from, course, &edge.open);
        let entry = self.entries.share(edge.to, course, &edge.open);
        let along = |rect: &Rect, share: f64| rect.y + rect.height * share;
        match course {
            Course::Loop => {
                let x = from.right() - 14.0;
                vec![
                    Point {
                        x: x - 22.0,
                        y: from.y,
                    },
                    Point { x, y: from.y },
                ]
            }
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
        if self.course == Course::Loop {
            if let Some(end) = self.points.last() {
                let (y, top) = (first.y, first.y - 22.0);
                let _ = write!(
                    path,
                    "C{:.1} {top:.1} {:.1} {top:.1} {:.1} {:.1}",
                    first.x,
                    end.x,
                    end.x,
                    y - HEAD
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
            Course::Right => Point { x: x - HEAD, y },
            Course::Left => Point { x: x + HEAD, y },
            Course::Down | Course::Loop => Point { x, y: y - HEAD },
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
            Course::Right | Course::Left => (0.0, 3.8),
            Course::Down | Course::Up | Course::Loop => (3.8, 0.0),
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
