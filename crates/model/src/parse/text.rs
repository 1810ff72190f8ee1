//! Bytes into text, and places in a text.

use std::sync::OnceLock;

use memchr::memchr2;

use super::node::{Extent, Mark};
use crate::source::{Location, Position, Span};

/// Text that was decoded, and where that went wrong.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    /// The text. Each stretch that could not be decoded is one U+FFFD.
    pub(crate) text: String,
    /// Byte offsets (in `text`) of those replacements, ascending.
    pub(crate) faults: Vec<usize>,
    /// What the bytes were taken for.
    pub(crate) encoding: &'static str,
}

/// Decodes UTF-8, with or without a byte order mark, and UTF-16 with one (what
/// `kubectl get ... > file` writes in Windows PowerShell).
pub(crate) fn decode(bytes: Vec<u8>) -> Decoded {
    match bytes.as_slice() {
        [0xEF, 0xBB, 0xBF, rest @ ..] => decode_utf8(rest.to_vec()),
        [0xFF, 0xFE, rest @ ..] => decode_utf16(rest, u16::from_le_bytes, "UTF-16 (little endian)"),
        [0xFE, 0xFF, rest @ ..] => decode_utf16(rest, u16::from_be_bytes, "UTF-16 (big endian)"),
        _ => decode_utf8(bytes),
    }
}

fn decode_utf8(bytes: Vec<u8>) -> Decoded {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => {
            return Decoded {
                text,
                faults: Vec::new(),
                encoding: "UTF-8",
            };
        }
        Err(error) => error.into_bytes(),
    };
    let mut text = String::with_capacity(bytes.len());
    let mut faults = Vec::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            faults.push(text.len());
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    Decoded {
        text,
        faults,
        encoding: "UTF-8",
    }
}

fn decode_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16, encoding: &'static str) -> Decoded {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(bytes.len());
    let mut faults = Vec::new();
    for decoded in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        let character = decoded.unwrap_or_else(|_| {
            faults.push(text.len());
            char::REPLACEMENT_CHARACTER
        });
        text.push(character);
    }
    if !rest.is_empty() {
        faults.push(text.len());
        text.push(char::REPLACEMENT_CHARACTER);
    }
    Decoded {
        text,
        faults,
        encoding,
    }
}

/// The offset after the line break that begins at `at`, which is a `\n`, a `\r\n` or
/// a lone `\r`, as in YAML.
pub(crate) fn after_break(bytes: &[u8], at: usize) -> usize {
    let is_pair = bytes.get(at) == Some(&b'\r') && bytes.get(at + 1) == Some(&b'\n');
    at + if is_pair { 2 } else { 1 }
}

/// Byte offsets at which the lines of `text` start.
fn line_starts(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let mut starts = vec![0];
    let mut from = 0;
    while let Some(found) = memchr2(b'\n', b'\r', bytes.get(from..).unwrap_or_default()) {
        from = after_break(bytes, from + found);
        starts.push(from);
    }
    starts
}

/// A text by lines, so that places given by line and column can be found in it.
#[derive(Debug, Default)]
pub(crate) struct LineIndex {
    starts: OnceLock<Vec<usize>>,
}

impl LineIndex {
    /// Where `mark` is in `text`. A mark beyond the text gives its end.
    pub(crate) fn position(&self, text: &str, mark: Mark) -> Position {
        let starts = self.starts.get_or_init(|| line_starts(text));
        let line = (mark.line as usize).clamp(1, starts.len());
        let start = starts.get(line - 1).copied().unwrap_or(0);
        let rest = text.get(start..).unwrap_or_default();
        let within = rest
            .char_indices()
            .nth(mark.column as usize)
            .map_or(rest.len(), |(offset, _)| offset);
        Position {
            offset: start + within,
            line: mark.line,
            column: mark.column + 1,
        }
    }

    /// The mark of a byte offset in `text`.
    pub(crate) fn mark(&self, text: &str, offset: usize) -> Mark {
        let starts = self.starts.get_or_init(|| line_starts(text));
        let line = starts.partition_point(|start| *start <= offset).max(1);
        let start = starts.get(line - 1).copied().unwrap_or(0);
        let column = text.get(start..offset).unwrap_or_default().chars().count();
        Mark {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
        }
    }

    /// The location of `extent` in `text`, which is called `name`.
    pub(crate) fn location(&self, name: &str, text: &str, extent: Extent) -> Location {
        let start = self.position(text, extent.start);
        let end = self.position(text, extent.end);
        Location {
            file: name.to_owned(),
            span: Span {
                start,
                end: end.max(start),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_not_part_of_the_text() {
        let decoded = decode(b"\xEF\xBB\xBFa: 1".to_vec());
        assert_eq!(decoded.text, "a: 1");
        assert!(decoded.faults.is_empty());
    }

    #[test]
    fn utf_16_with_a_byte_order_mark_is_decoded_in_both_byte_orders() {
        let little = [&[0xFF, 0xFE][..], &[b'a', 0, 0xFC, 0]].concat();
        let big = [&[0xFE, 0xFF][..], &[0, b'a', 0, 0xFC]].concat();
        assert_eq!(decode(little).text, "aü");
        assert_eq!(decode(big).text, "aü");
    }

    #[test]
    fn invalid_bytes_are_replaced_and_remembered() {
        let decoded = decode(b"ok: \xFF\xFEx".to_vec());
        assert_eq!(decoded.faults.first(), Some(&4));
        assert!(decoded.text.starts_with("ok: \u{FFFD}"));
    }

    #[test]
    fn columns_count_characters_and_lines_end_in_any_way() {
        let text = "a\r\nüb\rc\nd";
        let index = LineIndex::default();
        let b = index.position(text, Mark { line: 2, column: 1 });
        assert_eq!((b.offset, b.line, b.column), (5, 2, 2));
        assert_eq!(index.mark(text, 5), Mark { line: 2, column: 1 });
        assert_eq!(index.mark(text, 9), Mark { line: 4, column: 0 });
    }

    #[test]
    fn a_place_beyond_the_text_is_its_end() {
        let index = LineIndex::default();
        assert_eq!(index.position("ab", Mark { line: 9, column: 9 }).offset, 2);
    }
}
