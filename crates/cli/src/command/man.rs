//! `man`: the manual pages.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::{Stop, command};
use crate::exit::Exit;
use crate::output::Printer;

/// Print the manual page, or write the pages of all verbs into a directory
///
/// Examples:
///
///     ringfence man | man -l -
///     ringfence man /usr/local/share/man/man1
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ManArgs {
    /// Where to write one page for each verb
    directory: Option<PathBuf>,
}

pub(crate) fn run(args: &ManArgs, printer: &mut Printer) -> Result<Exit, Stop> {
    match &args.directory {
        Some(directory) => {
            clap_mangen::generate_to(command(None), directory)
                .with_context(|| format!("writing manual pages to `{}`", directory.display()))?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command(None)).render(&mut page)?;
            printer.out().write_all(&page)?;
        }
    }
    Ok(Exit::Fine)
}
