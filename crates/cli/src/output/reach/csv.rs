//! One line for each connection, verdict and protocol.

use std::io::{self, Write};

use ringfence_engine::sets::PortSet;
use ringfence_model::protocol::Protocol;
use rustc_hash::FxHashMap;

use super::Report;
use ringfence_engine::reach::End;

use crate::output::{Names, visible};

pub(super) fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let names = Names::new(report.snapshot);
    let mut ends: FxHashMap<&End, String> = FxHashMap::default();
    let connections = &report.reachability.connections;
    for end in connections.iter().flat_map(|c| [&c.from, &c.to]) {
        ends.entry(end).or_insert_with(|| cells(&names, end));
    }
    writeln!(
        out,
        "from_kind,from_namespace,from_name,to_kind,to_namespace,to_name,verdict,protocol,ports"
    )?;
    for connection in connections {
        let end = |end| ends.get(end).map_or("", String::as_str);
        let (from, to) = (end(&connection.from), end(&connection.to));
        for (verdict, ports) in [
            ("Allowed", &connection.allow),
            ("Unknown", &connection.maybe),
        ] {
            for (protocol, ports) in lines(ports) {
                writeln!(out, "{from},{to},{verdict},{protocol},{ports}")?;
            }
        }
    }
    Ok(())
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
