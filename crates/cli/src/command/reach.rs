//! `reach`: who can reach whom.

use clap::Args;
use ringfence_engine::reach::{End, Reachability, Selection};
use ringfence_engine::sets::PortSet;
use ringfence_model::snapshot::{Snapshot, WorkloadId};

use super::Stop;
use crate::args::InputOptions;
use crate::cluster::Cluster;
use crate::endpoint::{EndpointArg, PortWord, Resolver, Target};
use crate::entry_points;
use crate::exit::Exit;
use crate::output::Printer;
use crate::output::reach::{Format, Report, print};
use crate::packets::QuestionError;

/// Show who can reach whom
///
/// Answers for every pair of workloads, and for addresses outside the cluster: which
/// ports policies allow for certain, and which depend on something that the input does
/// not say (unknown). Workloads stand for their pods: a port is listed when at least
/// one pod of the one reaches at least one pod of the other.
///
/// Examples:
///
///     ringfence reach -f manifests/
///     ringfence reach -f manifests/ --from shop/cart
///     ringfence reach -f manifests/ --to metadata
///     ringfence reach -f manifests/ --external-only
///     ringfence reach -f manifests/ --to shop/db --port 5432 -o json
///     ringfence reach -f manifests/ -o svg > reach.svg
///     helm template chart | ringfence reach -f -
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ReachArgs {
    /// Only connections from this endpoint: NS/NAME, NS/KIND/NAME, NS/*, svc:NS/NAME, an
    /// IP, a CIDR, internet
    #[arg(long, value_name = "ENDPOINT")]
    from: Option<EndpointArg>,

    /// Only connections to this endpoint; also metadata, dns, apiserver
    #[arg(long, value_name = "ENDPOINT")]
    to: Option<EndpointArg>,

    /// Only these ports: 80, 53/udp, 8000-8100, http (a name), icmp
    #[arg(long, value_name = "PORT")]
    port: Option<PortWord>,

    /// Only connections that cross the border of the cluster
    #[arg(long)]
    external_only: bool,

    /// How to print it
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: Format,

    #[command(flatten)]
    input: InputOptions,
}

pub(crate) fn run(args: &ReachArgs, printer: &mut Printer) -> Result<Exit, Stop> {
    let cluster = Cluster::read(&args.input, printer)?;
    let snapshot = &*cluster.snapshot;
    let resolver = Resolver::new(snapshot, args.input.reading.namespace());
    let select = |arg: &Option<EndpointArg>| -> Result<(Selection, Option<Target>), Stop> {
        match arg {
            None => Ok((Selection::default(), None)),
            Some(arg) => {
                let target = resolver.resolve(arg)?;
                Ok((target.selection(snapshot), Some(target)))
            }
        }
    };
    let (from, _) = select(&args.from)?;
    let (to, destination) = select(&args.to)?;
    let engine = cluster.engine(printer);
    let working = printer.working("judging connections");
    let mut reachability = engine.reach(&from, &to);
    drop(working);
    cluster
        .unread
        .doubt_connections(snapshot, &mut reachability);

    let port = args
        .port
        .as_ref()
        .or(destination.as_ref().and_then(|to| to.port.as_ref()));
    let implied = destination.as_ref().map_or(&[][..], |to| &to.implied_ports);
    let wanted: Vec<&PortWord> = port.map_or_else(|| implied.iter().collect(), |port| vec![port]);
    if let Some(port) = port {
        must_mean_something(port, snapshot, &to)?;
    }
    if !wanted.is_empty() {
        keep_ports(&mut reachability, snapshot, &wanted);
    }
    if args.external_only {
        reachability.keep_external();
    }
    must_be_listable(reachability.len(), args.output)?;
    let sources = match from.workloads {
        Some(workloads) => workloads,
        None => snapshot.workload_ids().map(|(id, _)| id).collect(),
    };
    let mut entry_points = if args.from.is_none() && wanted.is_empty() {
        entry_points::find(&engine, &to)
    } else {
        Vec::new()
    };
    cluster.unread.doubt_entry_points(&mut entry_points);
    let report = Report {
        unread: &cluster.unread,
        snapshot,
        profile: &cluster.profile,
        diagnostics: &cluster.diagnostics,
        reachability: &reachability,
        sources: &sources,
        entry_points: &entry_points,
    };
    print(&report, args.output, printer)?;
    Ok(cluster.exit(Exit::Fine))
}

/// More connections than this are not written one by one: they would be some twenty
/// gigabytes.
const MOST_LISTED: u64 = 100_000_000;

/// What nobody could read is not worth filling a disk for.
fn must_be_listable(connections: u64, format: Format) -> Result<(), Stop> {
    if connections <= MOST_LISTED || !format.lists_each() {
        return Ok(());
    }
    Err(anyhow::anyhow!(
        "there are {connections} connections, and this format would list them one by one: ask \
         about fewer with --from, --to or --external-only, or use -o human or -o markdown, which \
         show ends that are alike together"
    )
    .into())
}

/// A name that no container declares is a typo, not a question with an empty answer.
fn must_mean_something(port: &PortWord, snapshot: &Snapshot, to: &Selection) -> Result<(), Stop> {
    if port.numbers().is_some() {
        return Ok(());
    }
    let is_declared = |id: WorkloadId| {
        let mut pods = snapshot.workload(id).pod_ids().map(|pod| snapshot.pod(pod));
        pods.any(|pod| !port.on_pod(pod).is_empty())
    };
    let found = match &to.workloads {
        Some(workloads) if workloads.is_empty() => {
            return Err(QuestionError::NamedPortOfAddress(port.to_string()).into());
        }
        Some(workloads) => workloads.iter().copied().any(is_declared),
        None => snapshot.workload_ids().any(|(id, _)| is_declared(id)),
    };
    if found {
        Ok(())
    } else {
        Err(anyhow::anyhow!("no container declares a port named `{port}`").into())
    }
}

/// Leaves only the wanted ports. A name stands for its numbers on the pods of the
/// destination, and for nothing at an address.
fn keep_ports(reachability: &mut Reachability, snapshot: &Snapshot, wanted: &[&PortWord]) {
    let on_workload = |id: WorkloadId| {
        let pods = snapshot.workload(id).pod_ids().map(|pod| snapshot.pod(pod));
        pods.flat_map(|pod| wanted.iter().map(|port| port.on_pod(pod)))
            .fold(PortSet::none(), |all, ports| all.union(&ports))
    };
    let elsewhere = wanted
        .iter()
        .filter_map(|port| port.numbers())
        .fold(PortSet::none(), |all, ports| all.union(&ports));
    reachability.keep_ports(|to| match to {
        End::Workload(id) => on_workload(*id),
        End::Addresses(_) => elsewhere.clone(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_connections_than_anybody_can_store_are_not_listed_one_by_one() {
        for format in [Format::Json, Format::Yaml, Format::Csv] {
            assert!(must_be_listable(MOST_LISTED, format).is_ok());
            assert!(must_be_listable(MOST_LISTED + 1, format).is_err());
        }
        for format in [Format::Human, Format::Markdown, Format::Svg] {
            assert!(must_be_listable(u64::MAX, format).is_ok());
        }
    }
}
