//! Mermaid, which GitHub and GitLab draw inside Markdown.

use std::io::{self, Write};

use super::Report;
use super::graph::{Graph, Mark, Vertex, label};
use crate::output::{incomplete, visible};

pub(super) fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let graph = Graph::new(report);
    incomplete::comment(report.diagnostics, "%%", out)?;
    writeln!(out, "flowchart LR")?;
    for cluster in &graph.clusters {
        writeln!(
            out,
            "  subgraph n{}[{}]",
            cluster.namespace.0,
            quoted(&cluster.name)
        )?;
        for id in &cluster.workloads {
            let name = graph.view.names.workload_alone(*id);
            if graph.bypasses(*id) {
                let name = escaped(&name);
                writeln!(out, "    w{}[\"{name}<br/>hostNetwork\"]:::host", id.0)?;
            } else {
                writeln!(out, "    w{}[{}]", id.0, quoted(&name))?;
            }
        }
        writeln!(out, "  end")?;
    }
    for (vertex, name) in graph.outside() {
        let class = match graph.vertex_mark(vertex) {
            Mark::Metadata => ":::metadata",
            Mark::Internet => ":::internet",
            Mark::Plain | Mark::Unknown => "",
        };
        writeln!(out, "  {}([{}]){class}", vertex_id(vertex), quoted(&name))?;
    }
    if graph.uses(Vertex::Everything) {
        writeln!(out, "  everything[every workload]")?;
    }
    let mut colored: [Vec<String>; 2] = [Vec::new(), Vec::new()];
    for (number, edge) in graph.edges.iter().enumerate() {
        let mark = graph.mark(edge);
        let arrow = if mark == Mark::Unknown { "-.->" } else { "-->" };
        writeln!(
            out,
            "  {} {arrow}|{}| {}",
            vertex_id(edge.from),
            quoted(&label(&edge.open)),
            vertex_id(edge.to),
        )?;
        let [internet, metadata] = &mut colored;
        match mark {
            Mark::Internet => internet.push(number.to_string()),
            Mark::Metadata => metadata.push(number.to_string()),
            Mark::Plain | Mark::Unknown => {}
        }
    }
    let [internet, metadata] = colored;
    for (edges, color) in [(internet, "#ea580c"), (metadata, "#dc2626")] {
        if !edges.is_empty() {
            writeln!(out, "  linkStyle {} stroke:{color}", edges.join(","))?;
        }
    }
    writeln!(
        out,
        "  classDef internet fill:#ffedd5,stroke:#ea580c,color:#7c2d12"
    )?;
    writeln!(
        out,
        "  classDef metadata fill:#fee2e2,stroke:#dc2626,color:#7f1d1d"
    )?;
    writeln!(out, "  classDef host stroke:#d97706,stroke-dasharray:4 3")
}

fn vertex_id(vertex: Vertex) -> String {
    match vertex {
        Vertex::Everything => "everything".to_owned(),
        Vertex::Namespace(id) => format!("n{}", id.0),
        Vertex::Workload(id) => format!("w{}", id.0),
        Vertex::Source(index) => format!("from{index}"),
        Vertex::Destination(index) => format!("to{index}"),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// Mermaid reads HTML and its own entities in labels.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in visible::line(text).chars() {
        match c {
            '"' => safe.push_str("#quot;"),
            '<' => safe.push_str("#lt;"),
            '>' => safe.push_str("#gt;"),
            '&' => safe.push_str("#amp;"),
            '#' => safe.push_str("#35;"),
            '`' => safe.push_str("#96;"),
            c => safe.push(c),
        }
    }
    safe
}
