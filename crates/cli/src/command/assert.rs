//! `assert`: these connections must work, these must not.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::Stop;
use crate::args::InputOptions;
use crate::assertions::{self, check};
use crate::cluster::Cluster;
use crate::diagnostics::{self, SingleText};
use crate::endpoint::Resolver;
use crate::exit::Exit;
use crate::input::is_stdin;
use crate::output::Printer;
use crate::output::assert::{Format, Report, print};

/// Check that connections are permitted and forbidden as a file demands
///
/// The file says which connections must work and which must not:
///
///     apiVersion: ringfence.dev/v1alpha1
///     kind: Assertions
///     permits:
///       - from: shop/cart
///         to: svc:shop/db
///         ports: [5432/TCP]
///         why: baskets are kept there
///     forbids:
///       - from: shop/*
///         to: metadata
///
/// An end is an endpoint as for `explain`, `NS/*` or `namespace: NS` for every workload
/// of a namespace, or a list of those. `permits` holds when every connection is allowed
/// for certain, `forbids` when every connection is denied for certain; with
/// `allowUnknown: true` a verdict that is not known is good enough. Without `ports`,
/// `permits` means the ports that the destination has, `forbids` every port.
///
/// Examples:
///
///     ringfence assert assertions.yaml -f manifests/
///     helm template chart | ringfence assert assertions.yaml -f -
///     ringfence assert assertions.yaml -f manifests/ -o junit > report.xml
///     ringfence assert assertions.yaml -f manifests/ -o github
///
/// Exits with 0 when every assertion holds, and with 1 otherwise.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct AssertArgs {
    /// The assertions
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// How to print it
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: Format,

    #[command(flatten)]
    input: InputOptions,
}

pub(crate) fn run(args: &AssertArgs, printer: &mut Printer) -> Result<Exit, Stop> {
    if is_stdin(&args.file) {
        return Err(anyhow::anyhow!(
            "assertions are read from a file; standard input is for manifests, with `-f -`"
        )
        .into());
    }
    let name = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file)
        .with_context(|| format!("reading assertions from `{name}`"))?;
    let refuse = |problems: &[_], printer: &mut Printer| {
        let texts = SingleText {
            name: &name,
            text: &text,
        };
        diagnostics::print_alone(problems, &texts, printer);
        Stop::Told
    };
    let assertions =
        assertions::read(&args.file, &text).map_err(|problems| refuse(&problems, printer))?;
    let cluster = Cluster::read(&args.input, printer)?;
    let resolver = Resolver::new(&cluster.snapshot, args.input.reading.namespace());
    let engine = cluster.engine(printer);
    let working = printer.working("checking assertions");
    let checked = check::check(&engine, &cluster.unread, &resolver, &assertions);
    drop(working);
    let checked = checked.map_err(|problems| refuse(&problems, printer))?;
    let all_hold = checked.iter().all(|checked| checked.finding.holds());
    let report = Report {
        file: &name,
        snapshot: &cluster.snapshot,
        sources: &cluster.sources,
        profile: &cluster.profile,
        diagnostics: &cluster.diagnostics,
        checked: &checked,
    };
    print(&report, args.output, printer)?;
    Ok(cluster.exit(if all_hold { Exit::Fine } else { Exit::No }))
}
