//! A command that runs in a pod of a lab that stays up.

use std::fs::{self, File};
use std::net::IpAddr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

use crate::dns::CLUSTER_DOMAIN;
use crate::error::LabError;
use crate::state::{PodState, State, folder};

/// Becomes the command, in the pod: returns only if that is not possible. Names are
/// resolved as in a pod of a cluster.
///
/// Must be called before the process starts a thread: the kernel permits it to no other.
#[must_use]
pub fn exec(state: &State, pod: &PodState, command: &[String]) -> LabError {
    match enter(state, pod) {
        Err(error) => error,
        Ok(()) => match command.split_first() {
            None => LabError::Unsupported("no command is given".to_owned()),
            Some((program, arguments)) => {
                let error = Command::new(program).args(arguments).exec();
                LabError::Unsupported(format!("{program}: {error}"))
            }
        },
    }
}

fn enter(state: &State, pod: &PodState) -> Result<(), LabError> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        LabError::kernel(&format!("{}/{}", pod.namespace, pod.name), what, error)
    };
    let open = |path: String| File::open(&path).map_err(|error| failed(&path, &error));
    let process = format!("/proc/{}", state.pid);
    let network = open(format!("{process}/fd/{}", pod.fd))?;
    let must_be_noted = || {
        let is_noted = State::read(&state.name)?.pods.contains(pod);
        let what = "it was taken away or made again just now";
        if is_noted {
            Ok(())
        } else {
            Err(failed("the pod", &what))
        }
    };
    // The number of its file is given to nobody else as long as the pod is noted.
    must_be_noted()?;
    if has_users_of_its_own(state) {
        let user = open(format!("{process}/ns/user"))?;
        setns(user, CloneFlags::CLONE_NEWUSER).map_err(|error| failed("user namespace", &error))?;
    }
    setns(network, CloneFlags::CLONE_NEWNET)
        .map_err(|error| failed("network namespace", &error))?;
    // Who is in it while it is noted is found, and ended, when it goes.
    must_be_noted()?;
    let resolver = folder(&state.name)?.join(format!("resolv-{}.conf", pod.namespace));
    let text = resolver_configuration(&pod.namespace, &state.name_servers);
    fs::write(&resolver, text).map_err(|error| failed("resolv.conf", &error))?;
    // Mounts of its own, so that nobody else sees another /etc/resolv.conf.
    unshare(CloneFlags::CLONE_NEWNS).map_err(|error| failed("mounts", &error))?;
    let nothing: Option<&str> = None;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(nothing, "/", nothing, private, nothing).map_err(|error| failed("mounts", &error))?;
    mount(
        Some(&resolver),
        Path::new("/etc/resolv.conf"),
        nothing,
        MsFlags::MS_BIND,
        nothing,
    )
    .map_err(|error| failed("/etc/resolv.conf", &error))
}

/// The command that enters a namespace of a lab by hand: a node's, a pod's. Who is not root
/// becomes root in the users' namespace that the lab was given.
#[must_use]
pub fn by_hand(state: &State, fd: i32) -> String {
    let process = format!("/proc/{}", state.pid);
    let users = match has_users_of_its_own(state) {
        true => format!("--user={process}/ns/user --preserve-credentials "),
        false => String::new(),
    };
    format!("nsenter {users}--net={process}/fd/{fd}")
}

/// Whether a lab was made by somebody who is not root here.
fn has_users_of_its_own(state: &State) -> bool {
    let theirs = fs::read_link(format!("/proc/{}/ns/user", state.pid));
    let ours = fs::read_link("/proc/self/ns/user");
    theirs.ok() != ours.ok()
}

/// What the kubelet writes for a pod with the DNS policy `ClusterFirst`.
fn resolver_configuration(namespace: &str, servers: &[IpAddr]) -> String {
    let mut text = String::new();
    for server in servers {
        text.push_str(&format!("nameserver {server}\n"));
    }
    text.push_str(&format!(
        "search {namespace}.svc.{CLUSTER_DOMAIN} svc.{CLUSTER_DOMAIN} {CLUSTER_DOMAIN}\n\
         options ndots:5\n"
    ));
    text
}
