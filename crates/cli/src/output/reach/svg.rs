//! A picture of the dependency graph, readable in light and dark.
//!
//! Positions are found in [`placement`], paths in [`routes`]; here they are drawn.
//! Everything is deterministic: the same graph is the same picture.

mod inside;
mod layers;
mod placement;
mod routes;

use std::io::{self, Write};

use super::Report;
use super::graph::{Cluster, Edge, Graph, Mark, Vertex, label};
use crate::diagnostics::left_out;
use crate::output::layout::count;
use crate::output::visible;
use placement::{Placement, Rect};
use routes::Routed;

/// Width of a character of the monospaced fonts, at 1 pixel.
const MONO: f64 = 0.605;
/// Font size of names.
const NAME: f64 = 12.5;
/// Font size of ports.
const PORTS: f64 = 10.0;
/// Characters of a port label that are shown; the rest is in the tooltip.
const LONGEST_LABEL: usize = 26;

/// The class of the picture. A page may hold several pictures, and other things: styles
/// apply below it only, and there are no ids.
const SCOPE: &str = "ringfence-reach";

const STYLE: &str = r#"
  text { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 12.5px; fill: #0f172a }
  .sans { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif }
  .title { font-size: 16px; font-weight: 600 }
  .dim { fill: #64748b; font-size: 12px }
  .ns { fill: #475569; font-size: 12.5px; font-weight: 600; letter-spacing: .03em }
  .canvas { fill: #ffffff }
  .frame { fill: none; stroke: #b6c2d1; stroke-width: 1.6; stroke-dasharray: 2 4; stroke-linecap: round }
  .box { fill: #f4f7fb; stroke: #d5dee9 }
  .node { fill: #ffffff; stroke: #94a3b8 }
  .node.host { stroke: #d97706; stroke-width: 1.6; stroke-dasharray: 5 3 }
  .badge { fill: #b45309; font-size: 9.5px }
  .out { fill: #f8fafc; stroke: #94a3b8 }
  .out.internet { fill: #fff4e6; stroke: #ea7317 }
  .out.metadata { fill: #ffe8e8; stroke: #dc2626 }
  .internet-text { fill: #9a3d06 } .metadata-text { fill: #991b1b }
  path { fill: none; stroke: #8596ad; stroke-width: 1.4 }
  path.internet { stroke: #ea7317 } path.metadata { stroke: #dc2626; stroke-width: 1.8 } path.bundle { stroke-width: 2.4 }
  path.unknown { stroke: #b583de; stroke-width: 1.1; stroke-dasharray: 4 4 }
  .head { stroke: none; fill: #8596ad } .head.internet { fill: #ea7317 } .head.metadata { fill: #dc2626 } .head.unknown { fill: #b583de }
  .pill { fill: #ffffff; fill-opacity: .92 }
  .ports { font-size: 10px; fill: #475569 } .ports.internet { fill: #b4500b } .ports.metadata { fill: #b91c1c } .ports.unknown { fill: #7e22ce }
  @media (prefers-color-scheme: dark) {
    text { fill: #e2e8f0 } .dim, .ns { fill: #94a3b8 }
    .canvas { fill: #0d1117 } .frame { stroke: #44546a } .box { fill: #151c27; stroke: #2b3646 } .node { fill: #1f2937; stroke: #5b6b80 }
    .node.host { stroke: #f59e0b } .badge { fill: #fbbf24 }
    .out { fill: #1a2230; stroke: #5b6b80 } .out.internet { fill: #33210f; stroke: #fb923c } .out.metadata { fill: #3a1618; stroke: #f87171 }
    .internet-text { fill: #fdba74 } .metadata-text { fill: #fca5a5 }
    path { stroke: #66768c } path.internet { stroke: #fb923c } path.metadata { stroke: #f87171 } path.unknown { stroke: #9a6cc4 }
    .head { fill: #66768c } .head.internet { fill: #fb923c } .head.metadata { fill: #f87171 } .head.unknown { fill: #9a6cc4 }
    .pill { fill: #0d1117; fill-opacity: .85 }
    .ports { fill: #a8b5c6 } .ports.internet { fill: #fdba74 } .ports.metadata { fill: #fca5a5 } .ports.unknown { fill: #d8b4fe }
  }
"#;

pub(super) fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let graph = Graph::new(report);
    let placement = Placement::of(&graph);
    let routed = routes::route(&graph, &placement);
    let (width, height) = (placement.width, placement.height);
    let workloads: usize = graph.clusters.iter().map(|c| c.workloads.len()).sum();
    let summary = format!(
        "{} in {}, profile {}",
        count(workloads, "workload", "workloads"),
        count(graph.clusters.len(), "namespace", "namespaces"),
        report.profile.name,
    );
    let incomplete = left_out(report.diagnostics)
        .map_or_else(String::new, |summary| format!(" Incomplete: {summary}."));
    writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0} {height:.0}" width="{width:.0}" height="{height:.0}" role="img" class="{SCOPE}" aria-label="Who can reach whom: {}">"#,
        escaped(&summary),
    )?;
    writeln!(out, "<title>Who can reach whom</title>")?;
    writeln!(
        out,
        "<desc>{}. An arrow is a connection that network policies allow; an arrow from or to a namespace stands for all of its workloads.{}</desc>",
        escaped(&summary),
        escaped(&incomplete),
    )?;
    writeln!(out, "<style>{}</style>", scoped(STYLE, SCOPE))?;
    writeln!(
        out,
        r#"<rect class="canvas" width="100%" height="100%" rx="10"/>"#
    )?;
    writeln!(
        out,
        r#"<text class="sans title" x="28" y="38">Who can reach whom</text><text class="sans dim" x="28" y="58">{}</text>"#,
        escaped(&summary)
    )?;
    if let Some(frame) = placement.rect(Vertex::Everything) {
        draw_box(&graph, Vertex::Everything, "every workload", frame, out)?;
    }
    for (cluster, rect) in graph.clusters.iter().zip(&placement.boxes) {
        let vertex = Vertex::Namespace(cluster.namespace);
        draw_box(&graph, vertex, &cluster.name, rect, out)?;
    }
    for edge in &routed {
        draw_path(edge, out)?;
    }
    for cluster in &graph.clusters {
        for id in &cluster.workloads {
            if let Some(rect) = placement.rect(Vertex::Workload(*id)) {
                draw_workload(&graph, *id, rect, out)?;
            }
        }
    }
    for (vertex, name) in graph.outside() {
        if let Some(rect) = placement.rect(vertex) {
            draw_outside(graph.vertex_mark(vertex), &name, rect, out)?;
        }
    }
    for edge in &routed {
        draw_label(edge, out)?;
    }
    legend(&graph, height, out)?;
    writeln!(out, "</svg>")
}

/// The style sheet with every selector restricted to what is inside the class `scope`.
fn scoped(style: &str, scope: &str) -> String {
    let mut out = String::with_capacity(style.len() * 2);
    for rule in style.split_inclusive(['{', '}']) {
        let selectors = rule.trim_start();
        let is_selector = rule.ends_with('{') && !selectors.starts_with('@');
        if !is_selector {
            out.push_str(rule);
            continue;
        }
        out.push_str(rule.get(..rule.len() - selectors.len()).unwrap_or_default());
        for (position, selector) in selectors.split(',').enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            out.push_str(&format!("{comma}.{scope} {}", selector.trim_start()));
        }
    }
    out
}

/// A frame with its name, and at the right what its workloads can open to each other.
fn draw_box(
    graph: &Graph<'_>,
    vertex: Vertex,
    name: &str,
    rect: &Rect,
    out: &mut dyn Write,
) -> io::Result<()> {
    let class = if vertex == Vertex::Everything {
        "frame"
    } else {
        "box"
    };
    writeln!(
        out,
        r#"<rect class="{class}" x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}" rx="12"/><text class="sans ns" x="{:.1}" y="{:.1}">{}</text>"#,
        rect.x,
        rect.y,
        rect.width,
        rect.height,
        rect.x + 14.0,
        rect.y + 21.0,
        escaped(name)
    )?;
    if let Some(open) = graph.among_itself(vertex) {
        let full = label(open);
        let mark = if open.allow.is_empty() {
            " unknown"
        } else {
            ""
        };
        writeln!(
            out,
            r#"<g><title>from each workload to each other: {}</title><text class="ports{mark}" x="{:.1}" y="{:.1}" text-anchor="end">⟲ {}</text></g>"#,
            escaped(&full),
            rect.right() - 12.0,
            rect.y + 20.5,
            escaped(&cut(&full, LONGEST_LABEL))
        )?;
    }
    Ok(())
}

fn draw_workload(
    graph: &Graph<'_>,
    id: ringfence_model::snapshot::WorkloadId,
    rect: &Rect,
    out: &mut dyn Write,
) -> io::Result<()> {
    let bypasses = graph.bypasses(id);
    let name = graph.view.names.workload_alone(id);
    let kind = &graph.view.names.snapshot().workload(id).kind;
    let class = if bypasses { "node host" } else { "node" };
    let note = if bypasses {
        "; hostNetwork: no policy applies to it, and whether it shares the node of another pod, which policies cannot close, is not known"
    } else {
        ""
    };
    writeln!(
        out,
        r#"<g><title>{} {}{note}</title><rect class="{class}" x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}" rx="7"/>"#,
        escaped(kind),
        escaped(&graph.view.names.workload(id)),
        rect.x,
        rect.y,
        rect.width,
        rect.height
    )?;
    let middle = rect.y + rect.height / 2.0;
    let baseline = if bypasses { middle - 1.0 } else { middle + 4.3 };
    writeln!(
        out,
        r#"<text x="{:.1}" y="{baseline:.1}" text-anchor="middle">{}</text>"#,
        rect.x + rect.width / 2.0,
        escaped(&placement::shortened(&name))
    )?;
    if bypasses {
        writeln!(
            out,
            r#"<text class="badge" x="{:.1}" y="{:.1}" text-anchor="middle">hostNetwork</text>"#,
            rect.x + rect.width / 2.0,
            middle + 11.0
        )?;
    }
    writeln!(out, "</g>")
}

fn draw_outside(mark: Mark, name: &str, rect: &Rect, out: &mut dyn Write) -> io::Result<()> {
    let class = class_of(mark);
    writeln!(
        out,
        r#"<g><title>{}</title><rect class="out {class}" x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}" rx="{:.1}"/><text class="{class}-text" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text></g>"#,
        escaped(name),
        rect.x,
        rect.y,
        rect.width,
        rect.height,
        rect.height.min(34.0) / 2.0,
        rect.x + rect.width / 2.0,
        rect.y + rect.height / 2.0 + 4.3,
        escaped(&placement::shortened(name))
    )
}

fn class_of(mark: Mark) -> &'static str {
    match mark {
        Mark::Plain => "",
        Mark::Internet => "internet",
        Mark::Metadata => "metadata",
        Mark::Unknown => "unknown",
    }
}

fn draw_path(edge: &Routed<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mark = class_of(edge.mark);
    let bundle = if edge.is_bundle { " bundle" } else { "" };
    writeln!(
        out,
        r#"<path class="{mark}{bundle}" d="{}"/><polygon class="head {mark}" points="{}"/>"#,
        edge.path(),
        edge.head()
    )
}

fn draw_label(edge: &Routed<'_>, out: &mut dyn Write) -> io::Result<()> {
    let Some(at) = edge.label else { return Ok(()) };
    let full = edge_label(edge.edge);
    let shown = cut(&full, LONGEST_LABEL);
    let mark = class_of(edge.mark);
    writeln!(
        out,
        r#"<g><title>{}</title><rect class="pill" x="{:.1}" y="{:.1}" width="{:.1}" height="13" rx="4"/><text class="ports {mark}" x="{:.1}" y="{:.1}">{}</text></g>"#,
        escaped(&full),
        at.x - 3.0,
        at.y - 6.5,
        label_width(&full) + 6.0,
        at.x,
        at.y + 3.4,
        escaped(&shown)
    )
}

/// The label of an edge: its ports, and who is meant by an end that is not drawn.
fn edge_label(edge: &Edge) -> String {
    let ports = label(&edge.open);
    match (edge.from, edge.to) {
        (Vertex::Everything, Vertex::Workload(_) | Vertex::Namespace(_)) => {
            format!("from all: {ports}")
        }
        (Vertex::Workload(_) | Vertex::Namespace(_), Vertex::Everything) => {
            format!("to all: {ports}")
        }
        _ => ports,
    }
}

/// The width of a port label as it is shown.
fn label_width(text: &str) -> f64 {
    characters(&cut(text, LONGEST_LABEL)) * PORTS * MONO
}

fn characters(text: &str) -> f64 {
    u32::try_from(text.chars().count()).map_or(0.0, f64::from)
}

fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let kept: String = text.chars().take(longest - 1).collect();
    format!("{}…", kept.trim_end_matches([' ', ',', ';']))
}

/// The kinds of lines in a picture, with what they mean and where they are explained.
fn legend_entries(graph: &Graph<'_>) -> Vec<(&'static str, &'static str)> {
    let has = |mark| graph.edges.iter().any(|edge| graph.mark(edge) == mark);
    let bypasses = |cluster: &Cluster| cluster.workloads.iter().any(|id| graph.bypasses(*id));
    let entries = [
        (has(Mark::Plain), "", "inside the cluster"),
        (has(Mark::Internet), "internet", "internet"),
        (
            has(Mark::Metadata),
            "metadata",
            "cloud metadata: credentials",
        ),
        (has(Mark::Unknown), "unknown", "not known from the input"),
        (
            graph.edges.iter().any(routes::is_bundle),
            "bundle",
            "all of a frame",
        ),
        (
            graph.clusters.iter().any(bypasses),
            "host",
            "hostNetwork: bypasses policy",
        ),
    ];
    let present = entries.into_iter().filter(|(is_used, ..)| *is_used);
    present.map(|(_, class, text)| (class, text)).collect()
}

/// The width of a legend entry.
fn entry_width(text: &str) -> f64 {
    33.0 + characters(text) * 6.5 + 20.0
}

fn legend_width(graph: &Graph<'_>) -> f64 {
    let entries = legend_entries(graph);
    56.0 + entries
        .iter()
        .map(|(_, text)| entry_width(text))
        .sum::<f64>()
}

fn legend(graph: &Graph<'_>, height: f64, out: &mut dyn Write) -> io::Result<()> {
    let y = height - 24.0;
    let mut x = 28.0;
    for (class, text) in legend_entries(graph) {
        if class == "host" {
            let top = y - 6.5;
            write!(
                out,
                r#"<rect class="node host" x="{x:.1}" y="{top:.1}" width="25" height="13" rx="4"/>"#
            )?;
        } else {
            write!(out, r#"<path class="{class}" d="M{x:.1} {y:.1}h26"/>"#)?;
        }
        writeln!(
            out,
            r#"<text class="sans dim" x="{:.1}" y="{:.1}">{text}</text>"#,
            x + 33.0,
            y + 4.0
        )?;
        x += entry_width(text);
    }
    Ok(())
}

fn escaped(text: &str) -> String {
    visible::lines(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_selector_of_the_style_is_below_the_picture() {
        assert_eq!(
            scoped("a { b: c }\n@media (x) {\n  .d, e.f { g: h } }", "p"),
            ".p a { b: c }\n@media (x) {\n  .p .d, .p e.f { g: h } }"
        );
        let style = scoped(STYLE, SCOPE);
        let rules = style
            .split_inclusive('{')
            .filter(|rule| rule.ends_with('{'));
        for rule in rules {
            let selectors = rule.rsplit('}').next().unwrap_or_default().trim();
            let own = format!(".{SCOPE} ");
            assert!(
                selectors.starts_with('@') || selectors.split(", ").all(|s| s.starts_with(&own)),
                "{selectors}"
            );
        }
    }
}
