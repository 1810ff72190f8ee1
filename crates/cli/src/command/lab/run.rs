use std::cell::LazyCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use clap::Args;
use ringfence_engine::Engine;
use ringfence_lab::privilege;
use ringfence_lab::probe::{Progress, Settings};
use ringfence_lab::run::Agreement;
use ringfence_lab::schedule::schedule;
use ringfence_lab::session::{Building, Policies, run_to_the_end};
use ringfence_model::diagnostic::Diagnostic;
use ringfence_model::parse::{self, Limits, Loaded};
use ringfence_model::snapshot::builder::{self, SnapshotBuilder};

use super::options::BuildOptions;
use crate::cluster::{no_objects, read_files};
use crate::command::Stop;
use crate::diagnostics;
use crate::exit::Exit;
use crate::output::Printer;
use crate::output::lab::{Explaining, Format, Report, print};

/// Try every connection, and compare with what the policies say
///
/// Every pair of pods at every port that is declared and by ping, every Service, and from
/// every pod the internet, cloud metadata, DNS, the API server and ping; and from one pod of
/// each workload node ports and external addresses of Services. A probe owns both ends:
///
///     allowed       it arrived and was answered
///     closed        it arrived, and nobody listens there
///     dropped       nothing arrived
///     rejected      nothing arrived, and somebody on the way said so
///     dns-failed    the name could not be looked up
///     inconclusive  it cannot be told
///
/// Every pod also sends frames that no pod may send: from addresses that are not its own, and
/// on a bridge with tags, ARP in another's name, to everybody. None should arrive.
///
/// Examples:
///
///     sudo ringfence lab run -f manifests/
///     sudo ringfence lab run -f manifests/ --ip-family dual --nodes 3
///     sudo ringfence lab run -f manifests/ --audit
///     sudo ringfence lab run -f manifests/ --no-enforce
///     sudo ringfence lab run -f manifests/ -o junit > report.xml
///
/// Exits with 1 when a packet did something else than predicted, or when it cannot be told, and
/// with 2 when there is nothing to try: no pod, or only workloads that are scaled to zero.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct RunArgs {
    /// How to print it
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: Format,

    /// Write ports and verdicts out, a line for connections that are alike, instead of one
    /// sign for all connections from one workload to another
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    build: BuildOptions,
}

pub(crate) fn run(args: &RunArgs, printer: &mut Printer) -> Result<Exit, Stop> {
    // Before anything else: it is permitted to a process without threads only.
    privilege::acquire()?;
    let files = read_files(&args.build.input, printer)?;
    let reading = &args.build.input.reading;
    let texts = files.inputs.len();
    let mut loaded = parse::load(files.inputs, &Limits::default());
    let mut problems = files.problems;
    problems.append(&mut loaded.diagnostics);
    let build = builder::BuildOptions {
        default_namespace: reading.namespace().to_owned(),
        pod_cidrs: reading.pod_cidrs.clone(),
        families: args.build.families(),
    };
    let made = schedule(
        &loaded.objects,
        &build,
        &loaded.sources,
        &args.build.schedule(),
    )?;
    problems.extend(made.diagnostics.iter().cloned());
    problems.dedup();
    diagnostics::print(&problems, &loaded.sources, printer);
    for note in &made.notes {
        printer.note(note);
    }
    if made.pods_of_input == 0 {
        return Err(nothing_to_try(&loaded, texts, &problems));
    }
    let building = Building {
        cni: args.build.cni(),
        policies: args.build.policies(),
        profile: reading.profile(),
        probing: Settings::default(),
    };
    let progress = Arc::new(Progress::default());
    let shown = {
        let progress = Arc::clone(&progress);
        printer.counting("trying connections", move || {
            (
                progress.done.load(Ordering::Relaxed),
                progress.all.load(Ordering::Relaxed),
            )
        })
    };
    let result = run_to_the_end(made, &building, &progress);
    drop(shown);
    let result = result?;
    // The manifests alone: other commands know nothing of what the lab has added.
    let profile = building.profile;
    let alone = move || {
        let mut alone = SnapshotBuilder::new(build);
        alone.add(loaded.objects);
        let (alone, _) = alone.build(&loaded.sources);
        Engine::compile(&Arc::new(alone), profile)
    };
    let explaining = Explaining {
        engine: LazyCell::new(Box::new(alone)),
        namespace: reading.namespace().to_owned(),
        options: args.build.input.as_typed(),
    };
    let report = Report {
        profile: &building.profile,
        policies: building.policies,
        diagnostics: &problems,
        result: &result,
        all: args.all,
        explaining: &explaining,
    };
    print(&report, args.output, printer)?;
    // Forged frames are denied in audit mode as well; without a data plane nobody says so.
    let (forged, connections) = (&result.forged, result.count(Agreement::Differ));
    let differ = match building.policies {
        Policies::Enforced => connections + forged.arrived.len(),
        Policies::Audited => forged.arrived.len(),
        Policies::Ignored => connections,
    };
    let untold = result.count(Agreement::NotObserved) + result.failed_controls.len();
    let untold = untold + forged.unseen.len();
    let exit = match differ + untold {
        0 => Exit::Fine,
        _ => Exit::No,
    };
    Ok(match diagnostics::is_incomplete(&problems) {
        true => exit.and(Exit::BadInput),
        false => exit,
    })
}

/// That no pod is there whose connections could be tried: none that differs would look like
/// policies that hold.
fn nothing_to_try(loaded: &Loaded, texts: usize, problems: &[Diagnostic]) -> Stop {
    if texts == 0 || !loaded.objects.is_empty() || diagnostics::is_incomplete(problems) {
        return anyhow::anyhow!(
            "nothing to try: what was read has no pod, and no workload with replicas"
        )
        .into();
    }
    no_objects("nothing to try", &loaded.sources, texts)
}
