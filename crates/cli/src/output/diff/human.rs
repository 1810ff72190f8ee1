//! The report for a person at a terminal.

use std::io::{self, Write};

use ringfence_engine::Verdict;
use ringfence_engine::diff::{PolicyStatus, Presence};

use super::Report;
use super::causes::{self, why};
use super::groups::{Block, Row, Transition, blocks, workload};
use crate::output::Theme;
use crate::output::layout::{Columns, Word, count, wrap, write_words};
use crate::output::reach::port_words;

pub(super) fn write(
    report: &Report<'_>,
    theme: Theme,
    width: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let human = Human {
        report,
        theme,
        width,
    };
    human.policies(out)?;
    human.workloads(out)?;
    let unread = unread(report);
    for warning in &unread {
        let style = theme.warning;
        writeln!(out, "{style}not certain{style:#}: {warning}\n")?;
    }
    if report.diff.changes.is_empty() {
        let does = nothing(&unread);
        return writeln!(out, "nothing {does} (profile {})", human.profile());
    }
    for (opens, title, style) in [
        (true, "Opened", theme.warning),
        (false, "Closed", theme.allowed),
    ] {
        let blocks = blocks(report, |change| change.opens() == opens);
        let total: usize = blocks
            .iter()
            .flat_map(|b| &b.rows)
            .map(|row| row.count)
            .sum();
        if blocks.is_empty() {
            continue;
        }
        let strong = theme.strong;
        writeln!(
            out,
            "{style}{title}{style:#}{strong}: {}{strong:#}",
            count(total, "connection", "connections")
        )?;
        for block in &blocks {
            human.block(block, opens, out)?;
        }
        writeln!(out)?;
    }
    let dim = theme.dim;
    writeln!(out, "{dim}profile {}{dim:#}", human.profile())
}

/// What nothing does where there is no change.
pub(super) fn nothing(unread: &[String]) -> &'static str {
    match unread {
        [] => "opens or closes",
        _ => "is known to open or close",
    }
}

/// What policies that could not be read keep from being known, on either side.
pub(super) fn unread(report: &Report<'_>) -> Vec<String> {
    let (old, new) = (
        report.old.0.unread.warnings(),
        report.new.0.unread.warnings(),
    );
    if old == new {
        return new;
    }
    let old = old.into_iter().map(|text| format!("before, {text}"));
    let new = new.into_iter().map(|text| format!("after, {text}"));
    old.chain(new).collect()
}

struct Human<'a> {
    report: &'a Report<'a>,
    theme: Theme,
    width: usize,
}

impl Human<'_> {
    fn profile(&self) -> String {
        self.report.new.0.profile.name.to_string()
    }

    fn policies(&self, out: &mut dyn Write) -> io::Result<()> {
        for policy in &self.report.diff.policies {
            let sign = match policy.status {
                PolicyStatus::Added => "+",
                PolicyStatus::Removed => "-",
                PolicyStatus::Changed => "~",
                PolicyStatus::Same => continue,
            };
            let namespace = policy
                .namespace
                .as_ref()
                .map_or_else(String::new, |n| format!("{n}/"));
            writeln!(
                out,
                "{sign} {} {namespace}{}",
                policy.family.kind(),
                policy.name
            )?;
        }
        Ok(())
    }

    fn workloads(&self, out: &mut dyn Write) -> io::Result<()> {
        let diff = self.report.diff;
        for (sign, names) in [("+", &diff.added), ("-", &diff.removed)] {
            for name in names {
                writeln!(out, "{sign} {} {}", name.kind, workload(name))?;
            }
        }
        if !diff.policies.is_empty() || !diff.added.is_empty() || !diff.removed.is_empty() {
            writeln!(out)?;
        }
        Ok(())
    }

    fn block(&self, block: &Block<'_>, opens: bool, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out)?;
        let strong = self.theme.strong;
        let words: Vec<Word> = block
            .from
            .iter()
            .map(|word| Word::styled(word.text.clone(), strong))
            .collect();
        for line in wrap(&words, self.width.saturating_sub(4)) {
            write_words(out, &line, 0)?;
            writeln!(out)?;
        }
        let rows: Vec<(Vec<Vec<Word>>, &Row<'_>)> = block
            .rows
            .iter()
            .map(|row| (Columns::ends(&self.to(row)), row))
            .collect();
        let columns = Columns::new(rows.iter().map(|(ends, _)| ends), self.width);
        let sign = match opens {
            true => Word::styled("+", self.theme.warning),
            false => Word::styled("-", self.theme.allowed),
        };
        let mut before = String::new();
        for (ends, row) in &rows {
            let ports: Vec<Word> = port_words(&row.transition.ports)
                .into_iter()
                .map(Word::plain)
                .collect();
            let remark = Word::styled(note(&row.transition), self.theme.unknown);
            columns.write_row(out, &sign, ends, &ports, &remark)?;
            // What is due to the same rules as the row above needs no second telling.
            let why = self.why(row);
            if why != before {
                out.write_all(why.as_bytes())?;
            }
            before = why;
        }
        Ok(())
    }

    fn to(&self, row: &Row<'_>) -> Vec<Word> {
        row.to
            .iter()
            .map(|word| {
                let style = if word.is_metadata {
                    self.theme.danger
                } else if word.is_internet {
                    self.theme.warning
                } else {
                    anstyle::Style::new()
                };
                Word::styled(word.text.clone(), style)
            })
            .collect()
    }

    fn why(&self, row: &Row<'_>) -> String {
        let dim = self.theme.dim;
        let why = why(self.report, row.example);
        let mut text = String::new();
        for shown in &why.causes {
            let at = shown
                .location
                .as_ref()
                .map_or_else(String::new, |location| format!(" ({location})"));
            // The sentence is about one connection of those that the row has.
            let others = match row.count > 1 && shown.cause.reason.rule.is_some() {
                true => ", among others",
                false => "",
            };
            text.push_str(&format!(
                "      {dim}{} ({}): {}{others}{at}{dim:#}\n",
                shown.policy,
                causes::status(shown.cause.status),
                shown.cause.reason.text,
            ));
        }
        if let Some(otherwise) = why.otherwise {
            text.push_str(&format!("      {dim}{otherwise}{dim:#}\n"));
        }
        text
    }
}

/// What is not said by `+` and `-`: verdicts that are not known, ends that are new or
/// gone.
pub(super) fn note(transition: &Transition) -> String {
    let mut notes = Vec::new();
    match transition.presence {
        Presence::Both => {}
        Presence::OnlyBefore => notes.push("the workload is gone"),
        Presence::OnlyAfter => notes.push("the workload is new"),
    }
    match (transition.before, transition.after) {
        (Verdict::Unknown, Verdict::Allowed) => notes.push("was not known, is allowed"),
        (Verdict::Unknown, Verdict::Denied) => notes.push("was not known, is denied"),
        (Verdict::Denied, Verdict::Unknown) => notes.push("was denied, is not known"),
        (Verdict::Allowed, Verdict::Unknown) => notes.push("was allowed, is not known"),
        _ => {}
    }
    notes.join("; ")
}
