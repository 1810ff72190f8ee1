//! A text into documents.
//!
//! A line that begins with `---` or `...` and white space ends a YAML document
//! wherever it stands: the specification forbids such a line inside any scalar. So
//! documents can be told apart without parsing them, one that is broken does not take
//! the others with it, and they can be parsed at the same time.

use std::ops::Range;

use memchr::memchr2;

use super::node::{Extent, Mark};
use super::text::after_break;

/// Which grammar a document is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    Yaml,
    /// It begins with a brace or a bracket: JSON, or else a YAML flow collection.
    Json,
}

/// One document of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DocumentRange {
    /// Its bytes, the `---` line and directives included.
    pub(crate) bytes: Range<usize>,
    /// The number of its first line.
    pub(crate) line: u32,
    /// The column, in characters from 0, at which it begins.
    pub(crate) column: u32,
    pub(crate) syntax: Syntax,
}

impl DocumentRange {
    /// Where it begins.
    pub(crate) fn start(&self) -> Extent {
        let start = Mark {
            line: self.line,
            column: self.column,
        };
        Extent { start, end: start }
    }
}

enum Line {
    /// `---`
    Start,
    /// `...`
    End,
    /// A directive such as `%YAML 1.2`.
    Directive,
    /// Nothing, or a comment.
    Blank,
    Content,
}

fn classify(line: &[u8]) -> Line {
    let ends_word = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_whitespace);
    match line {
        [b'-', b'-', b'-', ..] if ends_word(line.get(3)) => Line::Start,
        [b'.', b'.', b'.', ..] if ends_word(line.get(3)) => Line::End,
        [b'%', ..] => Line::Directive,
        [b' ' | b'\t' | b'#' | b'\r' | b'\n', ..] | [] => {
            match line.iter().find(|byte| !byte.is_ascii_whitespace()) {
                None | Some(b'#') => Line::Blank,
                Some(_) => Line::Content,
            }
        }
        _ => Line::Content,
    }
}

/// The documents of `text` that are not blank. If there are more than `most`, the others
/// are not looked for, but for one or a few.
pub(crate) fn documents(text: &str, most: usize) -> Vec<DocumentRange> {
    let mut splitter = Splitter {
        text,
        found: Vec::new(),
        most,
        start: 0,
        start_line: 1,
        has_content: false,
        has_start_marker: false,
    };
    let bytes = text.as_bytes();
    let mut from = 0;
    let mut number = 1;
    while from < bytes.len() && splitter.found.len() <= most {
        let rest = bytes.get(from..).unwrap_or_default();
        let length = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let after = after_break(bytes, from + length).min(bytes.len());
        match classify(rest.get(..length).unwrap_or_default()) {
            Line::Start => {
                // Directives before the marker belong to the document it begins.
                if splitter.has_content || splitter.has_start_marker {
                    splitter.cut(from, number);
                }
                splitter.has_start_marker = true;
                let after_marker = rest.get(3..length).unwrap_or_default();
                splitter.has_content = !matches!(classify(after_marker), Line::Blank);
            }
            Line::End => {
                splitter.cut(from, number);
                splitter.start = after;
                splitter.start_line = number + 1;
            }
            Line::Directive if !splitter.has_content && !splitter.has_start_marker => {}
            Line::Directive | Line::Content => splitter.has_content = true,
            Line::Blank => {}
        }
        from = after;
        number += 1;
    }
    splitter.cut(bytes.len(), number);
    splitter.found
}

struct Splitter<'t> {
    text: &'t str,
    found: Vec<DocumentRange>,
    most: usize,
    start: usize,
    start_line: u32,
    has_content: bool,
    has_start_marker: bool,
}

impl Splitter<'_> {
    /// Ends the current document before `end` and begins the next one there.
    fn cut(&mut self, end: usize, line: u32) {
        if self.has_content {
            let bytes = self.start..end;
            let text = self.text.get(bytes.clone()).unwrap_or_default();
            match json_values(text, self.start_line, self.most) {
                Some(values) => self.found.extend(values.into_iter().map(|mut value| {
                    value.bytes.start += bytes.start;
                    value.bytes.end += bytes.start;
                    value
                })),
                None => self.found.push(DocumentRange {
                    bytes,
                    line: self.start_line,
                    column: 0,
                    syntax: Syntax::Yaml,
                }),
            }
        }
        self.start = end;
        self.start_line = line;
        self.has_content = false;
        self.has_start_marker = false;
    }
}

/// Splits a sequence of JSON values, as `jq` and `kubectl get -o json` in a loop write
/// it. `None` if the text does not look like JSON.
fn json_values(text: &str, first_line: u32, most: usize) -> Option<Vec<DocumentRange>> {
    let bytes = text.as_bytes();
    let mut from = 0;
    let mut line = first_line;
    // A `---` line, comments and blank lines may come first.
    loop {
        let rest = bytes.get(from..)?;
        let length = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        match classify(rest.get(..length)?) {
            Line::Blank => {}
            Line::Start if rest.get(3..length)?.iter().all(u8::is_ascii_whitespace) => {}
            _ => break,
        }
        from = after_break(bytes, from + length);
        line += 1;
    }
    let looks_like_json = |rest: &[u8]| {
        let mut visible = rest.iter().filter(|byte| !byte.is_ascii_whitespace());
        match visible.next() {
            Some(b'{') => matches!(visible.next(), Some(b'"' | b'}')),
            Some(b'[') => matches!(visible.next(), Some(b'{' | b'[' | b']' | b'"')),
            _ => false,
        }
    };
    if !looks_like_json(bytes.get(from..)?) {
        return None;
    }
    let mut values = Vec::new();
    let mut walker = JsonWalker {
        bytes,
        at: from,
        line,
        column: 0,
    };
    while values.len() <= most
        && let Some(value) = walker.next_value()
    {
        values.push(value);
    }
    Some(values)
}

