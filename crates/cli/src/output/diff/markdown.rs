//! For a comment on a pull request.

use std::io::{self, Write};

use super::Report;
use super::causes::{self, why};
use super::groups::{Word, blocks};
use super::human::{note, nothing, unread};
use crate::output::incomplete;
use crate::output::layout::count;
use crate::output::markdown::{cell, code};
use crate::output::reach::port_words;

pub(super) fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    incomplete::markdown(&report.diagnostics(), out)?;
    let unread = unread(report);
    if report.diff.changes.is_empty() {
        writeln!(out, "## Nothing {}\n", nothing(&unread))?;
    }
    for warning in unread {
        writeln!(out, "Not certain: {}\n", cell(&warning))?;
    }
    for (opens, title) in [(true, "Opened"), (false, "Closed")] {
        let blocks = blocks(report, |change| change.opens() == opens);
        let total: usize = blocks
            .iter()
            .flat_map(|b| &b.rows)
            .map(|row| row.count)
            .sum();
        if blocks.is_empty() {
            continue;
        }
        writeln!(
            out,
            "## {title}: {}\n",
            count(total, "connection", "connections")
        )?;
        writeln!(out, "| from | to | ports | because of |")?;
        writeln!(out, "|---|---|---|---|")?;
        for block in &blocks {
            for row in &block.rows {
                let why = why(report, row.example);
                let mut because: Vec<String> =
                    why.causes
                        .iter()
                        .map(|shown| {
                            let status = causes::status(shown.cause.status);
                            let at = shown.location.as_ref().map_or_else(String::new, |at| {
                                format!(" {}", code(&at.to_string()))
                            });
                            format!("{} ({status}){at}", cell(&shown.policy))
                        })
                        .collect();
                because.extend(why.otherwise.map(|text| cell(&text)));
                let note = note(&row.transition);
                let ports = port_words(&row.transition.ports).join(", ");
                let ports = if note.is_empty() {
                    ports
                } else {
                    format!("{ports} ({note})")
                };
                writeln!(
                    out,
                    "| {} | {} | {ports} | {} |",
                    words(&block.from),
                    words(&row.to),
                    because.join("<br>"),
                )?;
            }
        }
        writeln!(out)?;
    }
    writeln!(out, "Profile `{}`.", report.new.0.profile.name)
}

fn words(words: &[Word]) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|word| {
            if word.is_metadata || word.is_internet {
                format!("**{}**", cell(&word.text))
            } else {
                code(&word.text)
            }
        })
        .collect();
    words.join(", ")
}
