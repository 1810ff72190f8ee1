//! `baseline`: the policies that a namespace needs, for this cluster.

mod destination;
mod pairs;

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use ipnet::IpNet;
use ringfence_advisor::baseline::{
    self, DnsChoice, KubeApi, Preset, ProposedPolicy, Request, propose,
};
use ringfence_advisor::{Context, Input, Options, Provider};
use ringfence_model::parse::names;

use super::Stop;
use crate::args::InputOptions;
use crate::cluster::{Cluster, Facts};
use crate::diagnostics;
use crate::endpoint::EndpointArg;
use crate::exit::Exit;
use crate::output::Printer;
use crate::output::baseline::{Format, print, yaml};
use pairs::Pair;

/// Write the policies that a namespace needs
///
/// The production set: default-deny-all (both directions) and allow-dns, for the name
/// servers that the input has; with --kube-api, --internet and --intra-namespace what
/// these say besides. The policies go to stdout; nothing is applied.
///
/// Without a name, the set is written for every namespace of the input that runs
/// workloads. Those of the control plane, and of monitoring, logging and ingress
/// controllers, are left out: name them, with --force for the control plane.
///
/// Presets:
///   production               the set above (default)
///   deny-all                 default-deny-all alone
///   default-deny-all-egress  egress alone; DNS is closed too
///   allow-dns, allow-kube-api, allow-internet-https
///                            one policy of the set
///   internal-only            the set with --intra-namespace
///   workload-to-workload     --from A --to B:PORT, both sides
///   workload-to-cidr         --from A --to CIDR:PORT
///   deny-metadata            everything but metadata (a NetworkPolicy cannot deny);
///                            with --cluster-policy, a ClusterNetworkPolicy that denies
///
/// Examples:
///
///     ringfence baseline -f manifests/
///     ringfence baseline shop --dns kube-dns | kubectl apply -f -
///     ringfence baseline shop -f manifests/ --internet --kube-api=10.0.0.1:6443
///     ringfence baseline -f manifests/ --patch --write manifests/baseline.yaml
///     ringfence baseline -f manifests/ --preset workload-to-workload \
///         --from shop/cart --to svc:shop/redis:6379
///     ringfence baseline --preset deny-metadata --cluster-policy --provider aws
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct BaselineArgs {
    /// The namespaces to write policies for
    #[arg(value_name = "NS", value_parser = namespace)]
    namespaces: Vec<String>,

    /// Which policies
    #[arg(long, value_name = "PRESET", default_value = "production")]
    #[arg(value_parser = preset(), hide_possible_values = true)]
    preset: Preset,

    /// Which name servers the cluster has [default: those of the input]
    #[arg(long, value_name = "DNS", value_parser = dns())]
    dns: Option<DnsChoice>,

    /// Open the Kubernetes API, at these addresses or where the endpoints of
    /// default/kubernetes in the input are; several separated by commas
    #[arg(long, value_name = "ADDRESS:PORT", num_args = 0..=1, require_equals = true)]
    #[arg(value_delimiter = ',')]
    kube_api: Option<Vec<SocketAddr>>,

    /// Open HTTPS to the public internet
    #[arg(long)]
    internet: bool,

    /// Open the namespace to itself, on every port
    #[arg(long)]
    intra_namespace: bool,

    /// Open the API and the internet only for pods with this label; repeatable
    #[arg(long = "pods", value_name = "KEY=VALUE", value_parser = pairs::label)]
    pods: Vec<Pair>,

    /// An annotation for every policy, such as ticket=SEC-42 or approved-by=security;
    /// repeatable
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = pairs::annotation)]
    annotations: Vec<Pair>,

    /// A range that Services get their addresses from, which is not the internet;
    /// repeatable
    #[arg(long = "service-cidr", value_name = "CIDR")]
    service_cidrs: Vec<IpNet>,

    /// Who opens the connection (workload-to-workload, workload-to-cidr)
    #[arg(long, value_name = "ENDPOINT")]
    from: Option<EndpointArg>,

    /// Who accepts it: NS/NAME:PORT, svc:NS/NAME:PORT, CIDR:PORT
    #[arg(long, value_name = "ENDPOINT")]
    to: Option<EndpointArg>,

    /// Write deny-metadata as a ClusterNetworkPolicy
    #[arg(long)]
    cluster_policy: bool,

    /// Only the metadata endpoints of this cloud provider (deny-metadata); repeatable
    #[arg(long = "provider", value_name = "PROVIDER")]
    providers: Vec<Provider>,

    /// Also for namespaces of the control plane that are named, or that --from or --to is in
    #[arg(long)]
    force: bool,

    /// Only what the policies of the input do not do yet
    ///
    /// What is in place is told by what policies do, not by their names. Nothing that is
    /// there is changed or replaced.
    #[arg(long)]
    patch: bool,

    /// Add what is missing to this file, instead of printing it; it is part of the input
    #[arg(long, value_name = "FILE", requires = "patch")]
    write: Option<PathBuf>,

    /// How to print it
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    output: Format,

    #[command(flatten)]
    input: InputOptions,
}

