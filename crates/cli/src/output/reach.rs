//! Who can reach whom: the report of `reach`.

mod csv;
mod dot;
pub(crate) mod graph;
mod grouping;
mod human;
mod json;
mod likeness;
mod markdown;
mod mermaid;
mod svg;
pub(crate) mod view;

#[cfg(test)]
mod tests;

pub(crate) use human::port_words;
#[cfg(test)]
pub(crate) use json::ReachabilityOut;
pub(crate) use json::{EntryPointOut, document};

use std::io;

use clap::ValueEnum;
use ringfence_engine::Profile;
use ringfence_engine::reach::Reachability;
use ringfence_model::diagnostic::Diagnostic;
use ringfence_model::snapshot::{Snapshot, WorkloadId};

use super::{Printer, Theme, structured};
use crate::entry_points::EntryPoint;
use crate::output::printer::unless_reader_left;
use crate::unread::Unread;

/// The formats of `reach`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Grouped so that a person can read it
    Human,
    Json,
    Yaml,
    /// One line for each connection and protocol
    Csv,
    Markdown,
    /// Graphviz
    Dot,
    Mermaid,
    /// A picture of the dependency graph
    Svg,
}

impl Format {
    /// Whether connections are listed one by one, those of ends that are alike too.
    pub(crate) fn lists_each(self) -> bool {
        matches!(self, Self::Json | Self::Yaml | Self::Csv)
    }
}

/// Everything that is printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report<'a> {
    /// Policies that could not be read.
    pub(crate) unread: &'a Unread,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) profile: &'a Profile,
    pub(crate) diagnostics: &'a [Diagnostic],
    pub(crate) reachability: &'a Reachability,
    /// The workloads that were asked about as sources.
    pub(crate) sources: &'a [WorkloadId],
    pub(crate) entry_points: &'a [EntryPoint],
}

/// Prints the report.
pub(crate) fn print(report: &Report<'_>, format: Format, printer: &mut Printer) -> io::Result<()> {
    let (theme, width) = (printer.theme(), printer.width());
    unless_reader_left(write(report, format, theme, width, printer.out()))
}

/// Draws the picture, for a page that shows it.
pub(crate) fn draw(report: &Report<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    svg::write(report, out)
}

fn write(
    report: &Report<'_>,
    format: Format,
    theme: Theme,
    width: usize,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    match format {
        Format::Human => human::write(report, theme, width, out),
        Format::Json => json::write(report, out),
        Format::Yaml => structured::yaml(out, &document(report)),
        Format::Csv => csv::write(report, out),
        Format::Markdown => markdown::write(report, out),
        Format::Dot => dot::write(report, out),
        Format::Mermaid => mermaid::write(report, out),
        Format::Svg => svg::write(report, out),
    }
}

/// The workloads with pods that no policy applies to.
pub(crate) fn bypassing(snapshot: &Snapshot) -> Vec<WorkloadId> {
    let mut found: Vec<WorkloadId> = snapshot
        .pods
        .iter()
        .filter(|pod| pod.host_network)
        .map(|pod| pod.workload)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}
