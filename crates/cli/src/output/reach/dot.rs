//! Graphviz: `ringfence reach -o dot | dot -Tsvg`.

use std::io::{self, Write};

use ringfence_model::snapshot::{NamespaceId, WorkloadId};

use super::Report;
use super::graph::{Edge, Graph, Mark, Vertex, label};
use crate::output::incomplete;

pub(super) fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let graph = Graph::new(report);
    incomplete::comment(report.diagnostics, "//", out)?;
    writeln!(out, "digraph reachability {{")?;
    writeln!(out, "  rankdir=LR; compound=true; fontname=\"sans-serif\";")?;
    writeln!(
        out,
        "  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"sans-serif\"];"
    )?;
    writeln!(
        out,
        "  edge [fontname=\"sans-serif\", fontsize=10, color=\"#64748b\"];"
    )?;
    for cluster in &graph.clusters {
        writeln!(
            out,
            "  subgraph {} {{",
            quoted(&cluster_id(cluster.namespace))
        )?;
        writeln!(
            out,
            "    label={}; style=\"rounded,filled\"; fillcolor=\"#f1f5f9\"; color=\"#cbd5e1\";",
            quoted(&cluster.name)
        )?;
        for id in &cluster.workloads {
            let (name, extra) = node(&graph, *id);
            writeln!(
                out,
                "    {} [label={}{extra}];",
                quoted(&workload_id(*id)),
                quoted(&name)
            )?;
        }
        writeln!(out, "  }}")?;
    }
    for (vertex, name) in graph.outside() {
        let (fill, line) = match graph.vertex_mark(vertex) {
            Mark::Metadata => ("#fee2e2", "#dc2626"),
            Mark::Internet => ("#ffedd5", "#ea580c"),
            Mark::Plain | Mark::Unknown => ("#f8fafc", "#64748b"),
        };
        writeln!(
            out,
            "  {} [label={}, shape=ellipse, style=filled, fillcolor=\"{fill}\", color=\"{line}\"];",
            quoted(&vertex_id(&graph, vertex)),
            quoted(&name),
        )?;
    }
    if graph.uses(Vertex::Everything) {
        writeln!(
            out,
            "  everything [label=\"every workload\", shape=box, style=\"rounded,bold,filled\", fillcolor=\"#f1f5f9\"];"
        )?;
    }
    for edge in &graph.edges {
        write_edge(&graph, edge, out)?;
    }
    writeln!(out, "}}")
}

fn node(graph: &Graph<'_>, id: WorkloadId) -> (String, &'static str) {
    let name = graph.view.names.workload_alone(id).into_owned();
    if graph.bypasses(id) {
        (
            format!("{name}\nhostNetwork"),
            ", color=\"#d97706\", style=\"rounded,filled,dashed\"",
        )
    } else {
        (name, "")
    }
}

fn write_edge(graph: &Graph<'_>, edge: &Edge, out: &mut dyn Write) -> io::Result<()> {
    let mut attributes = vec![format!("label={}", quoted(&label(&edge.open)))];
    match graph.mark(edge) {
        Mark::Plain => {}
        Mark::Internet => attributes.push("color=\"#ea580c\"".to_owned()),
        Mark::Metadata => attributes.push("color=\"#dc2626\"".to_owned()),
        Mark::Unknown => attributes.push("color=\"#9333ea\", style=dashed".to_owned()),
    }
    // An edge of a whole namespace is drawn between the boxes, by way of a node of each.
    if let Vertex::Namespace(id) = edge.from {
        attributes.push(format!("ltail={}", quoted(&cluster_id(id))));
    }
    if let Vertex::Namespace(id) = edge.to {
        attributes.push(format!("lhead={}", quoted(&cluster_id(id))));
    }
    writeln!(
        out,
        "  {} -> {} [{}];",
        quoted(&vertex_id(graph, edge.from)),
        quoted(&vertex_id(graph, edge.to)),
        attributes.join(", "),
    )
}

fn vertex_id(graph: &Graph<'_>, vertex: Vertex) -> String {
    match vertex {
        Vertex::Workload(id) => workload_id(id),
        Vertex::Source(index) => format!("from{index}"),
        Vertex::Destination(index) => format!("to{index}"),
        Vertex::Everything => "everything".to_owned(),
        Vertex::Namespace(namespace) => {
            let cluster = graph.clusters.iter().find(|c| c.namespace == namespace);
            let first = cluster.and_then(|c| c.workloads.first());
            first.map_or_else(String::new, |id| workload_id(*id))
        }
    }
}

fn workload_id(id: WorkloadId) -> String {
    format!("w{}", id.0)
}

/// Graphviz draws a box around a subgraph whose name begins like this.
fn cluster_id(id: NamespaceId) -> String {
    format!("cluster_{}", id.0)
}

fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}