/// `--preset`.
fn preset() -> impl TypedValueParser<Value = Preset> {
    let names = Preset::ALL.map(Preset::as_str);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Preset>())
}

/// `--dns`.
fn dns() -> impl TypedValueParser<Value = DnsChoice> {
    let choices = DnsChoice::ALL;
    let values = choices.map(|c| PossibleValue::new(c.as_str()).help(c.describe()));
    PossibleValuesParser::new(values).try_map(|name| name.parse::<DnsChoice>())
}

/// The name of a namespace, as the API server takes it.
fn namespace(text: &str) -> Result<String, String> {
    match names::label(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(expected) => Err(format!("a namespace is called by {expected}")),
    }
}

pub(crate) fn run(args: &BaselineArgs, printer: &mut Printer) -> Result<Exit, Stop> {
    let mut request = request(args)?;
    let (cluster, facts) = read(args, &request, printer)?;
    if args.preset.is_connection() {
        let flow = destination::flow(
            &cluster.snapshot,
            args.input.reading.namespace(),
            args.from.as_ref(),
            args.to.as_ref(),
            args.preset == Preset::WorkloadToCidr,
        )?;
        request.flow = Some(flow);
    }
    if let Some(file) = &args.write {
        must_be_whole(file, &cluster)?;
    }
    let engine = cluster.engine(printer);
    let options = Options {
        providers: args.providers.clone(),
        applied_to: args.input.reading.namespace.clone(),
        ..Options::default()
    };
    let context = Context::new(&Input {
        engine: &engine,
        sources: &cluster.sources,
        diagnostics: &cluster.diagnostics,
        inventory: &facts.inventory,
        assumed_dns: facts.assumed_dns,
        options: &options,
    });
    let proposal = propose(&context, &request)?;
    for note in &proposal.notes {
        printer.note(note);
    }
    for sentence in &proposal.not_counted {
        printer.note(sentence);
    }
    let is_known = !proposal.is_partial && proposal.not_counted.is_empty();
    if request.patch && proposal.policies.is_empty() && is_known {
        printer.note("nothing is missing");
    } else if request.patch && proposal.policies.is_empty() && !proposal.is_partial {
        printer.note("nothing is missing among the policies that count");
    }
    match &args.write {
        Some(file) => append(file, &proposal.policies, printer)?,
        None if proposal.policies.is_empty() && args.output == Format::Yaml => {}
        None => print(&proposal.policies, args.output, printer)?,
    }
    Ok(cluster.exit(Exit::Fine))
}

