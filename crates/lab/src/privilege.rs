//! Who may make network namespaces: root, or whoever is root of a user namespace.

use std::fs;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

use crate::error::LabError;

/// Becomes root of a new user namespace, unless the process is root already. Nothing
/// changes outside of it.
///
/// Must be called before the process starts a thread: the kernel permits it to no other.
///
/// # Errors
/// If the kernel does not permit it.
pub fn acquire() -> Result<(), LabError> {
    // Where labs are noted is told by who the user was.
    let _ = crate::state::root();
    let (user, group) = (geteuid(), getegid());
    if user.is_root() {
        return Ok(());
    }
    let refused = |what: &str, error: &dyn std::fmt::Display| {
        LabError::NotPermitted(format!("{what}: {error}"))
    };
    // The mounts are for the /etc/resolv.conf of what runs in a pod.
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
        .map_err(|error| refused("a user namespace", &error))?;
    for (file, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {user} 1")),
        ("/proc/self/gid_map", format!("0 {group} 1")),
    ] {
        fs::write(file, text).map_err(|error| refused(file, &error))?;
    }
    Ok(())
}
