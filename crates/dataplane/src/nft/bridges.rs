//! Whether packets that cross bridges are shown to the first table.

use std::fs;

use super::{Error, Table};

/// The settings of `br_netfilter`, as files and as people write them. Both are needed whatever
/// addresses pods have: every pod has one of IPv6 on its link.
const FILTERED: [(&str, &str); 2] = [
    (
        "/proc/sys/net/bridge/bridge-nf-call-iptables",
        "net.bridge.bridge-nf-call-iptables",
    ),
    (
        "/proc/sys/net/bridge/bridge-nf-call-ip6tables",
        "net.bridge.bridge-nf-call-ip6tables",
    ),
];

impl Table {
    /// Looks whether the kernel shows packets that cross bridges to the first table.
    ///
    /// # Errors
    /// [`Error::BridgesNotFiltered`] where it does not: what is written would not hold.
    pub fn bridges_are_filtered(&self) -> Result<(), Error> {
        let missing = || {
            let mut all = FILTERED.into_iter();
            let missing = all.find(|(file, _)| {
                let value = fs::read_to_string(file);
                value.map_or(true, |value| value.trim() != "1")
            });
            missing.map(|(_, name)| name)
        };
        let missing = match &self.namespace {
            Some(namespace) => namespace.run(missing)?,
            None => missing(),
        };
        match missing {
            None => Ok(()),
            Some(name) => Err(Error::BridgesNotFiltered(name)),
        }
    }
}
