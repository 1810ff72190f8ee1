//! `check`: what is wrong, at which line, and what to write instead.

use clap::{Args, ValueEnum};
use ringfence_advisor::{CodePrefix, Input, Options, Report};
use ringfence_model::diagnostic::Severity;

use super::Stop;
use crate::args::InputOptions;
use crate::cluster::Cluster;
use crate::exit::Exit;
use crate::output::Printer;
use crate::output::check::{Format, Printed, print};

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
        let threshold = match self {
            Self::Error => Severity::Error,
            Self::Warning => Severity::Warning,
            Self::Note => Severity::Note,
            Self::Never => return Exit::Fine,
        };
        match report.worst() {
            Some(worst) if worst >= threshold => Exit::No,
            _ => Exit::Fine,
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
    let printed = Printed {
        report: &report,
        snapshot: &cluster.snapshot,
        sources: &cluster.sources,
        diagnostics: &cluster.diagnostics,
        profile: &cluster.profile,
        assumed_dns: facts.assumed_dns,
    };
    print(&printed, args.output, printer)?;
    Ok(cluster.exit(args.fail_on.exit(&report)))
}
