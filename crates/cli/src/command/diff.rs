//! `diff`: what a change opens and closes.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use ringfence_engine::diff;
use ringfence_model::parse::Limits;

use super::Stop;
use crate::args::InputOptions;
use crate::cluster::{self, Cluster};
use crate::exit::Exit;
use crate::git;
use crate::input;
use crate::output::Printer;
use crate::output::diff::{Format, Report, print};

/// Show what a change of manifests opens and closes
///
/// Compares two trees of manifests by what can be reached, not by what is written: a
/// policy that is split in two changes nothing. Each connection that opens or closes is
/// shown with the rule that is responsible.
///
/// Examples:
///
///     ringfence diff -f before/ --to after/
///     ringfence diff -f base --to base --to overlays/prod
///     ringfence diff -f deploy/ --git main
///     ringfence diff -f deploy/ --git HEAD~1 -o markdown
///     helm template chart | ringfence diff -f rendered.yaml --to -
///
/// Exits with 0 whatever the difference; with --exit-code, with 1 when something opens
/// or closes.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[command(group = ArgGroup::new("new").required(true).args(["to", "git"]))]
pub(crate) struct DiffArgs {
    /// The manifests after the change; `-f` names those before it. Repeatable
    #[arg(long, value_name = "PATH")]
    to: Vec<PathBuf>,

    /// Compare the files of `-f` as they are at this git revision with what they are now
    #[arg(long, value_name = "REV")]
    git: Option<String>,

    /// Exit with 1 when something opens or closes
    #[arg(long)]
    exit_code: bool,

    /// How to print it
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: Format,

    #[command(flatten)]
    input: InputOptions,
}

pub(crate) fn run(args: &DiffArgs, printer: &mut Printer) -> Result<Exit, Stop> {
    let limits = Limits::default();
    let reading = &args.input.reading;
    let read = |paths: &[PathBuf], printer: &mut Printer| {
        input::read(paths, &limits).map_err(|errors| cluster::stop(&errors, printer))
    };
    let (before, after) = match &args.git {
        Some(revision) => {
            let before = git::read(&args.input.filenames, revision, &limits)?;
            (before, read(&args.input.filenames, printer)?)
        }
        None if [&args.input.filenames, &args.to]
            .iter()
            .all(|paths| paths.iter().any(|p| input::is_stdin(p))) =>
        {
            return Err(anyhow::anyhow!(
                "standard input can be read only once: `-` was given with `-f` and with `--to`"
            )
            .into());
        }
        None => {
            let before = read(&args.input.filenames, printer)?;
            (before, read(&args.to, printer)?)
        }
    };
    let old = Cluster::from_inputs(before, reading, printer);
    let new = Cluster::from_inputs(after, reading, printer);
    let (old_engine, new_engine) = (old.engine(), new.engine());
    let difference = diff::diff(&old_engine, &new_engine);
    let report = Report {
        old: (&old, &old_engine),
        new: (&new, &new_engine),
        diff: &difference,
    };
    print(&report, args.output, printer)?;
    let answer = if args.exit_code && !difference.changes.is_empty() {
        Exit::No
    } else {
        Exit::Fine
    };
    Ok(old.exit(new.exit(answer)))
}
