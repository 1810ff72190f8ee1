//! `lab`: manifests as real packets, in network namespaces of this machine.

mod apply;
mod delete;
mod down;
mod exec;
mod keep;
mod list;
mod options;
mod pods;
mod run;
mod up;

use clap::{Args, Subcommand};

use super::Stop;
use crate::exit::Exit;
use crate::output::Printer;

/// Run manifests as real packets on this machine, without a cluster
///
/// Makes a cluster of network namespaces: one for each pod, a router for each node, real
/// Services, DNS, an API server, an internet and cloud metadata that exist only in there.
/// Ringfence's own data plane holds the policies. Nothing has a way out of it, and the
/// kernel takes everything down with the process that made it.
///
/// Needs root, or a kernel that permits unprivileged user namespaces.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct LabArgs {
    #[command(subcommand)]
    verb: LabVerb,
}

#[derive(Debug, Subcommand)]
enum LabVerb {
    Run(run::RunArgs),
    Up(up::UpArgs),
    Exec(exec::ExecArgs),
    Apply(apply::ApplyArgs),
    Delete(delete::DeleteArgs),
    Down(down::DownArgs),
    List(list::ListArgs),
    #[command(hide = true)]
    Keep(keep::KeepArgs),
}

/// The name of a lab that stays up.
#[derive(Clone, Debug, Args)]
pub(crate) struct NameOption {
    /// The name of the lab
    #[arg(long, value_name = "NAME", default_value = "lab")]
    name: String,
}

pub(crate) fn run(args: &LabArgs, printer: &mut Printer) -> Result<Exit, Stop> {
    match &args.verb {
        LabVerb::Run(args) => run::run(args, printer),
        LabVerb::Up(args) => up::run(args, printer),
        LabVerb::Exec(args) => exec::run(args),
        LabVerb::Apply(args) => apply::run(args, printer),
        LabVerb::Delete(args) => delete::run(args, printer),
        LabVerb::Down(args) => down::run(args, printer),
        LabVerb::List(args) => list::run(args, printer),
        LabVerb::Keep(args) => keep::run(args),
    }
}
