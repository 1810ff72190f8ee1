//! The process that holds a lab which stays up, and takes word from others.
//!
//! Whoever starts it gives it a [`Request`] on standard input and hears one line on
//! standard output when the lab is there. After that it listens on a socket in the
//! lab's folder, one line of JSON a request and one a reply.

mod held;

pub use held::Named;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::unistd::geteuid;
use ringfence_engine::Profile;
use ringfence_engine::profile::ProfileName;
use ringfence_model::address::IpFamily;
use ringfence_model::parse::Sources;
use ringfence_model::snapshot::Snapshot;
use ringfence_model::snapshot::builder::BuildOptions;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::LabError;
use crate::lab::Lab;
use crate::probe::Settings;
use crate::schedule::{DNS_NAMESPACE, Options, Schedule, schedule};
use crate::session::{Building, Policies, Running, runtime};
use crate::state::{HostState, PodState, State, folder, root, started, sweep};
use crate::topology::Cni;

use held::Held;

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
    /// What is not as the manifests say.
    pub notes: Vec<String>,
}

const SOCKET: &str = "control";

impl Request {
    fn schedule(&self, held: &Held) -> Result<Schedule, LabError> {
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
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(root())
        .map_err(failed)?;
    // In a folder that everybody may write to, somebody else may have been there first.
    if fs::metadata(root()).map_err(failed)?.uid() != geteuid().as_raw() {
        let shown = root().display().to_string();
        return Err(LabError::Unsupported(format!("{shown} is somebody else's")));
    }
    // Whoever makes the folder has the name.
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .map_err(|error| {
            LabError::Unsupported(format!(
                "a lab called `{name}` is there already ({error}): end it with `ringfence lab down \
             --name {name}`, or choose another name"
            ))
        })?;
    let kept = runtime()?.block_on(hold(name, &folder, request));
    let swept = sweep(&folder);
    kept.and(swept.map(|_| ()))
}

async fn hold(name: &str, folder: &Path, request: Request) -> Result<(), LabError> {
    let failed = |error: std::io::Error| LabError::File {
        path: folder.display().to_string(),
        reason: error.to_string(),
    };
    let mut ends = Vec::new();
    for kind in [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
    ] {
        ends.push(signal(kind).map_err(failed)?);
    }
    let building = request.building();
    let mut held = Held::default();
    for object in Held::read(&request.manifests, &request.namespace) {
        held.put(object);
    }
    let [mut terminate, mut interrupt, mut hangup] =
        <[_; 3]>::try_from(ends).map_err(|_| LabError::Bug("three signals".to_owned()))?;
    // Building takes its time, and what is not wanted any more is not finished.
    let started = tokio::select! {
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
        _ = hangup.recv() => return Ok(()),
        started = Running::start(request.schedule(&held)?, &building) => started,
    };
    let mut running = started?;
    held.note_addresses(&running.lab.schedule().snapshot);
    let listener = UnixListener::bind(folder.join(SOCKET)).map_err(failed)?;
    state(name, &running.lab)?.write()?;
    tell(&Reply {
        notes: running.lab.schedule().notes.clone(),
        ..Reply::default()
    })
    .map_err(failed)?;
    loop {
        let stream = tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => return Ok(()),
            accepted = listener.accept() => accepted.map_err(failed)?.0,
        };
        // Who asks and leaves has nothing to complain of.
        let _ = answer(stream, &request, &mut held, &mut running, &building).await;
    }
}

async fn answer(
    stream: tokio::net::UnixStream,
    request: &Request,
    held: &mut Held,
    running: &mut Running,
    building: &Building,
) -> std::io::Result<()> {
    let mut stream = tokio::io::BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let changed = match serde_json::from_str(&line) {
        Err(error) => Err(LabError::Bug(format!("a request: {error}"))),
        Ok(change) => change_to(&change, request, held, running, building).await,
    };
    let reply = match changed {
        Err(error) => Reply {
            error: Some(error.to_string()),
            ..Reply::default()
        },
        Ok(done) => Reply {
            error: None,
            done,
            notes: running.lab.schedule().notes.clone(),
        },
    };
    let mut text = serde_json::to_vec(&reply)?;
    text.push(b'\n');
    stream.write_all(&text).await
}

async fn change_to(
    change: &Change,
    request: &Request,
    held: &mut Held,
    running: &mut Running,
    building: &Building,
) -> Result<Vec<String>, LabError> {
    let mut next = held.clone();
    let done = next.change(change, &request.namespace)?;
    running.update(request.schedule(&next)?, building).await?;
    next.note_addresses(&running.lab.schedule().snapshot);
    *held = next;
    Ok(done)
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

fn state(name: &str, lab: &Lab) -> Result<State, LabError> {
    let snapshot = &lab.schedule().snapshot;
    let network = lab.network();
    let pid = i32::try_from(std::process::id()).unwrap_or_default();
    let mut of_pods = BTreeSet::new();
    let mut pods = Vec::new();
    for (id, pod) in snapshot.pod_ids() {
        let Some(namespace) = network.pod(id) else {
            continue;
        };
        of_pods.insert(namespace.fd().as_raw_fd());
        let workload = snapshot.workload(pod.workload);
        pods.push(PodState {
            namespace: snapshot.namespace(pod.namespace).name.to_string(),
            name: pod.name.to_string(),
            workload: format!("{}/{}", workload.kind, workload.name),
            addresses: pod.addresses.clone(),
            node: pod.node.as_deref().unwrap_or_default().to_owned(),
            fd: namespace.fd().as_raw_fd(),
        });
    }
    let hosts = network.namespaces().iter().map(|namespace| HostState {
        name: namespace.name().to_owned(),
        fd: namespace.fd().as_raw_fd(),
    });
    Ok(State {
        name: name.to_owned(),
        pid,
        started: started(pid).ok_or_else(|| LabError::Bug("we do not run".to_owned()))?,
        pods,
        hosts: hosts.filter(|host| !host.name.contains('/')).collect(),
        name_servers: match lab.schedule().node_local_dns {
            Some(address) => vec![address],
            None => name_servers(snapshot),
        },
    })
}

/// The addresses of the cluster's name server: those of its Service.
fn name_servers(snapshot: &Snapshot) -> Vec<std::net::IpAddr> {
    let services = snapshot.services.iter().filter(|service| {
        let namespace = &*snapshot.namespace(service.namespace).name;
        let answers = service.ports.iter().any(|port| port.port == 53);
        matches!(namespace, DNS_NAMESPACE | "openshift-dns") && answers
    });
    services
        .flat_map(|service| service.cluster_ips.clone())
        .collect()
}
