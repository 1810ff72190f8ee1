//! JSON and YAML of any report.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;

/// Writes `report` as indented JSON.
pub(crate) fn json(out: &mut dyn Write, report: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    out.write_all(b"\n")
}

/// Writes `report` as YAML.
pub(crate) fn yaml(out: &mut dyn Write, report: &impl Serialize) -> io::Result<()> {
    let mut text = Text {
        out,
        failed: None,
        ends_line: true,
    };
    let written = serde_saphyr::to_fmt_writer(&mut text, report);
    if let Some(error) = text.failed {
        return Err(error);
    }
    written.map_err(io::Error::other)?;
    if !text.ends_line {
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Where text goes on its way to bytes; keeps the reason why it could not.
struct Text<'a> {
    out: &'a mut dyn Write,
    failed: Option<io::Error>,
    ends_line: bool,
}

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if !text.is_empty() {
            self.ends_line = text.ends_with('\n');
        }
        self.out.write_all(text.as_bytes()).map_err(|error| {
            self.failed = Some(error);
            fmt::Error
        })
    }
}
