//! Words put into lines and columns.

use std::io::{self, Write};

use anstyle::Style;

/// A word and how it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) style: Style,
}

impl Word {
    /// A word without a style.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self::styled(text, Style::new())
    }

    /// A word with a style.
    pub(crate) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self {
            text: text.into(),
            style,
        }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// Words in lines of at most `width` columns, commas between them. A word that is
/// longer than a line has one to itself.
pub(crate) fn wrap(words: &[Word], width: usize) -> Vec<Vec<Word>> {
    let mut lines: Vec<Vec<Word>> = Vec::new();
    let mut used = 0;
    for (position, word) in words.iter().enumerate() {
        let last = position + 1 == words.len();
        let mut word = word.clone();
        let needed = word.width() + usize::from(!last);
        if !last {
            word.text.push(',');
        }
        match lines.last_mut() {
            Some(line) if used + 1 + needed <= width => {
                line.push(word);
                used += 1 + needed;
            }
            _ => {
                lines.push(vec![word]);
                used = needed;
            }
        }
    }
    lines
}

/// Writes one line of words, and spaces up to `pad` columns: at least two where there is
/// to be a next column.
pub(crate) fn write_words(out: &mut dyn Write, words: &[Word], pad: usize) -> io::Result<()> {
    let mut used = 0;
    for (position, word) in words.iter().enumerate() {
        if position > 0 {
            out.write_all(b" ")?;
            used += 1;
        }
        let style = word.style;
        write!(out, "{style}{}{style:#}", word.text)?;
        used += word.width();
    }
    let gap = match pad {
        0 => 0,
        pad => pad.saturating_sub(used).max(2),
    };
    write!(out, "{:gap$}", "")
}

/// How many columns one line of words takes.
pub(crate) fn width_of(words: &[Word]) -> usize {
    words.iter().map(Word::width).sum::<usize>() + words.len().saturating_sub(1)
}

/// The ends of connections are not wider than this, so that ports stay in sight.
const WIDEST_ENDS: usize = 52;

/// Rows of ends and what is open to them, side by side.
pub(crate) struct Columns {
    /// Of the ends.
    widest: usize,
    /// Of the terminal.
    width: usize,
}

impl Columns {
    /// Ends in lines that fit into their column.
    pub(crate) fn ends(ends: &[Word]) -> Vec<Vec<Word>> {
        wrap(ends, WIDEST_ENDS)
    }

    /// Columns wide enough for the ends of all rows.
    pub(crate) fn new<'a>(rows: impl Iterator<Item = &'a Vec<Vec<Word>>>, width: usize) -> Self {
        let lines = rows.flatten().map(|line| width_of(line));
        Self {
            widest: lines.max().map_or(0, |widest| widest.min(WIDEST_ENDS)),
            width,
        }
    }

    /// Writes one row: a sign, the ends, and the ports with a remark behind the first line
    /// of them.
    pub(crate) fn write_row(
        &self,
        out: &mut dyn Write,
        sign: &Word,
        ends: &[Vec<Word>],
        ports: &[Word],
        remark: &Word,
    ) -> io::Result<()> {
        let ports = wrap(ports, self.width.saturating_sub(self.widest + 6).max(24));
        for number in 0..ends.len().max(ports.len()) {
            let left = ends.get(number).map_or(&[][..], Vec::as_slice);
            let right = ports.get(number).map_or(&[][..], Vec::as_slice);
            let style = sign.style;
            let shown = if number == 0 { sign.text.as_str() } else { " " };
            write!(out, "  {style}{shown}{style:#} ")?;
            let pad = if right.is_empty() { 0 } else { self.widest + 2 };
            write_words(out, left, pad)?;
            write_words(out, right, 0)?;
            if number == 0 && !remark.text.is_empty() {
                let style = remark.style;
                write!(out, "  {style}{}{style:#}", remark.text)?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

/// `1 policy`, `2 policies`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    }
}

/// Text in lines of at most `width` characters, broken at spaces. What is in backticks
/// stays together: it is there to be copied.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    let mut lines = String::with_capacity(text.len());
    let mut used = 0;
    let mut word = String::new();
    let mut quoted = false;
    let mut put = |word: &mut String| {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push('\n');
            used = 0;
        } else if used > 0 {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += length;
        word.clear();
    };
    for c in text.chars() {
        quoted ^= c == '`';
        if c == ' ' && !quoted {
            put(&mut word);
        } else {
            word.push(c);
        }
    }
    put(&mut word);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped_at_commas() {
        let words: Vec<Word> = ["alpha", "beta", "gamma", "delta"]
            .into_iter()
            .map(Word::plain)
            .collect();
        let lines = wrap(&words, 12);
        let shown: Vec<String> = lines
            .iter()
            .map(|line| {
                let mut bytes = Vec::new();
                write_words(&mut bytes, line, 0).unwrap();
                String::from_utf8(bytes).unwrap()
            })
            .collect();
        assert_eq!(shown, ["alpha, beta,", "gamma, delta"]);
        assert_eq!(wrap(&words, 1).len(), 4);
        assert!(wrap(&[], 10).is_empty());
    }

    #[test]
    fn notes_are_wrapped_and_commands_are_not() {
        assert_eq!(wrapped("one two three", 7), "one two\nthree");
        assert_eq!(
            wrapped("see `a b c d e` there", 6),
            "see\n`a b c d e`\nthere"
        );
        assert_eq!(wrapped("", 6), "");
        assert_eq!(wrapped("unbroken", 3), "unbroken");
    }
}
