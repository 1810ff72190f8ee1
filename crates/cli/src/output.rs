//! What is printed: one folder per report, one file per format in it.
//!
//! Everything goes out through [`Printer`]. Nothing here computes an answer; a
//! format is a function from a report to text.

pub(crate) mod address_names;
pub(crate) mod assert;
pub(crate) mod baseline;
pub(crate) mod changes;
pub(crate) mod check;
pub(crate) mod contract;
pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod formats;
pub(crate) mod github;
pub(crate) mod incomplete;
pub(crate) mod lab;
pub(crate) mod layout;
pub(crate) mod markdown;
pub(crate) mod names;
pub(crate) mod printer;
mod progress;
pub(crate) mod reach;
#[cfg(test)]
mod schema;
pub(crate) mod shell;
pub(crate) mod snippet;
pub(crate) mod standards;
pub(crate) mod structured;
pub(crate) mod theme;
pub(crate) mod uri;
pub(crate) mod visible;
pub(crate) mod why_open;

pub(crate) use names::Names;
pub(crate) use printer::Printer;
pub(crate) use theme::Theme;
