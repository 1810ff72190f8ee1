//! Why a connection is allowed or denied: the report of `explain`.

mod alike;
mod human;
mod json;
mod markdown;
pub(crate) mod words;

#[cfg(test)]
pub(crate) use json::ExplanationOut;
pub(crate) use json::{OutcomeOut, PolicyOut, document, outcome_out};

use std::io::{self, Write};

use ringfence_engine::Profile;
use ringfence_model::diagnostic::Diagnostic;
use ringfence_model::parse::Sources;
use ringfence_model::snapshot::Snapshot;
use serde::Serialize;

use super::formats::{InFormats, Reader};
use crate::packets::Answer;

/// Everything that is printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) sources: &'a Sources,
    pub(crate) profile: &'a Profile,
    pub(crate) diagnostics: &'a [Diagnostic],
    /// The ends as they were typed.
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) answer: &'a Answer,
}

impl InFormats for Report<'_> {
    fn human(&self, reader: Reader, out: &mut dyn Write) -> io::Result<()> {
        human::write(self, reader.theme, reader.width, out)
    }

    fn document(&self) -> impl Serialize {
        document(self)
    }

    fn markdown(&self, out: &mut dyn Write) -> io::Result<()> {
        markdown::write(self, out)
    }
}

/// Prints one packet's two sides with source lines, as below an outcome. Used where
/// another report explains a connection.
pub(crate) use human::{write_missing, write_sides};
