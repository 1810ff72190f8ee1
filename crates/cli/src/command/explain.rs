//! `explain`: can this reach that, and which rule says so.

use clap::Args;
use ringfence_engine::Verdict;

use super::Stop;
use crate::args::InputOptions;
use crate::cluster::Cluster;
use crate::endpoint::{EndpointArg, Resolver};
use crate::exit::Exit;
use crate::output::Printer;
use crate::output::explain::Report;
use crate::output::formats::{Format, print};
use crate::packets::{self, Ports};

/// Explain why a connection is allowed or denied
///
/// Shows both sides: every policy that selects the source for egress and the
/// destination for ingress, the rule that decides with its source line, and for a
/// denial the smallest rule that would allow it. Several packets may be behind one
/// question (pods, ports, address families, endpoints of a service): those with the
/// same outcome are shown together.
///
/// Endpoints:
///   NS/NAME, NS/KIND/NAME   a workload or pod
///   svc:NS/NAME             a service; every endpoint behind it is judged
///   IP, CIDR                an address or block
///   internet                every public address
///   metadata                every known cloud metadata endpoint
///   dns                     the cluster's name servers, port 53
///   apiserver               the endpoints of the Kubernetes API
///
/// :PORT is a number, a range or a name, with /tcp, /udp or /sctp behind it, or icmp.
/// Without it, the ports that the destination declares are asked for.
///
/// Examples:
///
///     ringfence explain shop/cart svc:shop/db:5432 -f manifests/
///     ringfence explain shop/cart internet:443 -f manifests/
///     ringfence explain shop/cart metadata -f manifests/ -o json
///     ringfence explain monitoring/prometheus shop/cart:metrics -f manifests/
///     ringfence explain shop/cart 8.8.8.8:icmp -f manifests/
///
/// Exits with 0 when everything asked for is allowed for certain, and with 1 otherwise.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ExplainArgs {
    /// Who opens the connection
    #[arg(value_name = "SRC")]
    from: EndpointArg,

    /// Who accepts it
    #[arg(value_name = "DST[:PORT]")]
    to: EndpointArg,

    /// How to print it
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: Format,

    #[command(flatten)]
    input: InputOptions,
}

pub(crate) fn run(args: &ExplainArgs, printer: &mut Printer) -> Result<Exit, Stop> {
    let cluster = Cluster::read(&args.input, printer)?;
    let resolver = Resolver::new(&cluster.snapshot, args.input.reading.namespace());
    let from = resolver.resolve(&args.from)?;
    let to = resolver.resolve(&args.to)?;
    let engine = cluster.engine(printer);
    let mut answer = packets::judge(&engine, &from, &to, &Ports::AsNamed)?;
    let unread = &cluster.unread;
    unread.doubt(&cluster.snapshot, &cluster.profile, &mut answer.outcomes);
    for note in &answer.notes {
        printer.note(note);
    }
    let report = Report {
        snapshot: &cluster.snapshot,
        sources: &cluster.sources,
        profile: &cluster.profile,
        diagnostics: &cluster.diagnostics,
        from: &args.from.text,
        to: &args.to.text,
        answer: &answer,
    };
    print(&report, args.output, printer)?;
    let all_allowed = answer
        .outcomes
        .iter()
        .all(|o| o.verdict == Verdict::Allowed);
    Ok(cluster.exit(if all_allowed { Exit::Fine } else { Exit::No }))
}
