//! The report for a person at a terminal.

use std::io::{self, Write};

use ringfence_engine::Verdict;
use ringfence_engine::sets::PortSet;
use ringfence_model::protocol::Protocol;

use super::view::{Block, Group, Node, Open, Row, View};
use super::{Report, bypassing};
use crate::entry_points::EntryPoint;
use crate::output::layout::{Columns, Word, count, wrap, write_words};
use crate::output::{Theme, incomplete, visible};

/// Columns that destinations take at most, so that ports stay near them.
const MOST_SOURCES: usize = 24;

pub(super) fn write(
    report: &Report<'_>,
    theme: Theme,
    width: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let view = View::new(report.snapshot, report.reachability, report.sources);
    let human = Human { view, theme, width };
    human.heading(report, out)?;
    let (open, closed): (Vec<&Block>, Vec<&Block>) = human
        .view
        .blocks
        .iter()
        .partition(|block| !block.rows.is_empty());
    for block in open {
        human.block(block, out)?;
    }
    for block in closed {
        writeln!(out)?;
        human.sources(&block.sources, out)?;
        let style = theme.dim;
        writeln!(out, "  {style}reaches nothing{style:#}")?;
    }
    human.entry_points(report.entry_points, out)?;
    incomplete::human(report.diagnostics, theme, out)
}

struct Human<'a> {
    view: View<'a>,
    theme: Theme,
    width: usize,
}

