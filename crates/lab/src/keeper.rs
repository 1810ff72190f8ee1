//! The process that holds a lab which stays up, and takes word from others.
//!
//! Whoever starts it gives it a [`Request`] on standard input and hears one line on
//! standard output when the lab is there; until then it leaves its end of the input open, and
//! what nobody waits for any more is not built. After that the process listens on a socket in
//! the lab's folder, one line of JSON a request and one a reply.

mod ends;
mod held;
mod nodes;
mod noted;

pub use held::Named;

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use ringfence_engine::Profile;
use ringfence_engine::profile::ProfileName;
use ringfence_model::address::IpFamily;
use ringfence_model::parse::Sources;
use ringfence_model::snapshot::builder::BuildOptions;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use crate::error::LabError;
use crate::probe::Settings;
use crate::schedule::{Options, Placement, Schedule, schedule};
use crate::session::{Building, Policies, Running, runtime};
use crate::state::{Claim, PodState, State, folder};
use crate::topology::Cni;

use ends::{Signals, nobody_waits};
use held::Held;
use noted::{missing_in, state};

/// What a lab is to be made of, as one process tells another.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Request {
    /// The manifests.
    pub manifests: Vec<Manifest>,
    /// The namespace of objects that name none.
    pub namespace: String,
    /// Ranges that pods get their addresses from.
    pub pod_cidrs: Vec<ipnet::IpNet>,
    /// `4`, `6` or both; empty: as the manifests tell.
    pub families: Vec<u8>,
    /// How many nodes at least.
    pub nodes: usize,
    /// How many pods of one workload at most.
    pub replicas: u32,
    /// Whether pods are on bridges.
    pub bridge: bool,
    /// Whether every node has a name server of its own.
    pub node_local_dns: bool,
    /// Whether policies hold, are only told about, or are not known: `enforce`, `audit`,
    /// `none`.
    pub policies: String,
    /// The name of the profile.
    pub profile: String,
    /// Whether traffic of a pod to its own node is judged like any other.
    pub strict_own_node: bool,
}

/// One text to read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// Its name in messages.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// What is to become of the objects of a lab that stays up.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Change {
    /// The manifests.
    pub manifests: Vec<Manifest>,
    /// The namespace of objects that name none; `None`: that of the lab.
    pub namespace: Option<String>,
    /// Whether they take the place of all that the lab has, or are added to them; an
    /// object of the same name is replaced.
    pub replace: bool,
    /// Whether they are taken away instead.
    pub delete: bool,
    /// Objects that are taken away by their names.
    pub named: Vec<Named>,
}

/// What became of a request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Reply {
    /// What went wrong; `None` if nothing did.
    pub error: Option<String>,
    /// What became of each object.
    pub done: Vec<String>,
    /// Pods that are there now and were not before.
    pub came: Vec<PodState>,
    /// Pods that were there before and are not now.
    pub went: Vec<PodState>,
    /// What is not as the manifests say.
    pub notes: Vec<String>,
}

const SOCKET: &str = "control";

impl Request {
    fn schedule(&self, held: &Held, placed: Placement) -> Result<Schedule, LabError> {
        let families: Vec<IpFamily> = self
            .families
            .iter()
            .map(|family| {
                if *family == 6 {
                    IpFamily::V6
                } else {
                    IpFamily::V4
                }
            })
            .collect();
        let build = BuildOptions {
            default_namespace: self.namespace.clone(),
            pod_cidrs: self.pod_cidrs.clone(),
            families: (!families.is_empty()).then(|| families.clone()),
        };
        let options = Options {
            nodes: self.nodes,
            families: (!families.is_empty()).then_some(families),
            replicas: self.replicas,
            node_local_dns: self.node_local_dns,
            placed,
            ..Options::default()
        };
        // What is wrong with the texts was said where they were read first.
        let sources = Sources::default();
        Ok(schedule(held.objects(), &build, &sources, &options)?)
    }

    fn building(&self) -> Building {
        let name: ProfileName = self.profile.parse().unwrap_or_default();
        let profile = Profile::named(name);
        Building {
            cni: if self.bridge {
                Cni::Bridge
            } else {
                Cni::Routed
            },
            policies: match &*self.policies {
                "audit" => Policies::Audited,
                "none" => Policies::Ignored,
                _ => Policies::Enforced,
            },
            profile: match self.strict_own_node {
                true => profile.strict_own_node(),
                false => profile,
            },
            probing: Settings::default(),
        }
    }
}

/// Holds a lab until it is told to end: by SIGTERM, SIGINT or SIGHUP.
///
/// # Errors
/// If there can be no such lab.
pub fn keep(name: &str) -> Result<(), LabError> {
    let folder = folder(name)?;
    let failed = |error: std::io::Error| LabError::File {
        path: folder.display().to_string(),
        reason: error.to_string(),
    };
    let mut line = String::new();
    BufReader::new(std::io::stdin())
        .read_line(&mut line)
        .map_err(failed)?;
    let request: Request = serde_json::from_str(&line)
        .map_err(|error| LabError::Bug(format!("a request: {error}")))?;
    let claim = Claim::new(name)?;
    let kept = runtime().and_then(|runtime| runtime.block_on(hold(name, &claim, request)));
    kept.and(claim.give_back())
}

