//! Annotations of GitHub Actions: a warning where something opens, a notice where
//! something closes.

use std::io::{self, Write};

use super::Report;
use super::causes::why;
use super::groups::{Word, blocks};
use crate::output::github::{Annotation, Level};
use crate::output::incomplete;
use crate::output::layout::count;
use crate::output::reach::port_words;
use ringfence_engine::diff::When;

pub(super) fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    incomplete::github(&report.diagnostics(), out)?;
    for (opens, level, title) in [
        (true, Level::Warning, "opened"),
        (false, Level::Notice, "closed"),
    ] {
        for block in &blocks(report, |change| change.opens() == opens) {
            for row in &block.rows {
                let why = why(report, row.example);
                // A line of the old files is not there to be annotated.
                let place = why
                    .causes
                    .iter()
                    .find(|shown| shown.cause.when == When::After);
                let ports = port_words(&row.transition.ports).join(", ");
                let mut message = format!("{} → {}: {ports}", words(&block.from), words(&row.to));
                for shown in &why.causes {
                    message.push_str(&format!("\n{}: {}", shown.policy, shown.cause.reason.text));
                }
                message.extend(why.otherwise.iter().map(|text| format!("\n{text}")));
                Annotation {
                    level,
                    location: place.and_then(|shown| shown.location.as_ref()),
                    title: &format!("{title}: {ports}"),
                    message: &message,
                }
                .write(out)?;
            }
        }
    }
    writeln!(
        out,
        "{}",
        count(report.diff.changes.len(), "change", "changes")
    )
}

fn words(words: &[Word]) -> String {
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    texts.join(", ")
}
