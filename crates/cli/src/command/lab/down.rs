use clap::Args;
use ringfence_lab::state;

use super::NameOption;
use crate::command::Stop;
use crate::exit::Exit;
use crate::output::Printer;

/// End a lab that stays up, and sweep away what a crash left
#[derive(Debug, Args)]
pub(crate) struct DownArgs {
    #[command(flatten)]
    name: NameOption,

    /// Every lab of this user
    #[arg(long, conflicts_with = "name")]
    all: bool,
}

pub(crate) fn run(args: &DownArgs, printer: &mut Printer) -> Result<Exit, Stop> {
    if !args.all {
        let name = &args.name.name;
        if !state::end(name)? {
            printer.note(format_args!("there is no lab called `{name}`"));
        }
        return Ok(Exit::Fine);
    }
    for name in state::names()? {
        state::end(&name)?;
    }
    Ok(Exit::Fine)
}