async fn hold(name: &str, claim: &Claim, request: Request) -> Result<(), LabError> {
    let folder = folder(name)?;
    let failed = |error: std::io::Error| LabError::File {
        path: folder.display().to_string(),
        reason: error.to_string(),
    };
    let mut signals = Signals::new().map_err(failed)?;
    // Nobody asks before it is noted that the lab is up.
    let listener = UnixListener::bind(folder.join(SOCKET)).map_err(failed)?;
    let building = request.building();
    let mut held = Held::default();
    for object in Held::read(&request.manifests, &request.namespace) {
        held.put(object);
    }
    let schedule = request.schedule(&held, Placement::default())?;
    // Building takes its time, and what is not wanted any more is not finished.
    let started = tokio::select! {
        () = signals.any() => return Err(LabError::Unsupported(format!(
            "the lab `{name}` was ended while it was built"
        ))),
        () = nobody_waits() => return Ok(()),
        started = Running::start(schedule, &building) => started,
    };
    let mut kept = Kept {
        claim,
        name: name.to_owned(),
        running: started?,
        request,
        building,
        held,
    };
    let snapshot = Arc::clone(&kept.running.lab.schedule().snapshot);
    kept.held.note_addresses(&snapshot);
    claim.note(&state(name, &kept.running.lab)?)?;
    tell(&Reply {
        notes: kept.running.lab.schedule().notes.clone(),
        ..Reply::default()
    })
    .map_err(failed)?;
    loop {
        let stream = tokio::select! {
            () = signals.any() => {
                kept.running.lab.end().await;
                return Ok(());
            }
            accepted = listener.accept() => accepted.map_err(failed)?.0,
        };
        // Who asks and leaves has nothing to complain of.
        let _ = kept.answer(stream).await;
    }
}

/// A lab that stays up, and what it was made of.
struct Kept<'a> {
    claim: &'a Claim,
    name: String,
    request: Request,
    building: Building,
    held: Held,
    running: Running,
}

impl Kept<'_> {
    async fn answer(&mut self, stream: tokio::net::UnixStream) -> std::io::Result<()> {
        let mut stream = tokio::io::BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let changed = match serde_json::from_str(&line) {
            Err(error) => Err(LabError::Bug(format!("a request: {error}"))),
            Ok(change) => self.change(&change).await,
        };
        let reply = changed.unwrap_or_else(|error| Reply {
            error: Some(error.to_string()),
            ..Reply::default()
        });
        let mut text = serde_json::to_vec(&reply)?;
        text.push(b'\n');
        stream.write_all(&text).await
    }

    async fn change(&mut self, change: &Change) -> Result<Reply, LabError> {
        let now = self.running.lab.schedule();
        let mut next = self.held.clone();
        let done = next.change(change, &self.request.namespace, &now.snapshot)?;
        nodes::check(&now.nodes, self.held.objects(), next.objects())?;
        let schedule = self.request.schedule(&next, Placement::of(now))?;
        let before = state(&self.name, &self.running.lab)?;
        let updated = self.running.update(schedule, &self.building).await;
        // Also where it was taken back: what came again has other files.
        let after = state(&self.name, &self.running.lab)?;
        let noted = self.claim.note(&after);
        let mut going_on = Vec::new();
        if noted.is_ok() {
            // Nobody enters what is not noted.
            going_on = self.running.lab.let_go().await;
        }
        updated?;
        let now = self.running.lab.schedule();
        next.note_addresses(&now.snapshot);
        self.held = next;
        noted?;
        Ok(Reply {
            error: None,
            done,
            came: missing_in(&before, &after),
            went: missing_in(&after, &before),
            notes: now.notes.iter().cloned().chain(going_on).collect(),
        })
    }
}

/// Says on standard output that the lab is there. Nobody needs to listen any more.
fn tell(reply: &Reply) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, reply)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Changes the objects of a lab that stays up.
///
/// # Errors
/// If it cannot be asked. That it refuses is said in the reply.
pub fn change(name: &str, change: &Change) -> Result<Reply, LabError> {
    State::read(name)?;
    let path = folder(name)?.join(SOCKET);
    let failed = |error: std::io::Error| LabError::File {
        path: path.display().to_string(),
        reason: error.to_string(),
    };
    let mut stream = UnixStream::connect(&path).map_err(failed)?;
    let mut text = serde_json::to_vec(change).map_err(|error| failed(error.into()))?;
    text.push(b'\n');
    stream.write_all(&text).map_err(failed)?;
    let mut line = String::new();
    BufReader::new(stream)
        .read_line(&mut line)
        .map_err(failed)?;
    serde_json::from_str(&line).map_err(|error| failed(error.into()))
}
