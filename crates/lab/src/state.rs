//! Labs that stay up: where they are noted, and whether they are still there.
//!
//! A note is a folder with the lab's name. It says which process holds the namespaces;
//! a note whose process is gone stands for nothing, and is swept away.

mod claim;

pub(crate) use claim::Claim;

use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde::{Deserialize, Serialize};

use crate::error::LabError;

use claim::{Locking, lock, sweep};

/// A lab that stays up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// Its name.
    pub name: String,
    /// The process that holds it.
    pub pid: i32,
    /// When that process started, in ticks since the machine did: another with the same
    /// number has another.
    pub started: u64,
    /// Whether it is only being built: nothing is known of its pods yet.
    #[serde(default)]
    pub building: bool,
    /// Its pods.
    pub pods: Vec<PodState>,
    /// Its nodes, the switch and the world.
    pub hosts: Vec<HostState>,
    /// The addresses of the name server.
    pub name_servers: Vec<IpAddr>,
}

/// A pod of a lab that stays up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodState {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The kind and name of its workload.
    pub workload: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its node.
    pub node: String,
    /// The open file of its network namespace, in the process that holds it.
    pub fd: i32,
}

/// A host that is no pod.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HostState {
    /// Its name.
    pub name: String,
    /// The open file of its network namespace, in the process that holds it.
    pub fd: i32,
}

const STATE: &str = "state.json";

/// The folder of all notes of this user: that of whom it is first asked for, who may
/// become root of a user namespace later.
#[must_use]
pub fn root() -> PathBuf {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    let root = || {
        if geteuid().is_root() {
            return PathBuf::from("/run/ringfence-lab");
        }
        match std::env::var_os("XDG_RUNTIME_DIR") {
            Some(folder) => Path::new(&folder).join("ringfence-lab"),
            None => std::env::temp_dir().join(format!("ringfence-lab-{}", geteuid())),
        }
    };
    ROOT.get_or_init(root).clone()
}

/// The folder of a lab.
///
/// # Errors
/// If the name could not be that of a folder.
pub fn folder(name: &str) -> Result<PathBuf, LabError> {
    let fits = (1..=40).contains(&name.len())
        && !name.starts_with('-')
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    match fits {
        true => Ok(root().join(name)),
        false => Err(LabError::Unsupported(format!(
            "`{name}` is no name for a lab: expected up to 40 lower-case letters, digits and `-`"
        ))),
    }
}

fn failed(path: &Path, error: impl ToString) -> LabError {
    LabError::File {
        path: path.display().to_string(),
        reason: error.to_string(),
    }
}

impl State {
    /// The lab with this name.
    ///
    /// # Errors
    /// If there is none, or it is not up.
    pub fn read(name: &str) -> Result<Self, LabError> {
        match look(name)? {
            Some(Known::Up(state)) => Ok(state),
            Some(known) => Err(LabError::Unsupported(known.tell(name))),
            None => Err(LabError::Unsupported(format!(
                "there is no lab called `{name}`: start one with `ringfence lab up`"
            ))),
        }
    }

    /// Whether the process that holds the lab is still the one that did.
    fn is_there(&self) -> bool {
        started(self.pid) == Some(self.started)
    }

    /// The pod that somebody means: `namespace/pod`, `namespace/workload`, or either
    /// without a namespace where only one fits.
    ///
    /// # Errors
    /// If none fits, or pods of several workloads do.
    pub fn find(&self, wanted: &str) -> Result<&PodState, LabError> {
        let (namespace, name) = match wanted.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, wanted),
        };
        let fitting: Vec<&PodState> = self
            .pods
            .iter()
            .filter(|pod| namespace.is_none_or(|namespace| namespace == pod.namespace))
            .filter(|pod| {
                let workload = pod.workload.split_once('/').map(|(_, name)| name);
                pod.name == name || pod.workload == name || workload == Some(name)
            })
            .collect();
        let whose = |pod: &PodState| (pod.namespace.clone(), pod.workload.clone());
        match fitting.split_first() {
            None => {
                let known: Vec<String> = self
                    .pods
                    .iter()
                    .map(|pod| format!("{}/{}", pod.namespace, pod.name))
                    .collect();
                Err(LabError::Unsupported(format!(
                    "no pod `{wanted}` runs in the lab `{}`; there are {}",
                    self.name,
                    known.join(", ")
                )))
            }
            Some((first, rest)) => match rest.iter().find(|pod| whose(pod) != whose(first)) {
                None => Ok(first),
                Some(other) => Err(LabError::Unsupported(format!(
                    "`{wanted}` may be {}/{} or {}/{}: say which",
                    first.namespace, first.name, other.namespace, other.name
                ))),
            },
        }
    }
}

/// What is known of a lab with a name.
#[derive(Clone, Debug)]
pub enum Known {
    /// It is up.
    Up(State),
    /// A process builds it.
    Building(i32),
    /// Its process ended; which, if that was noted.
    Gone(Option<i32>),
}

