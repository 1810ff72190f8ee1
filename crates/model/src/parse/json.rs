//! JSON into a tree.
//!
//! JSON is nearly YAML, but only nearly: YAML parsers refuse surrogate pairs and very
//! long keys, and JSON refuses what YAML would let pass. The tokens are
//! `jsonc-parser`'s, with all its leniency switched off.

use std::borrow::Cow;

use jsonc_parser::errors::ParseError;
use jsonc_parser::tokens::Token;
use jsonc_parser::{Scanner, ScannerOptions};

use super::Limits;
use super::node::{Entry, Extent, Mark, Node, Scalar, Value};
use super::text::after_break;
use super::tree::{Remark, SyntaxError, Tree, drop_duplicates, too_many_values};

/// Reads one value, which must be all there is in `text` and begins at `start`.
pub(crate) fn parse<'t>(
    text: &'t str,
    start: Mark,
    limits: &Limits,
) -> Result<Tree<'t>, SyntaxError> {
    let options = ScannerOptions {
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let mut reader = Reader {
        scanner: Scanner::new(text, &options),
        text,
        at: 0,
        mark: start,
        token: None,
        extent: Extent { start, end: start },
        nodes: 0,
        limits: *limits,
        remarks: Vec::new(),
    };
    reader.next()?;
    let root = reader.value(0)?;
    if reader.token.is_some() {
        return Err(reader.expected("the end of the document"));
    }
    Ok(Tree {
        root,
        remarks: reader.remarks,
        nodes: reader.nodes,
    })
}

struct Reader<'t> {
    scanner: Scanner<'t>,
    text: &'t str,
    /// The offset of `mark`; tokens only ever move it forward.
    at: usize,
    mark: Mark,
    /// The current token and its place.
    token: Option<Token<'t>>,
    extent: Extent,
    nodes: usize,
    limits: Limits,
    remarks: Vec<Remark>,
}

impl<'t> Reader<'t> {
    /// Moves on to `offset`, counting lines and characters.
    fn move_to(&mut self, offset: usize) -> Mark {
        let bytes = self.text.as_bytes();
        while self.at < offset {
            match bytes.get(self.at) {
                Some(b'\n' | b'\r') => {
                    self.at = after_break(bytes, self.at);
                    self.mark.line = self.mark.line.saturating_add(1);
                    self.mark.column = 0;
                }
                Some(byte) => {
                    // The bytes that continue a character do not count.
                    if byte & 0xC0 != 0x80 {
                        self.mark.column = self.mark.column.saturating_add(1);
                    }
                    self.at += 1;
                }
                None => break,
            }
        }
        self.mark
    }

    fn next(&mut self) -> Result<(), SyntaxError> {
        let scanned = self.scanner.scan();
        let (from, to) = (self.scanner.token_start(), self.scanner.token_end());
        let start = self.move_to(from);
        match scanned {
            Ok(token) => {
                self.extent = Extent {
                    start,
                    end: self.move_to(to),
                };
                self.check(token.as_ref(), from, to)?;
                self.token = token;
                Ok(())
            }
            Err(error) => Err(self.scan_error(&error, start)),
        }
    }

    fn scan_error(&mut self, error: &ParseError, start: Mark) -> SyntaxError {
        let end = self.move_to(error.range().end.max(self.at));
        let message = format!(
            "this is not JSON: {}",
            lower_first(&error.kind().to_string())
        );
        SyntaxError::new("invalid-json", message, Extent { start, end })
    }

    /// What the scanner lets pass and JSON does not.
    fn check(&self, token: Option<&Token<'t>>, from: usize, to: usize) -> Result<(), SyntaxError> {
        let written = self.text.get(from..to).unwrap_or_default();
        let message = match token {
            Some(Token::String(_)) if written.bytes().any(|byte| byte < 0x20) => {
                "a control character in a string must be written as an escape such as `\\n`"
            }
            Some(Token::Number(_)) if has_leading_zero(written) => {
                "a number must not begin with a zero"
            }
            Some(Token::CommentLine(_) | Token::CommentBlock(_)) => "there are no comments in JSON",
            _ => return Ok(()),
        };
        Err(SyntaxError::new(
            "invalid-json",
            format!("this is not JSON: {message}"),
            self.extent,
        ))
    }

