use clap::Args;
use ringfence_lab::state::{self, Known};

use crate::command::Stop;
use crate::exit::Exit;
use crate::output::Printer;

/// Show the labs that stay up
#[derive(Debug, Args)]
pub(crate) struct ListArgs {}

pub(crate) fn run(_: &ListArgs, printer: &mut Printer) -> Result<Exit, Stop> {
    for name in state::names()? {
        let text = match state::look(&name) {
            Ok(Some(Known::Up(state))) => {
                format!("{} pods, process {}", state.pods.len(), state.pid)
            }
            Ok(Some(Known::Building(pid))) => format!("is being built, process {pid}"),
            Ok(Some(Known::Gone(_))) => {
                format!("gone: sweep it away with `ringfence lab down --name {name}`")
            }
            // It ended just now.
            Ok(None) => continue,
            Err(error) => error.to_string(),
        };
        writeln!(printer.out(), "{name}  {text}")?;
    }
    Ok(Exit::Fine)
}