impl Human<'_> {
    fn heading(&self, report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
        let snapshot = report.snapshot;
        writeln!(
            out,
            "{} in {}, {}; profile {}{}",
            count(snapshot.workloads.len(), "workload", "workloads"),
            count(snapshot.namespaces.len(), "namespace", "namespaces"),
            count(snapshot.policies.len(), "policy", "policies"),
            report.profile.name,
            if report.profile.pod_reaches_own_node {
                ""
            } else {
                ", own node strict"
            },
        )?;
        for warning in report.unread.warnings() {
            let style = self.theme.warning;
            writeln!(out, "{style}not certain{style:#}: {warning}")?;
        }
        let bypassing = bypassing(snapshot);
        if bypassing.is_empty() {
            return Ok(());
        }
        let mut words = vec![Word::styled(
            "bypass policy (hostNetwork):",
            self.theme.warning,
        )];
        let names = bypassing.into_iter().map(|id| self.view.names.workload(id));
        let lines = wrap(&names.map(Word::plain).collect::<Vec<_>>(), self.width - 30);
        for line in lines {
            words.extend(line);
            write_words(out, &words, 0)?;
            writeln!(out)?;
            words = vec![Word::plain(" ".repeat(28))];
        }
        Ok(())
    }

    fn block(&self, block: &Block, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out)?;
        self.sources(&block.sources, out)?;
        let rows: Vec<(Vec<Vec<Word>>, &Row)> = block
            .rows
            .iter()
            .map(|row| (Columns::ends(&self.words(&row.to)), row))
            .collect();
        let columns = Columns::new(rows.iter().map(|(ends, _)| ends), self.width);
        let arrow = Word::styled("→", self.theme.dim);
        for (ends, row) in &rows {
            let ports = self.ports(&row.open);
            columns.write_row(out, &arrow, ends, &ports, &Word::plain(""))?;
        }
        Ok(())
    }

    fn sources(&self, sources: &[Node], out: &mut dyn Write) -> io::Result<()> {
        let mut words = self.words(sources);
        let hidden = words.len().saturating_sub(MOST_SOURCES);
        if hidden > 1 {
            words.truncate(MOST_SOURCES);
            words.push(Word::plain(format!("and {hidden} more")));
        }
        for word in &mut words {
            word.style = word.style.bold();
            if !self.theme.colored {
                word.style = anstyle::Style::new();
            }
        }
        let lines = wrap(&words, self.width.saturating_sub(8));
        let last = lines.len().saturating_sub(1);
        for (number, line) in lines.iter().enumerate() {
            write_words(out, line, 0)?;
            if number == last && sources.len() > 1 {
                let dim = self.theme.dim;
                write!(out, " {dim}({}){dim:#}", sources.len())?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    fn words(&self, nodes: &[Node]) -> Vec<Word> {
        self.view
            .summarised(nodes)
            .into_iter()
            .map(|group| match group {
                Group::Everything => Word::plain("every workload"),
                Group::Namespace(id) => {
                    let name = &self.view.names.snapshot().namespace(id).name;
                    let name = visible::line(name);
                    Word::plain(format!("every workload in {name}"))
                }
                Group::One(Node::Workload(id)) => Word::plain(self.view.names.workload(id)),
                Group::One(Node::Place(index)) => self.place(index),
            })
            .collect()
    }

    fn place(&self, index: u32) -> Word {
        let Some(place) = self.view.place(index) else {
            return Word::plain("");
        };
        let style = if place.is_metadata() {
            self.theme.danger
        } else if place.is_internet() {
            self.theme.warning
        } else {
            anstyle::Style::new()
        };
        Word::styled(place.to_string(), style)
    }

    fn ports(&self, open: &Open) -> Vec<Word> {
        let mut words = Vec::new();
        if !open.allow.is_empty() {
            words.extend(port_words(&open.allow).into_iter().map(Word::plain));
        }
        if !open.maybe.is_empty() {
            let text = port_words(&open.maybe).join(", ");
            words.push(Word::styled(format!("unknown: {text}"), self.theme.unknown));
        }
        words
    }

    fn entry_points(&self, points: &[EntryPoint], out: &mut dyn Write) -> io::Result<()> {
        if points.is_empty() {
            return Ok(());
        }
        let strong = self.theme.strong;
        writeln!(out, "\n{strong}Entry points{strong:#}")?;
        for point in points {
            let (verdict, target) = match &point.to {
                Some(to) => (
                    Some(to.verdict),
                    format!("{}:{}/{}", to.workload, to.port, to.protocol),
                ),
                None => (None, "nothing: no pod is behind it".to_owned()),
            };
            let style = verdict.map_or(self.theme.unknown, |v| self.theme.verdict(v));
            let shown = match verdict {
                Some(Verdict::Allowed) => "open  ",
                Some(Verdict::Denied) => "closed",
                Some(Verdict::Unknown) => "maybe ",
                None => "broken",
            };
            writeln!(
                out,
                "  {style}{shown}{style:#}  {} {}: {} → {} → {}",
                point.via.as_str(),
                point.object,
                point.exposes,
                point.service,
                target,
            )?;
            let dim = self.theme.dim;
            writeln!(out, "          {dim}from {}{dim:#}", point.from)?;
        }
        Ok(())
    }
}

/// `all ports`, `all ports but ...`, or a word for each protocol.
pub(crate) fn port_words(ports: &PortSet) -> Vec<String> {
    if ports.is_all() {
        return vec!["all ports".to_owned()];
    }
    let missing = ports.complement();
    if pieces(&missing) + 1 < pieces(ports) && ports.has_icmp() {
        let mut words = protocol_words(&missing);
        if let Some(first) = words.first_mut() {
            first.insert_str(0, "all ports but ");
        }
        return words;
    }
    protocol_words(ports)
}

/// How many ranges are needed to write a set down.
fn pieces(ports: &PortSet) -> usize {
    let ranges = |protocol| ports.ranges(protocol).len();
    Protocol::WITH_PORTS.into_iter().map(ranges).sum()
}

fn protocol_words(ports: &PortSet) -> Vec<String> {
    let mut words: Vec<String> = Protocol::WITH_PORTS
        .into_iter()
        .filter_map(|protocol| {
            let ranges = ports.ranges(protocol);
            let numbers: Vec<String> = ranges
                .iter()
                .map(|range| match range {
                    (1, u16::MAX) => "all".to_owned(),
                    (start, end) if start == end => start.to_string(),
                    (start, end) => format!("{start}-{end}"),
                })
                .collect();
            (!numbers.is_empty()).then(|| format!("{protocol} {}", numbers.join(" ")))
        })
        .collect();
    if ports.has_icmp() {
        words.push("ICMP".to_owned());
    }
    words
}
