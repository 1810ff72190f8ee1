//! `check`: what is wrong, at which line, and what to write instead.

mod fixing;
mod standards;
mod views;
mod why_open;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use ringfence_advisor::config::{CheckConfig, FailOn};
use ringfence_advisor::{Code, CodePrefix, Input, Options, Provider, Report, rules};
use ringfence_engine::Engine;
use ringfence_engine::reach::Selection;
use ringfence_model::snapshot::WorkloadId;

use self::views::View;
use super::Stop;
use crate::args::InputOptions;
use crate::cluster::{Cluster, Facts};
use crate::config_file;
use crate::entry_points;
use crate::exit::Exit;
use crate::input::is_stdin;
use crate::output::check::{Format, Printed, print, print_aside, print_rules};
use crate::output::reach;
use crate::output::{Printer, visible};
use fixing::Fixed;

/// Find what is wrong with policies, with the line and the fix
///
/// Findings are about effect: they are computed from the same answers that `reach` and
/// `explain` give. Each has a code, which `--explain CODE` describes.
///
/// A finding that one wants to live with is suppressed by an annotation on its object, its
/// namespace or its workload, with the reason: `ringfence.dev/ignore: "RF501 talks to the
/// payment provider"`; or in `ringfence.toml`, which is looked for in this directory and
/// those above it.
///
/// Examples:
///
///     ringfence check -f manifests/
///     helm template chart | ringfence check -f -
///     ringfence check -f manifests/ --select RF4 --fail-on warning
///     ringfence check -f manifests/ --diff
///     ringfence check -f manifests/ --fix
///     ringfence check -f manifests/ -o sarif > ringfence.sarif
///     ringfence check -f manifests/ --why-open shop/cart
///     ringfence check -f manifests/ --standard cis,pci
///     ringfence check --explain RF401
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct CheckArgs {
    /// How to print it
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: Format,

    /// How bad a finding must be for exit code 1 [default: error]
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<FailOnArg>,

    /// Write the fixes that are safe into the files, with comments and formatting kept;
    /// what was read from standard input is printed
    #[arg(long, conflicts_with = "diff")]
    fix: bool,

    /// Also those that somebody should look at; with `--fix` or `--diff`
    #[arg(long)]
    unsafe_fixes: bool,

    /// Print what `--fix` would change, and change nothing; exit code 1 if it would change
    /// anything
    #[arg(long, conflicts_with_all = ["output", "fail_on", "show_suppressed"])]
    diff: bool,

    /// Only the metadata endpoints of this cloud provider count (aws, azure, google,
    /// alibaba, oracle, ...); repeatable
    #[arg(long = "provider", value_name = "PROVIDER")]
    providers: Vec<Provider>,

    /// Only these rules: codes (RF401), or beginnings of codes (RF4); separated by commas,
    /// repeatable
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    select: Vec<CodePrefix>,

    /// Not these rules
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    ignore: Vec<CodePrefix>,

    /// Show suppressed findings too, with who suppresses them and why
    #[arg(long)]
    show_suppressed: bool,

    /// The configuration file [default: the nearest ringfence.toml]
    #[arg(long, value_name = "FILE", conflicts_with = "no_config")]
    config: Option<PathBuf>,

    /// Read no configuration file
    #[arg(long)]
    no_config: bool,

    /// Describe a rule and end
    // Not `exclusive`: that would rule out `--color` and `--quiet`.
    #[arg(long, value_name = "CODE", conflicts_with_all = OF_A_RUN, conflicts_with = "list")]
    explain: Option<Code>,

    /// List all rules and end
    #[arg(long, conflicts_with_all = OF_A_RUN)]
    list: bool,

    #[command(flatten)]
    views: views::ViewOptions,

    #[command(flatten)]
    input: InputOptions,
}

/// Options that mean something only where something is checked.
const OF_A_RUN: [&str; 19] = [
    "output",
    "fail_on",
    "fix",
    "unsafe_fixes",
    "diff",
    "providers",
    "select",
    "ignore",
    "show_suppressed",
    "config",
    "no_config",
    "why_open",
    "standards",
    "filenames",
    "namespace",
    "pod_cidrs",
    "ip_family",
    "profile",
    "own_node",
];

/// `--fail-on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOnArg {
    Error,
    Warning,
    Note,
    /// Findings do not change the exit code
    Never,
}

impl From<FailOnArg> for FailOn {
    fn from(arg: FailOnArg) -> Self {
        match arg {
            FailOnArg::Error => Self::Error,
            FailOnArg::Warning => Self::Warning,
            FailOnArg::Note => Self::Note,
            FailOnArg::Never => Self::Never,
        }
    }
}

