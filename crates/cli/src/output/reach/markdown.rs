//! Tables for a pull request or a wiki.

use std::io::{self, Write};

use super::human::port_words;
use super::view::{Group, Node, View};
use super::{Report, bypassing};
use crate::output::incomplete;
use crate::output::layout::count;
use crate::output::markdown::{cell as plain, code};

pub(super) fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let snapshot = report.snapshot;
    let view = View::new(snapshot, report.reachability, report.sources);
    incomplete::markdown(report.diagnostics, out)?;
    writeln!(out, "## Reachability\n")?;
    writeln!(
        out,
        "{} in {}, {}; profile `{}`.\n",
        count(snapshot.workloads.len(), "workload", "workloads"),
        count(snapshot.namespaces.len(), "namespace", "namespaces"),
        count(snapshot.policies.len(), "policy", "policies"),
        report.profile.name,
    )?;
    let bypassing = bypassing(snapshot);
    if !bypassing.is_empty() {
        let names: Vec<String> = bypassing
            .into_iter()
            .map(|id| code(&view.names.workload(id)))
            .collect();
        writeln!(
            out,
            "**Bypass policy** (hostNetwork): {}.\n",
            names.join(", ")
        )?;
    }
    writeln!(out, "| from | to | allowed | unknown |")?;
    writeln!(out, "|---|---|---|---|")?;
    for block in &view.blocks {
        let from = nodes_cell(&view, &block.sources);
        if block.rows.is_empty() {
            writeln!(out, "| {from} | *nothing* | | |")?;
        }
        for row in &block.rows {
            let ports = |set: &ringfence_engine::sets::PortSet| match set.is_empty() {
                true => String::new(),
                false => port_words(set).join(", "),
            };
            writeln!(
                out,
                "| {from} | {} | {} | {} |",
                nodes_cell(&view, &row.to),
                ports(&row.open.allow),
                ports(&row.open.maybe),
            )?;
        }
    }
    if report.entry_points.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n### Entry points\n")?;
    writeln!(out, "| via | exposes | service | to | from | verdict |")?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    for point in report.entry_points {
        let (to, verdict) = match &point.to {
            Some(to) => (
                code(&format!("{}:{}/{}", to.workload, to.port, to.protocol)),
                to.verdict.to_string(),
            ),
            None => ("*nothing*".to_owned(), String::new()),
        };
        writeln!(
            out,
            "| {} {} | {} | {} | {to} | {} | {verdict} |",
            point.via.as_str(),
            code(&point.object),
            code(&point.exposes),
            code(&point.service),
            plain(&point.from),
        )?;
    }
    Ok(())
}

fn nodes_cell(view: &View<'_>, nodes: &[Node]) -> String {
    let words: Vec<String> = view
        .summarised(nodes)
        .into_iter()
        .map(|group| match group {
            Group::Everything => "every workload".to_owned(),
            Group::Namespace(id) => {
                let name = &view.names.snapshot().namespace(id).name;
                format!("every workload in {}", code(name))
            }
            Group::One(Node::Workload(id)) => code(&view.names.workload(id)),
            Group::One(Node::Place(index)) => match view.place(index) {
                Some(place) => format!("**{}**", plain(&place.to_string())),
                None => String::new(),
            },
        })
        .collect();
    words.join(", ")
}
