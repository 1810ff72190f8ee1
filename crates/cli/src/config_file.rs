//! `ringfence.toml`: where it is looked for, and what is wrong with it.

use std::path::{Path, PathBuf};

use ringfence_advisor::config::{Config, ConfigError, FILE_NAME};
use ringfence_model::diagnostic::{Annotation, Diagnostic, Severity};
use ringfence_model::source::{Location, Position, Span};

use crate::command::Stop;
use crate::diagnostics::{self, SingleText};
use crate::output::Printer;

/// Reads the configuration: the file that was named, or the nearest one, or none.
///
/// # Errors
/// If the file cannot be read, or says something that is not known.
pub(crate) fn read(
    named: Option<&Path>,
    none: bool,
    printer: &mut Printer,
) -> Result<Config, Stop> {
    let path = match (named, none) {
        (_, true) => None,
        (Some(path), false) => Some(path.to_owned()),
        (None, false) => nearest(),
    };
    let Some(path) = path else {
        return Ok(Config::default());
    };
    let name = path.display().to_string();
    let text = std::fs::read_to_string(&path)
        .map_err(|error| anyhow::anyhow!("`{name}` cannot be read: {error}"))?;
    Config::parse(&text).map_err(|error| {
        let diagnostic = diagnostic(&name, &text, error);
        let texts = SingleText {
            name: &name,
            text: &text,
        };
        diagnostics::print_alone(&[diagnostic], &texts, printer);
        Stop::Told
    })
}

/// The file in the working directory, or in the nearest directory above it.
fn nearest() -> Option<PathBuf> {
    let start = std::env::current_dir().ok()?;
    let found = start
        .ancestors()
        .map(|folder| folder.join(FILE_NAME))
        .find(|p| p.is_file())?;
    // A file of this directory is named as one would.
    match found.parent() == Some(start.as_path()) {
        true => Some(PathBuf::from(FILE_NAME)),
        false => Some(found),
    }
}

fn diagnostic(name: &str, text: &str, error: ConfigError) -> Diagnostic {
    let span = error.span.unwrap_or(0..0);
    Diagnostic {
        severity: Severity::Error,
        code: "configuration",
        message: error.message,
        object: None,
        primary: Some(Annotation {
            location: Location {
                file: name.to_owned(),
                span: Span {
                    start: position(text, span.start),
                    end: position(text, span.end),
                },
            },
            label: String::new(),
        }),
        related: Vec::new(),
        help: None,
        replacement: None,
        left_out: None,
    }
}

fn position(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let number = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
    Position {
        offset: before.len(),
        line: number(before.matches('\n').count()),
        column: number(before.get(line_start..).unwrap_or_default().chars().count()),
    }
}

/// The day, in UTC: of `SOURCE_DATE_EPOCH` where it is set, so that the same input gives
/// the same output on another day too.
pub(crate) fn today() -> jiff::civil::Date {
    let fixed = std::env::var("SOURCE_DATE_EPOCH").ok();
    let fixed = fixed.and_then(|seconds| jiff::Timestamp::from_second(seconds.parse().ok()?).ok());
    let now = fixed.unwrap_or_else(jiff::Timestamp::now);
    now.to_zoned(jiff::tz::TimeZone::UTC).date()
}
