//! Why a pod is open: the walk of `check --why-open`.

mod human;
mod json;
mod markdown;
mod words;

#[cfg(test)]
pub(crate) use json::WhyOpenOut;

use std::io::{self, Write};

use ringfence_advisor::why_open::WhyOpen;
use ringfence_engine::Profile;
use ringfence_model::diagnostic::Diagnostic;
use ringfence_model::parse::Sources;
use ringfence_model::snapshot::Snapshot;
use serde::Serialize;

use super::formats::{InFormats, Reader};

/// Everything that is printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printed<'a> {
    pub(crate) walk: &'a WhyOpen,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) sources: &'a Sources,
    pub(crate) diagnostics: &'a [Diagnostic],
    pub(crate) profile: &'a Profile,
}

impl InFormats for Printed<'_> {
    fn human(&self, reader: Reader, out: &mut dyn Write) -> io::Result<()> {
        human::write(self, reader.theme, reader.width, out)
    }

    fn document(&self) -> impl Serialize {
        json::document(self)
    }

    fn markdown(&self, out: &mut dyn Write) -> io::Result<()> {
        markdown::write(self, out)
    }
}
