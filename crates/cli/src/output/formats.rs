//! The formats of a report that somebody reads, a program takes apart, or a comment shows.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

use super::printer::unless_reader_left;
use super::{Printer, Theme, structured};

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Human,
    Json,
    Yaml,
    Markdown,
}

/// What a text for a person depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader {
    pub(crate) theme: Theme,
    /// In columns.
    pub(crate) width: usize,
    /// Whether summaries are left out.
    pub(crate) quiet: bool,
}

/// A report that has all of them.
pub(crate) trait InFormats {
    /// For a person.
    fn human(&self, reader: Reader, out: &mut dyn Write) -> io::Result<()>;

    /// For a program: JSON and YAML are the same document.
    fn document(&self) -> impl Serialize;

    /// For a comment.
    fn markdown(&self, out: &mut dyn Write) -> io::Result<()>;
}

/// Prints a report.
pub(crate) fn print(
    report: &impl InFormats,
    format: Format,
    printer: &mut Printer,
) -> io::Result<()> {
    let reader = Reader {
        theme: printer.theme(),
        width: printer.width(),
        quiet: printer.is_quiet(),
    };
    let out = printer.out();
    unless_reader_left(match format {
        Format::Human => report.human(reader, out),
        Format::Json => structured::json(out, &report.document()),
        Format::Yaml => structured::yaml(out, &report.document()),
        Format::Markdown => report.markdown(out),
    })
}
