use clap::Args;
use ringfence_lab::{keeper, privilege};

use super::NameOption;
use crate::command::Stop;
use crate::exit::Exit;

/// Hold a lab: what `lab up` starts
#[derive(Debug, Args)]
pub(crate) struct KeepArgs {
    #[command(flatten)]
    name: NameOption,
}

pub(crate) fn run(args: &KeepArgs) -> Result<Exit, Stop> {
    // Before anything else: it is permitted to a process without threads only.
    privilege::acquire()?;
    keeper::keep(&args.name.name)?;
    Ok(Exit::Fine)
}
