//! The report for a person at a terminal.

use std::io::{self, Write};

use anstyle::Style;
use ringfence_lab::run::{Agreement, Row};
use ringfence_lab::session::Policies;

use super::alike::{Group, groups};
use super::{Report, agreement, matrix, predicted, would_be_denied};
use crate::output::layout::count;
use crate::output::{Theme, incomplete};

pub(super) fn write(report: &Report<'_>, theme: Theme, out: &mut dyn Write) -> io::Result<()> {
    match report.all {
        true => list(report, theme, out)?,
        false => matrix::write(report, theme, out)?,
    }
    differences(report, theme, out)?;
    arrived(report, theme, out)?;
    for control in &report.result.failed_controls {
        let style = theme.warning;
        writeln!(out, "{style}control failed{style:#} {control}")?;
    }
    summary(report, theme, out)?;
    forged(report, theme, out)?;
    incomplete::human(report.diagnostics, theme, out)
}

/// A line for connections that are alike.
fn list(report: &Report<'_>, theme: Theme, out: &mut dyn Write) -> io::Result<()> {
    let groups = groups(&report.result.rows);
    let width = |of: &dyn Fn(&Group<'_>) -> usize, title: &str| {
        let widest = groups.iter().map(of).max().unwrap_or_default();
        widest.max(title.len())
    };
    let (strong, dim) = (theme.strong, theme.dim);
    let (from, to, ports) = (
        width(&|group| group.from.chars().count(), "FROM"),
        width(&|group| group.to.chars().count(), "TO"),
        width(&|group| group.ports.join(" ").len(), "PORT"),
    );
    writeln!(
        out,
        "{strong}  {:from$}  {:to$}  {:ports$}  {:9}  OBSERVED{strong:#}",
        "FROM", "TO", "PORT", "PREDICTED"
    )?;
    for group in &groups {
        let Some(row) = group.rows.first() else {
            continue;
        };
        let (style, sign) = sign(report.policies, row, theme);
        let predicted = predicted(group.predicted);
        let observed = match would_be_denied(report.policies, row) {
            true => format!("{} (would be denied)", group.observed),
            false => group.observed.to_string(),
        };
        let verdict = theme.verdict(group.predicted);
        write!(
            out,
            "{style}{sign}{style:#} {:from$}  {:to$}  {:ports$}  {verdict}{predicted:9}{verdict:#}  \
             {style}{observed}{style:#}",
            group.from,
            group.to,
            group.ports.join(" "),
        )?;
        match group.rows.len() {
            1 => writeln!(out)?,
            number => writeln!(out, "  {dim}×{number}{dim:#}")?,
        }
    }
    Ok(())
}

fn sign(policies: Policies, row: &Row, theme: Theme) -> (Style, &'static str) {
    match row.agreement() {
        Agreement::Same => (theme.allowed, "✔"),
        Agreement::Differ if would_be_denied(policies, row) => (theme.warning, "!"),
        Agreement::Differ => (theme.denied, "✘"),
        Agreement::NotPredicted => (theme.unknown, "?"),
        Agreement::NotObserved => (theme.warning, "?"),
    }
}

/// As many differences are shown one by one: more have one reason.
const MOST_SHOWN: usize = 20;

