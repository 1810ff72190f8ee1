//! `completions`: scripts that complete the command line in a shell.

use clap::Args;
use clap_complete::Shell;

use super::{Stop, command};
use crate::exit::Exit;
use crate::output::Printer;

/// Print a completion script for a shell
///
/// Put it where your shell looks for completions, for example:
///
///     ringfence completions bash > /etc/bash_completion.d/ringfence
///     ringfence completions zsh > "${fpath[1]}/_ringfence"
///     ringfence completions fish > ~/.config/fish/completions/ringfence.fish
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs, printer: &mut Printer) -> Result<Exit, Stop> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(None), "ringfence", &mut script);
    printer.out().write_all(&script)?;
    Ok(Exit::Fine)
}
