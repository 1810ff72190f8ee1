//! All pairs: which workload can open which connection to which.

mod all_pairs;
mod connections;
mod external;
mod own_node;
mod pair;
mod reachability;
#[cfg(test)]
mod tests;

pub use all_pairs::AllPairs;
pub(crate) use all_pairs::IngressIndex;
pub(crate) use pair::open;
pub use pair::{OpenPorts, OutsideRegion};
pub use reachability::{EndId, Entry, ListId, OpenId, Reachability, Row};

use ipnet::IpNet;
use ringfence_model::snapshot::WorkloadId;

use crate::sets::PortSet;

/// One end of a [`Connection`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum End {
    /// A workload: some pod of it.
    Workload(WorkloadId),
    /// Addresses outside the cluster: any of them, of either family. Sorted, as few
    /// blocks as possible.
    Addresses(Vec<IpNet>),
}

/// What one end can open to another. Workload ends stand for their pods: a port is
/// in `allow` when at least one pod of the one reaches at least one pod of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Connection<'a> {
    /// Who opens it.
    pub from: &'a End,
    /// Who accepts it.
    pub to: &'a End,
    /// The ports that are allowed for certain.
    pub allow: &'a PortSet,
    /// The ports whose verdict is unknown; disjoint from `allow`.
    pub maybe: &'a PortSet,
}

/// Which ends to answer for.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The workloads; `None` for all, `Some` of an empty list for none.
    pub workloads: Option<Vec<WorkloadId>>,
    /// The addresses; `None` for all, `Some` of an empty list for none.
    pub addresses: Option<Vec<IpNet>>,
    /// Whether a pod whose addresses are not known is asked about addresses of a family
    /// that it is taken not to have. Somebody who names such an address wants to know.
    pub any_family: bool,
}
