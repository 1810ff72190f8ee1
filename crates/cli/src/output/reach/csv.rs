//! One line for each connection, verdict and protocol.

use std::io::{self, Write};

use ringfence_engine::sets::PortSet;
use ringfence_model::protocol::Protocol;

use super::Report;
use ringfence_engine::reach::{End, EndId, OpenPorts};

use crate::output::{Names, visible};

pub(super) fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let names = Names::new(report.snapshot);
    let reachability = report.reachability;
    let ends: Vec<String> = reachability
        .ends()
        .iter()
        .map(|e| cells(&names, e))
        .collect();
    let opens: Vec<Vec<String>> = reachability.opens().iter().map(lines_of).collect();
    writeln!(
        out,
        "from_kind,from_namespace,from_name,to_kind,to_namespace,to_name,verdict,protocol,ports"
    )?;
    for row in reachability.rows() {
        let end = |end: EndId| ends.get(end.index()).map_or("", String::as_str);
        let from = end(row.from);
        for entry in reachability.entries(row) {
            let to = end(entry.to);
            for open in opens.get(entry.open.index()).into_iter().flatten() {
                writeln!(out, "{from},{to},{open}")?;
            }
        }
    }
    Ok(())
}

/// Verdict, protocol and ports, a line for each protocol.
fn lines_of(open: &OpenPorts) -> Vec<String> {
    let of_verdict = |(verdict, ports): (&str, &PortSet)| {
        let lines = lines(ports).into_iter();
        let lines = lines.map(|(protocol, ports)| format!("{verdict},{protocol},{ports}"));
        lines.collect::<Vec<_>>()
    };
    let verdicts = [("Allowed", &open.allow), ("Unknown", &open.maybe)];
    verdicts.into_iter().flat_map(of_verdict).collect()
}

/// Kind, namespace and name; of addresses `CIDR`, nothing, and the blocks.
fn cells(names: &Names<'_>, end: &End) -> String {
    match end {
        End::Workload(id) => {
            let workload = names.snapshot().workload(*id);
            [&*workload.kind, names.namespace_of(*id), &workload.name]
                .map(quoted)
                .join(",")
        }
        End::Addresses(nets) => {
            let nets: Vec<String> = nets.iter().map(ToString::to_string).collect();
            format!("CIDR,,{}", quoted(&nets.join(" ")))
        }
    }
}

/// RFC 4180: quotes only where a cell needs them.
fn quoted(cell: &str) -> String {
    let cell = visible::line(cell);
    if cell.contains([',', '"']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.into_owned()
    }
}

fn lines(ports: &PortSet) -> Vec<(Protocol, String)> {
    let mut lines: Vec<(Protocol, String)> = Protocol::WITH_PORTS
        .into_iter()
        .map(|protocol| {
            let ranges = ports.ranges(protocol).into_iter();
            let shown: Vec<String> = ranges
                .map(|(start, end)| match start == end {
                    true => start.to_string(),
                    false => format!("{start}-{end}"),
                })
                .collect();
            (protocol, shown.join(" "))
        })
        .filter(|(_, ports)| !ports.is_empty())
        .collect();
    if ports.has_icmp() {
        lines.push((Protocol::Icmp, String::new()));
    }
    lines
}
