//! Workflow commands of GitHub Actions.

use std::io::{self, Write};

use ringfence_model::source::Location;

use super::visible;

/// How an annotation is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Error,
    Warning,
    Notice,
}

/// One annotation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Annotation<'a> {
    pub(crate) level: Level,
    pub(crate) location: Option<&'a Location>,
    pub(crate) title: &'a str,
    pub(crate) message: &'a str,
}

impl Annotation<'_> {
    /// Writes the command.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let level = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Notice => "notice",
        };
        write!(out, "::{level} ")?;
        if let Some(Location { file, span }) = self.location {
            write!(
                out,
                "file={},line={},col={},endLine={},endColumn={},",
                property(file),
                span.start.line,
                span.start.column,
                span.end.line,
                span.end.column,
            )?;
        }
        writeln!(
            out,
            "title={}::{}",
            property(self.title),
            data(self.message)
        )
    }
}

/// What may stand behind `::`. The log that it is written to is a page and a terminal:
/// what would turn its text around is shown, as in every other format.
fn data(text: &str) -> String {
    visible::lines(text)
        .replace('%', "%25")
        .replace('\n', "%0A")
}

/// What may stand in a property: also without the characters that separate them.
fn property(text: &str) -> String {
    data(&visible::line(text))
        .replace(':', "%3A")
        .replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_separates_is_escaped() {
        let annotation = Annotation {
            level: Level::Error,
            location: None,
            title: "a: b, c",
            message: "100%\nsure: yes, really",
        };
        let mut out = Vec::new();
        annotation.write(&mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "::error title=a%3A b%2C c::100%25%0Asure: yes, really\n"
        );
    }

    #[test]
    fn what_turns_the_text_of_a_log_is_shown() {
        let annotation = Annotation {
            level: Level::Notice,
            location: None,
            title: "a\u{202e}b\n::error::c",
            message: "d\u{2066}e\r\nf\u{1b}[2J",
        };
        let mut out = Vec::new();
        annotation.write(&mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "::notice title=a\\u{202e}b␊%3A%3Aerror%3A%3Ac::d\\u{2066}e␍%0Af␛[2J\n"
        );
    }
}
