//! Network namespaces that only this process holds.
//!
//! None has a name in the file system: an open file is all that keeps one, so the kernel
//! takes it down when this process ends, whatever ends it.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::sched::{CloneFlags, unshare};
use nlink::netlink::namespace::Netns;
use nlink::{Connection, Nftables, Route};
use socket2::Socket;

use crate::error::LabError;

/// Namespaces are made on so many threads: the kernel takes milliseconds for each.
const MAKERS: usize = 4;

/// A network namespace; a handle is cheap to copy.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: Arc<str>,
    netns: Arc<Netns>,
}

impl Namespace {
    /// Makes new namespaces, empty but for their loopback device, in the order of `names`.
    ///
    /// # Errors
    /// If the kernel does not permit it.
    pub fn create(names: &[String]) -> Result<Vec<Self>, LabError> {
        let share = names.len().div_ceil(MAKERS).max(1);
        let made: Vec<Result<Vec<Self>, LabError>> = std::thread::scope(|scope| {
            let makers: Vec<_> = names
                .chunks(share)
                .map(|names| scope.spawn(move || names.iter().map(|name| make(name)).collect()))
                .collect();
            let joined = makers.into_iter().map(|maker| maker.join());
            joined
                .map(|result| {
                    result.unwrap_or_else(|_| {
                        Err(LabError::Bug("making a namespace panicked".to_owned()))
                    })
                })
                .collect()
        });
        let mut all = Vec::with_capacity(names.len());
        for some in made {
            all.extend(some?);
        }
        Ok(all)
    }

    /// What it is for: a pod, a node.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its open file.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.netns.as_fd()
    }

    /// The handle of the netlink library.
    #[must_use]
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// A socket in the namespace, which stays in it wherever it is used.
    ///
    /// # Errors
    /// If the kernel refuses it.
    pub fn socket(
        &self,
        domain: socket2::Domain,
        kind: socket2::Type,
        protocol: i32,
    ) -> Result<Socket, LabError> {
        let fd = self
            .netns
            .socket(domain.into(), kind.nonblocking().into(), protocol)
            .map_err(|error| LabError::kernel(&self.name, "a socket", error))?;
        Ok(Socket::from(fd))
    }

    /// A connection to configure links, addresses and routes.
    ///
    /// # Errors
    /// If the kernel refuses it.
    pub fn route(&self) -> Result<Connection<Route>, LabError> {
        Connection::new_in(&*self.netns)
            .map_err(|error| LabError::kernel(&self.name, "a netlink socket", error))
    }

    /// A connection to configure nftables.
    ///
    /// # Errors
    /// If the kernel refuses it.
    pub fn nftables(&self) -> Result<Connection<Nftables>, LabError> {
        Connection::new_in(&*self.netns)
            .map_err(|error| LabError::kernel(&self.name, "a netfilter socket", error))
    }

    /// Sets a sysctl of the namespace.
    ///
    /// # Errors
    /// If there is no such one, or it may not be set.
    pub fn set(&self, key: &str, value: &str) -> Result<(), LabError> {
        let set = self.netns.sysctl().set(key, value);
        set.map_err(|error| LabError::kernel(&self.name, key, error))
    }
}

fn make(name: &str) -> Result<Namespace, LabError> {
    let refused = |error: &dyn std::fmt::Display| LabError::NotPermitted(error.to_string());
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| refused(&error))?;
    let file = File::open("/proc/thread-self/ns/net").map_err(|error| refused(&error))?;
    let netns = Netns::from_fd(OwnedFd::from(file)).map_err(|error| refused(&error))?;
    Ok(Namespace {
        name: name.into(),
        netns: Arc::new(netns),
    })
}