/// Each packet that did something else than predicted, and what is known of it.
fn differences(report: &Report<'_>, theme: Theme, out: &mut dyn Write) -> io::Result<()> {
    let rows: Vec<&Row> = report
        .result
        .rows
        .iter()
        .filter(|row| match row.agreement() {
            Agreement::Differ => !would_be_denied(report.policies, row),
            Agreement::NotObserved => true,
            Agreement::Same | Agreement::NotPredicted => false,
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let (strong, dim) = (theme.strong, theme.dim);
    writeln!(out)?;
    for row in rows.iter().take(MOST_SHOWN) {
        let probe = &row.question.probe;
        writeln!(
            out,
            "{strong}{}{strong:#} → {strong}{}{strong:#} ({}, {}): predicted {}, {}",
            row.question.from.name,
            row.question.to.name,
            probe.to,
            super::port(row),
            predicted(row.predicted),
            row.observation.observed,
        )?;
        if let Some(detail) = &row.observation.detail {
            writeln!(out, "  {detail}")?;
        }
        if agreement(report.policies, row) == "differs"
            && let Some(command) = report.explaining.command(row)
        {
            writeln!(out, "  {dim}why it is predicted: {command}{dim:#}")?;
        }
    }
    if rows.len() > MOST_SHOWN {
        writeln!(out, "{dim}... and {} more{dim:#}", rows.len() - MOST_SHOWN)?;
    }
    Ok(())
}

/// Each frame that no pod may send and that arrived all the same.
fn arrived(report: &Report<'_>, theme: Theme, out: &mut dyn Write) -> io::Result<()> {
    let forged = &report.result.forged.arrived;
    if report.policies == Policies::Ignored || forged.is_empty() {
        return Ok(());
    }
    let (strong, dim) = (theme.strong, theme.dim);
    writeln!(out)?;
    for frame in forged.iter().take(MOST_SHOWN) {
        let (from, to, what) = (&frame.from, &frame.to, frame.what);
        writeln!(
            out,
            "{strong}{from}{strong:#} → {strong}{to}{strong:#}: a frame with {what} arrived"
        )?;
    }
    if forged.len() > MOST_SHOWN {
        writeln!(
            out,
            "{dim}... and {} more{dim:#}",
            forged.len() - MOST_SHOWN
        )?;
    }
    Ok(())
}

/// What became of frames that no pod may send.
fn forged(report: &Report<'_>, theme: Theme, out: &mut dyn Write) -> io::Result<()> {
    let forged = &report.result.forged;
    if forged.tried == 0 {
        return Ok(());
    }
    let style = match (forged.arrived.is_empty(), report.policies) {
        (true, _) | (false, Policies::Ignored) => theme.dim,
        (false, _) => theme.denied,
    };
    let arrived = match forged.arrived.len() {
        0 => "none".to_owned(),
        number => number.to_string(),
    };
    let unseen = match forged.unseen.len() {
        0 => String::new(),
        number => format!(", {number} not seen to be sent"),
    };
    writeln!(
        out,
        "{style}{} in another's name, or past what policies see: {arrived} arrived{unseen}{style:#}",
        count(forged.tried, "frame", "frames")
    )
}

fn summary(report: &Report<'_>, theme: Theme, out: &mut dyn Write) -> io::Result<()> {
    let rows = &report.result.rows;
    let audited = rows
        .iter()
        .filter(|row| would_be_denied(report.policies, row))
        .count();
    let differ = report.result.count(Agreement::Differ) - audited;
    let total = count(rows.len(), "connection", "connections");
    let mut parts = Vec::new();
    for (number, what) in [
        (audited, "would be denied"),
        (
            report.result.count(Agreement::NotPredicted),
            "not predicted",
        ),
        (report.result.count(Agreement::NotObserved), "not observed"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    let (style, first) = match differ {
        0 => (
            theme.allowed,
            format!("{total} tried, none differs from what is predicted"),
        ),
        1 => (
            theme.denied,
            format!("{total} tried, 1 differs from what is predicted"),
        ),
        differ => (
            theme.denied,
            format!("{total} tried, {differ} differ from what is predicted"),
        ),
    };
    let rest = match parts.is_empty() {
        true => String::new(),
        false => format!(", {}", parts.join(", ")),
    };
    let dim = theme.dim;
    let how = match report.policies {
        Policies::Enforced => "enforced",
        Policies::Audited => "audited",
        Policies::Ignored => "not enforced",
    };
    writeln!(
        out,
        "\n{style}{first}{style:#}{rest} {dim}(policies {how}, profile {}){dim:#}",
        report.profile.name
    )?;
    match report.result.left_out {
        0 => Ok(()),
        left_out => writeln!(
            out,
            "{dim}{} to node ports and external addresses not tried: one pod of a workload asks \
             for all{dim:#}",
            count(left_out, "connection", "connections")
        ),
    }
}
