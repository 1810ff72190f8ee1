//! Why a text is not YAML, in words that help.

use memchr::memchr;

use super::node::{Extent, Mark};
use super::tree::SyntaxError;

/// What the YAML parser says, what we say, and what to do.
const WORDING: &[(&str, &str, &str)] = &[
    (
        "mapping values are not allowed in this context",
        "a `key: value` is not allowed here",
        "a value that contains `: ` must be quoted; otherwise check the indentation of this line and the one before",
    ),
    (
        "while parsing a block mapping, did not find expected key",
        "this does not fit into the mapping it stands in",
        "entries of one mapping must be indented alike, and cannot be mixed with list items",
    ),
    (
        "while parsing a block collection, did not find expected '-' indicator",
        "this does not fit into the list it stands in",
        "items of one list must be indented alike and begin with `- `",
    ),
    (
        "block sequence entries are not allowed in this context",
        "a list item is not allowed here",
        "begin the list on a line of its own",
    ),
    (
        "simple key expect ':'",
        "expected `:` after the key before this",
        "write `key: value`, with a space after the colon",
    ),
    (
        "simple key expected",
        "expected `:` after the key before this",
        "write `key: value`, with a space after the colon",
    ),
    (
        "while scanning a quoted scalar, found unexpected end of stream",
        "this quoted text does not end",
        "add the closing quote",
    ),
    (
        "while scanning a quoted scalar, found unexpected document indicator",
        "this quoted text does not end",
        "add the closing quote",
    ),
    (
        "invalid trailing content after double-quoted scalar",
        "there is something after the closing quote",
        "quote the whole value, or write a quote inside it as `\\\"`",
    ),
    (
        "while parsing a quoted scalar, found unknown escape character",
        "this escape does not exist in double quotes",
        "write a backslash as `\\\\`, or use single quotes",
    ),
    (
        "while parsing node, found unknown anchor",
        "this alias refers to an anchor that this document does not have",
        "a value that begins with `*` must be quoted if it is not an alias",
    ),
    (
        "while parsing a flow sequence, expected ',' or ']'",
        "expected `,` or `]`",
        "a list in brackets ends with `]`",
    ),
    (
        "while parsing a flow mapping, did not find expected ',' or '}'",
        "expected `,` or `}`",
        "a mapping in braces ends with `}`; a value that begins with `{` must be quoted if it is text",
    ),
    (
        "illegal placement of ':' indicator",
        "a `key: value` is not allowed here",
        "a bracket or brace before this may not be closed",
    ),
    (
        "while parsing a node, did not find expected node content",
        "expected a value",
        "a value that begins with one of `,[]{}&*#?|>@%!` must be quoted",
    ),
    (
        "wrongly indented line in block scalar",
        "this line of a block of text is indented less than its first line",
        "indent all lines of the block at least as far as the first one",
    ),
    (
        "a byte order mark must not appear inside a document",
        "a byte order mark is in the middle of this text",
        "it comes from files that were put together; save each as UTF-8 without byte order mark",
    ),
    (
        "recursion limit exceeded",
        "brackets are nested too deeply here",
        "the document is not read",
    ),
];

const QUOTE_IT: &str = "quote the value if it is text";

/// An error of the YAML parser in our words.
pub(super) fn yaml_error(info: &str, extent: Extent) -> SyntaxError {
    let known = WORDING.iter().find(|(theirs, _, _)| *theirs == info);
    if let Some((_, message, help)) = known {
        let mut error = SyntaxError::new(
            "invalid-yaml",
            format!("this is not YAML: {message}"),
            extent,
        );
        error.help = Some(help);
        return error;
    }
    let mut error = SyntaxError::new(
        "invalid-yaml",
        format!("this is not YAML: {}", info.replace('`', "'")),
        extent,
    );
    if info.starts_with("unexpected character") {
        error.help = Some(QUOTE_IT);
    }
    error
}

/// A better explanation of `error`, if the text of the document shows one.
/// `first_line` is the number of the document's first line.
pub(super) fn better_explanation(
    text: &str,
    first_line: u32,
    error: &SyntaxError,
) -> Option<SyntaxError> {
    if error.code == "limit-exceeded" {
        return None;
    }
    template_action(text, first_line)
        .map(unrendered_template)
        .or_else(|| tab_indentation(text, first_line, error))
}

/// The message for a Helm template that was not rendered.
pub(super) fn unrendered_template(extent: Extent) -> SyntaxError {
    let mut error = SyntaxError::new(
        "unrendered-template",
        "this is a Helm template that was not rendered",
        extent,
    );
    error.help = Some("render it first: `helm template CHART | ringfence ... -f -`");
    error
}

/// The first `{{ ... }}` that is not in a comment.
fn template_action(text: &str, first_line: u32) -> Option<Extent> {
    (first_line..).zip(text.lines()).find_map(|(number, line)| {
        let (start, end) = action_in_line(line)?;
        let mark = |offset: usize| {
            let column = line.get(..offset).unwrap_or_default().chars().count();
            Mark {
                line: number,
                column: u32::try_from(column).unwrap_or(u32::MAX),
            }
        };
        Some(Extent {
            start: mark(start),
            end: mark(end),
        })
    })
}

/// Byte offsets of a template action in a line.
fn action_in_line(line: &str) -> Option<(usize, usize)> {
    if line.trim_start().starts_with('#') {
        return None;
    }
    let start = line.find("{{")?;
    let inside = line.get(start + 2..)?;
    let word = inside.trim_start_matches('-').trim_start();
    let is_action = word
        .chars()
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || matches!(first, '.' | '$' | '/' | '"'));
    if !is_action {
        return None;
    }
    let end = inside
        .find("}}")
        .map_or(line.len(), |length| start + 2 + length + 2);
    Some((start, end))
}

/// Whether a text has a template action in it.
pub(super) fn has_template_action(text: &str) -> bool {
    memchr(b'{', text.as_bytes()).is_some()
        && text.lines().any(|line| action_in_line(line).is_some())
}

/// A tab in the white space that begins a line at or right after the error.
fn tab_indentation(text: &str, first_line: u32, error: &SyntaxError) -> Option<SyntaxError> {
    const LINES_AROUND: usize = 3;
    let number = error.extent.start.line.saturating_sub(1).max(first_line);
    let (number, column) = (number..)
        .zip(text.lines().skip((number - first_line) as usize))
        .take(LINES_AROUND)
        .find_map(|(number, line)| {
            let indentation = line.len() - line.trim_start_matches([' ', '\t']).len();
            let tab = line.get(..indentation)?.find('\t')?;
            Some((number, u32::try_from(tab).ok()?))
        })?;
    let at = |column| Mark {
        line: number,
        column,
    };
    let mut better = SyntaxError::new(
        "tab-indentation",
        "this line is indented with a tab",
        Extent {
            start: at(column),
            end: at(column + 1),
        },
    );
    better.help = Some("YAML is indented with spaces only");
    Some(better)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_told_from_braces_that_mean_something_else() {
        assert!(has_template_action("a: {{ .Values.b }}"));
        assert!(has_template_action("{{- if .Values.b }}"));
        assert!(has_template_action("{{ include \"x\" . }}"));
        assert!(!has_template_action("# {{ .Values.b }}"));
        assert!(!has_template_action("a: {b: {}}"));
        assert!(!has_template_action("{{}}"));
    }
}