impl Known {
    /// A sentence for who would use the lab.
    fn tell(&self, name: &str) -> String {
        let process = match self {
            Self::Up(state) => return format!("the lab `{name}` is up, in process {}", state.pid),
            Self::Building(pid) => {
                return format!("the lab `{name}` is being built, by process {pid}");
            }
            Self::Gone(Some(pid)) => format!("its process {pid} ended"),
            Self::Gone(None) => "no process holds it".to_owned(),
        };
        format!(
            "the lab `{name}` is gone: {process}; `ringfence lab down --name {name}` sweeps up \
             what is left of it"
        )
    }

    /// For who would give the name to another lab.
    fn is_in_the_way_of(&self, name: &str) -> LabError {
        let told = self.tell(name);
        LabError::Unsupported(match self {
            Self::Up(_) | Self::Building(_) => format!(
                "a lab called `{name}` is there already: {told}; end it with `ringfence lab down \
                 --name {name}`, or choose another name"
            ),
            Self::Gone(_) => told,
        })
    }
}

/// What is known of the lab with a name; `None` if there is no such lab.
///
/// # Errors
/// If what is noted cannot be looked at.
pub fn look(name: &str) -> Result<Option<Known>, LabError> {
    let folder = folder(name)?;
    let _lock = lock(Locking::Reading)?;
    known(&folder)
}

/// The same of its folder, for who has the lock.
fn known(folder: &Path) -> Result<Option<Known>, LabError> {
    match folder.try_exists() {
        Ok(true) => (),
        Ok(false) => return Ok(None),
        Err(error) => return Err(failed(folder, error)),
    }
    Ok(Some(match noted(folder) {
        Some(state) if !state.is_there() => Known::Gone(Some(state.pid)),
        Some(state) if state.building => Known::Building(state.pid),
        Some(state) => Known::Up(state),
        None => Known::Gone(None),
    }))
}

/// What is noted in a folder, if it is that of a lab.
fn noted(folder: &Path) -> Option<State> {
    let text = fs::read(folder.join(STATE)).ok()?;
    serde_json::from_slice(&text).ok()
}

/// The names of all labs that were noted, sorted.
///
/// # Errors
/// If the folder cannot be read.
pub fn names() -> Result<Vec<String>, LabError> {
    let root = root();
    let entries = match fs::read_dir(&root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(&root, error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed(&root, error))?;
        let name = entry.file_name().into_string().ok();
        names.extend(name.filter(|name| folder(name).is_ok()));
    }
    names.sort();
    Ok(names)
}

/// Ends a lab, also one that is being built, and sweeps its folder away: whether there was
/// anything.
///
/// # Errors
/// If its process does not end, or the folder cannot be removed.
pub fn end(name: &str) -> Result<bool, LabError> {
    let folder = folder(name)?;
    let state = {
        let _lock = lock(Locking::Reading)?;
        noted(&folder)
    };
    let Some(state) = state.filter(State::is_there) else {
        return sweep(&folder);
    };
    let pid = Pid::from_raw(state.pid);
    for (signal, patience) in [
        (Signal::SIGTERM, Duration::from_secs(5)),
        (Signal::SIGKILL, Duration::from_secs(5)),
    ] {
        // It may have ended by itself in the meantime.
        let _ = kill(pid, signal);
        let until = Instant::now() + patience;
        while state.is_there() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    if state.is_there() {
        let message = format!("process {} does not end", state.pid);
        return Err(LabError::Unsupported(message));
    }
    sweep(&folder)?;
    Ok(true)
}

/// When a process started; `None` if there is none, or only what is left of one.
pub(crate) fn started(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the command is in parentheses, and may hold anything.
    let after = text.rsplit_once(')')?.1;
    let mut fields = after.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    // The 22nd field of all, of which the third came just now.
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_started_once() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(started(own).is_some());
        assert_eq!(started(own), started(own));
        assert_eq!(started(i32::MAX), None);
    }

    #[test]
    fn a_name_is_no_path() {
        for name in ["", "..", "a/b", "-rf", "Über", &"a".repeat(41)] {
            assert!(folder(name).is_err(), "{name}");
        }
        assert!(folder("shop-2").is_ok());
    }

    #[test]
    fn a_pod_is_found_by_its_name_or_its_workload() {
        let pod = |namespace: &str, workload: &str, name: &str| PodState {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            workload: workload.to_owned(),
            addresses: Vec::new(),
            node: String::new(),
            fd: 0,
        };
        let state = State {
            name: "lab".to_owned(),
            pid: 1,
            started: 1,
            building: false,
            pods: vec![
                pod("shop", "Deployment/web", "web-1"),
                pod("shop", "Deployment/web", "web-2"),
                pod("bank", "Deployment/web", "web-1"),
                pod("bank", "Pod/vault", "vault"),
            ],
            hosts: Vec::new(),
            name_servers: Vec::new(),
        };
        let found = |wanted: &str| state.find(wanted).ok().map(|pod| pod.name.clone());
        assert_eq!(found("shop/web"), Some("web-1".to_owned()));
        assert_eq!(found("shop/web-2"), Some("web-2".to_owned()));
        assert_eq!(found("vault"), Some("vault".to_owned()));
        assert_eq!(found("web"), None);
        assert_eq!(found("shop/vault"), None);
    }
}
