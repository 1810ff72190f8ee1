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
use crate::input::{self, Files, InputError};
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
            let past = git::read(&args.input.filenames, revision, &limits)?;
            let mut now = Vec::new();
            for path in &args.input.filenames {
                let was_there = !past.empty.contains(path);
                let is_there = path.exists() && !input::is_empty_directory(path);
                let shown = path.display();
                match (was_there, is_there) {
                    (true, false) => printer.note(format_args!(
                        "`{shown}` was deleted since {revision}: it is compared with nothing"
                    )),
                    (false, true) => printer.note(format_args!(
                        "`{shown}` did not exist at {revision}: nothing is compared with it"
                    )),
                    _ => {}
                }
                if is_there || !was_there {
                    now.push(path.clone());
                }
            }
            let after = match now.is_empty() {
                true => Files::default(),
                false => read(&now, printer)?,
            };
            let before = Files {
                inputs: past.inputs,
                ..Files::default()
            };
            (before, after)
        }
        None => {
            let paths = args.input.filenames.iter().chain(&args.to);
            let from_stdin = paths.filter(|path| input::is_stdin(path)).count();
            if from_stdin > 1 {
                return Err(InputError::StdinTwice(from_stdin).into());
            }
            let before = read(&args.input.filenames, printer)?;
            (before, read(&args.to, printer)?)
        }
    };
    let old = Cluster::from_files(before, reading, printer);
    let new = Cluster::from_files(after, reading, printer);
    old.must_have_objects("nothing to compare with")?;
    new.must_have_objects("nothing to compare")?;
    let (old_engine, new_engine) = (old.engine(printer), new.engine(printer));
    let working = printer.working("comparing");
    let difference = diff::diff_with_doubts(
        &old_engine,
        &new_engine,
        [&|end| old.unread.is_doubtful(&old.snapshot, end), &|end| {
            new.unread.is_doubtful(&new.snapshot, end)
        }],
    );
    drop(working);
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