pub(crate) fn run(args: &CheckArgs, printer: &mut Printer) -> Result<Exit, Stop> {
    if let Some(code) = args.explain {
        return explain(code, printer);
    }
    if args.list {
        print_rules(printer)?;
        return Ok(Exit::Fine);
    }
    let view = args.views.chosen(args.output)?;
    let config = config_file::read(args.config.as_deref(), args.no_config, printer)?.check;
    let asked_to_fail_on = args.fail_on.map(FailOn::from).or(config.fail_on);
    let fail_on = asked_to_fail_on.unwrap_or_default();
    let options = options(args, config);
    if !rules::ALL.iter().any(|rule| options.wants(rule.code)) {
        let why = "no rule is left to check: all that are selected are ignored";
        return Err(anyhow::anyhow!(why).into());
    }
    if args.unsafe_fixes && !args.fix && !args.diff {
        return Err(anyhow::anyhow!("`--unsafe-fixes` says what `--fix` and `--diff` do").into());
    }
    let (cluster, facts) = match args.fix || args.diff {
        true => match fixing::run(args, &options, printer)? {
            Fixed::Diff(exit) => return Ok(exit),
            Fixed::Written(cluster, facts) => (*cluster, facts),
        },
        false => Cluster::read_for_check(&args.input, printer)?,
    };
    let engine = cluster.engine(printer);
    let input = asked(&cluster, &facts, &engine, &options);
    if let Some(View::WhyOpen(asked, format)) = view {
        return why_open::run(asked, format, &cluster, &input, &args.input, printer);
    }
    let report = look(&input, printer);
    if let Some(View::Standards(asked, format)) = view {
        let found = (&input, &report);
        let exit = standards::run(asked, format, found, &cluster, asked_to_fail_on, printer)?;
        return Ok(doubt(&report, fail_on, &cluster, exit, printer));
    }
    let picture = match args.output {
        Format::Html => picture(&cluster, &engine)?,
        _ => None,
    };
    let printed = Printed {
        report: &report,
        snapshot: &cluster.snapshot,
        sources: &cluster.sources,
        input: &args.input.as_typed(),
        diagnostics: &cluster.diagnostics,
        profile: &cluster.profile,
        assumed_dns: facts.assumed_dns,
        show_suppressed: args.show_suppressed,
        options: &options,
        fail_on: fail_on.severity(),
        picture: picture.as_deref(),
    };
    let is_text_on_stdout = args.fix && args.input.filenames.iter().any(|path| is_stdin(path));
    match is_text_on_stdout {
        true => print_aside(&printed, printer)?,
        false => print(&printed, args.output, printer)?,
    }
    Ok(doubt(
        &report,
        fail_on,
        &cluster,
        exit(&report, fail_on),
        printer,
    ))
}

/// What rules are asked about.
fn asked<'a>(
    cluster: &'a Cluster,
    facts: &'a Facts,
    engine: &'a Engine,
    options: &'a Options,
) -> Input<'a> {
    Input {
        engine,
        sources: &cluster.sources,
        diagnostics: &cluster.diagnostics,
        inventory: &facts.inventory,
        assumed_dns: facts.assumed_dns,
        options,
    }
}

/// Looks for what is wrong.
fn look(input: &Input<'_>, printer: &Printer) -> Report {
    let _working = printer.working("checking");
    ringfence_advisor::check(input)
}

/// What the command line says, and the configuration where it says nothing. Rules to
/// ignore add up.
fn options(args: &CheckArgs, config: CheckConfig) -> Options {
    let or = |typed: &Vec<CodePrefix>, configured| match typed.is_empty() {
        true => configured,
        false => typed.clone(),
    };
    let mut ignore = config.ignore;
    ignore.extend(args.ignore.iter().cloned());
    Options {
        providers: match args.providers.is_empty() {
            true => config.provider,
            false => args.providers.clone(),
        },
        select: or(&args.select, config.select),
        ignore,
        severities: config.severity,
        justification: config.justification,
        suppressions: config.suppress,
        applied_to: args.input.reading.namespace.clone(),
        today: Some(config_file::today()),
    }
}

fn exit(report: &Report, fail_on: FailOn) -> Exit {
    match report.worst() {
        Some(worst) if fail_on.fails(worst) => Exit::No,
        _ => Exit::Fine,
    }
}

/// How a run ends: fine it cannot end where policies that no verdict counts may open what
/// looks closed. Who suppresses what is found of them has accepted that, and so has who
/// wants findings to change nothing.
fn doubt(
    report: &Report,
    fail_on: FailOn,
    cluster: &Cluster,
    answer: Exit,
    printer: &mut Printer,
) -> Exit {
    let answer = cluster.exit_of_check(answer);
    let is_accepted = report.not_counted.is_empty() || fail_on.severity().is_none();
    if answer != Exit::Fine || is_accepted {
        return answer;
    }
    let says: Vec<String> = report.not_counted.iter().map(|p| p.says()).collect();
    let style = printer.err_theme().warning;
    let says = visible::line(&says.join(", ")).into_owned();
    printer.err_line(format_args!(
        "{style}incomplete{style:#}: {says}: what it opens or closes is not known; suppress the \
         finding about it, with the reason, to accept that"
    ));
    Exit::BadInput
}

/// Prints the page of a rule.
fn explain(code: Code, printer: &mut Printer) -> Result<Exit, Stop> {
    let Some(rule) = rules::find(code) else {
        let list = "`ringfence check --list` shows all";
        return Err(anyhow::anyhow!("there is no rule {code}: {list}").into());
    };
    printer.out().write_all(rule.page.as_bytes())?;
    Ok(Exit::Fine)
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
            unread: &cluster.unread,
            reachability: &reachability,
            sources: &sources,
            entry_points: &entry_points::find(engine, &everything),
        },
        &mut drawn,
    )
    .context("drawing the picture")?;
    Ok(Some(String::from_utf8_lossy(&drawn).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_of_a_run_is_known_to_be_one() {
        let command = CheckArgs::augment_args(clap::Command::new("check"));
        let ids = command.get_arguments().map(|arg| arg.get_id().as_str());
        let mut ids: Vec<&str> = ids.filter(|id| !["explain", "list"].contains(id)).collect();
        let mut listed = OF_A_RUN.to_vec();
        ids.sort_unstable();
        listed.sort_unstable();
        assert_eq!(ids, listed);
    }
}
