use clap::Args;
use ringfence_lab::keeper::{self, Change};

use super::NameOption;
use super::pods;
use super::up::checked;
use crate::args::InputOptions;
use crate::cluster::read_files;
use crate::command::Stop;
use crate::exit::Exit;
use crate::output::Printer;

/// Give a lab that stays up more pods, policies and Services, or others
///
/// Objects are added; one of the same kind, namespace and name is replaced. Pods come and go
/// with them, as replicas do; those that stay keep their addresses. Nodes stay as they are.
/// Without `-n`, objects that name no namespace are in that of the lab.
///
/// Examples:
///
///     sudo ringfence lab apply -f default-deny.yaml
///     sudo ringfence lab apply -f one-more-pod.yaml
///     sudo ringfence lab apply --replace -f manifests/
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    name: NameOption,

    /// Take these manifests in the place of all that the lab has
    #[arg(long)]
    replace: bool,

    #[command(flatten)]
    input: InputOptions,
}

pub(crate) fn run(args: &ApplyArgs, printer: &mut Printer) -> Result<Exit, Stop> {
    let files = read_files(&args.input, printer)?;
    let (manifests, complete) = checked(files, printer);
    let change = Change {
        manifests,
        namespace: args.input.reading.namespace.clone(),
        replace: args.replace,
        ..Change::default()
    };
    make(&args.name, &change, printer)?;
    Ok(if complete { Exit::Fine } else { Exit::BadInput })
}

/// Makes a change, and prints what became of each object and which pods came and went.
pub(super) fn make(name: &NameOption, change: &Change, printer: &mut Printer) -> Result<(), Stop> {
    let reply = keeper::change(&name.name, change)?;
    if let Some(error) = reply.error {
        return Err(anyhow::anyhow!("{error}").into());
    }
    for note in &reply.notes {
        printer.note(note);
    }
    for done in &reply.done {
        writeln!(printer.out(), "{done}")?;
    }
    let came = pods::lines(&reply.came);
    for line in pods::lines_of_gone(&reply.went).into_iter().chain(came) {
        writeln!(printer.out(), "{line}")?;
    }
    Ok(())
}