/// Finds where JSON values begin and end by counting brackets.
struct JsonWalker<'t> {
    bytes: &'t [u8],
    at: usize,
    line: u32,
    column: u32,
}

impl JsonWalker<'_> {
    fn next_value(&mut self) -> Option<DocumentRange> {
        while self.bytes.get(self.at)?.is_ascii_whitespace() {
            self.advance();
        }
        let (start, line, column) = (self.at, self.line, self.column);
        let mut depth = 0_usize;
        let mut in_string = false;
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'\\' if in_string => self.advance(),
                b'"' => in_string = !in_string,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.advance();
            if depth == 0 && !in_string {
                let next = self.bytes.get(self.at);
                // A stray word stays together, so that it is reported as one.
                if next.is_none_or(|next| next.is_ascii_whitespace() || matches!(next, b'{' | b'['))
                {
                    break;
                }
            }
        }
        Some(DocumentRange {
            bytes: start..self.at.min(self.bytes.len()),
            line,
            column,
            syntax: Syntax::Json,
        })
    }

    /// Steps over one character.
    fn advance(&mut self) {
        match self.bytes.get(self.at) {
            Some(b'\n' | b'\r') => {
                self.at = after_break(self.bytes, self.at);
                self.line += 1;
                self.column = 0;
                return;
            }
            Some(_) => self.at += 1,
            None => return,
        }
        // Bytes that continue a UTF-8 sequence.
        while self
            .bytes
            .get(self.at)
            .is_some_and(|byte| byte & 0xC0 == 0x80)
        {
            self.at += 1;
        }
        self.column += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<(&str, u32)> {
        documents(text, 100)
            .into_iter()
            .map(|document| (&text[document.bytes], document.line))
            .collect()
    }

    #[test]
    fn documents_are_cut_at_their_markers() {
        assert_eq!(
            split("a: 1\n---\nb: 2\n--- # source\nc: 3\n"),
            [
                ("a: 1\n", 1),
                ("---\nb: 2\n", 2),
                ("--- # source\nc: 3\n", 4)
            ]
        );
    }

    #[test]
    fn what_is_too_many_is_not_looked_for() {
        let most = 10;
        for text in ["---\na: 1\n", "{\"a\": 1}\n"] {
            assert_eq!(documents(&text.repeat(9), most).len(), 9);
            let found = documents(&text.repeat(1000), most).len();
            assert!((11..13).contains(&found), "{found}");
        }
    }

    #[test]
    fn blank_documents_do_not_count() {
        assert_eq!(split(""), []);
        assert_eq!(split("---\n# nothing\n---\n\n---\n"), []);
        assert_eq!(
            split("# head\n\n---\na: 1\n"),
            [("# head\n\n---\na: 1\n", 1)]
        );
    }

    #[test]
    fn a_document_may_begin_on_the_marker_line() {
        assert_eq!(split("--- {a: 1}\n--- 1\n").len(), 2);
    }

    #[test]
    fn directives_belong_to_the_document_after_them() {
        assert_eq!(
            split("%YAML 1.2\n---\na: 1\n...\n%YAML 1.2\n---\nb: 1\n"),
            [("%YAML 1.2\n---\na: 1\n", 1), ("%YAML 1.2\n---\nb: 1\n", 5)]
        );
    }

    #[test]
    fn dashes_that_are_not_a_marker_do_not_cut() {
        assert_eq!(split("a: |\n  ---\n  b\n---x: 1\n").len(), 1);
    }

    #[test]
    fn all_line_endings_count() {
        assert_eq!(
            split("a: 1\r\n---\r\nb: 2\r---\rc: 3"),
            [("a: 1\r\n", 1), ("---\r\nb: 2\r", 2), ("---\rc: 3", 4)]
        );
    }

    #[test]
    fn json_values_in_a_row_are_documents() {
        let text = "{\"a\": \"}{\\\"\"}\n{\"b\": 2} {\"c\":\n3}";
        let found = documents(text, 100);
        assert!(found.iter().all(|document| document.syntax == Syntax::Json));
        let places: Vec<_> = found.iter().map(|d| (d.line, d.column)).collect();
        assert_eq!(places, [(1, 0), (2, 0), (2, 9)]);
    }

    #[test]
    fn a_template_and_a_flow_mapping_are_not_json() {
        assert_eq!(
            documents("{{- if .Values.x }}\n", 100)[0].syntax,
            Syntax::Yaml
        );
        assert_eq!(documents("{a: 1}\n", 100)[0].syntax, Syntax::Yaml);
        assert_eq!(documents("---\n{\"a\": 1}\n", 100)[0].syntax, Syntax::Json);
    }
}