/// What was asked for, but for what the input has to tell.
fn request(args: &BaselineArgs) -> Result<Request, Stop> {
    let has_ends = args.from.is_some() || args.to.is_some();
    if args.preset.is_connection() != (args.from.is_some() && args.to.is_some())
        || has_ends && !args.preset.is_connection()
    {
        return Err(anyhow::anyhow!(
            "--from and --to go together, with --preset workload-to-workload or workload-to-cidr"
        )
        .into());
    }
    if args.preset.is_connection() && !args.namespaces.is_empty() {
        return Err(anyhow::anyhow!(
            "the namespaces of a connection are those of its ends: leave `{}` out",
            args.namespaces.join(" ")
        )
        .into());
    }
    if args.cluster_policy && args.preset != Preset::DenyMetadata {
        return Err(anyhow::anyhow!("--cluster-policy is for --preset deny-metadata").into());
    }
    if args.write.is_some() && args.output == Format::Json {
        return Err(anyhow::anyhow!("--write adds YAML documents: leave `-o json` out").into());
    }
    let kube_api = args.kube_api.as_ref().map(|said| match said.is_empty() {
        true => KubeApi::FromInput,
        false => KubeApi::At(said.clone()),
    });
    Ok(Request {
        namespaces: args.namespaces.clone(),
        force: args.force,
        dns: args.dns,
        kube_api,
        internet: args.internet,
        intra_namespace: args.intra_namespace,
        pods: args.pods.iter().cloned().map(Pair::into_entry).collect(),
        annotations: args
            .annotations
            .iter()
            .cloned()
            .map(Pair::into_entry)
            .collect(),
        service_cidrs: args.service_cidrs.clone(),
        cluster_policy: args.cluster_policy,
        patch: args.patch,
        ..Request::new(args.preset)
    })
}

/// The cluster, with what stands for name servers and pods that the input does not have.
fn read(
    args: &BaselineArgs,
    request: &Request,
    printer: &mut Printer,
) -> Result<(Cluster, Facts), Stop> {
    let mut input = args.input.clone();
    if let Some(file) = args.write.as_ref().filter(|file| file.exists()) {
        input.filenames.push(file.clone());
    }
    let default_namespace = args.input.reading.namespace();
    let needs_no_input = match args.preset {
        Preset::DenyMetadata => args.cluster_policy || !request.namespaces.is_empty(),
        preset if preset.needs_name_servers() => {
            request.dns.is_some() && !request.namespaces.is_empty()
        }
        _ => !request.namespaces.is_empty(),
    };
    if input.filenames.is_empty() && !needs_no_input {
        return Err(anyhow::anyhow!(
            "no input: say where the manifests are, with `-f PATH`, or name the namespaces and say \
             with `--dns` which name servers the cluster has"
        )
        .into());
    }
    let (cluster, facts) = Cluster::read_with(&input, needs_no_input, printer, |objects| {
        let namespaces = &request.namespaces;
        baseline::stand_ins(objects, namespaces, default_namespace, request.dns)
    })?;
    diagnostics::print(&cluster.diagnostics, &cluster.sources, printer);
    // The file that is written to may be empty yet.
    if !args.input.filenames.is_empty() {
        cluster.must_have_objects("nothing to start from")?;
    }
    Ok((cluster, facts))
}

/// What could not be read of a file may be what is to be added to it, or no YAML at all.
fn must_be_whole(path: &Path, cluster: &Cluster) -> Result<(), Stop> {
    let name = path.display().to_string();
    let of_file = cluster.diagnostics.iter().filter(|diagnostic| {
        let place = diagnostic.primary.as_ref();
        place.is_none_or(|place| place.location.file == name)
    });
    let of_file: Vec<_> = of_file.cloned().collect();
    match diagnostics::is_incomplete(&of_file) {
        false => Ok(()),
        true => Err(anyhow::anyhow!(
            "`{name}` could not be read completely: nothing is added to it"
        )
        .into()),
    }
}

/// Adds documents to the end of a file.
fn append(path: &Path, policies: &[ProposedPolicy], printer: &mut Printer) -> Result<(), Stop> {
    let name = path.display();
    if path
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        return Err(anyhow::anyhow!("`{name}`: --write adds YAML documents").into());
    }
    if policies.is_empty() {
        return Ok(());
    }
    let failed = || format!("`{name}` cannot be written");
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        fs::create_dir_all(folder).with_context(failed)?;
    }
    let mut options = OpenOptions::new();
    let mut file = options
        .create(true)
        .read(true)
        .append(true)
        .open(path)
        .with_context(failed)?;
    let mut text = yaml(policies)?;
    if !ends_with_line(&mut file).with_context(failed)? {
        text.insert(0, '\n');
    }
    file.write_all(text.as_bytes()).with_context(failed)?;
    let count = crate::output::layout::count(policies.len(), "policy", "policies");
    printer.note(format_args!("{count} written to `{name}`"));
    Ok(())
}

/// Whether a file is empty or ends with a line break.
fn ends_with_line(file: &mut File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}
