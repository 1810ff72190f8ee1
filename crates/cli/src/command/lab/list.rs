use clap::Args;
use ringfence_lab::state::{self, State};

use crate::command::Stop;
use crate::exit::Exit;
use crate::output::Printer;

/// Show the labs that stay up
#[derive(Debug, Args)]
pub(crate) struct ListArgs {}

pub(crate) fn run(_: &ListArgs, printer: &mut Printer) -> Result<Exit, Stop> {
    for name in state::names()? {
        let text = match State::read(&name) {
            Ok(state) => format!("{name}  {} pods, process {}", state.pods.len(), state.pid),
            Err(_) => format!("{name}  gone: sweep it away with `ringfence lab down`"),
        };
        writeln!(printer.out(), "{text}")?;
    }
    Ok(Exit::Fine)
}
