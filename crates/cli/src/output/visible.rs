//! Control characters made visible: manifests are written by strangers, and a name must
//! not be able to clear a terminal, forge a line of a report or break a picture.

use std::borrow::Cow;

/// Text that stays on one line and does nothing to a terminal.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    replaced(text, |c| c.is_control() || turns_text(c))
}

/// Text that may have several lines.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    replaced(text, |c| {
        (c.is_control() && c != '\n' && c != '\t') || turns_text(c)
    })
}

fn replaced(text: &str, unwanted: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&unwanted) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if unwanted(c) {
            push_visible(c, &mut shown);
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Line separators, characters that turn the direction of the text around them, and those
/// that XML does not know.
fn turns_text(c: char) -> bool {
    matches!(
        c,
        '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{fffe}'
            | '\u{ffff}'
    )
}

fn push_visible(c: char, shown: &mut String) {
    let picture = match u32::from(c) {
        code @ 0..=0x1f => char::from_u32(0x2400 + code),
        0x7f => Some('␡'),
        _ => None,
    };
    match picture {
        Some(picture) => shown.push(picture),
        None => shown.extend(c.escape_unicode()),
    }
}

const ESCAPE: u8 = 0x1b;
/// The first byte of the control characters from U+0080 in UTF-8.
const LEAD: u8 = 0xc2;

/// The last gate before a stream: whatever comes through, colours are the only thing
/// that a terminal is told to do.
#[derive(Debug)]
pub(crate) struct Filter {
    colored: bool,
    /// The beginning of a sequence whose end is still to come.
    pending: Vec<u8>,
}

impl Filter {
    /// For a stream that does or does not show colours.
    pub(crate) fn new(colored: bool) -> Self {
        Self {
            colored,
            pending: Vec::new(),
        }
    }

    /// The bytes as they may go out.
    pub(crate) fn filtered<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if self.pending.is_empty() && !bytes.iter().any(|byte| is_suspicious(*byte)) {
            return Cow::Borrowed(bytes);
        }
        let mut out = Vec::with_capacity(bytes.len() + 16);
        for byte in bytes {
            self.next(*byte, &mut out);
        }
        Cow::Owned(out)
    }

    /// What is still held back at the end.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.release(&mut out);
        out
    }

    fn next(&mut self, byte: u8, out: &mut Vec<u8>) {
        match (self.pending.as_slice(), byte) {
            ([LEAD], 0x80..=0x9f) => {
                self.pending.clear();
                push_bytes(char::from(byte), out);
            }
            ([ESCAPE], b'[') | ([ESCAPE, b'[', ..], b'0'..=b'9' | b';' | b':') => {
                self.pending.push(byte);
            }
            ([ESCAPE, b'[', ..], b'm') => {
                out.append(&mut self.pending);
                out.push(byte);
            }
            ([], LEAD) => self.pending.push(byte),
            ([], ESCAPE) if self.colored => self.pending.push(byte),
            ([], byte) if is_suspicious(byte) => push_bytes(char::from(byte), out),
            ([], byte) => out.push(byte),
            _ => {
                self.release(out);
                self.next(byte, out);
            }
        }
    }

    /// What was held back is no colour.
    fn release(&mut self, out: &mut Vec<u8>) {
        for byte in self.pending.drain(..) {
            match byte {
                ESCAPE => push_bytes('\u{1b}', out),
                byte => out.push(byte),
            }
        }
    }
}

fn is_suspicious(byte: u8) -> bool {
    byte == LEAD || byte == 0x7f || (byte < 0x20 && byte != b'\n' && byte != b'\t')
}

fn push_bytes(c: char, out: &mut Vec<u8>) {
    let mut shown = String::new();
    push_visible(c, &mut shown);
    out.extend(shown.bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(colored: bool, pieces: &[&str]) -> String {
        let mut filter = Filter::new(colored);
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(filter.filtered(piece.as_bytes()).into_owned());
        }
        out.extend(filter.rest());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_stay_on_their_line() {
        assert_eq!(line("shop/cart"), "shop/cart");
        assert_eq!(line("a\nb\u{1b}[2J"), "a␊b␛[2J");
        assert_eq!(line("a\u{202e}b\u{9b}"), "a\\u{202e}b\\u{9b}");
        assert_eq!(line("a\u{200f}b\u{61c}"), "a\\u{200f}b\\u{61c}");
        assert_eq!(lines("a\nb\r"), "a\nb␍");
    }

    #[test]
    fn only_colours_reach_a_terminal() {
        assert_eq!(
            filtered(true, &["\u{1b}[1;31mred\u{1b}[0m"]),
            "\u{1b}[1;31mred\u{1b}[0m"
        );
        assert_eq!(filtered(true, &["\u{1b}", "[1", "mx"]), "\u{1b}[1mx");
        assert_eq!(filtered(true, &["\u{1b}[2J\u{1b}]0;t\u{7}"]), "␛[2J␛]0;t␇");
        assert_eq!(filtered(true, &["\u{1b}\u{1b}[1m"]), "␛\u{1b}[1m");
        assert_eq!(filtered(true, &["end\u{1b}[3"]), "end␛[3");
        assert_eq!(filtered(false, &["\u{1b}[1mx\t§ ä\n"]), "␛[1mx\t§ ä\n");
        assert_eq!(filtered(false, &["\u{9b}2J \u{a0}·"]), "\\u{9b}2J \u{a0}·");
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_written_comes_out_as_text(text in ".{0,40}", cut in 0usize..40) {
            let bytes = text.as_bytes();
            let cut = cut.min(bytes.len());
            let mut filter = Filter::new(true);
            let mut out = filter.filtered(&bytes[..cut]).into_owned();
            out.extend(filter.filtered(&bytes[cut..]).into_owned());
            out.extend(filter.rest());
            proptest::prop_assert!(String::from_utf8(out).is_ok());
        }
    }
}
