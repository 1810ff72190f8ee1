use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use clap::Args;
use ringfence_lab::enter::by_hand;
use ringfence_lab::keeper::{Manifest, Reply, Request};
use ringfence_lab::state::{self, State};
use ringfence_lab::topology::Cni;
use ringfence_model::address::IpFamily;
use ringfence_model::parse::{self, Limits};

use super::NameOption;
use super::options::BuildOptions;
use super::pods;
use crate::args::OwnNode;
use crate::cluster::read_files;
use crate::command::Stop;
use crate::diagnostics;
use crate::exit::Exit;
use crate::input::Files;
use crate::output::Printer;

/// Build a lab that stays up, to play with
///
/// A process of its own holds it until `ringfence lab down`. Commands run in its pods with
/// `ringfence lab exec`, and `ringfence lab apply` gives it more pods, other policies and
/// Services.
///
/// Examples:
///
///     sudo ringfence lab up -f manifests/
///     sudo ringfence lab exec shop/cart -- wget -qO- --timeout=2 http://www.example.com
///     sudo ringfence lab apply -f default-deny.yaml
///     sudo ringfence lab down
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    name: NameOption,

    #[command(flatten)]
    build: BuildOptions,
}

pub(crate) fn run(args: &UpArgs, printer: &mut Printer) -> Result<Exit, Stop> {
    let name = &args.name.name;
    // What is no name need not be read or started for.
    state::folder(name)?;
    let files = read_files(&args.build.input, printer)?;
    let (manifests, complete) = checked(files, printer);
    let reading = &args.build.input.reading;
    let families = args.build.families().unwrap_or_default();
    let request = Request {
        manifests,
        namespace: reading.namespace().to_owned(),
        pod_cidrs: reading.pod_cidrs.clone(),
        families: families
            .iter()
            .map(|family| if *family == IpFamily::V6 { 6 } else { 4 })
            .collect(),
        nodes: usize::from(args.build.nodes),
        replicas: args.build.replicas,
        bridge: args.build.cni() == Cni::Bridge,
        node_local_dns: args.build.node_local_dns,
        policies: match (args.build.audit, args.build.no_enforce) {
            (true, _) => "audit",
            (_, true) => "none",
            _ => "enforce",
        }
        .to_owned(),
        profile: reading.profile.clone(),
        strict_own_node: reading.own_node == OwnNode::Strict,
    };
    let reply = start(name, &request)?;
    for note in &reply.notes {
        printer.note(note);
    }
    let state = State::read(name)?;
    let strong = printer.theme().strong;
    let out = printer.out();
    writeln!(
        out,
        "{strong}{name}{strong:#} is up: {} pods",
        state.pods.len()
    )?;
    for line in pods::lines(&state.pods) {
        writeln!(out, "{line}")?;
    }
    if let Some(pod) = state.pods.first() {
        writeln!(
            out,
            "\nringfence lab exec --name {name} {}/{} -- sh",
            pod.namespace, pod.name
        )?;
        for host in &state.hosts {
            writeln!(out, "{}  # {}", by_hand(&state, host.fd), host.name)?;
        }
    }
    Ok(if complete { Exit::Fine } else { Exit::BadInput })
}

/// The texts of the files, and whether all of them could be read. Problems are printed.
pub(super) fn checked(files: Files, printer: &mut Printer) -> (Vec<Manifest>, bool) {
    let manifests = files.inputs.iter().map(|input| Manifest {
        name: input.name.clone(),
        text: String::from_utf8_lossy(&input.bytes).into_owned(),
    });
    let manifests = manifests.collect();
    let loaded = parse::load(files.inputs, &Limits::default());
    let mut problems = files.problems;
    problems.extend(loaded.diagnostics);
    diagnostics::print(&problems, &loaded.sources, printer);
    (manifests, !diagnostics::is_incomplete(&problems))
}

/// Starts the process that holds the lab, and waits until the lab is there.
fn start(name: &str, request: &Request) -> Result<Reply, Stop> {
    let program = std::env::current_exe().context("finding this program")?;
    let mut keeper = Command::new(program)
        .args(["lab", "keep", "--name", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C on this terminal is not for it.
        .process_group(0)
        .spawn()
        .context("starting the process that holds the lab")?;
    // Open until it answers: it notices when we are killed, and builds no further.
    let mut input = keeper.stdin.take();
    if let Some(input) = &mut input {
        let mut text = serde_json::to_vec(request)?;
        text.push(b'\n');
        match input.write_all(&text) {
            // It ended already, and says why.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => (),
            told => told.context("telling it what to build")?,
        }
    }
    let mut line = String::new();
    if let Some(output) = keeper.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    drop(input);
    if let Ok(reply) = serde_json::from_str(&line) {
        return Ok(reply);
    }
    // It ended without a word on its output: what it said is an error.
    let ended = keeper.wait_with_output().context("waiting for it")?;
    let said = String::from_utf8_lossy(&ended.stderr);
    let said = said.trim();
    let said = said.strip_prefix("error: ").unwrap_or(said);
    if said.is_empty() {
        return Err(
            anyhow::anyhow!("the process that builds the lab ended: {}", ended.status).into(),
        );
    }
    Err(anyhow::anyhow!("{said}").into())
}
