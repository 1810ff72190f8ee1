//! JSON and YAML of any report.

use std::io::{self, Write};

use serde::Serialize;

/// Writes `report` as indented JSON.
pub(crate) fn json(out: &mut dyn Write, report: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    out.write_all(b"\n")
}

/// Writes `report` as YAML.
pub(crate) fn yaml(out: &mut dyn Write, report: &impl Serialize) -> io::Result<()> {
    let text = serde_saphyr::to_string(report).map_err(io::Error::other)?;
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(())
}
