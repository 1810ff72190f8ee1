//! What a fix changes in the files, for the formats that show it.

use ringfence_advisor::fix::plan;
use ringfence_advisor::{Edit, Fix};
use ringfence_model::parse::Sources;
use ringfence_model::source::Location;

/// A change of a file.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// What is replaced.
    pub(super) location: Location,
    /// What to put there.
    pub(super) text: String,
}

/// Documents that are longer than this are not read again for each finding in them, only
/// to show what its fix would change.
const LONGEST_DOCUMENT: usize = 64 << 10;

/// What a fix changes, or why it cannot be made.
pub(super) fn changes(sources: &Sources, fix: &Fix) -> Result<Vec<Change>, String> {
    if fix.edits.iter().any(|edit| is_long(sources, edit)) {
        return Err("the document is long: `--diff` shows what would change".to_owned());
    }
    let planned = plan(sources, fix).map_err(|why| why.to_string())?;
    let changes = planned.into_iter().filter_map(|replacement| {
        let location = sources.location(replacement.file, &replacement.bytes)?;
        let text = replacement.text;
        Some(Change { location, text })
    });
    Ok(changes.collect())
}

fn is_long(sources: &Sources, edit: &Edit) -> bool {
    edit.document(sources)
        .and_then(|origin| sources.document(&origin))
        .is_some_and(|document| document.len() > LONGEST_DOCUMENT)
}

/// A change that is small enough to be shown with a finding.
#[derive(Clone, Debug)]
pub(super) struct Shown<'a> {
    pub(super) first_line: usize,
    /// The lines that it is in.
    pub(super) before: &'a str,
    /// The same lines with the change.
    pub(super) after: String,
}

/// What a fix changes, if that is little and in one place.
pub(super) fn shown<'a>(sources: &'a Sources, changes: &[Change]) -> Option<Shown<'a>> {
    /// Lines before and after, together.
    const MOST_LINES: usize = 14;
    let first = changes.first()?;
    let last = changes.last()?;
    let file = &first.location.file;
    if changes.iter().any(|change| change.location.file != *file) {
        return None;
    }
    let text = sources.text_of(file)?;
    let line_start =
        |at: usize| -> Option<usize> { Some(text.get(..at)?.rfind('\n').map_or(0, |end| end + 1)) };
    let mut start = line_start(first.location.span.start.offset)?;
    let mut first_line = first.location.span.start.line as usize;
    // What is added below a line is shown with that line.
    if start == first.location.span.start.offset && start > 0 {
        start = line_start(start - 1)?;
        first_line -= 1;
    }
    let end = last.location.span.end.offset;
    let end = match text.get(..end)?.ends_with('\n') && end > start {
        true => end,
        false => {
            end + text
                .get(end..)?
                .find('\n')
                .map_or(text.len() - end, |at| at + 1)
        }
    };
    let before = text.get(start..end)?;
    let mut after = String::new();
    let mut at = start;
    for change in changes {
        let span = change.location.span;
        after.push_str(text.get(at..span.start.offset)?);
        after.push_str(&change.text);
        at = span.end.offset;
    }
    after.push_str(text.get(at..end)?);
    let is_little = before.lines().count() + after.lines().count() <= MOST_LINES;
    is_little.then_some(Shown {
        first_line,
        before,
        after,
    })
}
