//! Where something is written, to the byte, for edits that keep everything else.

use std::ops::Range;

/// Where a value is written: byte ranges in the text of its file, as
/// [`Sources::text`](super::Sources::text) gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The key, with quotes if it has any; `None` for an element of a sequence and for
    /// the root.
    pub key: Option<Range<usize>>,
    /// The value: with quotes, brackets and the header of a block of text (`|`), without
    /// comments after it, anchor and tag. A block
    /// mapping begins at its first key and a block sequence at its first element, after
    /// the dash. A value that is left out is empty, after the colon of its key.
    pub value: Range<usize>,
    /// All lines that the key or dash and the value are on, with the line break at the
    /// end.
    pub lines: Range<usize>,
    /// Whether nothing but white space and a comment is on these lines besides, so that
    /// they can be removed, or others inserted before and after them.
    pub has_own_lines: bool,
    /// How far the key or dash is indented, in bytes.
    pub indent: usize,
}

impl Written {
    /// Completes what is known of an entry, whose value ends with `last`. `None` if it is
    /// not in the text.
    pub(super) fn of(
        text: &str,
        key: Option<Range<usize>>,
        value: Range<usize>,
        last: Range<usize>,
    ) -> Option<Self> {
        let value = match &key {
            Some(key) if value.is_empty() => {
                let between = text.get(key.end..)?;
                let colon = key.end + (between.len() - between.trim_start().len());
                let is_colon = text.get(colon..)?.starts_with(':');
                is_colon.then_some(colon + 1..colon + 1)?
            }
            Some(key) if last == value => {
                let header = block_header(text.get(key.end..value.start)?);
                let start = header.map_or(value.start, |at| key.end + at);
                start..exact_end(text, last)?
            }
            // Where the header of a block of text begins that is an element of a sequence
            // is not worth telling.
            None if last == value && block_header(text.get(..value.start)?).is_some() => {
                return None;
            }
            _ if last.end == value.end => value.start..exact_end(text, last)?,
            _ => value,
        };
        let start = key.as_ref().map_or(value.start, |key| key.start);
        let line = line_start(text, start)?;
        let before = text.get(line..start)?;
        let indented = before.trim_start_matches(' ');
        let is_first_on_line = match key {
            Some(_) => indented.is_empty(),
            None => indented.is_empty() && start == 0 || is_dash(indented),
        };
        let end = line_end(text, value.end.max(start))?;
        let after = text.get(value.end..end)?.trim_start();
        Some(Self {
            lines: line..end,
            has_own_lines: is_first_on_line && (after.is_empty() || after.starts_with('#')),
            indent: before.len() - indented.len(),
            key,
            value,
        })
    }
}

/// Whether this is the dash of a sequence element and nothing else.
fn is_dash(text: &str) -> bool {
    text.strip_prefix('-')
        .is_some_and(|rest| rest.trim_matches(' ').is_empty())
}

/// Where the `|` or `>` with which a block of text begins is in the text before it: the
/// parser does not count it as part of the value.
fn block_header(before: &str) -> Option<usize> {
    let end = before
        .trim_end_matches(' ')
        .strip_suffix(['\n', '\r'])?
        .trim_end();
    let line = line_start(end, end.len())?;
    let shown = end.get(line..)?;
    let shown = shown
        .find(" #")
        .and_then(|at| shown.get(..at))
        .unwrap_or(shown);
    let word = shown.trim_end().rfind(' ').map_or(0, |at| at + 1);
    shown
        .get(word..)?
        .starts_with(['|', '>'])
        .then_some(line + word)
}

/// Where a scalar ends. The YAML parser counts what follows a closing quote on the same
/// line as part of it, and the line break after a block of text.
fn exact_end(text: &str, scalar: Range<usize>) -> Option<usize> {
    let written = text.get(scalar.clone())?;
    let quote = written
        .chars()
        .next()
        .filter(|first| matches!(first, '"' | '\''));
    let length = match quote {
        Some(quote) => quoted_length(written, quote).unwrap_or(written.len()),
        None => written.trim_end().len(),
    };
    Some(scalar.start + length)
}

/// The length of a text in quotes, with them.
fn quoted_length(text: &str, quote: char) -> Option<usize> {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character == '\\' && quote == '"' {
            characters.next();
        } else if character == quote {
            let is_doubled = quote == '\'' && characters.peek().is_some_and(|(_, c)| *c == quote);
            if !is_doubled {
                return Some(at + quote.len_utf8());
            }
            characters.next();
        }
    }
    None
}

fn line_start(text: &str, at: usize) -> Option<usize> {
    let before = text.get(..at)?;
    Some(before.rfind(['\n', '\r']).map_or(0, |end| end + 1))
}

/// After the line break that ends the line.
fn line_end(text: &str, at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    Some(match rest.find(['\n', '\r']) {
        Some(length) => super::text::after_break(text.as_bytes(), at + length),
        None => text.len(),
    })
}
