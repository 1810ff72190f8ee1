//! `check`: what is wrong, at which line, and what to write instead.

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use ringfence_advisor::{CodePrefix, Input, Options, Report};
use ringfence_engine::Engine;
use ringfence_engine::reach::Selection;
use ringfence_model::diagnostic::Severity;
use ringfence_model::snapshot::WorkloadId;

use super::Stop;
use crate::args::InputOptions;
use crate::cluster::Cluster;
use crate::entry_points;
use crate::exit::Exit;
use crate::output::Printer;
use crate::output::check::{Format, Printed, print};
use crate::output::reach;

/// Find what is wrong with policies, with the line and the fix
///
/// Findings are about effect: they are computed from the same answers that `reach` and
/// `explain` give. Each has a code, which `--explain CODE` describes.
///
/// Examples:
///
///     ringfence check -f manifests/
///     helm template chart | ringfence check -f -
///     ringfence check -f manifests/ -o sarif > ringfence.sarif
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct CheckArgs {
    /// How to print it
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: Format,

    /// How bad a finding must be for exit code 1
    #[arg(long, value_name = "SEVERITY", default_value = "error")]
    fail_on: FailOn,

    /// Only the metadata endpoints of this cloud provider count (aws, azure, google,
    /// alibaba, oracle, ...); repeatable
    #[arg(long = "provider", value_name = "PROVIDER")]
    providers: Vec<String>,

    /// Only these rules: codes (RF401), or beginnings of codes (RF4); separated by commas,
    /// repeatable
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    select: Vec<CodePrefix>,

    /// Not these rules
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    ignore: Vec<CodePrefix>,

    #[command(flatten)]
    input: InputOptions,
}

/// `--fail-on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    Error,
    Warning,
    Note,
    /// Findings do not change the exit code
    Never,
}

impl FailOn {
    /// How a run with this report ends.
    fn exit(self, report: &Report) -> Exit {
        match (report.worst(), self.severity()) {
            (Some(worst), Some(threshold)) if worst >= threshold => Exit::No,
            _ => Exit::Fine,
        }
    }

    /// The mildest finding that fails the run.
    fn severity(self) -> Option<Severity> {
        match self {
            Self::Error => Some(Severity::Error),
            Self::Warning => Some(Severity::Warning),
            Self::Note => Some(Severity::Note),
            Self::Never => None,
        }
    }
}

pub(crate) fn run(args: &CheckArgs, printer: &mut Printer) -> Result<Exit, Stop> {
    let options = Options {
        providers: args.providers.clone(),
        select: args.select.clone(),
        ignore: args.ignore.clone(),
    };
    let (cluster, facts) = Cluster::read_for_check(&args.input, printer)?;
    let engine = cluster.engine(printer);
    let working = printer.working("checking");
    let report = ringfence_advisor::check(&Input {
        engine: &engine,
        sources: &cluster.sources,
        diagnostics: &cluster.diagnostics,
        inventory: &facts.inventory,
        assumed_dns: facts.assumed_dns,
        options: &options,
    });
    drop(working);
    let picture = match args.output {
        Format::Html => picture(&cluster, &engine)?,
        _ => None,
    };
    let printed = Printed {
        report: &report,
        snapshot: &cluster.snapshot,
        sources: &cluster.sources,
        diagnostics: &cluster.diagnostics,
        profile: &cluster.profile,
        assumed_dns: facts.assumed_dns,
        options: &options,
        fail_on: args.fail_on.severity(),
        picture: picture.as_deref(),
    };
    print(&printed, args.output, printer)?;
    Ok(cluster.exit(args.fail_on.exit(&report)))
}

/// Nobody finds anything in a picture of more workloads than this.
const MOST_DRAWN: usize = 120;

/// Who can reach whom, as SVG; `None` where that would be too much to look at.
fn picture(cluster: &Cluster, engine: &Engine) -> Result<Option<String>, Stop> {
    let snapshot = &cluster.snapshot;
    let sources: Vec<WorkloadId> = snapshot.workload_ids().map(|(id, _)| id).collect();
    if sources.is_empty() || sources.len() > MOST_DRAWN {
        return Ok(None);
    }
    let everything = Selection::default();
    let reachability = engine.reach(&everything, &everything);
    let mut drawn = Vec::new();
    reach::draw(
        &reach::Report {
            snapshot,
            profile: &cluster.profile,
            diagnostics: &cluster.diagnostics,
            reachability: &reachability,
            sources: &sources,
            entry_points: &entry_points::find(engine, &everything),
        },
        &mut drawn,
    )
    .context("drawing the picture")?;
    Ok(Some(String::from_utf8_lossy(&drawn).into_owned()))
}
