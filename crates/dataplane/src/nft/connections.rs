//! The kernel's memory of connections.

use std::os::fd::AsFd;

use nlink::Connection;
use nlink::netlink::Netfilter;
use nlink::netlink::netfilter::{ConntrackBuilder, ConntrackEntry};

use super::Error;

/// Connections of a network namespace.
pub struct Connections {
    connection: Connection<Netfilter>,
}

impl Connections {
    /// Those of the calling thread's network namespace.
    ///
    /// # Errors
    /// Where no netlink socket can be had.
    pub fn here() -> Result<Self, Error> {
        Ok(Self {
            connection: Connection::<Netfilter>::new()?,
        })
    }

    /// Those of another network namespace.
    ///
    /// # Errors
    /// As for [`Connections::here`].
    pub fn in_namespace(namespace: impl AsFd) -> Result<Self, Error> {
        Ok(Self {
            connection: Connection::<Netfilter>::new_in(namespace.as_fd())?,
        })
    }

    /// Clears bits of all connections' marks, so that they count as never judged. Says
    /// how many had some.
    ///
    /// # Errors
    /// Where the kernel refuses; some marks may be cleared then.
    pub async fn clear_marks(&self, mask: u32) -> Result<usize, Error> {
        let v4 = self.connection.get_conntrack().await?;
        let v6 = self.connection.get_conntrack_v6().await?;
        let mut cleared = 0;
        for entry in v4.iter().chain(&v6) {
            let mark = entry.mark.unwrap_or(0);
            if mark & mask == 0 {
                continue;
            }
            match self.set_mark(entry, mark & !mask).await {
                Ok(()) => cleared += 1,
                // It ended in between.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(cleared)
    }

    async fn set_mark(&self, entry: &ConntrackEntry, mark: u32) -> nlink::Result<()> {
        let change = ConntrackBuilder::from_entry(entry).mark(mark);
        self.connection.update_conntrack(change).await
    }
}
