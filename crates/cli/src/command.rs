//! The verbs, one file each, and what they have in common.

pub(crate) mod assert;
pub(crate) mod baseline;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod lab;
pub(crate) mod man;
pub(crate) mod reach;

use std::ffi::OsString;
use std::io;
use std::path::Path;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::args::{Cli, ColorWhen, Verb};
use crate::exit::Exit;
use crate::output::Printer;

/// Why a verb stopped before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// What is wrong has been printed already.
    Told,
    /// What is wrong.
    Error(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// Runs the command line.
pub(crate) fn run(args: impl IntoIterator<Item = OsString>) -> Exit {
    let args: Vec<OsString> = args.into_iter().collect();
    let command = command(args.first());
    let parsed = command
        .try_get_matches_from(args)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let mut printer = Printer::new(cli.global.color, cli.global.quiet);
    let result = match cli.verb {
        Verb::Check(args) => check::run(&args, &mut printer),
        Verb::Reach(args) => reach::run(&args, &mut printer),
        Verb::Explain(args) => explain::run(&args, &mut printer),
        Verb::Diff(args) => diff::run(&args, &mut printer),
        Verb::Assert(args) => assert::run(&args, &mut printer),
        Verb::Baseline(args) => baseline::run(&args, &mut printer),
        Verb::Lab(args) => lab::run(&args, &mut printer),
        Verb::Completions(args) => completions::run(&args, &mut printer),
        Verb::Man(args) => man::run(&args, &mut printer),
    };
    let result = result.and_then(|exit| Ok(printer.finish().map(|()| exit)?));
    match result {
        Ok(exit) => exit,
        Err(Stop::Told) => Exit::BadInput,
        Err(Stop::Error(error)) => {
            printer.error(format_args!("{error:#}"));
            Exit::BadInput
        }
    }
}

/// The definition of the command line, under the name that it was called by: as
/// `kubectl-ringfence` it is a plugin of kubectl.
pub(crate) fn command(program: Option<&OsString>) -> clap::Command {
    let is_plugin = program
        .map(Path::new)
        .and_then(Path::file_stem)
        .is_some_and(|name| name == "kubectl-ringfence");
    let command = Cli::command();
    if is_plugin {
        command.bin_name("kubectl ringfence")
    } else {
        command.bin_name("ringfence")
    }
}

/// Help and version go to stdout and are fine; everything else is bad usage.
fn usage(error: &clap::Error) -> Exit {
    let mut printer = Printer::new(ColorWhen::Auto, false);
    let text = error.render();
    if error.use_stderr() {
        let colored = printer.err_theme().colored;
        let shown = if colored {
            text.ansi().to_string()
        } else {
            text.to_string()
        };
        printer.err_line(shown.trim_end());
        return Exit::BadInput;
    }
    let colored = printer.theme().colored;
    let shown = if colored {
        text.ansi().to_string()
    } else {
        text.to_string()
    };
    match io::Write::write_all(printer.out(), shown.as_bytes()).and_then(|()| printer.finish()) {
        Ok(()) => Exit::Fine,
        Err(_) => Exit::BadInput,
    }
}
