//! Source lines with spans underlined, as rustc shows them.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use ringfence_model::source::{Location, Span};

/// Lines shown before and after a span.
const CONTEXT: usize = 2;
/// Lines of a span that are shown at most: a whole policy would fill the screen.
const LONGEST: usize = 14;

/// A span to show, with what to say at it.
#[derive(Clone, Debug)]
pub(crate) struct Marked<'a> {
    pub(crate) location: &'a Location,
    /// The text of the whole file.
    pub(crate) text: &'a str,
    pub(crate) label: &'a str,
    pub(crate) primary: bool,
}

/// Adds snippets for `marks` to a group: one per file, with all its marks that lie
/// close together.
pub(crate) fn with_snippets<'a>(mut group: Group<'a>, marks: &[Marked<'a>]) -> Group<'a> {
    for mark in marks {
        let window = Window::around(mark.text, mark.location.span);
        let kind = if mark.primary {
            AnnotationKind::Primary
        } else {
            AnnotationKind::Context
        };
        let mut annotation = kind.span(window.span);
        if !mark.label.is_empty() {
            annotation = annotation.label(mark.label);
        }
        group = group.element(
            Snippet::source(window.text)
                .line_start(window.first_line)
                .path(mark.location.file.as_str())
                .fold(false)
                .annotation(annotation),
        );
    }
    group
}

/// Renders groups.
pub(crate) fn render(groups: &[Group<'_>], colored: bool, width: usize) -> String {
    let renderer = if colored {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    renderer
        .decor_style(DecorStyle::Unicode)
        .term_width(width)
        .render(groups)
}

/// A group that is only a snippet, without a title line.
pub(crate) fn untitled<'a>(marks: &[Marked<'a>]) -> Group<'a> {
    with_snippets(Group::with_level(Level::NOTE), marks)
}

/// The lines around a span, cut out of a file that may be large.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Window<'a> {
    pub(crate) text: &'a str,
    pub(crate) first_line: usize,
    /// The span inside `text`.
    pub(crate) span: Range<usize>,
}

impl<'a> Window<'a> {
    /// The lines around `span` in `text`.
    pub(crate) fn around(text: &'a str, span: Span) -> Self {
        let start = floor_boundary(text, span.start.offset);
        let end = floor_boundary(text, span.end.offset).max(start);
        // A span often ends behind the newline of its last line.
        let end = text
            .get(start..end)
            .map_or(end, |inside| start + inside.trim_end().len());
        let (from, lines_before) = line_start_before(text, start, CONTEXT);
        let to_of_span = shorten(text, start, end);
        let is_cut = to_of_span < end;
        let to = line_end_after(text, to_of_span, if is_cut { 0 } else { CONTEXT });
        // What is said of the whole must not stand at a line in its middle.
        let to_of_mark = match is_cut {
            true => line_end_after(text, start, 0).min(end),
            false => to_of_span,
        };
        let first_line = (span.start.line as usize)
            .saturating_sub(lines_before)
            .max(1);
        Self {
            text: text.get(from..to).unwrap_or_default(),
            first_line,
            span: (start - from)..(to_of_mark - from),
        }
    }
}

/// The nearest character boundary at or before `offset`.
pub(crate) fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// The start of the line that is `lines` above the one with `offset`, and how many
/// lines above it really is.
fn line_start_before(text: &str, offset: usize, lines: usize) -> (usize, usize) {
    let mut start = text
        .get(..offset)
        .and_then(|t| t.rfind('\n'))
        .map_or(0, |n| n + 1);
    for above in 0..lines {
        let Some(previous_end) = start.checked_sub(1) else {
            return (start, above);
        };
        let line = text.get(..previous_end).unwrap_or_default();
        let previous = line.rfind('\n').map_or(0, |n| n + 1);
        // Another document is no context.
        if text
            .get(previous..previous_end)
            .is_some_and(|l| l.starts_with("---"))
        {
            return (start, above);
        }
        start = previous;
    }
    (start, lines)
}

/// The end of the line that is `lines` below the one with `offset`.
fn line_end_after(text: &str, offset: usize, lines: usize) -> usize {
    let line_end = |from: usize| {
        text.get(from..)
            .and_then(|rest| rest.find('\n'))
            .map_or(text.len(), |n| from + n)
    };
    let mut end = line_end(offset);
    for _ in 0..lines {
        let next = end + 1;
        if next >= text.len() || text.get(next..).is_some_and(|l| l.starts_with("---")) {
            break;
        }
        end = line_end(next);
    }
    end
}

/// The end of the span, or of its last line that is still shown.
fn shorten(text: &str, start: usize, end: usize) -> usize {
    let inside = text.get(start..end).unwrap_or_default();
    match inside.match_indices('\n').nth(LONGEST - 1) {
        Some((newline, _)) => start + newline,
        None => end,
    }
}

#[cfg(test)]
mod tests {
    use ringfence_model::source::Position;

    use super::*;

    fn position(text: &str, offset: usize) -> Position {
        let before = &text[..offset];
        Position {
            offset,
            line: u32::try_from(before.matches('\n').count()).unwrap() + 1,
            column: 1,
        }
    }

    fn window<'a>(text: &'a str, part: &str) -> Window<'a> {
        let start = text.find(part).unwrap();
        let span = Span {
            start: position(text, start),
            end: position(text, start + part.len()),
        };
        Window::around(text, span)
    }

    #[test]
    fn a_window_is_the_lines_around_the_span() {
        let window = window("a\nb\nc\nd: here\ne\nf\ng\n", "here");
        assert_eq!(window.text, "b\nc\nd: here\ne\nf");
        assert_eq!(window.first_line, 2);
        assert_eq!(&window.text[window.span.clone()], "here");
    }

    #[test]
    fn other_documents_are_no_context() {
        let window = window("a\n---\nb\nhere\n---\nc\n", "here");
        assert_eq!(window.text, "b\nhere");
        assert_eq!(window.first_line, 3);
    }

    #[test]
    fn spans_at_the_ends_and_beyond_are_shown_as_far_as_they_exist() {
        assert_eq!(window("here", "here").text, "here");
        let beyond = Span {
            start: Position {
                offset: 100,
                line: 9,
                column: 1,
            },
            end: Position {
                offset: 200,
                line: 10,
                column: 1,
            },
        };
        assert_eq!(Window::around("short", beyond).text, "short");
        assert_eq!(Window::around("", beyond).text, "");
    }

    #[test]
    fn long_spans_are_cut() {
        let text = "x\n".repeat(100);
        let window = window(&text, &text);
        assert_eq!(window.text.matches('x').count(), LONGEST);
        assert_eq!(window.span, 0..1, "the first line stands for all");
    }
}
