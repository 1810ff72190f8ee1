//! Whose policies a denied connection was denied by.

use ringfence_engine::Engine;
use ringfence_model::policy::Direction;
use ringfence_model::snapshot::{PodId, PolicyId};
use ringfence_model::tri::Tri;

use super::{Denial, Side};

/// The pod whose policies do not allow a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Isolated {
    /// The pod.
    pub pod: PodId,
    /// Whether its egress or its ingress policies are meant.
    pub direction: Direction,
    /// The policies that apply to it in that direction, in the order of the snapshot, and
    /// whether they do for certain. None of them allows the connection, or one denies it.
    pub policies: Vec<(PolicyId, Tri)>,
}

/// Whose policies do not allow a connection; `None` where that is nobody's, and where no pod
/// has the address.
///
/// This says what the engine knows now, and the event may be older: a pod that is gone is not
/// found, and the policies are those that apply today, maybe none any more. An address that
/// another pod has got meanwhile is that pod's. Who wants to be certain reads the events before
/// the engine takes a change over.
#[must_use]
pub fn whose(engine: &Engine, denial: &Denial) -> Option<Isolated> {
    // The others are denied whatever policies say, and the address may be a forged one.
    let Side::Policies(direction) = denial.side else {
        return None;
    };
    let address = match direction {
        Direction::Egress => denial.source,
        Direction::Ingress => denial.destination,
    };
    let pod = engine.snapshot().pod_with_address(address)?;
    Some(Isolated {
        pod,
        direction,
        policies: engine.policies_for(pod, direction).collect(),
    })
}
