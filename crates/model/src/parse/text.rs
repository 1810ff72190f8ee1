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
    /// Whether the text is the bytes as they were read.
    pub(crate) is_verbatim: bool,
}

/// Decodes UTF-8, with or without a byte order mark, and UTF-16 with one (what
/// `kubectl get ... > file` writes in Windows PowerShell).
pub(crate) fn decode(bytes: Vec<u8>) -> Decoded {
    match bytes.as_slice() {
        [0xEF, 0xBB, 0xBF, rest @ ..] => Decoded {
            is_verbatim: false,
            ..decode_utf8(rest.to_vec())
        },
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
                is_verbatim: true,
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
        is_verbatim: false,
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
        is_verbatim: false,
    }
}

/// The offset after the line break that begins at `at`, which is a `\n`, a `\r\n` or
/// a lone `\r`, as in YAML.
pub(crate) fn after_break(bytes: &[u8], at: usize) -> usize {
    let is_pair = bytes.get(at) == Some(&b'\r') && bytes.get(at + 1) == Some(&b'\n');
    at + if is_pair { 2 } else { 1 }
}

/// Lines longer than this get checkpoints, so that a place in a JSON text that is all
/// on one line is found without reading the line from its beginning.
const LONG_LINE: usize = 1 << 14;

/// Of so many lines, the start of one is kept: a file may be nothing but line breaks.
const SPACING: usize = 32;

/// Where the lines of a text are.
#[derive(Debug, Default)]
struct Lines {
    /// Byte offsets at which every 32nd line starts, the first one included.
    starts: Vec<usize>,
    count: usize,
    /// In long lines: line (from 0), column, byte offset; ascending.
    checkpoints: Vec<(usize, usize, usize)>,
}

impl Lines {
    fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut lines = Self::default();
        let mut from = 0;
        loop {
            if lines.count.is_multiple_of(SPACING) {
                lines.starts.push(from);
            }
            lines.count += 1;
            let rest = bytes.get(from..).unwrap_or_default();
            let length = memchr2(b'\n', b'\r', rest);
            if length.unwrap_or(rest.len()) > LONG_LINE {
                lines.add_checkpoints(text, from, length.unwrap_or(rest.len()));
            }
            let Some(length) = length else {
                return lines;
            };
            from = after_break(bytes, from + length);
        }
    }

    /// The start of a line (from 0).
    fn start(&self, text: &str, line: usize) -> usize {
        let kept = self.starts.get(line / SPACING).copied().unwrap_or(0);
        (0..line % SPACING).fold(kept, |start, _| next_line(text, start).unwrap_or(start))
    }

    /// The line (from 0) that an offset is in.
    fn line_of(&self, text: &str, offset: usize) -> usize {
        let kept = self.starts.partition_point(|start| *start <= offset).max(1) - 1;
        let mut start = self.starts.get(kept).copied().unwrap_or(0);
        let mut line = kept * SPACING;
        while let Some(next) = next_line(text, start).filter(|next| *next <= offset) {
            start = next;
            line += 1;
        }
        line
    }

    fn add_checkpoints(&mut self, text: &str, from: usize, length: usize) {
        let line = self.count - 1;
        let content = text.get(from..from + length).unwrap_or_default();
        let characters = content.char_indices().enumerate();
        for (column, (offset, _)) in characters.step_by(LONG_LINE) {
            self.checkpoints.push((line, column, from + offset));
        }
    }

    /// The last checkpoint of a line that is not beyond a column or an offset: its
    /// column and offset. Without any, the line's start.
    fn before(
        &self,
        text: &str,
        line: usize,
        is_before: impl Fn(usize, usize) -> bool,
    ) -> (usize, usize) {
        let count = self.checkpoints.partition_point(|(of, column, offset)| {
            *of < line || (*of == line && is_before(*column, *offset))
        });
        match count.checked_sub(1).and_then(|at| self.checkpoints.get(at)) {
            Some((of, column, offset)) if *of == line => (*column, *offset),
            _ => (0, self.start(text, line)),
        }
    }
}

/// Where the line after the one that `start` is in begins.
fn next_line(text: &str, start: usize) -> Option<usize> {
    let rest = text.as_bytes().get(start..)?;
    let length = memchr2(b'\n', b'\r', rest)?;
    Some(after_break(text.as_bytes(), start + length))
}

/// A text by lines, so that places given by line and column can be found in it. Made
/// when it is first asked.
#[derive(Debug, Default)]
pub(crate) struct LineIndex {
    lines: OnceLock<Lines>,
}

impl LineIndex {
    /// Where `mark` is in `text`. A mark beyond the text gives its end.
    pub(crate) fn position(&self, text: &str, mark: Mark) -> Position {
        let lines = self.lines.get_or_init(|| Lines::of(text));
        let line = (mark.line as usize).clamp(1, lines.count) - 1;
        let wanted = mark.column as usize;
        let (column, offset) = lines.before(text, line, |column, _| column <= wanted);
        let rest = text.get(offset..).unwrap_or_default();
        let within = rest
            .char_indices()
            .nth(wanted - column)
            .map_or(rest.len(), |(within, _)| within);
        Position {
            offset: offset + within,
            line: mark.line,
            column: mark.column + 1,
        }
    }

    /// The mark of a byte offset in `text`.
    pub(crate) fn mark(&self, text: &str, offset: usize) -> Mark {
        let lines = self.lines.get_or_init(|| Lines::of(text));
        let line = lines.line_of(text, offset);
        let (column, from) = lines.before(text, line, |_, at| at <= offset);
        let column = column + text.get(from..offset).unwrap_or_default().chars().count();
        Mark {
            line: u32::try_from(line + 1).unwrap_or(u32::MAX),
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
    fn every_line_of_many_is_found() {
        let text = "ab\ncd\r\n\r".repeat(100);
        let index = LineIndex::default();
        let mut offset = 0;
        for line in 1..=300 {
            let mark = Mark { line, column: 0 };
            assert_eq!(index.position(&text, mark).offset, offset);
            assert_eq!(index.mark(&text, offset), mark);
            offset += [3, 4, 1][(line as usize - 1) % 3];
        }
        assert_eq!(index.mark(&text, offset).line, 301);
    }

    #[test]
    fn places_in_a_very_long_line_are_found() {
        let line = "äb".repeat(LONG_LINE);
        let text = format!("x\n{line}\n{line}\ny");
        let index = LineIndex::default();
        for column in [0, 1, 2, 16_383, 16_384, 16_385, 20_001, 32_767] {
            for line in [2, 3] {
                let mark = Mark { line, column };
                let position = index.position(&text, mark);
                let ends_with_b = column % 2 == 1;
                assert_eq!(text[position.offset..].starts_with('b'), ends_with_b);
                assert_eq!(index.mark(&text, position.offset), mark);
            }
        }
    }

    #[test]
    fn a_place_beyond_the_text_is_its_end() {
        let index = LineIndex::default();
        assert_eq!(index.position("ab", Mark { line: 9, column: 9 }).offset, 2);
    }
}
