//! One sign for all connections from one workload to another.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use anstyle::Style;
use ringfence_engine::Verdict;
use ringfence_lab::run::{Agreement, Purpose, Row};

use super::{Report, would_be_denied};
use crate::output::Theme;

/// What is not a workload, and its column.
const OUTSIDE: [(Purpose, &str); 8] = [
    (Purpose::Service, "svc"),
    (Purpose::NodePort, "port"),
    (Purpose::External, "ext"),
    (Purpose::Dns, "dns"),
    (Purpose::ApiServer, "api"),
    (Purpose::Internet, "net"),
    (Purpose::Metadata, "meta"),
    (Purpose::Ping, "ping"),
];

/// What was seen of all connections of a cell.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    allowed: bool,
    denied: bool,
    would_be_denied: bool,
    differs: bool,
    untold: bool,
    not_predicted: bool,
}

/// The destination of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Column<'a> {
    Workload(&'a str),
    Outside(Purpose),
}

pub(super) fn write(report: &Report<'_>, theme: Theme, out: &mut dyn Write) -> io::Result<()> {
    let rows = &report.result.rows;
    let mut cells: BTreeMap<(&str, Column<'_>), Cell> = BTreeMap::new();
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for row in rows {
        let (from, to) = (&*row.question.from.group, &*row.question.to.group);
        names.insert(from);
        let column = match row.question.purpose {
            Purpose::Pod => Column::Workload(to),
            other => Column::Outside(other),
        };
        if row.question.purpose == Purpose::Pod {
            names.insert(to);
        }
        cells.entry((from, column)).or_default().add(report, row);
    }
    // Few clusters have these.
    let is_rare = |purpose| matches!(purpose, Purpose::NodePort | Purpose::External);
    let is_there = |purpose| rows.iter().any(|row| row.question.purpose == purpose);
    let outside: Vec<(Purpose, &str)> = OUTSIDE
        .into_iter()
        .filter(|(purpose, _)| !is_rare(*purpose) || is_there(*purpose))
        .collect();
    let (strong, dim) = (theme.strong, theme.dim);
    let width = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or_default();
    let digits = names.len().to_string().len();
    let column = digits.max(2) + 1;
    write!(out, "{strong}{:digits$} {:width$}", "", "FROM \\ TO")?;
    for number in 1..=names.len() {
        write!(out, "{number:>column$}")?;
    }
    for (_, title) in &outside {
        write!(out, "{title:>5}")?;
    }
    writeln!(out, "{strong:#}")?;
    for (number, from) in (1..).zip(&names) {
        write!(out, "{dim}{number:digits$}{dim:#} {from:width$}")?;
        for to in &names {
            let cell = cells.get(&(*from, Column::Workload(to)));
            write_cell(cell, column, theme, out)?;
        }
        for (purpose, _) in &outside {
            let cell = cells.get(&(*from, Column::Outside(*purpose)));
            write_cell(cell, 5, theme, out)?;
        }
        writeln!(out)?;
    }
    legend(&cells, theme, out)
}

fn write_cell(
    cell: Option<&Cell>,
    width: usize,
    theme: Theme,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (style, sign) = cell.map_or((Style::new(), " "), |cell| cell.sign(theme));
    let before = width.saturating_sub(1);
    write!(out, "{:before$}{style}{sign}{style:#}", "")
}

impl Cell {
    fn add(&mut self, report: &Report<'_>, row: &Row) {
        match row.agreement() {
            Agreement::Same => {
                self.allowed |= row.predicted == Verdict::Allowed;
                self.denied |= row.predicted == Verdict::Denied;
            }
            Agreement::Differ if would_be_denied(report.policies, row) => {
                self.would_be_denied = true;
            }
            Agreement::Differ => self.differs = true,
            Agreement::NotObserved => self.untold = true,
            Agreement::NotPredicted => self.not_predicted = true,
        }
    }

    /// What matters most of it.
    fn sign(&self, theme: Theme) -> (Style, &'static str) {
        match self {
            Self { differs: true, .. } => (theme.denied, DIFFERS),
            Self { untold: true, .. } => (theme.warning, UNTOLD),
            Self {
                would_be_denied: true,
                ..
            } => (theme.warning, WOULD_BE),
            Self {
                allowed: true,
                denied: true,
                ..
            } => (theme.allowed, SOME),
            Self {
                not_predicted: true,
                ..
            } => (theme.unknown, UNPREDICTED),
            Self { allowed: true, .. } => (theme.allowed, ALLOWED),
            _ => (theme.dim, DENIED),
        }
    }
}

const ALLOWED: &str = "✔";
const DENIED: &str = "·";
const SOME: &str = "◐";
const DIFFERS: &str = "✘";
const UNTOLD: &str = "?";
const WOULD_BE: &str = "!";
const UNPREDICTED: &str = "~";

/// What the signs mean that were used.
fn legend(
    cells: &BTreeMap<(&str, Column<'_>), Cell>,
    theme: Theme,
    out: &mut dyn Write,
) -> io::Result<()> {
    let used: BTreeSet<&str> = cells.values().map(|cell| cell.sign(theme).1).collect();
    let words = [
        (ALLOWED, "allowed and answered"),
        (DENIED, "denied and dropped"),
        (SOME, "some ports or ping the one, some the other"),
        (WOULD_BE, "would be denied"),
        (UNPREDICTED, "depends on the endpoint"),
        (UNTOLD, "cannot be told"),
        (DIFFERS, "not as predicted"),
    ];
    let words = words.iter().filter(|(sign, _)| used.contains(sign));
    let words: Vec<String> = words.map(|(sign, word)| format!("{sign} {word}")).collect();
    let dim = theme.dim;
    writeln!(out, "\n{dim}{}{dim:#}", words.join("   "))
}
