use clap::Args;
use ringfence_lab::enter;
use ringfence_lab::state::State;

use super::NameOption;
use crate::command::Stop;
use crate::exit::Exit;

/// Run a command of this machine in a pod of a lab that stays up
///
/// It has the pod's network and resolves names as a pod of a cluster does; files and
/// users are those of this machine.
///
/// Examples:
///
///     sudo ringfence lab exec shop/cart -- wget -qO- --timeout=2 http://kubernetes.default
///     sudo ringfence lab exec shop/cart -- ping -c1 8.8.8.8
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    name: NameOption,

    /// The pod: NS/POD or NS/WORKLOAD, without the namespace where only one fits
    #[arg(value_name = "POD")]
    pod: String,

    /// The command
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(crate) fn run(args: &ExecArgs) -> Result<Exit, Stop> {
    let state = State::read(&args.name.name)?;
    let pod = state.find(&args.pod)?;
    // It comes back only where it could not become the command.
    Err(enter::exec(&state, pod, &args.command).into())
}
