use std::path::PathBuf;

use clap::Args;
use ringfence_lab::keeper::{Change, Named};

use super::NameOption;
use super::apply::make;
use super::up::checked;
use crate::cluster::read_paths;
use crate::command::Stop;
use crate::exit::Exit;
use crate::output::Printer;

/// Take policies, pods and Services away from a lab that stays up
///
/// By the manifests that they were applied from, or by kind and name. With a workload go
/// its pods, with a namespace everything in it.
///
/// Examples:
///
///     sudo ringfence lab delete networkpolicy default-deny-all-egress
///     sudo ringfence lab delete -n shop deployment web
///     sudo ringfence lab delete -f default-deny.yaml
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    name: NameOption,

    /// The kind: `networkpolicy`, its plural, or its short name
    #[arg(
        value_name = "KIND",
        required_unless_present = "filenames",
        requires = "names"
    )]
    kind: Option<String>,

    /// The names
    #[arg(value_name = "OBJECT")]
    names: Vec<String>,

    /// Manifests with the objects: a file, a directory, or `-` for standard input;
    /// repeatable
    #[arg(
        short = 'f',
        long = "filename",
        value_name = "PATH",
        conflicts_with = "kind"
    )]
    filenames: Vec<PathBuf>,

    /// The namespace of objects that name none [default: that of the lab]
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
}

pub(crate) fn run(args: &DeleteArgs, printer: &mut Printer) -> Result<Exit, Stop> {
    let (manifests, complete) = match args.filenames.is_empty() {
        true => (Vec::new(), true),
        false => checked(read_paths(&args.filenames, printer)?, printer),
    };
    let kind = args.kind.clone().unwrap_or_default();
    let named = args.names.iter().map(|name| Named {
        kind: kind.clone(),
        name: name.clone(),
    });
    let change = Change {
        manifests,
        namespace: args.namespace.clone(),
        delete: true,
        named: named.collect(),
        ..Change::default()
    };
    make(&args.name, &change, printer)?;
    Ok(if complete { Exit::Fine } else { Exit::BadInput })
}
