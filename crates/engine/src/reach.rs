//! All pairs: which workload can open which connection to which.

mod all_pairs;
mod connections;
mod external;
mod pair;

pub use all_pairs::AllPairs;
pub(crate) use all_pairs::IngressIndex;
pub use pair::{OpenPorts, OutsideRegion};

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
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Connection {
    /// Who opens it.
    pub from: End,
    /// Who accepts it.
    pub to: End,
    /// The ports that are allowed for certain.
    pub allow: PortSet,
    /// The ports whose verdict is unknown; disjoint from `allow`.
    pub maybe: PortSet,
}

/// Which ends to answer for.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The workloads; `None` for all, `Some` of an empty list for none.
    pub workloads: Option<Vec<WorkloadId>>,
    /// The addresses; `None` for all, `Some` of an empty list for none.
    pub addresses: Option<Vec<IpNet>>,
}

/// The connections that are possible, or may be, sorted by `from`, then `to`. Pairs
/// with nothing allowed and nothing unknown are left out.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Reachability {
    /// The connections.
    pub connections: Vec<Connection>,
}
