//! Source lines with a span underlined.

use std::io::{self, Write};

use ringfence_model::source::Location;

use super::super::escape;
use crate::output::snippet::{Window, floor_boundary};

/// Characters of a line that are shown: a file may be one long line.
const LONGEST_LINE: usize = 240;
/// Of these, how many before the span.
const BEFORE_SPAN: usize = 60;

/// Writes the lines around a location, with `label` below what is meant.
pub(super) fn write(
    location: &Location,
    file: &str,
    label: &str,
    primary: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let window = Window::around(file, location.span);
    let shown = window.text.get(window.span.clone()).unwrap_or_default();
    let class = match (primary, shown.contains('\n')) {
        (true, false) => "source",
        (true, true) => "source block",
        (false, false) => "source related",
        (false, true) => "source block related",
    };
    let caption = escape::text(&location.to_string());
    write!(
        out,
        r#"<figure class="{class}"><figcaption>{caption}</figcaption><pre>"#
    )?;
    let mut offset = 0;
    let mut labelled = false;
    for (number, line) in (window.first_line..).zip(window.text.split('\n')) {
        let (start, end) = (offset, offset + line.len());
        offset = end + 1;
        let (from, to) = (
            window.span.start.clamp(start, end),
            window.span.end.clamp(start, end),
        );
        let part = |range: std::ops::Range<usize>| {
            let text = window.text.get(range).unwrap_or_default();
            escape::lines(text.trim_end_matches('\r'))
        };
        // The indentation of a line is not at fault.
        let inside = window.text.get(from..to).unwrap_or_default();
        let from = from + (inside.len() - inside.trim_start().len());
        let to = to.max(from);
        let (left, right) = visible_part(window.text, (start, end), from);
        let (from, to) = (from.clamp(left, right), to.clamp(left, right));
        let row = if from < to { "row on" } else { "row" };
        let more = |is_cut: bool| if is_cut { "…" } else { "" };
        write!(
            out,
            r#"<span class="{row}"><span class="number">{number}</span>{}{}"#,
            more(left > start),
            part(left..from)
        )?;
        if from < to {
            write!(out, "<mark>{}</mark>", part(from..to))?;
        }
        write!(out, "{}{}</span>", part(to..right), more(right < end))?;
        let is_last = window.span.end <= end;
        if is_last && !labelled && !label.is_empty() {
            labelled = true;
            let column = window.text.get(left..from).unwrap_or_default();
            // The label begins below what it is about.
            let indent = " ".repeat(column.chars().count() + usize::from(left > start));
            let label = escape::text(label);
            write!(
                out,
                r#"<span class="row"><span class="number"></span>{indent}<span class="label">↑ {label}</span></span>"#
            )?;
        }
    }
    writeln!(out, "</pre></figure>")
}

/// The part of a line that is shown: all of it, or what is around `from` of a long one.
fn visible_part(text: &str, (start, end): (usize, usize), from: usize) -> (usize, usize) {
    if end - start <= LONGEST_LINE {
        return (start, end);
    }
    let left = floor_boundary(text, from.saturating_sub(BEFORE_SPAN)).max(start);
    let right = floor_boundary(text, left + LONGEST_LINE).min(end);
    (left, right)
}

#[cfg(test)]
mod tests {
    use super::visible_part;

    #[test]
    fn of_a_long_line_the_part_around_the_span_is_shown() {
        assert_eq!(visible_part("short", (0, 5), 2), (0, 5));
        let long = "ä".repeat(1000);
        assert_eq!(visible_part(&long, (0, 2000), 0), (0, 240));
        assert_eq!(visible_part(&long, (0, 2000), 1000), (940, 1180));
        assert_eq!(visible_part(&long, (0, 2000), 1999), (1938, 2000));
    }
}
