//! Processes in the network of pods that are gone, or of a lab that ends.
//!
//! A kubelet ends them with their pod. Here nothing else than the network belongs to a pod: so
//! its processes are those whose network namespace is the pod's, and nothing in any other
//! namespace is touched, neither a node's, as long as the lab is there, nor that of somebody who
//! went elsewhere from here.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::time::{Instant, sleep};

use crate::namespace::Namespace;

/// How long a process has to end by itself, and how long we wait for one that was killed.
const GRACE: Duration = Duration::from_secs(2);

/// How often we look whether they have ended.
const BETWEEN: Duration = Duration::from_millis(20);

/// The first is a request. What was started in the meantime is found by the next.
const SIGNALS: [Signal; 4] = [Signal::TERM, Signal::KILL, Signal::KILL, Signal::KILL];

/// What makes a namespace the same: the device and the number of its file.
type Identity = (u64, u64);

/// A process, by a handle that never means another that gets its number.
struct Process {
    pid: i32,
    /// The name of the namespace.
    pod: String,
    handle: OwnedFd,
}

/// Ends what runs in these namespaces, and says of what cannot be ended that it goes on. The
/// namespaces are held until this returns, so nobody else's has their numbers.
pub(crate) async fn end_all_in(namespaces: &[Namespace]) -> Vec<String> {
    let pods = namespaces.iter();
    let pods = pods.filter_map(|pod| Some((identity(pod)?, pod.name().to_owned())));
    let pods: BTreeMap<Identity, String> = pods.collect();
    let mut refused: BTreeMap<i32, String> = BTreeMap::new();
    if pods.is_empty() {
        return Vec::new();
    }
    for signal in SIGNALS {
        for process in running_in(&pods) {
            match pidfd_send_signal(&process.handle, signal) {
                // It ended in between.
                Ok(()) | Err(Errno::SRCH) => (),
                Err(error) => {
                    let (pid, pod) = (process.pid, process.pod);
                    let note = format!(
                        "process {pid} in the network of {pod}, which is gone, goes on: {error}"
                    );
                    refused.insert(pid, note);
                }
            }
        }
        let until = Instant::now() + GRACE;
        loop {
            let mut left = running_in(&pods).into_iter();
            if left.all(|process| refused.contains_key(&process.pid)) {
                return refused.into_values().collect();
            }
            if Instant::now() >= until {
                break;
            }
            sleep(BETWEEN).await;
        }
    }
    for process in running_in(&pods) {
        let (pid, pod) = (process.pid, process.pod);
        let note = format!("process {pid} in the network of {pod}, which is gone, does not end");
        refused.entry(pid).or_insert(note);
    }
    refused.into_values().collect()
}

/// The processes in these namespaces, as far as we may see them, but for our own.
fn running_in(pods: &BTreeMap<Identity, String>) -> Vec<Process> {
    let own = std::process::id();
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let others = numbers.filter(|number| *number != own);
    let found = others.filter_map(|number| {
        pods.get(&identity_of(number)?)?;
        let pid = i32::try_from(number).ok()?;
        let handle = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        // It may have ended until we had the handle, and another have its number; from now on
        // only who ended can be mistaken, and is sent nothing.
        let pod = pods.get(&identity_of(number)?)?.clone();
        Some(Process { pid, pod, handle })
    });
    found.collect()
}

/// The network namespace that a process is in.
fn identity_of(process: u32) -> Option<Identity> {
    let file = fs::metadata(format!("/proc/{process}/ns/net")).ok()?;
    Some((file.dev(), file.ino()))
}

fn identity(namespace: &Namespace) -> Option<Identity> {
    let file = File::from(namespace.fd().try_clone_to_owned().ok()?);
    let file = file.metadata().ok()?;
    Some((file.dev(), file.ino()))
}