    fn expected(&self, what: &str) -> SyntaxError {
        let found = match &self.token {
            Some(Token::String(_)) => "a string".to_owned(),
            Some(token) => format!("`{}`", super::node::abbreviated(token.as_str())),
            None => "the end of the text".to_owned(),
        };
        SyntaxError::new(
            "invalid-json",
            format!("this is not JSON: expected {what}, found {found}"),
            self.extent,
        )
    }

    fn value(&mut self, depth: usize) -> Result<Node<'t>, SyntaxError> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return Err(too_many_values(&self.limits, self.extent));
        }
        let extent = self.extent;
        let plain = |text| Scalar {
            text: Cow::Borrowed(text),
            is_text: false,
        };
        let scalar = match self.token.take() {
            Some(Token::OpenBrace) => return self.object(extent.start, depth),
            Some(Token::OpenBracket) => return self.array(extent.start, depth),
            Some(Token::String(text)) => Scalar {
                text,
                is_text: true,
            },
            Some(Token::Number(text)) => plain(text),
            Some(Token::Boolean(true)) => plain("true"),
            Some(Token::Boolean(false)) => plain("false"),
            Some(Token::Null) => plain("null"),
            other => {
                self.token = other;
                return Err(self.expected("a value"));
            }
        };
        self.next()?;
        Ok(Node {
            value: Value::Scalar(scalar),
            extent,
        })
    }

    fn enter(&self, depth: usize) -> Result<(), SyntaxError> {
        if depth < self.limits.nesting() {
            return Ok(());
        }
        Err(SyntaxError::new(
            "limit-exceeded",
            format!(
                "this is nested more than {} levels deep: the document is not read",
                self.limits.nesting()
            ),
            self.extent,
        ))
    }

    fn object(&mut self, start: Mark, depth: usize) -> Result<Node<'t>, SyntaxError> {
        self.enter(depth)?;
        let mut entries = Vec::new();
        self.next()?;
        while self.token != Some(Token::CloseBrace) {
            if !entries.is_empty() {
                self.take(&Token::Comma, "`,` or `}`")?;
            }
            let key_extent = self.extent;
            let key = match self.token.take() {
                Some(Token::String(key)) => key,
                other => {
                    self.token = other;
                    return Err(self.expected("a key in double quotes"));
                }
            };
            self.next()?;
            self.take(&Token::Colon, "`:`")?;
            let value = self.value(depth + 1)?;
            entries.push(Entry {
                key,
                key_extent,
                value,
            });
        }
        let end = self.extent.end;
        self.next()?;
        drop_duplicates(&mut entries, &mut self.remarks);
        Ok(Node {
            value: Value::Mapping(entries),
            extent: Extent { start, end },
        })
    }

    fn array(&mut self, start: Mark, depth: usize) -> Result<Node<'t>, SyntaxError> {
        self.enter(depth)?;
        let mut items = Vec::new();
        self.next()?;
        while self.token != Some(Token::CloseBracket) {
            if !items.is_empty() {
                self.take(&Token::Comma, "`,` or `]`")?;
            }
            items.push(self.value(depth + 1)?);
        }
        let end = self.extent.end;
        self.next()?;
        Ok(Node {
            value: Value::Sequence(items),
            extent: Extent { start, end },
        })
    }

    fn take(&mut self, token: &Token<'t>, what: &str) -> Result<(), SyntaxError> {
        if self.token.as_ref() != Some(token) {
            return Err(self.expected(what));
        }
        self.next()
    }
}

fn has_leading_zero(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    matches!(digits.as_bytes(), [b'0', b'0'..=b'9', ..])
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(characters).collect()
    })
}
