//! Looking around a place in a text.

use std::ops::Range;

/// The column of a byte: how many bytes are before it on its line.
pub(super) fn column(text: &str, at: usize) -> usize {
    at - line_start(text, at)
}

pub(super) fn line_start(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    before.rfind(['\n', '\r']).map_or(0, |end| end + 1)
}

/// Whether a value that begins here stands in brackets.
pub(super) fn is_in_brackets(text: &str, at: usize) -> bool {
    text.get(at..)
        .is_some_and(|value| value.starts_with(['{', '[']))
}

/// The white space before a byte.
pub(super) fn space_before(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or_default();
    let length = before.trim_end().len();
    before.get(length..).unwrap_or_default()
}

/// The dash of the list item whose value begins at a byte, if there is nothing but white
/// space, an anchor or a tag between them.
pub(super) fn dash_before(text: &str, at: usize) -> Option<usize> {
    let line = line_start(text, at);
    let before = text.get(line..at)?;
    let trimmed = before.trim_end();
    let dash = match trimmed.strip_suffix('-') {
        Some(rest) => rest.len(),
        None => {
            let word = trimmed.rfind(' ').map_or(0, |space| space + 1);
            let is_mark = trimmed.get(word..)?.starts_with(['&', '!']);
            let rest = trimmed.get(..word).filter(|_| is_mark)?.trim_end();
            rest.strip_suffix('-')?.len()
        }
    };
    let outer = before.get(..dash)?;
    (outer.is_empty() || outer.ends_with(' ')).then_some(line + dash)
}

/// The comments in a stretch of YAML without what is in quotes, each from its `#`.
pub(super) fn comments(text: &str, stretch: Range<usize>) -> Vec<&str> {
    let lines = text.get(stretch).unwrap_or_default().lines();
    lines.filter_map(comment).collect()
}

/// The comment of a line.
fn comment(line: &str) -> Option<&str> {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '#' && before.is_whitespace() => return line.get(at..).map(str::trim_end),
            None if matches!(c, '"' | '\'') && !before.is_alphanumeric() => quote = Some(c),
            None => {}
        }
        before = c;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_told_from_text() {
        let text = "a: 1 # one\n# two\nb: \"# no\" # three\nc: x#y\n";
        assert_eq!(comments(text, 0..text.len()), ["# one", "# two", "# three"]);
    }

    #[test]
    fn a_dash_is_found_behind_an_anchor_too() {
        assert_eq!(dash_before("  - a", 4), Some(2));
        assert_eq!(dash_before("- &x a", 5), Some(0));
        assert_eq!(dash_before("a: b-c", 5), None);
        assert_eq!(dash_before("key: v", 5), None);
    }
}
